/** `drawbridge doctor` on a real API server and a real Drawbridge: each thing is broken in turn, named, and repaired by what doctor says. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { Agent } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { call, dropAlert, podReview, root, RunningProgram } from '../process/server.ts'
import { startCluster, waitFor } from './harness.ts'
import { waitForCrds } from './harness.ts'
import type { Cluster } from './harness.ts'

interface Finding {
  readonly check: string
  readonly level: string
  readonly found: string
  readonly todo?: string
}

describe('drawbridge doctor on a real API server', function () {
  this.timeout(180_000)
  let cluster: Cluster
  let server: RunningProgram
  let folder: string
  let data: string
  let kubeconfig: string
  let environment: NodeJS.ProcessEnv

  /** As a person would type it, in the folder of the repository. */
  const shell = (command: string): string =>
    execFileSync('bash', ['-o', 'pipefail', '-c', command], {
      cwd: root,
      env: environment,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    })

  const doctor = (
    options: { readonly as?: string; readonly args?: readonly string[] } = {},
  ): { readonly code: number | null; readonly findings: readonly Finding[]; readonly text: string } => {
    const args = [
      'doctor',
      '--kubeconfig',
      options.as ?? cluster.kubeconfig,
      ...(options.args ?? ['--data', data]),
      '-o',
      'json',
    ]
    const { status, stdout, stderr } = spawnSync('drawbridge', args, { cwd: root, env: environment, encoding: 'utf8' })
    assert.equal(stderr, '')
    return { code: status, findings: (JSON.parse(stdout) as { findings: Finding[] }).findings, text: stdout }
  }
  const bad = (findings: readonly Finding[]): readonly string[] =>
    findings.filter(({ level }) => level === 'problem').map(({ check, found }) => `${check}: ${found}`)

  /** Doctor names it, its advice is followed, and then it is clean again. */
  const repairs = async (expected: readonly RegExp[], check: string): Promise<void> => {
    const { code, findings } = doctor()
    assert.equal(code, 1)
    const found = bad(findings)
    assert.equal(found.length, expected.length, found.join('\n'))
    for (const [index, pattern] of expected.entries()) assert.match(found[index]!, pattern)
    const todo = findings.find((finding) => finding.check === check && finding.level === 'problem')?.todo
    shell(todo!)
    await clean()
  }
  const clean = async (): Promise<void> => {
    let last: readonly string[] = []
    await waitFor(
      () => {
        last = bad(doctor().findings)
        return Promise.resolve(last.length === 0)
      },
      30_000,
      'doctor to find no problem',
    ).catch((error: Error) => assert.fail(`${error.message}: ${last.join('\n')}`))
  }

  before(async function () {
    this.timeout(30 * 60_000)
    cluster = await startCluster()
    folder = mkdtempSync(join(tmpdir(), 'drawbridge-doctor-'))
    data = join(folder, 'data')
    const programs = join(folder, 'bin')
    for (const path of [data, programs]) mkdirSync(path)
    symlinkSync(join(root, 'bin/drawbridge.js'), join(programs, 'drawbridge'))
    environment = {
      ...process.env,
      PATH: `${programs}:${cluster.bin}:${process.env['PATH']}`,
      KUBECONFIG: cluster.kubeconfig,
    }
    shell('kubectl create namespace drawbridge && kubectl apply -f manifests/crds -f manifests/rbac.yaml')
    await waitForCrds(cluster)
    const token = shell('kubectl -n drawbridge create token drawbridge --duration=2h').trim()
    kubeconfig = join(folder, 'kubeconfig')
    const admin = JSON.parse(shell('kubectl config view --raw -o json')) as Record<string, unknown>
    const [context] = admin['contexts'] as { context: { user: string } }[]
    writeFileSync(kubeconfig, JSON.stringify({ ...admin, users: [{ name: context!.context.user, user: { token } }] }))
    server = await RunningProgram.start(data, [], ['--kubeconfig', kubeconfig])
    shell(`drawbridge manifests --url ${server.file.webhook} --ca ${server.file.ca} | kubectl apply -f -`)
  })
  after(async () => {
    await server?.kill()
    await cluster?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  it('finds no problem in what README installs, and warns that nobody opted in and no sensor sends', async () => {
    await clean()
    const { code, findings } = doctor()
    assert.equal(code, 0)
    assert.deepEqual(
      findings
        .filter(({ level }) => level !== 'ok')
        .map(({ check, level, found }) => [check, level, found.replace(/\d+s ago/, 'N ago')]),
      [
        ['sensors', 'warning', 'no sensor has sent an alert since Drawbridge started, N ago'],
        ['namespaces', 'warning', 'no namespace has opted in: nothing is checked'],
      ],
    )
    assert.equal((await server.alert(dropAlert('registry.example/shop/web:1'))).status, 200)
    shell('kubectl create namespace shop && kubectl label namespace shop drawbridge.dev/enforce=standard')
    const after = doctor()
    assert.deepEqual(
      after.findings.filter(({ level }) => level !== 'ok'),
      [],
    )
    assert.match(after.text, /last alerts: falco \d+s ago/)
    assert.match(after.text, /1 namespace of \d+ opted in; enforced: standard:latest 1/)
  })

  it('names a deleted configuration', async () => {
    shell('kubectl delete validatingwebhookconfiguration drawbridge')
    await repairs(
      [
        /^webhooks: ValidatingWebhookConfiguration drawbridge is not registered, should be registered$/,
        /^reachable: the API server does not ask Drawbridge/,
      ],
      'webhooks',
    )
  })

  it('names an entry that was edited, one that is missing and one that is foreign', async () => {
    const patch = (...operations: readonly object[]): string =>
      shell(`kubectl patch validatingwebhookconfiguration drawbridge --type=json -p '${JSON.stringify(operations)}'`)
    patch({ op: 'replace', path: '/webhooks/0/failurePolicy', value: 'Ignore' })
    await repairs(
      [
        /^webhooks: ValidatingWebhookConfiguration drawbridge: enforce\.drawbridge\.dev: failurePolicy is Ignore, should be Fail$/,
      ],
      'webhooks',
    )
    patch({ op: 'add', path: '/webhooks/0/objectSelector', value: { matchLabels: { skip: 'no' } } })
    await repairs(
      [/enforce\.drawbridge\.dev: objectSelector is \{"matchLabels":\{"skip":"no"\}\}, should be \{\}$/],
      'webhooks',
    )
    patch({ op: 'remove', path: '/webhooks/1' })
    await repairs([/enforce-net\.drawbridge\.dev is missing, should be registered$/], 'webhooks')
  })

  it('says in the log of the server what it would register otherwise', async () => {
    // The server looks at its start; this one was started before anything was registered.
    assert.match(server.output(), /MutatingWebhookConfiguration drawbridge is not registered, should be registered/)
    assert.match((await server.admin('/metrics')).text, /^drawbridge_webhook_differences 2$/m)
  })

  it('names a second Drawbridge', async () => {
    const second = JSON.parse(shell('kubectl get mutatingwebhookconfiguration drawbridge -o json')) as {
      metadata: object
    }
    writeFileSync(join(folder, 'second.json'), JSON.stringify({ ...second, metadata: { name: 'drawbridge-old' } }))
    shell(`kubectl create -f ${join(folder, 'second.json')}`)
    await repairs(
      [/^webhooks: the mutatingwebhookconfiguration drawbridge-old belongs to a second Drawbridge/],
      'webhooks',
    )
  })

  it('names a caBundle that was damaged, in one entry and in all', async () => {
    const damage = (index: number, value: string): string =>
      shell(
        `kubectl patch validatingwebhookconfiguration drawbridge --type=json -p '${JSON.stringify([{ op: 'replace', path: `/webhooks/${index}/clientConfig/caBundle`, value }])}'`,
      )
    const other = Buffer.from(
      shell('kubectl config view --raw -o jsonpath="{.clusters[0].cluster.certificate-authority-data}"'),
      'base64',
    ).toString('base64')
    damage(0, '')
    await repairs([/^ca-bundle: caBundle of enforce\.drawbridge\.dev holds no certificate/], 'ca-bundle')
    if (other === '') return
    damage(0, other)
    await repairs([/^ca-bundle: caBundle is not the same in every entry \(2 different ones\)$/], 'ca-bundle')
  })

  it('names a server that is gone, and one that is trusted no more', async () => {
    const port = new URL(server.file.webhook).port
    await server.kill()
    const { code, findings } = doctor()
    assert.equal(code, 1)
    const found = bad(findings)
    assert.match(found[0]!, /^server: the server does not answer: /)
    assert.ok(
      found.some((line) => /^reachable: .*nothing listens there \(.*connection refused\)$/.test(line)),
      found.join('\n'),
    )
    server = await RunningProgram.start(data, ['--port', port], ['--kubeconfig', kubeconfig])
    await clean()
    // Its authority was lost, and it made another one: nobody told the API server.
    await server.kill()
    rmSync(join(data, 'tls'), { recursive: true })
    server = await RunningProgram.start(
      data,
      ['--port', port, '--config', configured('tls: { caBundle: leave }\n')],
      ['--kubeconfig', kubeconfig],
    )
    assert.match(
      (await server.admin('/readyz')).text,
      /^\[-\]tls failed: caBundle of the webhook configurations does not trust/m,
    )
    const distrusted = bad(doctor().findings)
    assert.ok(
      distrusted.some((line) => line.startsWith('server: not ready: tls failed')),
      distrusted.join('\n'),
    )
    assert.ok(
      distrusted.some((line) => /^reachable: .*does not trust its certificate: caBundle is wrong/.test(line)),
      distrusted.join('\n'),
    )
    shell(doctor().findings.find(({ check }) => check === 'reachable')!.todo!)
    await clean()
  })
  const configured = (text: string): string => {
    const file = join(folder, 'drawbridge.yaml')
    writeFileSync(file, text)
    return file
  }

  it('names rights that are missing', async () => {
    shell('kubectl -n drawbridge delete rolebinding drawbridge')
    await repairs(
      [
        /^rights: system:serviceaccount:drawbridge:drawbridge lacks \d+ rights: get configmaps "drawbridge" in drawbridge, /,
      ],
      'rights',
    )
    shell('kubectl patch clusterrole drawbridge --type=json -p \'[{"op":"remove","path":"/rules/2"}]\'')
    await repairs([/lacks 2 rights: list nodes, watch nodes$/], 'rights')
  })

  it('names guards that are missing or edited', async () => {
    shell('kubectl delete validatingadmissionpolicybinding drawbridge-guard')
    await repairs(
      [/^guards: the ValidatingAdmissionPolicyBinding drawbridge-guard is missing: what it guards is open$/],
      'guards',
    )
    shell(
      'kubectl patch validatingadmissionpolicy drawbridge-guard --type=merge -p \'{"spec":{"failurePolicy":"Ignore"}}\'',
    )
    await repairs(
      [/^guards: ValidatingAdmissionPolicy drawbridge-guard: failurePolicy is Ignore, should be Fail$/],
      'guards',
    )
    shell(
      'drawbridge manifests --url https://127.0.0.1:1 --ca ' +
        server.file.ca +
        ' --require-labels --require-labels-except legacy > /dev/null',
    )
  })

  it('takes requireLabels for what it is', async () => {
    shell(
      `drawbridge manifests --url ${server.file.webhook} --ca ${server.file.ca} --require-labels --require-labels-except legacy | kubectl apply -f -`,
    )
    await clean()
  })

  it('names a CRD that is of another version', async () => {
    shell(
      'kubectl patch crd imageverdicts.drawbridge.dev --type=json -p \'[{"op":"remove","path":"/spec/names/shortNames"},{"op":"add","path":"/spec/versions/0/schema/openAPIV3Schema/description","value":"old"}]\'',
    )
    await repairs(
      [/^crds: the CustomResourceDefinition imageverdicts\.drawbridge\.dev is of another version: versions differ$/],
      'crds',
    )
  })

  it('names labels that mean nothing, that nobody can resolve, and those in vain', async () => {
    shell('kubectl label namespace shop drawbridge.dev/enforse=restricted')
    await repairs(
      [
        /^namespaces: namespace shop: label drawbridge\.dev\/enforse means nothing; did you mean drawbridge\.dev\/enforce\?$/,
      ],
      'namespaces',
    )
  })

  it('says since when the brake is on, what waits for a person and what ends soon', async () => {
    shell('kubectl -n drawbridge create configmap drawbridge --from-literal=quarantine=off')
    shell('kubectl label namespace kube-system drawbridge.dev/enforce=baseline')
    const exception = {
      apiVersion: 'drawbridge.dev/v1alpha1',
      kind: 'AdmissionException',
      metadata: { name: 'legacy' },
      spec: {
        namespaces: ['shop'],
        images: [`registry.example/shop/web@sha256:${'a'.repeat(64)}`],
        serviceAccounts: ['default'],
        checks: ['privileged'],
        reason: 'until it is rebuilt',
        expiresAt: new Date(Date.now() + 3 * 86_400_000).toISOString().replace(/\.\d+Z/, 'Z'),
      },
    }
    writeFileSync(join(folder, 'exception.json'), JSON.stringify(exception))
    shell(`kubectl create -f ${join(folder, 'exception.json')}`)
    const { code, findings } = doctor()
    assert.equal(code, 0)
    const of = (check: string): Finding | undefined =>
      findings.find((finding) => finding.check === check && finding.level === 'warning')
    assert.match(of('brake')!.found, /^the brake is on \(off\): no verdict denies, since 20\d\d-\S+Z$/)
    assert.match(of('exceptions')!.found, /^1 exception ends within a week: legacy 20/)
    assert.equal(of('namespaces')!.found, 'namespace kube-system is labelled in vain: it is never sent to Drawbridge')
    shell(of('brake')!.todo!)
    shell(of('namespaces')!.todo!)
    shell('kubectl delete admissionexception legacy')
    assert.deepEqual(
      doctor().findings.filter(({ level, check }) => level !== 'ok' && check !== 'sensors'),
      [],
    )
  })

  it('says what it may not look at, and by which right it could', async () => {
    const { code, findings } = doctor({ as: await cluster.userKubeconfig('nobody'), args: [] })
    assert.equal(code, 0)
    const unknown = findings.filter(({ level }) => level === 'unknown').map(({ found }) => found)
    assert.deepEqual(bad(findings), [])
    for (const right of [
      'get mutatingwebhookconfigurations.admissionregistration.k8s.io',
      'get customresourcedefinitions.apiextensions.k8s.io',
      'create admissionprofiles.drawbridge.dev',
      'create subjectaccessreviews.authorization.k8s.io',
      'list namespaces',
      'get configmaps in drawbridge',
      'list imageverdicts.drawbridge.dev',
    ])
      assert.ok(
        unknown.some((text) => text.includes(right)),
        `${right} is not in:\n${unknown.join('\n')}`,
      )
  })

  it('cannot look at a cluster that does not answer', () => {
    const { status, stdout, stderr } = spawnSync('drawbridge', ['doctor', '--kubeconfig', '/nowhere'], {
      cwd: root,
      env: environment,
      encoding: 'utf8',
    })
    assert.deepEqual([status, stdout, stderr], [2, '', 'drawbridge: kubeconfig /nowhere does not exist\n'])
  })

  it('a stopping server says so, ends connections, and goes on answering until it stops', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const review = async () =>
      call(`${server.file.webhook}/validate`, {
        ca: server.file.ca,
        agent,
        body: JSON.stringify(podReview('registry.example/shop/web:1')),
        headers: { 'Content-Type': 'application/json' },
      })
    assert.equal((await review()).headers['connection'], 'keep-alive')
    const ended = server.stop()
    await waitFor(async () => (await server.admin('/readyz')).status === 503, 5000, 'not to be ready')
    assert.match((await server.admin('/readyz')).text, /^\[-\]shutdown failed: stopping$/m)
    const { status, headers } = await review()
    assert.deepEqual([status, headers['connection']], [200, 'close'])
    assert.equal((await server.alert(dropAlert('registry.example/shop/web:2'))).headers['connection'], 'close')
    assert.equal(await ended, 0)
    agent.destroy()
  })
})
