/** Which requests each webhook entry is sent, and which of them pass while nobody answers: every entry, every request, on a real API server. */
import assert from 'node:assert/strict'

import { manifestsDirectory } from '../../manifests/render.ts'
import { webhookConfigurations } from '../../manifests/webhooks.ts'
import { createClient, KubernetesError, loadKubeConfig } from '../../src/adapters/kubernetes/client.ts'
import type { KubernetesClient } from '../../src/adapters/kubernetes/client.ts'
import type { QuarantineScope } from '../../src/kube/webhookEntries.ts'
import { waitFor } from './harness.ts'
import type { Cluster } from './harness.ts'
import { startRecorder } from './recorder.ts'
import type { Recorder } from './recorder.ts'
import { sharedCluster } from './shared.ts'

/**
 * What is done to an object, one letter each; a cell of a table holds the letter where the request is sent and a dot where it is not.
 *
 * - `c` create
 * - `m` change what is no spec or template: labels of a pod, a workload's own settings
 * - `s` change the status
 * - `k` scale to 0 by the subresource `scale`
 * - `t` change the pod's image, or something in the template
 * - `e`, `r` add a debug container, resize: the subresources of pods
 * - `d` delete
 */
type Letter = 'c' | 'm' | 's' | 'k' | 't' | 'e' | 'r' | 'd'

interface Step {
  readonly letter: Letter
  readonly method: 'POST' | 'PATCH' | 'DELETE'
  /** Behind the object's path. */
  readonly subresource?: string
  readonly body?: object
}

interface Kind {
  readonly resource: string
  readonly path: string
  readonly object: object
  readonly steps: readonly Step[]
}

const labels = { app: 'x' }
const container = (version: number, cpu = '10m'): object => ({
  name: 'c',
  image: `shop/web:${version}`,
  resources: { requests: { cpu } },
})
// Without the token there is no volume mount that a merge patch of the containers would take away.
const podSpec = { automountServiceAccountToken: false, containers: [container(1)] }
const template = { metadata: { labels }, spec: podSpec }
const selector = { matchLabels: labels }
const changedTemplate = { spec: { template: { spec: { containers: [container(2)] } } } }

const patch = (letter: Letter, body: object, subresource?: string): Step => ({
  letter,
  method: 'PATCH',
  body,
  ...(subresource !== undefined && { subresource }),
})
const DELETE: Step = { letter: 'd', method: 'DELETE', body: { gracePeriodSeconds: 0 } }
const SCALE = patch('k', { spec: { replicas: 0 } }, 'scale')
const STATUS = patch('s', { status: { replicas: 1, observedGeneration: 9 } }, 'status')

const workload = (resource: string, group: string, kind: string, rest: object, ...steps: readonly Step[]): Kind => ({
  resource,
  path: group === '' ? '/api/v1' : `/apis/${group}/v1`,
  object: { apiVersion: group === '' ? 'v1' : `${group}/v1`, kind, ...rest },
  steps: [...steps, DELETE],
})

const POD: Kind = {
  resource: 'pods',
  path: '/api/v1',
  object: { apiVersion: 'v1', kind: 'Pod', spec: podSpec },
  steps: [
    patch('m', { metadata: { labels: { colour: 'green' } } }),
    patch('s', { status: { phase: 'Running' } }, 'status'),
    patch('t', { spec: { containers: [container(2)] } }),
    patch(
      'e',
      { spec: { ephemeralContainers: [{ name: 'debug', image: 'busybox:1', targetContainerName: 'c' }] } },
      'ephemeralcontainers',
    ),
    patch('r', { spec: { containers: [container(2, '20m')] } }, 'resize'),
    DELETE,
  ],
}

