/** Alerts that are not true: what a sender can make of a credential of its own, and what it cannot. */
import assert from 'node:assert/strict'
import type { RuntimeAlert } from '../../src/alerts/types.ts'
import type { Correlator, CorrelatorOptions } from '../../src/correlator/api.ts'
import { createCorrelator } from '../../src/correlator/correlator.ts'
import { createMemoryParkingLot } from '../../src/correlator/parkingLot.ts'
import type { Outcome } from '../../src/correlator/types.ts'
import { createMemoryStore } from '../../src/verdicts/memoryStore.ts'
import { alert, container, DIGEST_A, DIGEST_B, directoryOf, HOUR, NOW, parseReference } from './support.ts'

const OTHERS_ID = 'beef00000002'
const MINUTE = 60_000

interface Rig {
  now: number
  readonly correlator: Correlator
  send(changes?: Partial<RuntimeAlert>): Promise<Outcome>
  /** The same alert again, as it was. */
  replay(alert: RuntimeAlert): Promise<Outcome>
  /** A new process on the same ledger. */
  restart(): Promise<void>
}

async function rig(options: Partial<CorrelatorOptions> = {}): Promise<Rig> {
  const store = options.store ?? createMemoryStore()
  const parking = createMemoryParkingLot()
  const state = { now: NOW }
  const start = async (): Promise<Correlator> => {
    const correlator = createCorrelator({ parseReference, clock: () => state.now, parking, ...options, store })
    await correlator.start()
    return correlator
  }
  let correlator = await start()
  const replay = async (one: RuntimeAlert): Promise<Outcome> => {
    const [outcome] = await correlator.handle([one])
    return outcome ?? assert.fail()
  }
  return Object.assign(state, {
    get correlator() {
      return correlator
    },
    replay,
    send: (changes: Partial<RuntimeAlert> = {}) => replay(alert(changes)),
    restart: async () => void (correlator = await start()),
  })
}

/** Two tenants on two nodes. */
const cluster = () =>
  directoryOf(
    container(),
    container({
      containerId: `${OTHERS_ID}${'0'.repeat(52)}`,
      namespace: 'bank',
      pod: 'ledger-1',
      podUid: 'uid-2',
      node: 'node2',
      reference: 'registry.example/bank/ledger:7',
      digests: [DIGEST_B],
      owner: 'bank/Deployment/ledger',
    }),
  )

const OTHERS = { containerId: OTHERS_ID, namespace: 'bank', pod: 'ledger-1', containerName: 'web' }

