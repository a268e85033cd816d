import assert from 'node:assert/strict'
import { join } from 'node:path'

import { manifestsDirectory } from '../../manifests/render.ts'
import { createClient, loadKubeConfig } from '../../src/adapters/kubernetes/client.ts'
import type { KubernetesClient } from '../../src/adapters/kubernetes/client.ts'
import { watchContainers } from '../../src/adapters/kubernetes/containerDirectory.ts'
import { createKubernetesVerdictStore } from '../../src/adapters/kubernetes/imageVerdicts.ts'
import { keepSafetyNet, SAFETY_NETS_PATH } from '../../src/adapters/kubernetes/safetyNet.ts'
import { listNamespacePods } from '../../src/adapters/kubernetes/namespacePods.ts'
import { readHistory } from '../../src/adapters/kubernetes/revisions.ts'
import { undoRollout } from '../../src/adapters/kubernetes/undoRollout.ts'
import { watchNamespaces } from '../../src/adapters/kubernetes/namespaces.ts'
import type { SafetyNetSpec } from '../../src/kube/safetyNet.ts'
import { createExemptions } from '../../src/policy/exemptions.ts'
import { netContent } from '../../src/safetyNet/content.ts'
import type { ImageVerdict } from '../../src/verdicts/types.ts'
import { CHART, chartTools } from './chartTools.ts'
import { waitFor, waitForCrds } from './harness.ts'
import type { Cluster } from './harness.ts'
import { makeOwnNamespace, sharedCluster } from './shared.ts'
import { loaded } from '../correlator/loaded.ts'

const NAME = `sha256-${'f'.repeat(64)}`
const VERDICT: ImageVerdict = {
  name: NAME,
  digests: [`sha256:${'f'.repeat(64)}`],
  references: [],
  contributions: {},
  evidence: [],
  phase: 'observing',
  phaseSince: 1,
  reason: 'r',
  expiresAt: 2,
}