const WORKLOADS: readonly Kind[] = [
  workload(
    'deployments',
    'apps',
    'Deployment',
    { spec: { replicas: 1, selector, template } },
    patch('m', { spec: { minReadySeconds: 1 } }),
    STATUS,
    SCALE,
    patch('t', changedTemplate),
  ),
  workload(
    'replicasets',
    'apps',
    'ReplicaSet',
    { spec: { replicas: 1, selector, template } },
    patch('m', { spec: { minReadySeconds: 1 } }),
    STATUS,
    SCALE,
    patch('t', changedTemplate),
  ),
  workload(
    'statefulsets',
    'apps',
    'StatefulSet',
    { spec: { replicas: 1, serviceName: 's', selector, template } },
    patch('m', { spec: { minReadySeconds: 1 } }),
    STATUS,
    SCALE,
    patch('t', changedTemplate),
  ),
  workload(
    'daemonsets',
    'apps',
    'DaemonSet',
    { spec: { selector, template } },
    patch('m', { spec: { minReadySeconds: 1 } }),
    patch('s', { status: { observedGeneration: 9 } }, 'status'),
    patch('t', changedTemplate),
  ),
  workload(
    'jobs',
    'batch',
    'Job',
    { spec: { suspend: true, template: { metadata: { labels }, spec: { ...podSpec, restartPolicy: 'Never' } } } },
    patch('m', { spec: { parallelism: 2 } }),
    patch('s', { status: { conditions: [{ type: 'Example', status: 'True' }] } }, 'status'),
    // Its image cannot change; what says where a suspended Job runs can.
    patch('t', { spec: { template: { spec: { nodeSelector: { a: 'b' } } } } }),
  ),
  workload(
    'cronjobs',
    'batch',
    'CronJob',
    {
      spec: {
        schedule: '0 0 1 1 *',
        jobTemplate: { spec: { template: { metadata: { labels }, spec: { ...podSpec, restartPolicy: 'Never' } } } },
      },
    },
    patch('m', { spec: { suspend: true } }),
    patch('s', { status: { lastScheduleTime: '2026-01-01T00:00:00Z' } }, 'status'),
    patch('t', { spec: { jobTemplate: changedTemplate } }),
  ),
  workload(
    'replicationcontrollers',
    '',
    'ReplicationController',
    { spec: { replicas: 1, selector: labels, template } },
    patch('m', { spec: { minReadySeconds: 1 } }),
    STATUS,
    SCALE,
    patch('t', changedTemplate),
  ),
  workload(
    'podtemplates',
    '',
    'PodTemplate',
    { template },
    patch('m', { metadata: { annotations: { note: 'x' } } }),
    patch('t', { template: { spec: { containers: [container(2)] } } }),
  ),
]
const KINDS = [POD, ...WORKLOADS]

/**
 * Labels without prefix (`ps:` stands for upstream's), then a row for each entry that is sent anything from such a namespace: its name, and the
 * cells of pods and the eight workload kinds.
 */
type Table = readonly (readonly [Readonly<Record<string, string>>, ...string[]])[]

