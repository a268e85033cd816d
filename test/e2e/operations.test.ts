/** What an operator does with an installation on a real node: `drawbridge doctor`, and the log level without a shell. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import { waitFor } from '../cluster/harness.ts'
import type { NodeCluster } from '../cluster/harness.ts'
import { root } from '../docs/markdown.ts'
import { endpointOf } from './endpoint.ts'
import { falcoSender } from './falco.ts'
import { installation, rolledOut } from './shared.ts'

interface Finding {
  readonly check: string
  readonly level: string
  readonly found: string
  readonly todo?: string
}

describe('operating an installation on a real node', () => {
  let cluster: NodeCluster
  before(() => {
    ;({ cluster } = installation())
  })

  const doctor = (): { readonly code: number | null; readonly findings: readonly Finding[] } => {
    const args = ['bin/drawbridge.js', 'doctor', '--kubeconfig', cluster.kubeconfig, '-o', 'json']
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' })
    assert.equal(stderr, '')
    return { code: status, findings: (JSON.parse(stdout) as { readonly findings: Finding[] }).findings }
  }
  const of = (findings: readonly Finding[], check: string): readonly Finding[] =>
    findings.filter((finding) => finding.check === check)

  it('doctor finds nothing wrong but that no sensor has sent anything, and is content when one has', async () => {
    const before = doctor()
    assert.deepEqual(
      before.findings.filter(({ level }) => level === 'problem' || level === 'unknown'),
      [],
    )
    assert.match(
      of(before.findings, 'sensors')
        .map(({ found }) => found)
        .join(),
      /no sensor has sent an alert/,
    )
    assert.equal(before.code, 0)
    assert.match(
      of(before.findings, 'replicas')
        .map(({ level, found }) => `${level} ${found}`)
        .join(),
      /^ok 2 of 2 replicas ready/,
    )
    const alert = readFileSync(join(root, 'examples/alerts/dropped-executable.json'), 'utf8')
    const sender = falcoSender(await endpointOf(cluster))
    await sender.post(alert.replaceAll('@TIME@', new Date().toISOString()))
    sender.close()
    assert.match(
      of(doctor().findings, 'sensors')
        .map(({ level, found }) => `${level} ${found}`)
        .join(),
      /^ok last alerts: falco /,
    )
  })

  it('doctor says that nobody answers at the Service, and what to do', async () => {
    await cluster.must(['-n', 'drawbridge', 'scale', 'deployment/drawbridge', '--replicas=0'])
    const endpoints = ['-n', 'drawbridge', 'get', 'endpointslices', '-o', 'jsonpath={.items[*].endpoints[*].addresses}']
    await waitFor(async () => (await cluster.must(endpoints)) === '', 60_000, 'no endpoint')
    await waitFor(() => of(doctor().findings, 'reachable')[0]?.level === 'problem', 30_000, 'a problem')
    const { code, findings } = doctor()
    assert.equal(code, 1)
    const [unreachable] = of(findings, 'reachable')
    assert.match(unreachable?.found ?? '', /refused|endpoints/)
    assert.ok(unreachable?.todo !== undefined && unreachable.todo !== '')
    await cluster.must(['-n', 'drawbridge', 'scale', 'deployment/drawbridge', '--replicas=2'])
    await rolledOut(cluster)
    await waitFor(() => of(doctor().findings, 'reachable')[0]?.level === 'ok', 60_000, 'doctor to be content')
  })

  it('the log level changes by the line of docs/operations.md, in an image without a shell', async () => {
    const page = readFileSync(join(root, 'docs/operations.md'), 'utf8')
    const line = /^\$ (kubectl .* log-level debug .*)$/m.exec(page)?.[1]
    assert.ok(line !== undefined)
    const environment = {
      ...process.env,
      KUBECONFIG: cluster.kubeconfig,
      PATH: `${cluster.bin}:${process.env['PATH']}`,
    }
    execFileSync('bash', ['-o', 'pipefail', '-c', line], { env: environment, stdio: ['ignore', 'pipe', 'pipe'] })
    const pods = await cluster.must(['-n', 'drawbridge', 'get', 'pods', '-o', 'name'])
    for (const pod of pods.trim().split('\n'))
      assert.match(
        await cluster.must(['-n', 'drawbridge', 'logs', pod]),
        /"logLevel":"debug".*the log level was changed/,
      )
  })
})
