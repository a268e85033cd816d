/** Which claimed uses of exceptions count. The API server is a script here; a real one is in test/cluster/exceptionUses.test.ts. */
import assert from 'node:assert/strict'
import { KubernetesError } from '../../../src/adapters/kubernetes/client.ts'
import { confirmUses } from '../../../src/adapters/kubernetes/confirmUses.ts'
import type { ConfirmUses } from '../../../src/adapters/kubernetes/confirmUses.ts'
import { waitFor } from '../../cluster/harness.ts'

const NOW = Date.UTC(2026, 10, 22)
const at = (secondsAgo: number): string => new Date(NOW - secondsAgo * 1000).toISOString()

const live = (uid: string, changes: object = {}): object => ({
  metadata: {
    name: 'web',
    namespace: 'shop',
    uid,
    creationTimestamp: at(2),
    annotations: { 'drawbridge.dev/exception': 'legacy,other' },
    ...changes,
  },
})
const claimed = (uid: string, changes: object = {}): object => ({ namespace: 'shop', name: 'web', uid, ...changes })

describe('confirming uses of exceptions', () => {
  let running: ConfirmUses | undefined
  afterEach(async () => {
    await running?.stop()
    running = undefined
  })

  /** `answer` decides each GET: the object, or an error. */
  const start = (answer: (path: string, earlier: number) => unknown) => {
    const [asked, confirmed, unconfirmed, problems] = [[], [], [], []] as [string[], string[], string[], string[]]
    running = confirmUses({
      now: () => NOW,
      roundMs: 1,
      client: {
        request: (method, path) => {
          assert.equal(method, 'GET')
          const found = answer(path, asked.push(path) - 1)
          return found instanceof Error ? Promise.reject(found) : Promise.resolve(found)
        },
      },
      onConfirmed: (names, by) => confirmed.push(`${names.join()} by ${by}`),
      onUnconfirmed: (reason, uses) => unconfirmed.push(`${reason} ${uses}`),
      onProblem: (problem) => problems.push(problem),
    })
    return { uses: running, asked, confirmed, unconfirmed, problems }
  }

  const gone = new KubernetesError(404, 'NotFound', 'not found')
  const down = new KubernetesError(0, 'Unreachable', 'connection refused')

  for (const [what, object, names, counted, dropped] of [
    ['a pod that is there', live('u'), ['legacy'], ['legacy by shop/Pod/web'], []],
    ['all that it refers to', live('u'), ['legacy', 'other'], ['legacy,other by shop/Pod/web'], []],
    [
      'for the workload that the live pod names, not the review',
      live('u', { ownerReferences: [{ kind: 'DaemonSet', name: 'agent', controller: true }] }),
      ['legacy'],
      ['legacy by shop/DaemonSet/agent'],
      [],
    ],
    ['nothing for a pod of another uid', live('v'), ['legacy'], [], ['no-such-pod 1']],
    [
      'nothing for what it does not refer to',
      live('u'),
      ['legacy', 'x'],
      ['legacy by shop/Pod/web'],
      ['not-referred 1'],
    ],
    ['nothing for a pod that refers to nothing', live('u', { annotations: null }), ['legacy'], [], ['not-referred 1']],
    ['nothing for a pod of last week', live('u', { creationTimestamp: at(600_000) }), ['legacy'], [], ['not-recent 1']],
    [
      'a pod of five minutes ago',
      live('u', { creationTimestamp: at(300) }),
      ['legacy'],
      ['legacy by shop/Pod/web'],
      [],
    ],
    ['nothing for an older one', live('u', { creationTimestamp: at(301) }), ['legacy'], [], ['not-recent 1']],
    ['nothing for a pod without a time', live('u', { creationTimestamp: 'x' }), ['legacy'], [], ['not-recent 1']],
    [
      'an old pod that somebody changed just now',
      live('u', {
        creationTimestamp: at(600_000),
        managedFields: [{ time: at(1), subresource: 'ephemeralcontainers' }],
      }),
      ['legacy'],
      ['legacy by shop/Pod/web'],
      [],
    ],
    [
      'nothing for an old pod of which only the status changed',
      live('u', { creationTimestamp: at(600_000), managedFields: [null, { time: at(1), subresource: 'status' }, 'x'] }),
      ['legacy'],
      [],
      ['not-recent 1'],
    ],
    ['nothing for an answer that is no pod', null, ['legacy'], [], ['no-such-pod 1']],
  ] as const) {
    it(`counts ${what}`, async () => {
      const { uses, asked, confirmed, unconfirmed } = start(() => object)
      uses.claim(names, claimed('u'))
      await waitFor(() => confirmed.length + unconfirmed.length > 0, 1000, 'an outcome')
      assert.deepEqual([confirmed, unconfirmed, asked], [counted, dropped, ['/api/v1/namespaces/shop/pods/web']])
    })
  }

  it('counts a pod once for each exception, however often a review is repeated', async () => {
    const { uses, asked, confirmed } = start(() => live('u'))
    for (let copy = 0; copy < 50; copy += 1) uses.claim(['legacy'], claimed('u'))
    await waitFor(() => confirmed.length === 1, 1000, 'the use')
    assert.equal(asked.length, 1)
    uses.claim(['legacy'], claimed('u'))
    uses.claim(['legacy', 'other'], claimed('u'))
    await waitFor(() => asked.length === 3, 1000, 'the reads')
    await uses.stop()
    assert.deepEqual(confirmed, ['legacy by shop/Pod/web', 'other by shop/Pod/web'])
  })

  it('asks nothing for names that cannot exist, or for a pod without uid', () => {
    const { uses, asked, unconfirmed } = start(() => live('u'))
    for (const changes of [
      { name: '../../secrets/x' },
      { name: '..' },
      { name: '' },
      { name: 'a?b' },
      { namespace: undefined },
      { namespace: 'a/b' },
      { uid: undefined },
      { uid: 'x'.repeat(65) },
    ])
      uses.claim(['legacy'], claimed('u', changes))
    assert.deepEqual([asked, unconfirmed], [[], Array(8).fill('no-such-pod 1')])
  })

  it('asks again where the pod is not there yet, and at most three times', async () => {
    const late = start((_path, earlier) => (earlier === 0 ? gone : live('u')))
    late.uses.claim(['legacy'], claimed('u'))
    await waitFor(() => late.confirmed.length === 1, 1000, 'the second read')
    await late.uses.stop()
    const never = start(() => gone)
    never.uses.claim(['legacy'], claimed('u'))
    await waitFor(() => never.unconfirmed.length === 1, 2000, 'giving up')
    assert.deepEqual([never.asked.length, never.unconfirmed, never.problems], [3, ['no-such-pod 1'], []])
  })

  it('says it when the API server cannot be asked, and counts nothing', async () => {
    const { uses, confirmed, unconfirmed, problems } = start(() => down)
    uses.claim(['legacy'], claimed('u'))
    await waitFor(() => unconfirmed.length === 1, 2000, 'giving up')
    assert.deepEqual([confirmed, unconfirmed], [[], ['error 1']])
    assert.deepEqual(new Set(problems), new Set(['uses of exceptions cannot be confirmed: connection refused']))
  })

  it('reads at most 20 pods a round, lets 1,000 wait, and drops what is beyond', async () => {
    let concurrent = 0
    let most = 0
    const { uses, asked, unconfirmed, confirmed } = start((path) => {
      most = Math.max(most, (concurrent += 1))
      queueMicrotask(() => (concurrent -= 1))
      return live(/[^/]*$/.exec(path)?.[0] ?? '')
    })
    for (let index = 0; index < 1005; index += 1) uses.claim(['legacy'], claimed(`u${index}`, { name: `u${index}` }))
    assert.deepEqual([asked, unconfirmed], [[], Array(5).fill('too-many 1')])
    await waitFor(() => confirmed.length === 1000, 5000, 'all that had room')
    assert.equal(most, 20)
  })

  it('asks once more at the end, and then no more', async () => {
    const { uses, asked, confirmed } = start(() => live('u'))
    uses.claim(['legacy'], claimed('u'))
    await uses.stop()
    assert.deepEqual([asked.length, confirmed.length], [1, 1])
    uses.claim(['other'], claimed('u'))
    await uses.stop()
    assert.deepEqual([asked.length, confirmed.length], [1, 1])
  })
})