describe('forged alerts', () => {
  describe("about another node's container", () => {
    const sender = { name: 'falco-node1', node: 'node1' }

    it('are evidence without weight, whatever host name they claim', async () => {
      const it = await rig({ directory: cluster() })
      const outcome = await it.send({ ...OTHERS, credential: sender, node: 'node1' })
      assert.deepEqual(
        [outcome.decision, outcome.reason],
        ['wrong-node', 'the container runs on another node than the sender is bound to: evidence without weight'],
      )
      assert.deepEqual(it.correlator.list(), [])
    })

    it('are kept as evidence where there is a verdict, and change nothing else of it', async () => {
      const it = await rig({ directory: cluster() })
      await it.send({ ...OTHERS, rule: 'PTRACE attached to process' })
      const before = it.correlator.list()[0] ?? assert.fail()
      it.now += MINUTE
      const forged = { ...OTHERS, credential: sender, rule: 'Fileless execution via memfd_create', time: it.now }
      assert.equal((await it.send(forged)).decision, 'wrong-node')
      await it.correlator.sweep()
      const after = it.correlator.list()[0] ?? assert.fail()
      assert.deepEqual([after.phase, after.contributions], [before.phase, before.contributions])
      assert.deepEqual(
        after.evidence.map(({ rule, weight }) => [rule, weight]),
        [
          ['PTRACE attached to process', 60],
          ['Fileless execution via memfd_create', 0],
        ],
      )
    })

    it('weigh about containers of the own node, and without a binding about every node', async () => {
      const it = await rig({ directory: cluster() })
      assert.equal((await it.send({ credential: sender, node: 'a-wrong-host-name' })).decision, 'contributed')
      assert.equal((await it.send({ ...OTHERS, credential: { name: 'all' } })).decision, 'contributed')
    })

    it('do not take the place of the true alert: the same event from the right node counts', async () => {
      const it = await rig({ directory: cluster() })
      const event = alert({ ...OTHERS, credential: sender })
      assert.equal((await it.replay(event)).decision, 'wrong-node')
      const { decision } = await it.replay({ ...event, credential: { name: 'falco-node2', node: 'node2' } })
      assert.equal(decision, 'contributed')
    })

    it('are recognised when they waited for their container, also over a restart', async () => {
      const directory = directoryOf()
      const decisions: string[] = []
      const observe = { alertDecided: ({ decision }: Outcome) => void decisions.push(decision) }
      const it = await rig({ directory, observe })
      assert.equal((await it.send({ ...OTHERS, credential: sender })).decision, 'parked')
      await it.restart()
      const [others = assert.fail()] = cluster().findByPod('bank', 'ledger-1')
      directory.add(others)
      await it.correlator.observeContainer(others)
      assert.deepEqual([it.correlator.list(), decisions], [[], ['parked', 'wrong-node']])
    })

    it('standalone are told by the host name that they claim: there is no other', async () => {
      const it = await rig()
      assert.equal((await it.send({ credential: sender, node: 'node2' })).decision, 'wrong-node')
      assert.equal((await it.send({ credential: sender })).decision, 'wrong-node')
      assert.equal((await it.send({ credential: sender, node: 'node1' })).decision, 'contributed')
    })
  })

  describe('that contradict themselves', () => {
    for (const [what, changes] of [
      ["the own container's id, another tenant's pod", { namespace: 'bank', pod: 'ledger-1' }],
      ["another tenant's id, the own pod", { containerId: OTHERS_ID }],
      ['the right pod, another namespace', { namespace: 'bank' }],
      ['the right namespace, another pod', { pod: 'web-2' }],
    ] as const) {
      it(`decide nothing: ${what}`, async () => {
        const it = await rig({ directory: cluster() })
        const outcome = await it.send(changes)
        assert.deepEqual(
          [outcome.decision, outcome.reason, it.correlator.list()],
          ['unattributed', 'the container id belongs to another pod than the alert names', []],
        )
      })
    }

    it('decide nothing when the pod they name has another uid', async () => {
      const it = await rig({ directory: cluster() })
      const outcome = await it.send({ containerId: undefined, podUid: 'uid-of-yesterday' })
      assert.deepEqual([outcome.decision, it.correlator.list()], ['parked', []])
    })

    it('flag what runs, never the image that they claim', async () => {
      const it = await rig({ directory: cluster() })
      await it.send({ image: 'registry.example/bank/ledger:7', imageDigest: DIGEST_B })
      assert.deepEqual(
        it.correlator.list().map(({ digests, references }) => [digests, references]),
        [[[DIGEST_A], ['registry.example/shop/web:1.4.2']]],
      )
    })
  })

  describe('that were sent before', () => {
    it('count once, by whatever source and credential they come again', async () => {
      const it = await rig({ directory: cluster() })
      const event = alert()
      assert.equal((await it.replay(event)).decision, 'contributed')
      const before = it.correlator.list()
      assert.equal((await it.replay(event)).decision, 'duplicate')
      assert.equal((await it.replay({ ...event, source: 'falcosidekick' })).decision, 'duplicate')
      assert.equal((await it.replay({ ...event, credential: { name: 'another' } })).decision, 'duplicate')
      await it.restart()
      assert.equal((await it.replay(event)).decision, 'repeat')
      assert.deepEqual(it.correlator.list(), before)
    })

    for (const [what, time] of [
      ['its own time', NOW],
      ['a time in the future', NOW + 30 * 24 * HOUR],
      ['a time before 2015', 0],
      ['a time a little ahead', NOW + MINUTE],
    ] as const) {
      it(`do not bring back what was released, with ${what}`, async () => {
        const it = await rig({ directory: cluster() })
        const event = alert({ time })
        const { verdict = '' } = await it.replay(event)
        it.now += 10 * MINUTE
        await it.correlator.release(verdict, { by: 'ann', reason: 'a test', as: 'fixed' })
        for (const restarted of [false, true]) {
          if (restarted) await it.restart()
          it.now += MINUTE
          await it.replay(event)
          assert.equal(it.correlator.get(verdict)?.phase, 'released', `restarted: ${restarted}`)
        }
      })
    }

    it('say why they do not count after a release', async () => {
      const it = await rig({ directory: cluster() })
      const event = alert({ time: NOW + HOUR })
      const { verdict = '' } = await it.replay(event)
      await it.correlator.release(verdict, { by: 'ann', reason: 'a test', as: 'fixed' })
      await it.restart()
      it.now += MINUTE
      const outcome = await it.replay(event)
      assert.deepEqual(
        [outcome.decision, outcome.reason],
        [
          'implausible-time',
          'its time is in the future or before 2015, so it may be from before the release: evidence without weight',
        ],
      )
    })

    it('are told from a new act on a node whose clock is a little ahead', async () => {
      const it = await rig({ directory: cluster() })
      const { verdict = '' } = await it.send()
      await it.correlator.release(verdict, { by: 'ann', reason: 'a test', as: 'fixed' })
      it.now += MINUTE
      await it.send({ time: it.now + MINUTE })
      assert.equal(it.correlator.get(verdict)?.phase, 'denying')
    })
  })

  describe('with times that cannot be', () => {
    for (const [what, time, decision] of [
      ['older than a day', NOW - 25 * HOUR, 'too-old'],
      ['of 1970: the clock of the node is broken, the receipt counts', 0, 'contributed'],
      ['of the year 9999', Date.UTC(9999, 0, 1), 'contributed'],
    ] as const) {
      it(what, async () => {
        const it = await rig({ directory: cluster() })
        assert.equal((await it.send({ time })).decision, decision)
        for (const { expiresAt } of it.correlator.list()) assert.equal(expiresAt, NOW + 30 * 24 * HOUR)
      })
    }
  })

  describe('in great numbers', () => {
    const limited = (perHour: number): Partial<CorrelatorOptions> => ({
      verdictsPerHour: (name) => (name === 'noisy' ? perHour : undefined),
    })
    const about = (index: number, changes: Partial<RuntimeAlert> = {}): Partial<RuntimeAlert> => ({
      containerId: index.toString(16).padStart(12, '0'),
      image: `registry.example/app:${index}`,
      credential: { name: 'noisy' },
      ...changes,
    })

    it('accuse so many images an hour; others are not affected, and the hour ends', async () => {
      const it = await rig(limited(3))
      const outcomes = await it.correlator.handle(Array.from({ length: 5 }, (_, index) => alert(about(index))))
      assert.deepEqual(
        outcomes.map(({ decision }) => decision),
        ['contributed', 'contributed', 'contributed', 'over-budget', 'over-budget'],
      )
      assert.equal(
        outcomes[4]?.reason,
        'the sender has accused 3 images within an hour, as many as it may: evidence without weight',
      )
      assert.equal(it.correlator.list().length, 3)
      assert.equal((await it.send(about(4, { credential: { name: 'other' } }))).decision, 'contributed')
      it.now += HOUR - 1
      assert.equal((await it.send(about(6, { time: it.now }))).decision, 'over-budget')
      it.now += 1
      assert.equal((await it.send(about(6, { time: it.now }))).decision, 'contributed')
    })

    it('go on about images that were counted already or are denied anyway', async () => {
      const it = await rig(limited(1))
      const weak = { rule: 'PTRACE attached to process' }
      assert.equal((await it.send(about(1, weak))).phase, 'warning')
      assert.equal((await it.send(about(1))).phase, 'denying')
      await it.send(about(2, { credential: undefined }))
      it.now += MINUTE
      const again = await it.send(about(2, { rule: 'Fileless execution via memfd_create', time: it.now }))
      assert.equal(again.decision, 'contributed')
    })

    it('spend the budget of their own node only, where one credential is bound to many', async () => {
      const it = await rig(limited(1))
      const from = (node: string): Partial<RuntimeAlert> => ({ node, credential: { name: 'noisy', node } })
      assert.equal((await it.send(about(1, from('node1')))).decision, 'contributed')
      assert.equal((await it.send(about(2, from('node1')))).decision, 'over-budget')
      assert.equal((await it.send(about(3, from('node2')))).decision, 'contributed')
    })

    it('cost nothing when they weigh nothing', async () => {
      const it = await rig(limited(1))
      for (const index of [1, 2, 3])
        assert.equal((await it.send(about(index, { rule: 'Terminal shell in container' }))).decision, 'no-weight')
      assert.equal((await it.send(about(4))).decision, 'contributed')
    })

    it('count an event that was over the budget when it comes again later', async () => {
      const it = await rig(limited(1))
      await it.send(about(1))
      const event = alert(about(2))
      assert.equal((await it.replay(event)).decision, 'over-budget')
      it.now += HOUR
      assert.equal((await it.replay(event)).decision, 'contributed')
    })
  })
})
