import assert from 'node:assert/strict'

import { webhookConfigurations } from '../../manifests/webhooks.ts'
import type { QuarantineScope } from '../../src/kube/webhookEntries.ts'
import { waitFor } from './harness.ts'
import type { Cluster } from './harness.ts'
import { startRecorder } from './recorder.ts'
import type { Recorder } from './recorder.ts'
import { sharedCluster } from './shared.ts'

/** Every namespace of this test and its labels, without the prefix. */
const NAMESPACES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'wh-enforce': { enforce: 'standard', warn: 'restricted', audit: 'restricted', quarantine: 'enforce', seccomp: 'off' },
  'wh-plain': {},
  'wh-seccomp': { seccomp: 'RuntimeDefault' },
  'wh-seccomp-off': { seccomp: 'off' },
  'wh-quarantine': { quarantine: 'enforce', warn: 'baseline' },
  'wh-quarantine-off': { quarantine: 'off' },
  'wh-warn': { warn: 'baseline', audit: 'baseline' },
  'wh-audit': { audit: 'baseline' },
  'wh-warn-off': { warn: 'baseline', quarantine: 'off' },
  'wh-audit-off': { audit: 'baseline', quarantine: 'off' },
  // The namespace that Drawbridge itself runs in.
  'wh-own': { enforce: 'standard', quarantine: 'enforce', seccomp: 'RuntimeDefault', warn: 'baseline' },
}

const CONTAINER = { name: 'c', image: 'shop/web:1' }
const labels = { app: 'x' }
const template = { metadata: { labels }, spec: { containers: [CONTAINER] } }
const jobTemplate = { metadata: { labels }, spec: { containers: [CONTAINER], restartPolicy: 'Never' } }
const selector = { matchLabels: labels }

const pod = (name: string): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name },
  spec: { containers: [CONTAINER] },
})
const WORKLOADS: readonly (readonly [string, object])[] = [
  ['deployments', { apiVersion: 'apps/v1', kind: 'Deployment', spec: { replicas: 0, selector, template } }],
  ['replicasets', { apiVersion: 'apps/v1', kind: 'ReplicaSet', spec: { replicas: 0, selector, template } }],
  [
    'statefulsets',
    { apiVersion: 'apps/v1', kind: 'StatefulSet', spec: { replicas: 0, serviceName: 's', selector, template } },
  ],
  ['daemonsets', { apiVersion: 'apps/v1', kind: 'DaemonSet', spec: { selector, template } }],
  ['jobs', { apiVersion: 'batch/v1', kind: 'Job', spec: { suspend: true, template: jobTemplate } }],
  [
    'cronjobs',
    {
      apiVersion: 'batch/v1',
      kind: 'CronJob',
      spec: { schedule: '0 0 1 1 *', jobTemplate: { spec: { template: jobTemplate } } },
    },
  ],
  [
    'replicationcontrollers',
    { apiVersion: 'v1', kind: 'ReplicationController', spec: { replicas: 0, selector: labels, template } },
  ],
  ['podtemplates', { apiVersion: 'v1', kind: 'PodTemplate', template }],
]

const named = (object: object, name: string): object => ({ ...object, metadata: { name } })

