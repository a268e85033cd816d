import assert from 'node:assert/strict'

import type { KubernetesClient } from '../../../src/adapters/kubernetes/client.ts'
import { readOwnNode, writeReport } from '../../../src/adapters/kubernetes/nodeReport.ts'
import { PROFILES_ANNOTATION } from '../../../src/kube/nodeReport.ts'
import { watchSeccompReports } from '../../../src/adapters/kubernetes/seccompReports.ts'

const NOW = Date.UTC(2026, 10, 22, 12)
const ago = (seconds: number): string => new Date(NOW - seconds * 1000).toISOString().replace('Z', '000Z')
const node = (name: string): object => ({ metadata: { name, uid: name, resourceVersion: '1', labels: { zone: 'a' } } })
const lease = (name: string, annotation: string | undefined, renewTime: unknown): object => ({
  metadata: {
    name,
    namespace: 'reports',
    uid: name,
    resourceVersion: '1',
    ...(annotation !== undefined && { annotations: { [PROFILES_ANNOTATION]: annotation } }),
  },
  spec: { renewTime },
})

/** Lists these, and watches in silence. */
const apiServer = (
  nodes: readonly object[],
  leases: readonly object[],
): Pick<KubernetesClient, 'request' | 'watch'> => ({
  request: (_method, path) =>
    Promise.resolve({ metadata: { resourceVersion: '1' }, items: path === '/api/v1/nodes' ? nodes : leases }),
  watch: (_path, _query, _onEvent, signal) =>
    new Promise((resolve) => signal.addEventListener('abort', () => resolve())),
})

describe('reports of nodes about seccomp profiles', () => {
  /** What is known of one node, `seconds` later. */
  async function known(annotation: string | undefined, renewTime: unknown, seconds = 0): Promise<readonly string[]> {
    const reports = watchSeccompReports({
      client: apiServer([node('n')], [lease('n', annotation, renewTime), lease('gone', '{"web":"1"}', ago(0))]),
      namespace: 'reports',
      now: () => NOW + seconds * 1000,
    })
    try {
      await reports.settled()
      const nodes = [...reports.nodes()]
      assert.deepEqual(
        nodes.map(({ name, labels }) => ({ name, labels })),
        [{ name: 'n', labels: { zone: 'a' } }],
      )
      return [...nodes[0]!.seccompProfiles]
    } finally {
      await reports.stop()
    }
  }

  for (const [what, annotation, renewTime, seconds, expected] of [
    ['a fresh one', '{"web":"1","no-ptrace":"2"}', ago(10), 0, ['web', 'no-ptrace']],
    ['one that says nothing is there', '{}', ago(10), 0, []],
    ['one that has just not expired', '{"web":"1"}', ago(0), 119, ['web']],
    ['one that has expired', '{"web":"1"}', ago(0), 120, []],
    ['one of a clock that is ahead', '{"web":"1"}', ago(-60), 0, ['web']],
    ['one from too far in the future', '{"web":"1"}', ago(-121), 0, []],
    ['one without a time', '{"web":"1"}', undefined, 0, []],
    ['one without an annotation', undefined, ago(0), 0, []],
    ['one that is no JSON', '{', ago(0), 0, []],
    ['one that is null', 'null', ago(0), 0, []],
  ] as const)
    it(`believes ${what} so far`, async () => assert.deepEqual(await known(annotation, renewTime, seconds), expected))

  it('knows no node before it knows all: the first page may be those that have the profile', async () => {
    const whole = apiServer([node('n')], [lease('n', '{"web":"1"}', ago(0))])
    let finish = (): void => undefined
    const isFinished = new Promise<void>((resolve) => (finish = resolve))
    const reports = watchSeccompReports({
      client: {
        watch: whole.watch,
        request: async (method, path, settings) => {
          if (path !== '/api/v1/nodes') return whole.request(method, path, settings)
          if (settings?.query?.['continue'] === undefined)
            return { metadata: { resourceVersion: '1', continue: 'more' }, items: [node('n')] }
          await isFinished
          return { metadata: { resourceVersion: '1' }, items: [node('late')] }
        },
      },
      namespace: 'reports',
      now: () => NOW,
    })
    try {
      await new Promise((resolve) => setImmediate(resolve))
      assert.deepEqual([...reports.nodes()], [])
      finish()
      await reports.settled()
      assert.deepEqual(
        [...reports.nodes()].map(({ name }) => name),
        ['n', 'late'],
      )
    } finally {
      finish()
      await reports.stop()
    }
  })
})

describe('the report of a node', () => {
  it('is about the node of the token', async () => {
    const extra = (fields: object): Pick<KubernetesClient, 'request'> => ({
      request: () => Promise.resolve({ status: { userInfo: { extra: fields } } }),
    })
    const fields = { 'authentication.kubernetes.io/node-name': ['n'], 'authentication.kubernetes.io/node-uid': ['u'] }
    assert.deepEqual(await readOwnNode(extra(fields)), { name: 'n', uid: 'u' })
    await assert.rejects(readOwnNode(extra({})), /does not say which node/)
  })

  it('is a Lease of the node, with its time to the microsecond', async () => {
    const sent: unknown[] = []
    const client: Pick<KubernetesClient, 'request'> = {
      request: (...all) => Promise.resolve(void sent.push(all)),
    }
    await writeReport(client, 'reports', { name: 'n.example', uid: 'u' }, new Map([['web', '1']]), NOW)
    assert.deepEqual(sent, [
      [
        'PATCH',
        '/apis/coordination.k8s.io/v1/namespaces/reports/leases/n.example',
        {
          query: { fieldManager: 'drawbridge-seccomp-sync', force: 'true' },
          contentType: 'application/apply-patch+yaml',
          body: {
            apiVersion: 'coordination.k8s.io/v1',
            kind: 'Lease',
            metadata: {
              name: 'n.example',
              namespace: 'reports',
              ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: 'n.example', uid: 'u' }],
              annotations: { 'drawbridge.dev/seccomp-profiles': '{"web":"1"}' },
            },
            spec: {
              holderIdentity: 'n.example',
              leaseDurationSeconds: 120,
              renewTime: '2026-11-22T12:00:00.000000Z',
            },
          },
        },
      ],
    ])
  })
})