// An entry, pods, deployments, replicasets, statefulsets, daemonsets, jobs, cronjobs, replicationcontrollers, podtemplates
const SENT: Readonly<Record<QuarantineScope, Table>> = {
  namespaces: [
    [
      { enforce: 'baseline' },
      'mutate c...... ...... ...... ...... ..... ..... ..... ...... ....',
      'enforce c..ter. ...... ...... ...... ..... ..... ..... ...... ....',
      'verdicts ....... c...t. c...t. c...t. c..t. c..t. c..t. c...t. c.t.',
    ],
    [{ seccomp: 'RuntimeDefault' }, 'mutate-seccomp-only c...... ...... ...... ...... ..... ..... ..... ...... ....'],
    [
      { quarantine: 'enforce', warn: 'privileged' },
      'verdicts-quarantine-only c..ter. c...t. c...t. c...t. c..t. c..t. c..t. c...t. c.t.',
    ],
    [
      { warn: 'privileged', audit: 'privileged' },
      'advise-warn c..ter. c...t. c...t. c...t. c..t. c..t. c..t. c...t. c.t.',
    ],
    [{ audit: 'privileged' }, 'advise-audit c..ter. c...t. c...t. c...t. c..t. c..t. c..t. c...t. c.t.'],
    [
      { warn: 'privileged', quarantine: 'off' },
      'advise-warn-quarantine-off c..ter. c...t. c...t. c...t. c..t. c..t. c..t. c...t. c.t.',
    ],
    [
      { audit: 'privileged', quarantine: 'off' },
      'advise-audit-quarantine-off c..ter. c...t. c...t. c...t. c..t. c..t. c..t. c...t. c.t.',
    ],
    [
      { 'ps:enforce': 'privileged', 'ps:warn': 'privileged', warn: 'privileged' },
      'pod-security-enforce c..ter. ...... ...... ...... ..... ..... ..... ...... ....',
      'pod-security-templates ....... c...t. c...t. c...t. c..t. c..t. c..t. c...t. c.t.',
    ],
    [
      { 'ps:warn': 'privileged', 'ps:audit': 'privileged' },
      'pod-security-warn c..ter. c...t. c...t. c...t. c..t. c..t. c..t. c...t. c.t.',
    ],
    [{ 'ps:audit': 'privileged' }, 'pod-security-audit c..ter. c...t. c...t. c...t. c..t. c..t. c..t. c...t. c.t.'],
    [
      { 'ps:enforce': 'privileged', quarantine: 'off' },
      'pod-security-enforce-quarantine-off c..ter. ...... ...... ...... ..... ..... ..... ...... ....',
      'pod-security-templates-quarantine-off ....... c...t. c...t. c...t. c..t. c..t. c..t. c...t. c.t.',
    ],
    [
      { 'ps:warn': 'privileged', quarantine: 'off' },
      'pod-security-warn-quarantine-off c..ter. c...t. c...t. c...t. c..t. c..t. c..t. c...t. c.t.',
    ],
    [
      { 'ps:audit': 'privileged', quarantine: 'off' },
      'pod-security-audit-quarantine-off c..ter. c...t. c...t. c...t. c..t. c..t. c..t. c...t. c.t.',
    ],
    // Upstream's label beside `enforce` or `quarantine`: their entries are called, and no other.
    [
      { enforce: 'baseline', 'ps:enforce': 'privileged' },
      'mutate c...... ...... ...... ...... ..... ..... ..... ...... ....',
      'enforce c..ter. ...... ...... ...... ..... ..... ..... ...... ....',
      'verdicts ....... c...t. c...t. c...t. c..t. c..t. c..t. c...t. c.t.',
    ],
    [
      { quarantine: 'warn', 'ps:enforce': 'privileged' },
      'verdicts-quarantine-only c..ter. c...t. c...t. c...t. c..t. c..t. c..t. c...t. c.t.',
    ],
    // What is sent does not depend on what holds while nobody answers, only the entry does.
    [
      { enforce: 'baseline', 'when-down': 'net' },
      'mutate-net c...... ...... ...... ...... ..... ..... ..... ...... ....',
      'enforce-net c..ter. ...... ...... ...... ..... ..... ..... ...... ....',
      'verdicts-net ....... c...t. c...t. c...t. c..t. c..t. c..t. c...t. c.t.',
    ],
    [
      { seccomp: 'RuntimeDefault', 'when-down': 'net' },
      'mutate-seccomp-only-net c...... ...... ...... ...... ..... ..... ..... ...... ....',
    ],
    [
      { quarantine: 'enforce', 'when-down': 'net' },
      'verdicts-quarantine-only-net c..ter. c...t. c...t. c...t. c..t. c..t. c..t. c...t. c.t.',
    ],
    [
      { 'ps:enforce': 'privileged', 'when-down': 'net' },
      'pod-security-enforce-net c..ter. ...... ...... ...... ..... ..... ..... ...... ....',
      'pod-security-templates ....... c...t. c...t. c...t. c..t. c..t. c..t. c...t. c.t.',
    ],
    [
      { enforce: 'baseline', 'when-down': 'deny' },
      'mutate c...... ...... ...... ...... ..... ..... ..... ...... ....',
      'enforce c..ter. ...... ...... ...... ..... ..... ..... ...... ....',
      'verdicts ....... c...t. c...t. c...t. c..t. c..t. c..t. c...t. c.t.',
    ],
    [{}],
    [{ seccomp: 'off', quarantine: 'off' }],
    [{ 'when-down': 'net' }],
  ],
  cluster: [
    [{}, 'verdicts-cluster c..ter. c...t. c...t. c...t. c..t. c..t. c..t. c...t. c.t.'],
    [
      { 'ps:enforce': 'privileged', warn: 'privileged' },
      'verdicts-cluster c..ter. c...t. c...t. c...t. c..t. c..t. c..t. c...t. c.t.',
    ],
    [
      { enforce: 'baseline', quarantine: 'off' },
      'mutate c...... ...... ...... ...... ..... ..... ..... ...... ....',
      'enforce c..ter. ...... ...... ...... ..... ..... ..... ...... ....',
      'verdicts ....... c...t. c...t. c...t. c..t. c..t. c..t. c...t. c.t.',
    ],
    [
      { seccomp: 'RuntimeDefault', quarantine: 'off' },
      'mutate-seccomp-only c...... ...... ...... ...... ..... ..... ..... ...... ....',
    ],
    [
      { 'ps:enforce': 'privileged', quarantine: 'off' },
      'pod-security-enforce-quarantine-off c..ter. ...... ...... ...... ..... ..... ..... ...... ....',
      'pod-security-templates-quarantine-off ....... c...t. c...t. c...t. c..t. c..t. c..t. c...t. c.t.',
    ],
    [{ quarantine: 'off' }],
    [{ 'when-down': 'net' }, 'verdicts-cluster-net c..ter. c...t. c...t. c...t. c..t. c..t. c..t. c...t. c.t.'],
  ],
}

