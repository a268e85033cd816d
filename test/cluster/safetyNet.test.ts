/** Two replicas, the safety net and a real API server: what passes and is denied while they are up, how the net follows, and what is left when both are killed. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { manifestsDirectory } from '../../manifests/render.ts'
import { createClient, KubernetesError, loadKubeConfig } from '../../src/adapters/kubernetes/client.ts'
import type { KubernetesClient } from '../../src/adapters/kubernetes/client.ts'
import { createKubernetesVerdictStore } from '../../src/adapters/kubernetes/imageVerdicts.ts'
import { SAFETY_NETS_PATH } from '../../src/adapters/kubernetes/safetyNet.ts'
import type { SafetyNetSpec } from '../../src/kube/safetyNet.ts'
import type { ImageVerdict, VerdictStore } from '../../src/verdicts/types.ts'
import { contribution, verdict } from '../correlator/support.ts'
import { cli, root, RunningProgram, temporaryFolder } from '../process/server.ts'
import { waitFor, waitForCrds } from './harness.ts'
import type { Cluster } from './harness.ts'
import { makeOwnNamespace, sharedCluster } from './shared.ts'
import { loaded } from '../correlator/loaded.ts'

/** What a change may take until the API server knows, on a busy machine; and what a release may. */
const IN_STEP_MS = 5000
const RELEASED_MS = 2000
const API = '/apis/drawbridge.dev/v1alpha1'
const merge = { contentType: 'application/merge-patch+json' } as const
const hex = (digit: string): string => digit.repeat(64)
const image = (digit: string): string => `registry.example/net/${digit}@sha256:${hex(digit)}`

type Json = Readonly<Record<string, unknown>>
const NAMESPACES: Readonly<Record<string, Json>> = {
  net: { enforce: 'baseline', 'when-down': 'net' },
  'net-profile': { enforce: 'net-profile', 'when-down': 'net' },
  'net-verdicts': { quarantine: 'enforce', 'when-down': 'net' },
  'net-spared': { enforce: 'baseline', 'when-down': 'net' },
  'net-exempt': { enforce: 'baseline', 'when-down': 'net' },
  'net-unknown': { enforce: 'nosuch', 'when-down': 'net' },
  'net-weak': { enforce: 'privileged', 'when-down': 'net' },
  'net-advice': { warn: 'baseline', 'when-down': 'net' },
  'net-none': { enforce: 'baseline' },
}
const container = (more: Json = {}): Json => ({ name: 'web', image: 'registry.example/shop/web:1', ...more })
const PRIVILEGED = { containers: [container({ securityContext: { privileged: true } })] }
const using = (reference: string): Json => ({ containers: [container({ image: reference })] })
const hostPath = (path: string): Json => ({
  containers: [container()],
  volumes: [{ name: 'v', hostPath: { path } }],
})
const exception = (name: string, spec: Json = {}): Json => ({
  apiVersion: 'drawbridge.dev/v1alpha1',
  kind: 'AdmissionException',
  metadata: { name },
  spec: {
    namespaces: ['net', 'net-profile'],
    images: ['registry.example/shop/*:*'],
    serviceAccounts: ['*'],
    checks: ['privileged', 'hostNamespaces'],
    reason: 'a test',
    expiresAt: '2099-01-01T00:00:00Z',
    ...spec,
  },
})
const profile = (spec: Json): Json => ({
  apiVersion: 'drawbridge.dev/v1alpha1',
  kind: 'AdmissionProfile',
  metadata: { name: 'net-profile' },
  spec: { extends: { level: 'baseline' }, ...spec },
})