describe('manifests/rbac.yaml', () => {
  let cluster: Cluster
  let clientOf: (user: string, role?: string) => Promise<KubernetesClient>
  const clients: KubernetesClient[] = []

  before(async () => {
    cluster = sharedCluster()
    await makeOwnNamespace(cluster)
    await cluster.createNamespace('rbac-pods')
    for (const name of ['a', 'b', 'c']) {
      const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec: { containers: [{ name, image: 'i' }] } }
      await waitFor(
        async () => (await cluster.kubectl(['create', '-n', 'rbac-pods', '-f', '-'], JSON.stringify(pod))).code === 0,
        60_000,
        `pod ${name}, which needs its service account`,
      )
    }
    await cluster.must([
      'apply',
      '-f',
      join(manifestsDirectory(), 'crds'),
      '-f',
      join(manifestsDirectory(), 'rbac.yaml'),
    ])
    await waitForCrds(cluster)
    // Established and yet "storage is (re)initializing".
    await waitFor(async () => (await cluster.kubectl(['get', 'safetynets'])).code === 0, 20_000, 'the new resource')
    clientOf = async (user, role) => {
      const client = createClient(loadKubeConfig({ file: await cluster.userKubeconfig(user) }))
      clients.push(client)
      if (role !== undefined)
        await cluster.must(['create', 'clusterrolebinding', user, `--clusterrole=${role}`, `--user=${user}`])
      return client
    }
  })

  after(async () => {
    for (const client of clients) client.close()
    await cluster.must(['delete', 'clusterrolebinding', 'like-drawbridge', 'on-call', 'net-keeper'])
    await cluster.must(['delete', '-f', join(manifestsDirectory(), 'rbac.yaml')])
    await cluster.must(['delete', 'namespace', 'rbac-pods', '--wait=false'])
    await cluster.must(['delete', 'iv,safetynets', '--all'])
  })

  it('is enough for Drawbridge, and not for more', async () => {
    const client = await clientOf('like-drawbridge', 'drawbridge')
    const store = createKubernetesVerdictStore({ client, now: () => performance.now() })
    const namespaces = watchNamespaces({ client })
    const problems: string[] = []
    const containers = watchContainers({
      client,
      now: () => 0,
      normalize: (text) => text,
      onProblem: (message) => problems.push(message),
    })
    try {
      await Promise.all([loaded(store), namespaces.synced(10_000), containers.synced(10_000)])
      await namespaces.getLive('default')
      const pages: number[] = []
      for await (const { pods, remaining } of listNamespacePods(client, 'rbac-pods', 2, () => 5000))
        pages.push(pods.length, remaining ?? -1)
      assert.deepEqual(pages, [2, 1, 1, 0])
      await client.request('GET', '/api/v1/namespaces/rbac-pods/pods/a')
      for (const kind of ['Deployment', 'StatefulSet', 'DaemonSet'] as const) {
        const template = { metadata: { labels: { app: 'w' } }, spec: { containers: [{ name: 'w', image: 'i' }] } }
        const spec = { selector: { matchLabels: { app: 'w' } }, template }
        const object = { apiVersion: 'apps/v1', kind, metadata: { name: 'w', namespace: 'rbac-pods' }, spec }
        await cluster.must(['create', '-f', '-'], JSON.stringify(object))
        const history = await readHistory(client, { kind, namespace: 'rbac-pods', name: 'w' })
        assert.deepEqual(history?.images, ['i'])
      }
      await store.write(NAME, () => VERDICT)
      const release = { by: 'me', reason: 'r', as: 'fixed', at: 3 } as const
      const released = await store.write(NAME, (current) => ({ ...(current ?? VERDICT), release }))
      assert.equal(released.release?.by, 'me')
      assert.equal(await store.remove?.(NAME, ({ phase }) => phase === 'observing'), true)
      await store.write(NAME, () => VERDICT)
      assert.deepEqual(problems, [])
    } finally {
      await Promise.all([store.close(), namespaces.stop(), containers.stop()])
    }
    for (const [method, path] of [
      ['DELETE', '/apis/drawbridge.dev/v1alpha1/admissionexceptions/x'],
      ['DELETE', '/apis/drawbridge.dev/v1alpha1/imageverdicts'],
      ['GET', '/api/v1/secrets'],
      ['GET', '/apis/apps/v1/deployments'],
      ['PATCH', '/apis/apps/v1/namespaces/rbac-pods/deployments/w'],
      ['GET', '/api/v1/namespaces/default/pods/x/log'],
    ] as const) {
      await assert.rejects(() => client.request(method, path), {
        status: 403,
        message: /^not allowed \(manifests\/rbac\.yaml has what Drawbridge needs\): /,
      })
    }
  })

  it("is enough for rolling back with the chart's role for that, and only with it", async () => {
    const client = await clientOf('like-drawbridge')
    const workload = { kind: 'Deployment', namespace: 'rbac-pods', name: 'w' } as const
    const read = (): ReturnType<typeof readHistory> => readHistory(client, workload)
    await waitFor(async () => (await read())?.revisions.length === 1, 20_000, 'the first revision')
    await cluster.must(['set', 'image', 'deployment/w', 'w=j', '-n', 'rbac-pods'])
    await waitFor(async () => (await read())?.revisions.length === 2, 20_000, 'the second revision')
    const history = await read()
    assert.ok(history)
    const rollback = { workload, uid: history.uid, from: history.images, revision: 1, images: ['i'] }
    await assert.rejects(undoRollout(client, rollback), { status: 403 })

    const show = [
      'template',
      'drawbridge',
      CHART,
      '--namespace',
      'drawbridge',
      '--show-only',
      'templates/rollback.yaml',
    ]
    const { stdout } = chartTools().helm(show.concat('--set', 'config.quarantine.rollback=automatic'))
    await cluster.must(['apply', '-f', '-'], stdout)
    await cluster.must([
      'create',
      'clusterrolebinding',
      'rolls-back',
      '--clusterrole=drawbridge-rollback',
      '--user=like-drawbridge',
    ])
    try {
      await waitFor(
        () =>
          undoRollout(client, rollback).then(
            (result) => result === 'rolled-back',
            () => false,
          ),
        10_000,
        'the role to be known',
      )
      assert.deepEqual((await read())?.images, ['i'])
      await assert.rejects(client.request('PATCH', '/apis/apps/v1/namespaces/rbac-pods/replicasets/w'), { status: 403 })
    } finally {
      await cluster.must(['delete', 'clusterrolebinding', 'rolls-back'])
      await cluster.must(['delete', '-f', '-'], stdout)
    }
  })

  it('is enough to keep the parameters of the safety net', async () => {
    const client = await clientOf('net-keeper', 'drawbridge')
    // Left by tests of whole installations: it would take this user for a stranger.
    const guard = 'validatingadmissionpolicybinding/drawbridge-safety-net-guard'
    await cluster.must(['delete', guard, '--ignore-not-found'])
    await cluster.must([
      'create',
      'rolebinding',
      'net-keeper',
      '--role=drawbridge',
      '--user=net-keeper',
      '-n',
      'drawbridge',
    ])
    const problems: string[] = []
    let inStep = 0
    const { spec } = netContent(
      {
        profiles: [],
        namespaces: new Map(),
        minor: 35,
        exceptions: [],
        verdicts: [],
        brake: 'enforce',
        exemptions: createExemptions({ users: [], namespaces: [], runtimeClasses: [] }),
        podSecurityLabels: false,
      },
      0,
    )
    let content: SafetyNetSpec = spec
    const keeper = keepSafetyNet({
      client,
      namespace: 'drawbridge',
      id: 'net-keeper',
      content: () => content,
      now: () => performance.now(),
      wallClock: () => new Date().toISOString(),
      onInStep: () => (inStep += 1),
      onProblem: (message) => problems.push(message),
    })
    const stored = async (): Promise<boolean | undefined> =>
      JSON.parse(await cluster.must(['get', 'safetynet', 'drawbridge', '-o', 'json'])).spec.podSecurityLabels
    try {
      await waitFor(() => inStep > 0, 30_000, 'the parameters').catch((error: unknown) => {
        throw new Error(problems.join('; '), { cause: error })
      })
      assert.equal(await stored(), false)
      content = { ...spec, podSecurityLabels: true }
      keeper.changed()
      await waitFor(async () => await stored(), 20_000, 'the change')
      assert.deepEqual(problems, [])
    } finally {
      await keeper.stop()
    }
    // The Lease was given back.
    assert.equal((await cluster.kubectl(['get', 'lease', 'drawbridge-safety-net', '-n', 'drawbridge'])).code, 1)
    await assert.rejects(() => client.request('DELETE', `${SAFETY_NETS_PATH}/drawbridge`), { status: 403 })
  })

  it('lets people on call release, and not write what the machine says', async () => {
    const client = await clientOf('on-call', 'drawbridge-verdict-releaser')
    const path = `/apis/drawbridge.dev/v1alpha1/imageverdicts/${NAME}`
    const contentType = 'application/merge-patch+json'
    await client.request('PATCH', path, {
      contentType,
      body: { spec: { release: { by: 'on-call', reason: 'r', as: 'fixed' } } },
    })
    // Through the main resource `status` is not an error, it is ignored.
    const object = (await client.request('PATCH', path, { contentType, body: { status: { phase: 'released' } } })) as {
      status: { phase: string }
    }
    assert.equal(object.status.phase, 'observing')
    await assert.rejects(
      () => client.request('PATCH', `${path}/status`, { contentType, body: { status: { phase: 'released' } } }),
      { status: 403 },
    )
    const nobody = await clientOf('nobody')
    await assert.rejects(() => nobody.request('GET', path), { status: 403 })
  })
})
