/** Runs docs/runbook.md from top to bottom on a real API server, as somebody on call: what the page promises is what happens. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'

import { root, temporaryFolder, until } from '../process/server.ts'
import {
  denialBy,
  deployment,
  ENFORCED,
  mustApply,
  openNamespace,
  podOf,
  reportRunning,
  runDeployment,
  sendAlert,
  startReplicas,
  untilDenied,
} from './endToEnd/replicas.ts'
import type { Replicas } from './endToEnd/replicas.ts'
import type { Cluster } from './harness.ts'
import { matches } from './pageShell.ts'
import { sharedCluster } from './shared.ts'

const PAGE = readFileSync(join(root, 'docs/runbook.md'), 'utf8')
const IMAGE = 'registry.example/shop/web:1.4.2'
/** What worker ran before. */
const BEFORE = 'registry.example/shop/web:1.4.1'
const HEX = '3dc045bd2f6a8c914e7b50d1f2a3c4b5d6e7f8091a2b3c4d5e6f708192a3b4c5'
const DAMAGED = `ref-${'bad'.padStart(40, '0')}`

interface Section {
  readonly title: string
  readonly blocks: readonly { readonly asAdministrator: boolean; readonly steps: readonly Step[] }[]
}
interface Step {
  readonly command: string
  readonly output: readonly string[]
}

function stepsOf(body: string): readonly Step[] {
  return body
    .split(/^\$ /m)
    .slice(1)
    .map((part) => {
      const [command = '', ...output] = part.trimEnd().split('\n')
      return { command, output }
    })
}