/** Namespace, what, pod, annotation; and whether it is denied: `held` by the net too, by the webhook `alone`, or not. */
type Row = readonly [string, string, Json, 'held' | 'alone' | 'passes', string?]
const ROWS: readonly Row[] = [
  ['net', 'a plain pod', { containers: [container()] }, 'passes'],
  ['net', 'a privileged container', PRIVILEGED, 'held'],
  ['net', 'hostPID', { containers: [container()], hostPID: true }, 'held'],
  ['net', 'hostNetwork', { containers: [container()], hostNetwork: true }, 'held'],
  ['net', 'a hostPath', hostPath('/etc'), 'held'],
  [
    'net',
    'a dangerous capability',
    { containers: [container({ securityContext: { capabilities: { add: ['SYS_ADMIN'] } } })] },
    'held',
  ],
  ['net', 'a flagged digest', using(image('a')), 'held'],
  ['net', 'a flagged reference in another spelling', using('Registry.Example:0443/net/a:bad'), 'held'],
  ['net', 'a privileged container with an exception', PRIVILEGED, 'passes', 'net-legacy'],
  ['net', 'a hostPath with an exception for something else', hostPath('/etc'), 'held', 'net-legacy'],
  ['net', 'a privileged container with an exception for another namespace', PRIVILEGED, 'held', 'net-elsewhere'],
  ['net', 'a host port', { containers: [container({ ports: [{ containerPort: 1, hostPort: 1 }] })] }, 'alone'],
  [
    'net',
    'an unconfined container',
    { containers: [container({ securityContext: { seccompProfile: { type: 'Unconfined' } } })] },
    'alone',
  ],
  ['net-profile', 'a path that the profile allows', hostPath('/data/x'), 'passes'],
  ['net-profile', 'a path that the profile does not allow', hostPath('/database'), 'held'],
  [
    'net-profile',
    'a capability that the profile allows',
    { containers: [container({ securityContext: { capabilities: { add: ['NET_ADMIN'] } } })] },
    'passes',
  ],
  ['net-verdicts', 'a privileged container where only verdicts are asked for', PRIVILEGED, 'passes'],
  ['net-verdicts', 'a flagged digest where only verdicts are asked for', using(image('a')), 'held'],
  ['net-spared', 'an image that is only warned about here', using(image('b')), 'passes'],
  ['net', 'the same where it is denied', using(image('b')), 'held'],
  ['net-exempt', 'a privileged container in an exempt namespace', PRIVILEGED, 'passes'],
  ['net-exempt', 'a flagged digest in an exempt namespace', using(image('a')), 'held'],
  ['net-unknown', 'a privileged container under a name of no profile', PRIVILEGED, 'held'],
  ['net-unknown', 'a flagged digest under a name of no profile', using(image('a')), 'held'],
  ['net-weak', 'a privileged container under privileged', PRIVILEGED, 'passes'],
  ['net-advice', 'a privileged container where it is only warned about', PRIVILEGED, 'passes'],
  ['net-none', 'a privileged container without the net', PRIVILEGED, 'alone'],
]