/** Labels, then the cells of what is refused while nobody answers; all else passes. */
const REFUSED: Readonly<Record<QuarantineScope, readonly (readonly [Readonly<Record<string, string>>, string])[]>> = {
  namespaces: [
    [{ enforce: 'baseline' }, 'c..ter. c...t. c...t. c...t. c..t. c..t. c..t. c...t. c.t.'],
    [{ seccomp: 'RuntimeDefault' }, 'c...... ...... ...... ...... ..... ..... ..... ...... ....'],
    [{ quarantine: 'enforce' }, 'c..ter. c...t. c...t. c...t. c..t. c..t. c..t. c...t. c.t.'],
    [{ warn: 'privileged' }, '....... ...... ...... ...... ..... ..... ..... ...... ....'],
    [{ audit: 'privileged' }, '....... ...... ...... ...... ..... ..... ..... ...... ....'],
    [{ 'ps:enforce': 'privileged' }, 'c..ter. ...... ...... ...... ..... ..... ..... ...... ....'],
    [{ 'ps:warn': 'privileged' }, '....... ...... ...... ...... ..... ..... ..... ...... ....'],
    [{ 'ps:audit': 'privileged' }, '....... ...... ...... ...... ..... ..... ..... ...... ....'],
    [{}, '....... ...... ...... ...... ..... ..... ..... ...... ....'],
    [{ enforce: 'baseline', 'when-down': 'net' }, '....... ...... ...... ...... ..... ..... ..... ...... ....'],
    [{ seccomp: 'RuntimeDefault', 'when-down': 'net' }, '....... ...... ...... ...... ..... ..... ..... ...... ....'],
    [{ quarantine: 'enforce', 'when-down': 'net' }, '....... ...... ...... ...... ..... ..... ..... ...... ....'],
    [{ 'ps:enforce': 'privileged', 'when-down': 'net' }, '....... ...... ...... ...... ..... ..... ..... ...... ....'],
    [{ enforce: 'baseline', 'when-down': 'Net' }, 'c..ter. c...t. c...t. c...t. c..t. c..t. c..t. c...t. c.t.'],
  ],
  cluster: [
    [{}, 'c..ter. c...t. c...t. c...t. c..t. c..t. c..t. c...t. c.t.'],
    [{ quarantine: 'off' }, '....... ...... ...... ...... ..... ..... ..... ...... ....'],
    [{ 'when-down': 'net' }, '....... ...... ...... ...... ..... ..... ..... ...... ....'],
  ],
}

const labelsOf = (short: Readonly<Record<string, string>>): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(short).map(([key, value]) => [
      key.startsWith('ps:') ? `pod-security.kubernetes.io/${key.slice(3)}` : `drawbridge.dev/${key}`,
      value,
    ]),
  )