const SECTIONS: readonly Section[] = PAGE.split(/^## /m)
  .slice(1)
  .map((text) => ({
    title: text.split('\n', 1)[0]!,
    blocks: [...text.matchAll(/(<!-- as cluster administrator -->\n)?^```console\n([^]*?)^```$/gm)].map(
      ([, administrator, body = '']) => ({ asAdministrator: administrator !== undefined, steps: stepsOf(body) }),
    ),
  }))

describe('docs/runbook.md', function () {
  this.timeout(120_000)
  let cluster: Cluster
  let replicas: Replicas
  let onCall: string
  const folder = temporaryFolder()

  const run = (command: string, kubeconfig: string): { code: number | null; out: string } => {
    const { status, stdout, stderr } = spawnSync('bash', ['-c', command], {
      cwd: folder.path,
      encoding: 'utf8',
      timeout: 60_000,
      env: {
        ...process.env,
        KUBECONFIG: kubeconfig,
        PATH: [folder.path, cluster.bin, process.env['PATH']].join(delimiter),
      },
    })
    return { code: status, out: stdout + stderr }
  }

  before(async () => {
    cluster = sharedCluster()
    replicas = await startReplicas(cluster)
    const launcher = join(folder.path, 'drawbridge')
    writeFileSync(launcher, `#!/bin/sh\nexec "${process.execPath}" "${join(root, 'bin/drawbridge.js')}" "$@"\n`)
    chmodSync(launcher, 0o755)
    await cluster.must(['apply', '-f', join(root, 'manifests/rbac.yaml')])
    onCall = await cluster.userKubeconfig('runbook-on-call')
    for (const role of ['drawbridge-verdict-releaser', 'view'])
      await cluster.must([
        'create',
        'clusterrolebinding',
        `runbook-${role}`,
        `--clusterrole=${role}`,
        '--user=runbook-on-call',
      ])
    const user = '--user=runbook-on-call'
    await cluster.must(['create', 'rolebinding', 'runbook-brake', '--role=drawbridge-brake', user, '-n', 'drawbridge'])
    await openNamespace(cluster, 'shop', ENFORCED)
    await openNamespace(cluster, 'billing', ENFORCED)
    await cluster.must(['create', 'rolebinding', 'runbook-edit', '--clusterrole=edit', user, '-n', 'shop'])

    const imageId = `registry.example/shop/web@sha256:${HEX}`
    await runDeployment(cluster, 'billing', 'cache', IMAGE, imageId)
    await mustApply(cluster, deployment('shop', 'worker', BEFORE, 0))
    await until('the first revision of worker', async () =>
      (await cluster.must(['get', 'rs', '-n', 'shop', '-l', 'app=worker', '-o', 'name'])).includes('worker'),
    )
    const worker = await runDeployment(cluster, 'shop', 'worker', IMAGE, imageId)
    const { pod, containerId } = await runDeployment(cluster, 'shop', 'web', IMAGE, imageId)
    await sendAlert(replicas.a, { namespace: 'shop', pod, containerId })
    await untilDenied(replicas.b, 'shop', IMAGE)
    // The node dies, say: the Deployments want new pods and do not get them.
    await cluster.must(['delete', 'pod', pod, worker.pod, '-n', 'shop', '--now'])
    await until('refused pods', async () => {
      const events = await cluster.must(['get', 'events', '-n', 'shop', '--field-selector', 'reason=FailedCreate'])
      return events.includes('pod "web-') && events.includes('pod "worker-')
    })
    await until('the Event about worker', async () =>
      (await cluster.must(['get', 'events', '-n', 'shop'])).includes('VerdictRollback'),
    )
    const damaged = { apiVersion: 'drawbridge.dev/v1alpha1', kind: 'ImageVerdict', metadata: { name: DAMAGED } }
    await cluster.must(['create', '-f', '-'], JSON.stringify(damaged))
  })

  after(async () => {
    await replicas?.remove()
    folder.remove()
    await cluster?.kubectl(['delete', 'configmap', 'drawbridge', '-n', 'drawbridge'])
    await cluster?.kubectl(['delete', 'clusterrolebinding', 'runbook-drawbridge-verdict-releaser', 'runbook-view'])
    await cluster?.kubectl(['delete', 'rolebinding', 'runbook-brake', '-n', 'drawbridge'])
    await cluster?.kubectl(['delete', '-f', join(root, 'manifests/rbac.yaml')])
    await cluster?.kubectl(['delete', 'namespace', 'shop', 'billing', '--wait=false'])
  })

  const effects: Readonly<Record<string, () => Promise<void>>> = {
    'Release a verdict': async () => {
      // Taken back at the end of the section, so what was let in is looked at first: the Deployment has its pod.
      const pod = await podOf(cluster, 'shop', 'web')
      await reportRunning(cluster, 'shop', pod, `registry.example/shop/web@sha256:${HEX}`)
      await untilDenied(replicas.b, 'shop', IMAGE)
    },
    'The brake': async () => void (await untilDenied(replicas.b, 'shop', IMAGE, 5000)),
    'A verdict is damaged': async () => {
      assert.match(readFileSync(join(folder.path, 'damaged.yaml'), 'utf8'), /kind: ImageVerdict/)
    },
  }
  /** Holds after one command of the page. */
  const afterCommand: readonly (readonly [pattern: RegExp, check: () => Promise<unknown>])[] = [
    [
      /quarantine=warn/,
      () => until('the brake', async () => (await denialBy(replicas.b, 'shop', IMAGE)) === undefined, 5000),
    ],
    [/rollout restart/, () => podOf(cluster, 'shop', 'web')],
    [/rollout undo/, () => podOf(cluster, 'shop', 'worker')],
  ]

  for (const { title, blocks } of SECTIONS) {
    if (blocks.length === 0) continue
    it(title, async () => {
      for (const { asAdministrator, steps } of blocks) {
        for (const { command, output } of steps) {
          const { code, out } = run(command, asAdministrator ? cluster.kubeconfig : onCall)
          assert.equal(code, 0, `${command}\n${out}`)
          assert.ok(matches(output, out), `${command}\nprinted:\n${out}\nand the page says:\n${output.join('\n')}`)
          for (const [pattern, check] of afterCommand) if (pattern.test(command)) await check()
        }
      }
      await effects[title]?.()
    })
  }

  it('has what it promises', () => {
    assert.deepEqual(
      SECTIONS.map(({ title, blocks }) => `${title}: ${blocks.length}`),
      [
        'Pods do not come up: 5',
        'Back to the last good revision: 2',
        'Release a verdict: 3',
        'Confirm a verdict: 1',
        'The brake: 2',
        'Sensors get 503: 0',
        'The ledger is full: 1',
        'A verdict is damaged: 1',
      ],
    )
    assert.ok(matches(['a ... c', '...', 'z'], 'a b  c\n1\n2\nz\n') && !matches(['a'], 'a b') && !matches([], 'x'))
  })
})