describe('the safety net beside two replicas', function () {
  this.timeout(180_000)
  const folder = temporaryFolder()
  let cluster: Cluster
  let client: KubernetesClient
  let store: VerdictStore
  const replicas: RunningProgram[] = []

  /** What the API server answers; undefined: it takes the pod. */
  const create = async (namespace: string, spec: Json, asked?: string, dryRun = true): Promise<string | undefined> => {
    try {
      await client.request('POST', `/api/v1/namespaces/${namespace}/pods`, {
        query: { dryRun: dryRun ? 'All' : undefined },
        body: {
          apiVersion: 'v1',
          kind: 'Pod',
          metadata: {
            generateName: 'web-',
            annotations: asked === undefined ? {} : { 'drawbridge.dev/exception': asked },
          },
          spec,
        },
      })
      return undefined
    } catch (error) {
      assert.ok(error instanceof KubernetesError)
      return error.message
    }
  }
  const isHeld = async (namespace: string, spec: Json, asked?: string): Promise<boolean> =>
    (await create(namespace, spec, asked))?.includes('(safety net)') === true
  /** Does something, waits until the answer is another, and returns how long that took. */
  const follows = async (
    what: string,
    act: () => Promise<unknown>,
    isSo: () => Promise<boolean>,
    deadline = IN_STEP_MS,
  ): Promise<number> => {
    assert.equal(await isSo(), false, `not yet: ${what}`)
    await act()
    const started = performance.now()
    await waitFor(isSo, deadline, what)
    return performance.now() - started
  }
  const flag = (digit: string, fields: Partial<ImageVerdict> = {}): Promise<ImageVerdict> =>
    store.write(`sha256-${hex(digit)}`, () =>
      verdict({
        name: `sha256-${hex(digit)}`,
        digests: [`sha256:${hex(digit)}`],
        references: [`registry.example/net/${digit}:bad`],
        contributions: { a: contribution({ owner: 'net-evidence/Deployment/web', last: Date.now() }) },
        phase: 'denying',
        phaseSince: Date.now(),
        expiresAt: Date.now() + 30 * 24 * 3600_000,
        ...fields,
      }),
    )
  const parameters = async (): Promise<{
    readonly metadata: { readonly resourceVersion: string }
    readonly spec: SafetyNetSpec
  }> => (await client.request('GET', `${SAFETY_NETS_PATH}/drawbridge`)) as never
  const start = async (name: string): Promise<void> => {
    const data = join(folder.path, name)
    mkdirSync(data)
    const config = join(folder.path, 'drawbridge.yaml')
    replicas.push(
      await RunningProgram.start(
        data,
        ['--config', config, '--alerts-port', '0'],
        ['--kubeconfig', cluster.kubeconfig],
      ),
    )
  }

  before(async () => {
    assert.ok(existsSync(join(root, 'dist/bundle/drawbridge.js')), 'build the program first: npm run bundle')
    cluster = sharedCluster()
    client = createClient(loadKubeConfig({ file: cluster.kubeconfig }))
    await makeOwnNamespace(cluster)
    await cluster.must(['apply', '-f', join(manifestsDirectory(), 'crds')])
    await waitForCrds(cluster)
    writeFileSync(
      join(folder.path, 'drawbridge.yaml'),
      'log: {level: warn}\ndrain: 0s\nexemptions:\n  namespaces: [net-exempt]\n',
    )
    for (const [name, short] of Object.entries(NAMESPACES))
      await cluster.createNamespace(
        name,
        Object.fromEntries(Object.entries(short).map(([key, value]) => [`drawbridge.dev/${key}`, String(value)])),
      )
    if (cluster.hasControllers)
      await waitFor(
        async () => {
          const accounts = await cluster.must(['get', 'sa', '-A', '-o', 'jsonpath={.items[*].metadata.namespace}'])
          return Object.keys(NAMESPACES).every((name) => accounts.split(' ').includes(name))
        },
        30_000,
        'the service accounts',
      )
    store = createKubernetesVerdictStore({ client, now: () => performance.now(), wallClock: () => Date.now() })
    await loaded(store)
    await client.request('POST', `${API}/admissionexceptions`, { body: exception('net-legacy') })
    await client.request('POST', `${API}/admissionexceptions`, {
      body: exception('net-elsewhere', { namespaces: ['net-spared'] }),
    })
    await client.request('POST', `${API}/admissionprofiles`, {
      body: profile({ allowedHostPathPrefixes: [{ path: '/data' }], allowedCapabilities: ['NET_ADMIN'] }),
    })
    await flag('a')
    await flag('b', { reach: { elsewhere: 'denying', denying: [], warning: ['net-spared'] } })
    await start('one')
    await start('two')
    const { webhook, ca } = replicas[0]!.file
    const manifests = cli(['manifests', '--url', webhook, '--ca', ca, '--user', 'admin'])
    assert.equal(manifests.code, 0, manifests.err)
    await cluster.must(['apply', '-f', '-'], manifests.out)
    await waitFor(() => isHeld('net', PRIVILEGED), 30_000, 'the net')
    // It holds without its parameters, too: an API server that was started again may need half a minute to find them.
    await waitFor(() => isHeld('net', using(image('a'))), 60_000, 'the parameters of the net')
    await waitFor(async () => (await create('net-none', PRIVILEGED)) !== undefined, 30_000, 'the webhook')
  })

  after(async () => {
    await Promise.all(replicas.map((replica) => replica.kill()))
    const policies = ['drawbridge-guard', 'drawbridge-profile-guard', 'drawbridge-verdicts', 'drawbridge-safety-net']
    await cluster.kubectl(['delete', 'validatingwebhookconfiguration,mutatingwebhookconfiguration', 'drawbridge'])
    await cluster.kubectl([
      'delete', 'validatingadmissionpolicy,validatingadmissionpolicybinding', ...policies, 'drawbridge-safety-net-guard',
    ]) // prettier-ignore
    await cluster.kubectl(['delete', 'iv,safetynets,admissionexceptions,admissionprofiles', '--all'])
    await cluster.kubectl(['delete', 'namespace', ...Object.keys(NAMESPACES), '--wait=false'])
    await store?.close()
    client?.close()
    folder.remove()
  })

  for (const [namespace, what, spec, expected, asked] of ROWS)
    it(`while they are up: ${what} ${expected === 'passes' ? 'passes' : 'is denied'} in ${namespace}`, async () => {
      const said = await create(namespace, spec, asked)
      if (expected === 'passes') assert.equal(said, undefined)
      else assert.match(said ?? '(passed)', expected === 'held' ? /\(safety net\)/ : /admission webhook .* denied/)
    })

  describe('kept in step', () => {
    const figures: string[] = []
    const note = async (what: string, took: Promise<number>): Promise<void> => {
      figures.push(`${what} ${(await took).toFixed(0)} ms`)
    }
    after(() => process.stdout.write(`      ${figures.join(', ')}\n`))

    it('with a new verdict, and with its release', async () => {
      const spec = using(image('c'))
      await note(
        'a new verdict',
        follows(
          'denied',
          () => flag('c'),
          () => isHeld('net', spec),
        ),
      )
      const release = { by: 'admin', reason: 'r', as: 'fixed' }
      await note(
        'a release',
        follows(
          'released',
          () =>
            client.request('PATCH', `${API}/imageverdicts/sha256-${hex('c')}`, {
              body: { spec: { release } },
              ...merge,
            }),
          async () => (await create('net', spec)) === undefined,
          RELEASED_MS,
        ),
      )
    })

    it('with an exception that is granted, and taken back', async () => {
      const path = `${API}/admissionexceptions`
      const passes = async (): Promise<boolean> => (await create('net', PRIVILEGED, 'net-new')) === undefined
      await note(
        'a grant',
        follows('granted', () => client.request('POST', path, { body: exception('net-new') }), passes),
      )
      await follows(
        'suspended',
        () => client.request('PATCH', `${path}/net-new`, { body: { spec: { suspended: true } }, ...merge }),
        () => isHeld('net', PRIVILEGED, 'net-new'),
      )
      await follows(
        'granted again',
        () => client.request('PATCH', `${path}/net-new`, { body: { spec: { suspended: false } }, ...merge }),
        passes,
      )
      await follows(
        'deleted',
        () => client.request('DELETE', `${path}/net-new`),
        () => isHeld('net', PRIVILEGED, 'net-new'),
      )
    })

    it('with a profile that changes', async () => {
      const adding = { containers: [container({ securityContext: { capabilities: { add: ['SYS_TIME'] } } })] }
      const path = `${API}/admissionprofiles/net-profile`
      const allow = (allowedCapabilities: readonly string[]): Promise<unknown> =>
        client.request('PATCH', path, { body: { spec: { allowedCapabilities } }, ...merge })
      await note(
        'a profile',
        follows(
          'allowed',
          () => allow(['NET_ADMIN', 'SYS_TIME']),
          async () => (await create('net-profile', adding)) === undefined,
        ),
      )
      await follows(
        'not allowed',
        () => allow(['NET_ADMIN']),
        () => isHeld('net-profile', adding),
      )
    })

    it('with the brake', async () => {
      const spec = using(image('a'))
      const brake = { metadata: { name: 'drawbridge' }, data: { quarantine: 'off' } }
      await note(
        'the brake',
        follows(
          'the brake is on',
          () => client.request('POST', '/api/v1/namespaces/drawbridge/configmaps', { body: brake }),
          async () => (await create('net', spec)) === undefined,
          5000,
        ),
      )
      await follows(
        'the brake is off',
        () => client.request('DELETE', '/api/v1/namespaces/drawbridge/configmaps/drawbridge'),
        () => isHeld('net', spec),
        5000,
      )
    })

    it('when somebody edits the parameters, or deletes them', async () => {
      const before = await parameters()
      const opened = { ...before, spec: { ...before.spec, images: {}, profiles: {} } }
      await client.request('PUT', `${SAFETY_NETS_PATH}/drawbridge`, { body: opened })
      await waitFor(
        async () => JSON.stringify((await parameters()).spec) === JSON.stringify(before.spec),
        IN_STEP_MS,
        'the parameters as they were',
      )
      await client.request('DELETE', `${SAFETY_NETS_PATH}/drawbridge`)
      await waitFor(
        async () => {
          const now = await parameters().catch(() => undefined)
          return now !== undefined && JSON.stringify(now.spec) === JSON.stringify(before.spec)
        },
        IN_STEP_MS,
        'the parameters again',
      )
    })

    it('and written by nobody else, not even with all rights on the object', async () => {
      const tenant = await cluster.userKubeconfig('net-editor')
      await cluster.must([
        'create',
        'clusterrole',
        'net-editor',
        '--verb=get,create,update,patch,delete',
        '--resource=safetynets.drawbridge.dev',
      ])
      await cluster.must([
        'create',
        'clusterrolebinding',
        'net-editor',
        '--clusterrole=net-editor',
        '--user=net-editor',
      ])
      for (const args of [
        ['delete', 'safetynet', 'drawbridge'],
        ['patch', 'safetynet', 'drawbridge', '--type=merge', '-p', '{"spec":{"images":{}}}'],
      ]) {
        const { code, stderr } = await cluster.kubectl(args, undefined, tenant)
        assert.equal(code, 1)
        assert.match(
          stderr,
          /the parameters of the safety net are written by Drawbridge; others need the RBAC verb "weaken" on safetynets/,
        )
      }
      await cluster.must(['delete', 'clusterrole,clusterrolebinding', 'net-editor'])
    })

    it('without a write while nothing changes, with two replicas', async () => {
      const { resourceVersion } = (await parameters()).metadata
      const metric = async (): Promise<readonly string[]> =>
        (await Promise.all(replicas.map((replica) => metrics(replica)))).flat()
      const before = await metric()
      // One replica looks again every ten seconds, and finds it as it should be.
      await waitFor(async () => (await metric()).some((line, index) => line !== before[index]), 15_000, 'another look')
      assert.equal((await parameters()).metadata.resourceVersion, resourceVersion)
    })
    const metrics = async (replica: RunningProgram): Promise<readonly string[]> => {
      const { text } = await replica.admin('/metrics')
      return text.split('\n').filter((line) => line.startsWith('drawbridge_safety_net_in_step'))
    }

    it('by the other replica, when the one that writes is killed', async () => {
      const holder = async (): Promise<string> =>
        cluster.must([
          'get',
          'lease',
          'drawbridge-safety-net',
          '-n',
          'drawbridge',
          '-o',
          'jsonpath={.spec.holderIdentity}',
        ])
      const before = await holder()
      const lines = await Promise.all(replicas.map((replica) => metrics(replica)))
      const writer = lines.findIndex((found) => found.some((line) => !line.endsWith(' 0')))
      assert.ok(writer >= 0, JSON.stringify(lines))
      // The webhook configurations name the first: whichever is left, the net is what is asked about.
      await replicas[writer]!.kill()
      replicas.splice(writer, 1)
      await waitFor(async () => (await holder()) !== before, 20_000, 'another holder')
      const took = await follows(
        'denied',
        () => flag('d'),
        () => isHeld('net', using(image('d'))),
        5000,
      )
      figures.push(`after another replica took over ${took.toFixed(0)} ms`)
    })
  })

  describe('when all replicas are killed', () => {
    before(async () => {
      await Promise.all(replicas.splice(0).map((replica) => replica.kill()))
    })

    for (const [namespace, what, spec, expected, asked] of ROWS)
      it(`${what} ${expected === 'held' || namespace === 'net-none' ? 'is denied' : 'passes'} in ${namespace}`, async () => {
        const said = await create(namespace, spec, asked)
        if (expected === 'held') assert.match(said ?? '(passed)', /\(safety net\)/)
        else if (namespace === 'net-none')
          assert.match(said ?? '(passed)', /failed calling webhook "mutate\.drawbridge\.dev"/)
        else assert.equal(said, undefined)
      })

    it('nothing is injected', async () => {
      // Without the token there is no volume mount that a merge patch of the containers would take away.
      const spec = { automountServiceAccountToken: false, containers: [container()] }
      const body = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'plain' }, spec }
      const pod = (await client.request('POST', '/api/v1/namespaces/net/pods', { body })) as {
        readonly spec: { readonly securityContext?: Json }
      }
      assert.deepEqual(pod.spec.securityContext, {})
    })

    it('an image that is changed to a flagged one is denied, and so is a debug container', async () => {
      const path = '/api/v1/namespaces/net/pods/plain'
      const change = (containers: readonly Json[]): Promise<unknown> =>
        client.request('PATCH', path, { contentType: 'application/merge-patch+json', body: { spec: { containers } } })
      await assert.rejects(() => change([container({ image: image('a') })]), /uses a flagged image \(safety net\)/)
      const debug = (more: Json): Promise<unknown> =>
        client.request('PATCH', `${path}/ephemeralcontainers`, {
          ...merge,
          body: { spec: { ephemeralContainers: [{ name: 'debug', image: 'busybox:1', ...more }] } },
        })
      await assert.rejects(() => debug({ image: image('a') }), /uses a flagged image \(safety net\)/)
      await assert.rejects(() => debug({ securityContext: { privileged: true } }), /privileged: container "debug"/)
      await debug({})
      await client.request('PATCH', path, { ...merge, body: { metadata: { labels: { colour: 'green' } } } })
    })

    it('a workload with a flagged image passes, and its pods do not', async () => {
      const labels = { app: 'bad' }
      const spec = {
        replicas: 1,
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: using(image('a')) },
      }
      const body = { apiVersion: 'apps/v1', kind: 'ReplicaSet', metadata: { name: 'bad' }, spec }
      await client.request('POST', '/apis/apps/v1/namespaces/net/replicasets', { body })
      if (!cluster.hasControllers) return
      const condition = await waitFor(
        async () => {
          const { status } = (await client.request('GET', '/apis/apps/v1/namespaces/net/replicasets/bad')) as {
            readonly status: { readonly conditions?: readonly { readonly message: string }[] }
          }
          return status.conditions?.[0]?.message
        },
        20_000,
        'a ReplicaSet that cannot make pods',
      )
      assert.match(condition, /uses a flagged image \(safety net\)/)
    })

    it('what ends meanwhile ends: a verdict, and an exception', async () => {
      const { spec, metadata } = await parameters()
      const over = new Date(Date.now() - 1000).toISOString().replace(/\.\d+Z$/, 'Z')
      const legacy = spec.exceptions['net-legacy']!
      const [key, said] = Object.entries(spec.images).find(([name]) => name === `sha256:${hex('a')}`)!
      await client.request('PUT', `${SAFETY_NETS_PATH}/drawbridge`, {
        body: {
          apiVersion: 'drawbridge.dev/v1alpha1',
          kind: 'SafetyNet',
          metadata: { ...metadata, name: 'drawbridge' },
          spec: {
            ...spec,
            exceptions: { ...spec.exceptions, 'net-legacy': { ...legacy, until: over } },
            images: { ...spec.images, [key]: said.map((one) => ({ ...one, until: over })) },
          },
        },
      })
      await waitFor(() => isHeld('net', PRIVILEGED, 'net-legacy'), 5000, 'an exception that is over')
      assert.equal(await create('net', using(image('a'))), undefined)
    })

    it('without parameters nothing is held: there must be nothing that the webhook would allow and the net denies', async () => {
      await client.request('DELETE', `${SAFETY_NETS_PATH}/drawbridge`)
      await waitFor(async () => (await create('net', PRIVILEGED)) === undefined, 5000, 'the net to be gone')
    })

    it('and a replica that comes back makes them again', async () => {
      const started = performance.now()
      await start('three')
      process.stdout.write(`      started after ${(performance.now() - started).toFixed(0)} ms\n`)
      await waitFor(() => isHeld('net', PRIVILEGED), 20_000, 'the net')
    })
  })
})