describe('webhook entries on a real API server', function () {
  this.timeout(60_000)
  let cluster: Cluster
  let recorder: Recorder

  /** Registers every entry with a path of its own, so that the recorder sees which entry a request came by. */
  async function register(scope: QuarantineScope): Promise<void> {
    const options = {
      endpoint: { url: recorder.url },
      caBundle: recorder.caBundle,
      ownNamespace: 'wh-own',
      scope,
    } as const
    const objects = webhookConfigurations(options).map((object) => ({
      ...object,
      webhooks: object.webhooks.map((webhook) => {
        const name = String(webhook['name']).replace('.drawbridge.dev', '')
        return { ...webhook, clientConfig: { ...(webhook['clientConfig'] as object), url: `${recorder.url}/${name}` } }
      }),
    }))
    // Accepted means that every CEL expression compiles.
    await cluster.must(['apply', '-f', '-'], objects.map((object) => JSON.stringify(object)).join('\n---\n'))
  }

  /** What the administrator's own requests caused; controllers make requests of their own. */
  const taken = (): readonly string[] =>
    recorder
      .take()
      .filter(({ user }) => user === 'admin')
      .map(({ path, what }) => `${path.slice(1)} ${what}`)

  const create = async (namespace: string, object: object, ...more: readonly string[]): Promise<readonly string[]> => {
    await cluster.must(['create', '-n', namespace, '-f', '-', ...more], JSON.stringify(object))
    return taken()
  }
  const patch = async (what: string, body: object, ...more: readonly string[]): Promise<readonly string[]> => {
    await cluster.must(['patch', '-n', 'wh-enforce', what, '-p', JSON.stringify(body), ...more])
    // When a controller wrote in between, the API server repeats the patch, and asks again.
    return [...new Set(taken())]
  }

  before(async () => {
    cluster = sharedCluster()
    recorder = await startRecorder()
    const lists = Object.entries(NAMESPACES).map(([name, short]) => ({
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: {
        name,
        labels: Object.fromEntries(Object.entries(short).map(([key, value]) => [`drawbridge.dev/${key}`, value])),
      },
    }))
    await cluster.must(['create', '-f', '-'], lists.map((object) => JSON.stringify(object)).join('\n---\n'))
    if (cluster.hasControllers) {
      await waitFor(
        async () => {
          const accounts = await cluster.must(['get', 'sa', '-A', '-o', 'jsonpath={.items[*].metadata.namespace}'])
          return Object.keys(NAMESPACES).every((name) => accounts.split(' ').includes(name))
        },
        20_000,
        'the service accounts',
      )
    }
    await register('namespaces')
    // The API server takes a moment to see new configurations.
    await waitFor(
      async () => (await create('wh-enforce', pod('probe'), '--dry-run=server')).length === 2,
      10_000,
      'both configurations to be in force',
    )
  })

  after(async () => {
    await cluster.kubectl(['delete', 'validatingwebhookconfiguration,mutatingwebhookconfiguration', 'drawbridge'])
    await cluster.kubectl(['delete', 'namespace', ...Object.keys(NAMESPACES), '--wait=false'])
    await recorder.stop()
  })

  it('sends each request of each namespace to exactly one entry', async () => {
    for (const [namespace, pods, deployments] of [
      ['wh-enforce', 'mutate CREATE pods, enforce CREATE pods', 'verdicts CREATE deployments'],
      ['wh-plain', '', ''],
      ['wh-seccomp', 'mutate-seccomp-only CREATE pods', ''],
      ['wh-seccomp-off', '', ''],
      ['wh-quarantine', 'verdicts-quarantine-only CREATE pods', 'verdicts-quarantine-only CREATE deployments'],
      ['wh-quarantine-off', '', ''],
      ['wh-warn', 'advise-warn CREATE pods', 'advise-warn CREATE deployments'],
      ['wh-audit', 'advise-audit CREATE pods', 'advise-audit CREATE deployments'],
      ['wh-warn-off', 'advise-warn-quarantine-off CREATE pods', 'advise-warn-quarantine-off CREATE deployments'],
      ['wh-audit-off', 'advise-audit-quarantine-off CREATE pods', 'advise-audit-quarantine-off CREATE deployments'],
      ['wh-own', '', ''],
      ['kube-system', '', ''],
    ] as const) {
      const dryRun = '--dry-run=server'
      assert.equal((await create(namespace, pod('p'), dryRun)).join(', '), pods, namespace)
      assert.equal(
        (await create(namespace, named(WORKLOADS[0]?.[1] ?? {}, 'd'), dryRun)).join(', '),
        deployments,
        namespace,
      )
    }
  })

  it('sends a pod when it is made or its spec changes, not for labels, status or deletion', async () => {
    assert.deepEqual(await create('wh-enforce', pod('web')), ['mutate CREATE pods', 'enforce CREATE pods'])
    assert.deepEqual(await patch('pod/web', { metadata: { labels: { colour: 'green' } } }), [])
    assert.deepEqual(await patch('pod/web', { status: { phase: 'Running' } }, '--subresource=status'), [])
    assert.deepEqual(await patch('pod/web', { spec: { containers: [{ name: 'c', image: 'shop/web:2' }] } }), [
      'enforce UPDATE pods',
    ])
    const debug = { spec: { ephemeralContainers: [{ name: 'debug', image: 'busybox', targetContainerName: 'c' }] } }
    assert.deepEqual(await patch('pod/web', debug, '--subresource=ephemeralcontainers'), [
      'enforce UPDATE pods/ephemeralcontainers',
    ])
    const resize = { spec: { containers: [{ name: 'c', resources: { requests: { cpu: '20m' } } }] } }
    await cluster.must(
      ['create', '-n', 'wh-enforce', '-f', '-'],
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'sized' },
        spec: { containers: [{ ...CONTAINER, resources: { requests: { cpu: '10m' } } }] },
      }),
    )
    taken()
    assert.deepEqual(await patch('pod/sized', resize, '--subresource=resize'), ['enforce UPDATE pods/resize'])
    await cluster.must(['delete', 'pod', 'web', 'sized', '-n', 'wh-enforce', '--grace-period=0', '--force'])
    assert.deepEqual(taken(), [])
  })

  for (const [resource, object] of WORKLOADS) {
    it(`sends ${resource} when they are made or their template changes, not for anything else`, async () => {
      assert.deepEqual(await create('wh-enforce', named(object, 'w')), [`verdicts CREATE ${resource}`])
      assert.deepEqual(await patch(`${resource}/w`, { metadata: { annotations: { note: 'x' } } }), [])
      const containers = [{ name: 'c', image: 'shop/web:2' }]
      const changed = { spec: { containers } }
      switch (resource) {
        case 'podtemplates':
          assert.deepEqual(await patch('podtemplates/w', { template: changed }), ['verdicts UPDATE podtemplates'])
          break
        case 'cronjobs':
          assert.deepEqual(await patch('cronjobs/w', { spec: { suspend: true } }), [])
          assert.deepEqual(await patch('cronjobs/w', { spec: { jobTemplate: { spec: { template: changed } } } }), [
            'verdicts UPDATE cronjobs',
          ])
          break
        case 'jobs':
          // A Job's template cannot change, except for what a suspended one may; its parallelism can.
          assert.deepEqual(await patch('jobs/w', { spec: { parallelism: 2 } }), [])
          assert.deepEqual(await patch('jobs/w', { spec: { template: { spec: { nodeSelector: { a: 'b' } } } } }), [
            'verdicts UPDATE jobs',
          ])
          break
        case 'daemonsets':
          assert.deepEqual(await patch('daemonsets/w', { spec: { minReadySeconds: 1 } }), [])
          assert.deepEqual(await patch('daemonsets/w', { spec: { template: changed } }), ['verdicts UPDATE daemonsets'])
          break
        default:
          assert.deepEqual(await patch(`${resource}/w`, { spec: { replicas: 2 } }), [])
          await cluster.must(['scale', '-n', 'wh-enforce', `${resource}/w`, '--replicas=0'])
          assert.deepEqual(taken(), [])
          assert.deepEqual(await patch(`${resource}/w`, { spec: { template: changed } }), [
            `verdicts UPDATE ${resource}`,
          ])
      }
    })
  }

  it('sends namespaces whose labels change and that hold one of ours, nothing else about them', async () => {
    const namespace = (name: string, own: object): object => ({
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name, labels: own },
    })
    const dryRun = ['--dry-run=server']
    const sent = ['namespaces CREATE namespaces']
    const update = async (...args: readonly string[]): Promise<readonly string[]> => {
      await cluster.must(args)
      return [...new Set(taken())]
    }
    const createNamespace = (name: string, own: object): Promise<readonly string[]> =>
      create('default', namespace(name, own), ...dryRun)
    assert.deepEqual(await createNamespace('wh-new', { 'drawbridge.dev/enforce': 'baseline' }), sent)
    assert.deepEqual(await createNamespace('wh-new', { 'drawbridge.dev/enforced': 'baseline' }), sent)
    assert.deepEqual(await createNamespace('wh-new', { 'pod-security.kubernetes.io/enforce': 'baseline' }), sent)
    assert.deepEqual(await createNamespace('wh-new', { team: 'shop' }), [])
    const label = ['label', 'ns', 'wh-warn', 'drawbridge.dev/audit=restricted', '--overwrite', ...dryRun]
    assert.deepEqual(await update(...label), ['namespaces UPDATE namespaces'])
    assert.deepEqual(await update('annotate', 'ns', 'wh-warn', 'note=x', ...dryRun), [])
    assert.deepEqual(await update('label', 'ns', 'wh-plain', 'team=shop', ...dryRun), [])
    // The subresources can change labels as well.
    const audit = '{"metadata":{"labels":{"drawbridge.dev/audit":"restricted"}}}'
    const toStatus = ['patch', 'ns', 'wh-warn', '--subresource=status', '--type=merge', ...dryRun, '-p']
    assert.deepEqual(await update(...toStatus, audit), ['namespaces UPDATE namespaces/status'])
    assert.deepEqual(await update(...toStatus, '{"metadata":{"annotations":{"note":"x"}}}'), [])
    const finalize = async (own: object): Promise<readonly string[]> => {
      const stored = JSON.parse(await cluster.must(['get', 'ns', 'wh-warn', '-o', 'json']))
      const changed = { ...stored, metadata: { ...stored.metadata, labels: { ...stored.metadata.labels, ...own } } }
      const path = '/api/v1/namespaces/wh-warn/finalize?dryRun=All'
      await cluster.must(['replace', '--raw', path, '-f', '-'], JSON.stringify(changed))
      return [...new Set(taken())]
    }
    assert.deepEqual(await finalize({ 'drawbridge.dev/audit': 'restricted' }), [
      'namespaces UPDATE namespaces/finalize',
    ])
    assert.deepEqual(await finalize({}), [])
    const removal = '{"metadata":{"labels":null}}'
    assert.deepEqual(await update('patch', 'ns', 'wh-warn', '--type=merge', '-p', removal, ...dryRun), [])
    assert.deepEqual(
      await update('patch', 'ns', 'wh-warn', '--subresource=status', '--type=merge', '-p', removal, ...dryRun),
      [],
    )
  })

  it('compares templates of 1,000 containers within the budget of CEL', async () => {
    const containers = Array.from({ length: 1000 }, (_, index) => ({
      name: `c${index}`,
      image: `registry.example/shop/web:${index}`,
      env: Array.from({ length: 3 }, (_unused, at) => ({ name: `NAME_${at}`, value: 'x'.repeat(40) })),
    }))
    const big = {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      spec: { replicas: 0, selector, template: { metadata: { labels }, spec: { containers } } },
    }
    assert.deepEqual(await create('wh-enforce', named(big, 'big')), ['verdicts CREATE deployments'])
    assert.deepEqual(await patch('deployments/big', { spec: { replicas: 1 } }), [])
    const changed = { spec: { template: { spec: { containers: [{ name: 'c999', image: 'other:1' }] } } } }
    assert.deepEqual(await patch('deployments/big', changed), ['verdicts UPDATE deployments'])
  })

  it('serves every namespace with scope cluster, except those that said off', async () => {
    await register('cluster')
    await waitFor(
      async () =>
        (await create('wh-plain', pod('probe'), '--dry-run=server')).join() === 'verdicts-cluster CREATE pods',
      10_000,
      'the new configuration to be in force',
    )
    for (const [namespace, pods] of [
      ['wh-enforce', 'mutate CREATE pods, enforce CREATE pods'],
      ['wh-warn', 'verdicts-cluster CREATE pods'],
      ['wh-quarantine-off', ''],
      ['wh-warn-off', 'advise-warn-quarantine-off CREATE pods'],
      ['wh-audit-off', 'advise-audit-quarantine-off CREATE pods'],
      ['wh-own', ''],
      ['kube-system', ''],
    ] as const) {
      assert.equal((await create(namespace, pod('p'), '--dry-run=server')).join(', '), pods, namespace)
    }
    await register('namespaces')
    await waitFor(
      async () => (await create('wh-plain', pod('probe'), '--dry-run=server')).length === 0,
      10_000,
      'the old configuration again',
    )
  })

  it('while nobody answers: refuses new pods and images, lets scaling, status and advice through', async () => {
    await create('wh-enforce', pod('before'))
    await recorder.stop()
    const refused = async (...args: readonly string[]): Promise<void> => {
      const outcome = await cluster.kubectl(args)
      assert.equal(outcome.code, 1, args.join(' '))
      assert.match(outcome.stderr, /failed calling webhook "(mutate|enforce|verdicts)\.drawbridge\.dev"/)
    }
    await refused('run', 'p', '--image=shop/web:1', '-n', 'wh-enforce')
    await refused('set', 'image', 'pod/before', 'c=shop/web:2', '-n', 'wh-enforce')
    await refused('set', 'image', 'deployment/w', 'c=shop/web:3', '-n', 'wh-enforce')
    await refused('create', 'deployment', 'n', '--image=shop/web:1', '-n', 'wh-enforce')
    await cluster.must(['scale', 'deployment/w', '--replicas=0', '-n', 'wh-enforce'])
    await cluster.must(['label', 'pod/before', 'colour=red', '-n', 'wh-enforce'])
    await cluster.must([
      'patch',
      'pod/before',
      '--subresource=status',
      '-p',
      '{"status":{"phase":"Running"}}',
      '-n',
      'wh-enforce',
    ])
    await cluster.must(['delete', 'pod/before', '-n', 'wh-enforce', '--grace-period=0', '--force'])
    await cluster.must(['run', 'p', '--image=shop/web:1', '-n', 'wh-warn'])
    await cluster.must(['run', 'p', '--image=shop/web:1', '-n', 'wh-plain'])
  })
})