for (const scope of ['namespaces', 'cluster'] as const) {
  describe(`each webhook entry on a real API server, scope ${scope}`, function () {
    this.timeout(120_000)
    let cluster: Cluster
    let client: KubernetesClient
    let recorder: Recorder
    const sentIn = (index: number): string => `entries-${scope}-${index}`
    const refusedIn = (index: number): string => `entries-${scope}-down-${index}`
    const namespaces = [
      ...SENT[scope].map(([short], index) => [sentIn(index), short] as const),
      ...REFUSED[scope].map(([short], index) => [refusedIn(index), short] as const),
    ]

    /** What the administrator's own requests caused, entry by entry; controllers make requests of their own. */
    const taken = (): readonly string[] => [
      ...new Set(
        recorder
          .take()
          .filter(({ user }) => user === 'admin')
          .map(({ path }) => path.slice(1)),
      ),
    ]
    const create = ({ resource, path, object }: Kind, namespace: string, name: string, dryRun = false) =>
      client.request('POST', `${path}/namespaces/${namespace}/${resource}`, {
        body: { ...object, metadata: { name } },
        query: { dryRun: dryRun ? 'All' : undefined },
      })
    const change = ({ resource, path }: Kind, namespace: string, name: string, { method, subresource, body }: Step) =>
      client.request(
        method,
        [
          `${path}/namespaces/${namespace}/${resource}/${name}`,
          ...(subresource === undefined ? [] : [subresource]),
        ].join('/'),
        { body, ...(method === 'PATCH' && { contentType: 'application/merge-patch+json' }) },
      )
    /** Does everything to one object, and says of each request what `outcome` makes of it. */
    const play = async (
      kind: Kind,
      namespace: string,
      outcome: (request: () => Promise<unknown>) => Promise<readonly string[]>,
    ): Promise<readonly (readonly [Letter, readonly string[]])[]> => {
      const played: (readonly [Letter, readonly string[]])[] = [
        ['c', await outcome(() => create(kind, namespace, 'made-now'))],
      ]
      for (const step of kind.steps) played.push([step.letter, await outcome(() => change(kind, namespace, 'x', step))])
      return played
    }

    before(async () => {
      cluster = sharedCluster()
      client = createClient(loadKubeConfig({ file: cluster.kubeconfig }))
      recorder = await startRecorder()
      await cluster.must(['apply', '-f', `${manifestsDirectory()}/crds`])
      const objects = namespaces.map(([name, short]) => ({
        apiVersion: 'v1',
        kind: 'Namespace',
        metadata: { name, labels: labelsOf(short) },
      }))
      await cluster.must(['create', '-f', '-'], objects.map((object) => JSON.stringify(object)).join('\n---\n'))
      if (cluster.hasControllers) {
        await waitFor(
          async () => {
            const accounts = await cluster.must(['get', 'sa', '-A', '-o', 'jsonpath={.items[*].metadata.namespace}'])
            return namespaces.every(([name]) => accounts.split(' ').includes(name))
          },
          30_000,
          'the service accounts',
        )
      }
      // What is changed later is there before anything is registered.
      for (const [name] of namespaces) for (const kind of KINDS) await create(kind, name, 'x')
      const options = {
        endpoint: { url: recorder.url },
        caBundle: recorder.caBundle,
        ownNamespace: 'entries-own',
        scope,
      }
      for (const object of webhookConfigurations({ ...options, podSecurityLabels: true })) {
        const webhooks = object.webhooks.map((webhook) => {
          const name = String(webhook['name']).replace('.drawbridge.dev', '')
          return {
            ...webhook,
            clientConfig: { ...(webhook['clientConfig'] as object), url: `${recorder.url}/${name}` },
          }
        })
        await cluster.must(['apply', '-f', '-'], JSON.stringify({ ...object, webhooks }))
      }
      const enforced = SENT[scope].findIndex(([short]) => short['enforce'] !== undefined)
      await waitFor(
        async () => {
          await create(POD, sentIn(enforced), 'probe', true)
          return taken().length === 2
        },
        30_000,
        'both configurations to be in force',
      )
    })

    after(async () => {
      await cluster?.kubectl(['delete', 'validatingwebhookconfiguration,mutatingwebhookconfiguration', 'drawbridge'])
      await cluster?.kubectl(['delete', 'namespace', ...namespaces.map(([name]) => name), '--wait=false'])
      await recorder?.stop()
      client?.close()
    })

    for (const [index, [short, ...rows]] of SENT[scope].entries()) {
      it(`${JSON.stringify(short)}: ${rows.map((row) => row.split(' ')[0]).join(', ') || 'nothing'}`, async () => {
        const found = new Map(rows.map((row) => [row.split(' ')[0] ?? '', [] as string[]]))
        for (const kind of KINDS) {
          const played = await play(kind, sentIn(index), async (request) => {
            await request()
            return taken()
          })
          assert.deepEqual(
            [...new Set(played.flatMap(([, entries]) => entries))].filter((entry) => !found.has(entry)),
            [],
            kind.resource,
          )
          for (const [entry, cells] of found)
            cells.push(played.map(([letter, entries]) => (entries.includes(entry) ? letter : '.')).join(''))
        }
        assert.deepEqual(
          [...found].map(([entry, cells]) => [entry, ...cells].join(' ')),
          rows,
        )
      })
    }

    it('sends every change of a profile, and none of an exception', async () => {
      const group = '/apis/drawbridge.dev/v1alpha1'
      const name = `entries-${scope}`
      const profile = { apiVersion: 'drawbridge.dev/v1alpha1', kind: 'AdmissionProfile', metadata: { name } }
      const spec = { extends: { level: 'baseline' } }
      const merge = { contentType: 'application/merge-patch+json' } as const
      await client.request('POST', `${group}/admissionprofiles`, { body: { ...profile, spec } })
      assert.deepEqual(taken(), ['profiles'])
      const annotation = { metadata: { annotations: { note: 'x' } } }
      await client.request('PATCH', `${group}/admissionprofiles/${name}`, { body: annotation, ...merge })
      assert.deepEqual(taken(), ['profiles'])
      await client.request('PATCH', `${group}/admissionprofiles/${name}`, {
        body: { spec: { requireDigest: true } },
        ...merge,
      })
      assert.deepEqual(taken(), ['profiles'])
      await client.request('DELETE', `${group}/admissionprofiles/${name}`)
      assert.deepEqual(taken(), ['profiles'])
      const exception = {
        apiVersion: 'drawbridge.dev/v1alpha1',
        kind: 'AdmissionException',
        metadata: { name },
        spec: {
          reason: 'a test',
          expiresAt: '2099-01-01T00:00:00Z',
          namespaces: ['shop'],
          serviceAccounts: ['*'],
          images: ['registry.example/shop/web:*'],
          checks: ['privileged'],
        },
      }
      await client.request('POST', `${group}/admissionexceptions`, { body: exception })
      await client.request('DELETE', `${group}/admissionexceptions/${name}`)
      assert.deepEqual(taken(), [])
    })

    describe('while nobody answers', () => {
      before(() => recorder.stop())

      const outcomeOf = async (request: () => Promise<unknown>): Promise<readonly string[]> => {
        try {
          await request()
          return []
        } catch (error) {
          assert.ok(error instanceof KubernetesError)
          assert.match(error.message, /failed calling webhook "[a-z-]+\.drawbridge\.dev"/)
          return ['refused']
        }
      }

      for (const [index, [short, expected]] of REFUSED[scope].entries()) {
        it(`${JSON.stringify(short)}: refuses ${expected}`, async () => {
          const cells: string[] = []
          for (const kind of KINDS) {
            const played = await play(kind, refusedIn(index), outcomeOf)
            cells.push(played.map(([letter, outcome]) => (outcome.length > 0 ? letter : '.')).join(''))
          }
          assert.equal(cells.join(' '), expected)
        })
      }

      it('refuses changes of profiles, and lets those of namespaces through', async () => {
        const spec = { extends: { level: 'baseline' } }
        const profile = {
          apiVersion: 'drawbridge.dev/v1alpha1',
          kind: 'AdmissionProfile',
          metadata: { name: 'p' },
          spec,
        }
        await assert.rejects(
          client.request('POST', '/apis/drawbridge.dev/v1alpha1/admissionprofiles', { body: profile }),
          /failed calling webhook "profiles\.drawbridge\.dev"/,
        )
        await client.request('PATCH', `/api/v1/namespaces/${refusedIn(0)}`, {
          body: { metadata: { labels: { 'drawbridge.dev/audit': 'nobody-knows' } } },
          contentType: 'application/merge-patch+json',
        })
      })
    })
  })
}
