import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { falcosidekick } from '../../src/alerts/sources/falcosidekick.ts'
import type { RuntimeAlert } from '../../src/alerts/types.ts'
import type { Correlator, CorrelatorOptions } from '../../src/correlator/api.ts'
import { createCorrelator } from '../../src/correlator/correlator.ts'
import { createMemoryParkingLot } from '../../src/correlator/parkingLot.ts'
import type { Outcome } from '../../src/correlator/types.ts'
import { NoSuchVerdictError } from '../../src/correlator/writer.ts'
import { parseReference as parseStrictly } from '../../src/kube/reference.ts'
import { createVerdictIndex } from '../../src/verdicts/index.ts'
import { imageNames } from '../../src/verdicts/nameIndex.ts'
import { readVerdict, writeVerdict } from '../../src/verdicts/serialize.ts'
import { createMemoryStore } from '../../src/verdicts/memoryStore.ts'
import { StoreBusyError, type ImageVerdict, type VerdictStore } from '../../src/verdicts/types.ts'
import {
  alert,
  container,
  DIGEST_A,
  DIGEST_B,
  directoryOf,
  type FakeDirectory,
  findings,
  fixture,
  HOUR,
  NOW,
  parseReference,
} from './support.ts'
import { loaded } from './loaded.ts'

const NAME_A = `sha256-${'a'.repeat(64)}`
const TAG = 'registry.example/shop/web:1.4.2'
const SHELL = { rule: 'Terminal shell in container' }
const PTRACE = { rule: 'PTRACE attached to process' }

interface Rig extends Correlator {
  now: number
  readonly writes: () => number
  readonly phases: readonly string[]
  readonly decided: readonly Outcome[]
}

/** A store that counts what reaches it and can be held or broken. */
function counting(store: VerdictStore): VerdictStore & { writes: number; before: () => Promise<void> } {
  const wrapped = {
    ...store,
    writes: 0,
    before: (): Promise<void> => Promise.resolve(),
    write: async (name: string, update: (current: ImageVerdict | undefined) => ImageVerdict) => {
      wrapped.writes++
      await wrapped.before()
      return store.write(name, update)
    },
  }
  return wrapped
}

async function rig(
  options: Partial<CorrelatorOptions> = {},
): Promise<Rig & { readonly store: ReturnType<typeof counting> }> {
  const store = counting(options.store ?? createMemoryStore())
  const phases: string[] = []
  const decided: Outcome[] = []
  const state = { now: NOW }
  const correlator = createCorrelator({
    parseReference,
    clock: () => state.now,
    ...options,
    store,
    observe: {
      alertDecided: (outcome) => void decided.push(outcome),
      phaseChanged: (verdict, from) => void phases.push(`${from} -> ${verdict.phase}`),
      ...options.observe,
    },
  })
  await correlator.start()
  return Object.assign(state, correlator, { writes: () => store.writes, phases, decided, store })
}

async function one(correlator: Correlator, changes: Partial<RuntimeAlert> = {}): Promise<Outcome> {
  const [outcome] = await correlator.handle([alert(changes)])
  return outcome ?? assert.fail()
}

/** Names and phases after handling the groups one after the other. */
const phasesAfter = async (groups: readonly (readonly RuntimeAlert[])[]): Promise<unknown> => {
  const it = await rig()
  for (const group of groups) await it.handle(group)
  return it.list().map(({ name, phase }) => [name, phase])
}

describe('correlator', () => {
  it('denies an image after a drop, standalone', async () => {
    const it = await rig()
    const outcome = await one(it, { imageDigest: DIGEST_A })
    assert.deepEqual([outcome.decision, outcome.phase, outcome.crossed], ['contributed', 'denying', true])
    const [verdict] = it.list()
    assert.deepEqual(
      [verdict?.name, verdict?.digests, verdict?.references, verdict?.phase],
      [outcome.verdict, [DIGEST_A], [TAG], 'denying'],
    )
    assert.deepEqual(it.phases, ['undefined -> denying'])
  })

  it('denies in a cluster by the cluster’s digests, never by the alert’s', async () => {
    const it = await rig({ directory: directoryOf(container({ digests: [DIGEST_B, DIGEST_A] })) })
    const outcome = await one(it, { image: 'registry.example/victim:1', imageDigest: `sha256:${'9'.repeat(64)}` })
    assert.equal(outcome.verdict, `sha256-${'b'.repeat(64)}`)
    assert.deepEqual([it.list()[0]?.digests, it.list()[0]?.references], [[DIGEST_A, DIGEST_B], [TAG]])
    assert.equal(it.list()[0]?.contributions['drop|falco|shop/Deployment/web']?.weight, 100)
  })

  it('denies the image that has only a config id, from the real alerts of a kubelet', async () => {
    const alerts = findings('kubelet-pod-extra-fields.jsonl')
    const id = alerts[0]?.containerId ?? ''
    const it = await rig({
      directory: directoryOf(
        container({ containerId: id, pod: 'web-67f6c6fd9d-rzxt5', podUid: alerts[0]?.podUid ?? '' }),
      ),
    })
    const outcomes = await it.handle(alerts)
    assert.deepEqual(
      outcomes.map(({ decision }) => decision),
      ['contributed', 'contributed', 'contributed', 'contributed', 'contributed', 'no-weight'],
    )
    assert.deepEqual(outcomes.filter(({ crossed }) => crossed).length, 1)
    assert.deepEqual([it.get(NAME_A)?.phase, it.writes()], ['denying', 1])
  })

  it('takes one alert that came by Falco and by Falcosidekick as one', async () => {
    const [direct] = findings('kubelet-pod-extra-fields.jsonl')
    const [line = ''] = fixture('kubelet-pod-extra-fields.jsonl').split('\n')
    const forwarded = falcosidekick.decode({ ...(JSON.parse(line) as object), uuid: 'x', tags: [] })
    assert.ok(direct !== undefined && forwarded.kind === 'finding')
    for (const order of [
      [direct, forwarded.alert],
      [forwarded.alert, direct],
    ]) {
      const together = await rig()
      assert.deepEqual(
        (await together.handle(order)).map(({ decision }) => decision),
        ['contributed', 'duplicate'],
      )
      const apart = await rig()
      const decisions = [await apart.handle(order.slice(0, 1)), await apart.handle(order.slice(1))]
        .flat()
        .map(({ decision }) => decision)
      assert.deepEqual(decisions, ['contributed', 'duplicate'])
      for (const it of [together, apart]) {
        assert.deepEqual([Object.keys(it.list()[0]?.contributions ?? {}).length, it.list()[0]?.evidence.length], [1, 1])
      }
    }
  })

  it('does not take an event for a duplicate that came before without its image', async () => {
    const event = alert()
    for (const lacking of [
      { ...event, image: undefined },
      { ...event, containerId: 'host' },
    ]) {
      const apart = await rig()
      const decisions = [...(await apart.handle([lacking])), ...(await apart.handle([event, event]))]
      assert.deepEqual(
        decisions.map(({ decision }) => decision),
        [lacking.containerId === 'host' ? 'host' : 'unattributed', 'contributed', 'duplicate'],
      )
    }
    const together = await rig()
    const outcomes = await together.handle([{ ...event, image: undefined }, event])
    assert.deepEqual(
      outcomes.map(({ decision }) => decision),
      ['unattributed', 'contributed'],
    )
  })

  it('tells pods apart that report no container id in the same second', async () => {
    const it = await rig()
    const event = alert({ containerId: undefined })
    const others = [{ pod: 'web-2' }, { namespace: 'pay' }, { image: 'registry.example/b:1' }, {}]
    const outcomes = await it.handle([event, ...others.map((change) => ({ ...event, ...change }))])
    assert.deepEqual(
      outcomes.map(({ decision }) => decision),
      ['contributed', 'contributed', 'contributed', 'contributed', 'duplicate'],
    )
  })

  const algorithms: readonly (readonly [string, string])[] = [
    ['sha256', `sha256:${'7'.repeat(64)}`],
    ['sha384', `sha384:${'7'.repeat(96)}`],
    ['sha512', `sha512:${'7'.repeat(128)}`],
  ]
  for (const [algorithm, digest] of algorithms) {
    it(`denies an image that is pinned by ${algorithm}, and reads its verdict back`, async () => {
      const image = `registry.example/shop/web@${digest}`
      for (const directory of [undefined, directoryOf(container({ reference: image, digests: [digest] }))]) {
        const it = await rig({ parseReference: parseStrictly, directory })
        assert.equal((await one(it, { image })).phase, 'denying')
        assert.equal((await one(it, { image, pod: 'web-1', time: NOW - 60_000 })).decision, 'contributed')
        const [verdict] = it.list()
        assert.ok(verdict !== undefined && it.list().length === 1)
        assert.deepEqual(readVerdict(JSON.parse(writeVerdict(verdict))), { verdict })
        const found = createVerdictIndex(it.list()).find(parseStrictly(image) ?? assert.fail(), NOW, 'shop')
        assert.ok(found?.answer === 'denying' && imageNames(found.verdict).includes(digest))
      }
    })
  }

  it('makes only verdicts that are read back as they are, from whatever alerts', async () => {
    const text = fc.string({
      unit: fc.constantFrom('a', '\ud800', '\u0000', '\u202e', '😀', '|', '/', '"'),
      maxLength: 400,
    })
    const hostile = fc.record(
      {
        rule: fc.constantFrom('Drop and execute new binary in container', 'Ours'),
        image: fc.oneof(
          text,
          fc.constantFrom(
            ...algorithms.map(([, digest]) => `r.example/a@${digest}`),
            `r.example/${'a/'.repeat(119)}b:1`,
            'nginx:1',
          ),
        ),
        imageDigest: fc.constantFrom(undefined, ...algorithms.map(([, digest]) => digest)),
        namespace: text,
        pod: text,
        node: text,
        priority: text,
        target: text,
        time: fc.integer({ min: 0, max: NOW + HOUR }),
      },
      { noNullPrototype: true },
    )
    await fc.assert(
      fc.asyncProperty(fc.array(hostile, { maxLength: 8 }), async (list) => {
        const it = await rig({ parseReference: parseStrictly })
        await it.handle(list.map((item) => alert(item)))
        for (const verdict of it.list()) {
          assert.deepEqual(readVerdict(JSON.parse(writeVerdict(verdict))), { verdict })
        }
      }),
      { numRuns: 60 },
    )
  })

  const decisions: readonly (readonly [string, Partial<RuntimeAlert>, string, number])[] = [
    ['a terminal shell', SHELL, 'no-weight', 0],
    ['a rule nobody knows', { rule: 'Ours' }, 'no-weight', 0],
    ['a host process', { containerId: 'host' }, 'host', 0],
    ['an event of yesterday', { time: NOW - 25 * HOUR }, 'too-old', 0],
    ['an alert without image', { image: undefined }, 'unattributed', 0],
    ['an event of the future', { time: NOW + HOUR }, 'contributed', 1],
    ['an event of 1970', { time: 0 }, 'contributed', 1],
  ]
  for (const [name, change, decision, writes] of decisions) {
    it(`decides ${decision} for ${name}`, async () => {
      const it = await rig()
      assert.equal((await one(it, change)).decision, decision)
      assert.deepEqual([it.writes(), it.list().length], [writes, writes])
      for (const verdict of it.list()) assert.equal(Object.values(verdict.contributions)[0]?.last, NOW)
    })
  }

  it('acknowledges an effect that is durable already without a write', async () => {
    const it = await rig()
    await one(it)
    it.now += 60_000
    const outcomes = [
      await one(it, { time: NOW + 10_000 }),
      await one(it, { time: NOW - 5000, target: '/tmp/other' }),
      await one(it, { time: NOW + 10_001 }),
    ]
    assert.deepEqual(
      outcomes.map(({ decision }) => decision),
      ['repeat', 'repeat', 'contributed'],
    )
    assert.equal(it.writes(), 2)
    assert.deepEqual(
      it.list()[0]?.evidence.map(({ target }) => target),
      ['/tmp/sleep', '/tmp/other'],
      'evidence goes along with the next write',
    )
  })

  it('writes again when the same class weighs more now', async () => {
    const overrides = new Map([['Ours', { class: 'drop', weight: 20 }]])
    const it = await rig({ rules: { overrides } })
    const weak = await one(it, { rule: 'Ours' })
    const strong = await one(it)
    const weakAgain = await one(it, { rule: 'Ours' })
    assert.deepEqual(
      [weak, strong, weakAgain].map(({ decision, phase }) => [decision, phase]),
      [
        ['contributed', 'observing'],
        ['contributed', 'denying'],
        ['repeat', 'denying'],
      ],
    )
  })

  it('writes evidence alone at most every 10 s, and only where there is a verdict', async () => {
    const it = await rig()
    await one(it, SHELL)
    await it.sweep()
    assert.equal(it.writes(), 0)
    await one(it)
    await one(it, SHELL)
    await it.sweep()
    assert.deepEqual([it.writes(), it.list()[0]?.evidence.length], [2, 2])
    await one(it, { ...SHELL, target: 'b' })
    it.now += 9_999
    await it.sweep()
    assert.equal(it.writes(), 2)
    it.now += 1
    await it.sweep()
    assert.deepEqual([it.writes(), it.list()[0]?.evidence.length], [3, 3])
  })

  it('makes no verdict of evidence whose verdict was deleted', async () => {
    const it = await rig()
    const { verdict = '' } = await one(it)
    await one(it, SHELL)
    await it.store.remove?.(verdict, () => true)
    await it.sweep()
    assert.deepEqual(it.list(), [])
  })

  it('writes at once and puts what arrives meanwhile into one next write', async () => {
    const it = await rig()
    let release: (() => void) | undefined
    it.store.before = () => new Promise((resolve) => (release = resolve))
    const first = one(it)
    await new Promise(setImmediate)
    assert.equal(it.writes(), 1)
    const others = Array.from({ length: 30 }, (_, n) => one(it, { pod: `api-${n}` }))
    await new Promise(setImmediate)
    assert.equal(it.writes(), 1)
    it.store.before = () => Promise.resolve()
    release?.()
    await Promise.all([first, ...others])
    assert.deepEqual([it.writes(), Object.keys(it.list()[0]?.contributions ?? {}).length], [2, 31])
  })

  it('resolves only after the write, and a failed one can be sent again', async () => {
    const it = await rig()
    it.store.before = () => Promise.reject(new StoreBusyError('full'))
    const event = alert()
    await assert.rejects(it.handle([event]), StoreBusyError)
    assert.deepEqual(it.list(), [])
    it.store.before = () => Promise.resolve()
    assert.equal((await it.handle([event]))[0]?.decision, 'contributed')
    assert.equal((await it.handle([event]))[0]?.decision, 'duplicate')
  })

  it('refuses more changes than may wait', async () => {
    const it = await rig({ limits: { waitingChanges: 2 } })
    await assert.rejects(it.handle([alert({ pod: 'a' }), alert({ pod: 'b' }), alert({ pod: 'c' })]), StoreBusyError)
  })

  it('warns of a ptrace attach and denies it with a second class', async () => {
    const it = await rig()
    assert.equal((await one(it, PTRACE)).phase, 'warning')
    assert.equal((await one(it, { rule: 'Execution from /dev/shm' })).phase, 'denying')
    assert.deepEqual(it.phases, ['undefined -> warning', 'warning -> denying'])
  })

  describe('with a cluster', () => {
    const PARKED = { containerId: 'abcdef012345', pod: 'web-2' }
    const COMES = container({ containerId: 'abcdef012345'.padEnd(64, '0'), pod: 'web-2', podUid: 'uid-2' })

    async function parkedRig(): Promise<{
      readonly it: Rig
      readonly directory: FakeDirectory
      readonly parking: ReturnType<typeof createMemoryParkingLot>
    }> {
      const directory = directoryOf(container())
      const parking = createMemoryParkingLot()
      const it = await rig({ directory, parking })
      assert.equal((await one(it, PARKED)).decision, 'parked')
      return { it, directory, parking }
    }

    it('parks an alert that is faster than the pod status, and contributes when it comes', async () => {
      const { it, directory, parking } = await parkedRig()
      assert.equal((await parking.list()).length, 1)
      it.now += 3000
      await it.observeContainer(container())
      assert.equal((await parking.list()).length, 1)
      directory.add(COMES)
      await it.observeContainer(COMES)
      assert.equal((await parking.list()).length, 0)
      assert.deepEqual(
        it.decided.map(({ decision }) => decision),
        ['parked', 'contributed'],
      )
      assert.deepEqual([it.get(NAME_A)?.phase, it.unattributed()], ['denying', []])
    })

    it('finds parked alerts again after a restart', async () => {
      const { directory, parking } = await parkedRig()
      const again = await rig({ directory, parking })
      directory.add(COMES)
      await again.observeContainer(COMES)
      assert.equal(again.get(NAME_A)?.phase, 'denying')
    })

    it('gives up after 120 s, keeps the alert in the list and takes it for nothing', async () => {
      const { it, parking } = await parkedRig()
      it.now += 120_000
      await it.sweep()
      assert.equal((await parking.list()).length, 1)
      it.now += 1
      await it.sweep()
      assert.deepEqual([await parking.list(), it.list()], [[], []])
      assert.deepEqual(
        it.unattributed().map(({ decision, reason }) => [decision, reason]),
        [['unattributed', 'no pod status shows this pod and container']],
      )
    })

    it('tries an event again that nobody could place in time', async () => {
      const { it, directory } = await parkedRig()
      const [{ alert: event } = assert.fail()] = it.decided
      it.now += 120_001
      await it.sweep()
      directory.add(COMES)
      assert.equal((await it.handle([event]))[0]?.decision, 'contributed')
    })

    it('does not park what has no weight or no ids, and does not fail when the lot is full', async () => {
      const it = await rig({ directory: directoryOf(), parking: createMemoryParkingLot(1) })
      const outcomes = await it.handle([
        alert({ ...PARKED, ...SHELL }),
        alert({ containerId: undefined, pod: undefined }),
        alert(PARKED),
        alert(PARKED),
      ])
      assert.deepEqual(
        outcomes.map(({ decision }) => decision),
        ['no-weight', 'unattributed', 'parked', 'unattributed'],
      )
    })

    it('gives one unknown container only a share of the lot, each rule, sender and target its own', async () => {
      const it = await rig({ directory: directoryOf(), parking: createMemoryParkingLot(200) })
      let time = NOW - HOUR
      const flood = async (count: number, fields: (n: number) => Partial<RuntimeAlert>): Promise<number> => {
        const outcomes = await it.handle(
          Array.from({ length: count }, (_, n) => alert({ ...PARKED, time: time++, ...fields(n) })),
        )
        return outcomes.filter(({ decision }) => decision === 'parked').length
      }
      assert.equal(await flood(100, () => ({ target: '/bin/same' })), 8)
      assert.equal(await flood(500, (n) => ({ target: `/tmp/${n}` })), 56)
      assert.equal(await flood(1, () => ({ target: '/tmp/last' })), 0)
      // Another rule, another sender, another container.
      assert.equal(await flood(1, () => ({ rule: 'Fileless execution via memfd_create' })), 1)
      assert.equal(await flood(1, () => ({ credential: { name: 'other' } })), 1)
      assert.equal(await flood(1, () => ({ containerId: 'e'.repeat(64) })), 1)
      // Once they no longer wait there is room again.
      it.now += 121_000
      await it.sweep()
      assert.equal(await flood(1, () => ({ target: '/bin/same' })), 1)
    })

    it('bounds the list of unattributed alerts', async () => {
      const it = await rig({ directory: directoryOf(), limits: { unattributed: 3 } })
      await it.handle(Array.from({ length: 10 }, () => alert({ containerId: undefined, pod: undefined })))
      assert.equal(it.unattributed().length, 3)
    })

    it('lets a new name of a flagged digest join, and digests of one image meet', async () => {
      const it = await rig({ directory: directoryOf(container()) })
      await one(it)
      await it.observeContainer(container({ reference: 'registry.example/copy:1', digests: [DIGEST_A, DIGEST_B] }))
      assert.deepEqual(
        [it.get(NAME_A)?.references, it.get(NAME_A)?.digests],
        [
          [TAG, 'registry.example/copy:1'],
          [DIGEST_A, DIGEST_B],
        ],
      )
      const writes = it.writes()
      await it.observeContainer(container({ reference: 'registry.example/copy:1', digests: [DIGEST_A, DIGEST_B] }))
      assert.equal(it.writes(), writes)
    })

    it('lets a tag leave that was pushed again, when no flagged image was seen under it for 24 h', async () => {
      const old = container()
      const directory = directoryOf(old)
      const it = await rig({ directory })
      await it.observeContainer(old)
      await one(it)
      assert.deepEqual(it.get(NAME_A)?.references, [TAG])
      const pushed = container({ containerId: 'b'.repeat(64), digests: [DIGEST_B], firstSeen: NOW })
      directory.add(pushed)
      await it.observeContainer(pushed)
      assert.deepEqual(it.get(NAME_A)?.references, [TAG], 'some node may still serve the old one')
      await it.observeContainer(old)
      it.now += 60_000
      await one(it, { time: NOW + 50_000 })
      await it.sweep()
      assert.deepEqual([it.get(NAME_A)?.references, it.get(NAME_A)?.phase], [[TAG], 'denying'])
      // The last container of the old image has been gone for 24 h.
      directory.clear()
      directory.add(pushed)
      it.now += HOUR
      await it.sweep()
      assert.deepEqual([it.get(NAME_A)?.references, it.get(NAME_A)?.phase], [[], 'denying'])
    })

    it('keeps a tag that nothing else was seen under, however long ago', async () => {
      const directory = directoryOf(container())
      const it = await rig({ directory })
      await it.observeContainer(container())
      await one(it)
      directory.clear()
      it.now += 5 * 24 * HOUR
      await it.sweep()
      assert.deepEqual(it.get(NAME_A)?.references, [TAG])
      await it.observeContainer(container({ containerId: 'b'.repeat(64), digests: [DIGEST_B], firstSeen: it.now }))
      assert.deepEqual(it.get(NAME_A)?.references, [], 'a new image alone makes it leave')
    })

    it('denies the tag of a flagged image that another one was seen under since', async () => {
      const directory = directoryOf(container())
      const it = await rig({ directory })
      await it.observeContainer(container())
      await it.observeContainer(container({ containerId: 'b'.repeat(64), digests: [DIGEST_B], firstSeen: NOW }))
      await one(it)
      assert.deepEqual(it.get(NAME_A)?.references, [TAG])
    })

    describe('and more names than a verdict holds', () => {
      const other = (n: number): string => `registry.example/a:${String(n).padStart(3, '0')}`
      const deniedBy = (it: Rig, text: string): string | undefined => {
        const found = createVerdictIndex(it.list()).find(parseReference(text) ?? assert.fail(), it.now, 'shop')
        return found?.answer
      }
      const observed = async (): Promise<{ readonly it: Rig; readonly directory: FakeDirectory }> => {
        const directory = directoryOf(container())
        const it = await rig({ directory })
        await one(it)
        for (let n = 0; n < 100; n++) await it.observeContainer(container({ reference: other(n) }))
        return { it, directory }
      }
      const alertOf = async ({ it, directory }: Awaited<ReturnType<typeof observed>>, n: number): Promise<Outcome> => {
        const containerId = (0xabc0000 + n).toString(16).padEnd(64, '0')
        directory.add(container({ containerId, pod: `p-${n}`, reference: other(n) }))
        return one(it, { containerId, pod: `p-${n}` })
      }

      it('denies the name of the alert, however many others the image is given', async () => {
        const { it } = await observed()
        assert.equal(it.get(NAME_A)?.references.length, 32)
        assert.deepEqual(
          [deniedBy(it, TAG), deniedBy(it, other(0)), deniedBy(it, other(99))],
          ['denying', 'denying', undefined],
        )
      })

      it('denies the name of a new alert, by a verdict of its own where the names of alerts fill the first', async () => {
        const full = await observed()
        for (let n = 60; n < 100; n++) assert.equal((await alertOf(full, n)).decision, 'contributed')
        const { it } = full
        for (let n = 60; n < 100; n++) assert.equal(deniedBy(it, other(n)), 'denying', other(n))
        assert.deepEqual([deniedBy(it, TAG), deniedBy(it, other(0))], ['denying', undefined])
        assert.equal(it.list().length, 1 + 40 - 31)
        await it.observeContainer(container({ reference: other(99) }))
        assert.equal(deniedBy(it, other(99)), 'denying', 'a pod of the same image confirms the name')
        await it.observeContainer(container({ reference: other(99), digests: [DIGEST_B], firstSeen: NOW }))
        assert.equal(deniedBy(it, other(99)), undefined, 'the tag names another image now')
        const writes = it.writes()
        assert.equal((await one(it, { containerId: (0xabc0000 + 98).toString(16), pod: 'p-98' })).decision, 'repeat')
        assert.equal(it.writes(), writes)
      })

      it('denies every digest of a tag, standalone', async () => {
        const it = await rig()
        const digest = (n: number): string => `sha256:${n.toString(16).padStart(64, '0')}`
        for (let n = 40; n > 0; n--) assert.equal((await one(it, { imageDigest: digest(n) })).phase, 'denying')
        for (let n = 40; n > 0; n--) {
          assert.equal(deniedBy(it, `registry.example/shop/web@${digest(n)}`), 'denying', digest(n))
        }
        await it.handle(
          Array.from({ length: 80 }, (_, n) => alert({ imageDigest: digest(n + 41), image: 'registry.example/b:1' })),
        )
        for (let n = 41; n <= 120; n++)
          assert.equal(deniedBy(it, `registry.example/b@${digest(n)}`), 'denying', digest(n))
      })
    })

    it('contributes to the verdict that holds any of the digests', async () => {
      const directory = directoryOf(
        container(),
        container({
          containerId: 'd'.repeat(64),
          digests: [DIGEST_B, DIGEST_A],
          pod: 'web-3',
          owner: 'shop/Deployment/b',
        }),
      )
      const it = await rig({ directory })
      await one(it, PTRACE)
      assert.equal((await one(it, { ...PTRACE, containerId: 'd'.repeat(12), pod: 'web-3' })).verdict, NAME_A)
      assert.deepEqual([it.list().length, Object.keys(it.get(NAME_A)?.contributions ?? {}).length], [1, 2])
    })
  })

  describe('release and time', () => {
    it('releases, stays released on older events, returns on later ones', async () => {
      const it = await rig()
      const { verdict = '' } = await one(it)
      it.now += HOUR
      const released = await it.release(verdict, { by: 'ann', reason: 'a test', as: 'fixed' })
      assert.deepEqual([released.phase, released.reason], ['released', 'released: by ann as fixed: a test'])
      assert.equal((await one(it, { time: NOW + 1000, rule: 'Fileless execution via memfd_create' })).phase, 'released')
      it.now += 1000
      const back = await one(it, { time: it.now })
      assert.deepEqual([back.phase, back.crossed], ['denying', true])
    })

    it('says so when an event is earlier than the release', async () => {
      const it = await rig()
      const { verdict = '' } = await one(it)
      it.now += HOUR
      await it.release(verdict, { by: 'ann', reason: 'a test', as: 'fixed' })
      const late = await one(it, { time: it.now - 1 })
      assert.deepEqual(
        [late.decision, late.reason],
        ['repeat', 'earlier than the release: it does not count (is the clock of its node behind?)'],
      )
    })

    it('rejects the release of what is not there', async () => {
      await assert.rejects((await rig()).release(NAME_A, { by: 'a', reason: 'b', as: 'fixed' }), NoSuchVerdictError)
    })

    it('expires a verdict and deletes it a day later', async () => {
      const it = await rig()
      await one(it, { rule: 'Read sensitive file untrusted' })
      it.now += 24 * HOUR + 1
      await it.sweep()
      assert.equal(it.list()[0]?.phase, 'expired')
      it.now += 24 * HOUR
      await it.sweep()
      assert.deepEqual(it.list(), [])
    })

    it('makes room by deleting what expired when the store is full', async () => {
      const store = createMemoryStore()
      const full: VerdictStore = {
        ...store,
        write: async (name, update) => {
          const { verdicts } = await loaded(store)
          if (verdicts.length >= 1 && !verdicts.some((verdict) => verdict.name === name))
            throw new StoreBusyError('full')
          return store.write(name, update)
        },
      }
      const it = await rig({ store: full })
      await one(it)
      await assert.rejects(one(it, { image: 'registry.example/b:1' }), StoreBusyError)
      it.now += 31 * 24 * HOUR
      await it.sweep()
      assert.equal((await one(it, { image: 'registry.example/b:1', time: it.now })).decision, 'contributed')
      assert.equal(it.list().length, 1)
    })
  })

  describe('a ledger that is full', () => {
    const WEAK = { rule: 'Read sensitive file untrusted' }
    const image = (n: number): string => `registry.example/i:${n}`

    /** A store of at most `max` verdicts. */
    function capped(max: number): VerdictStore {
      const store = createMemoryStore()
      return {
        ...store,
        write: async (name, update) => {
          const { verdicts } = await loaded(store)
          const isNew = !verdicts.some((verdict) => verdict.name === name)
          return store.write(name, (current) => {
            const next = update(current)
            if (isNew && verdicts.length >= max) throw new StoreBusyError('full', true)
            return next
          })
        },
      }
    }
    const held = (it: Rig): unknown =>
      it
        .list()
        .map(({ references, phase }) => `${references[0]} ${phase}`)
        .toSorted()

    it('lets the weakest, oldest observed verdict give way to one that warns or denies', async () => {
      const it = await rig({ store: capped(3) })
      await one(it, { ...WEAK, image: image(1), time: NOW - 1000 })
      await one(it, { ...WEAK, image: image(2), time: NOW - 3000 })
      await one(it, { ...WEAK, image: image(3), time: NOW - 5000 })
      await one(it, { ...WEAK, image: image(3), time: NOW - 5000, pod: 'web-2' })
      assert.equal((await one(it, { image: image(4) })).phase, 'denying')
      assert.deepEqual(held(it), [`${image(1)} observing`, `${image(3)} observing`, `${image(4)} denying`])
      assert.equal((await one(it, { ...PTRACE, image: image(5) })).phase, 'warning')
      assert.equal((await one(it, { image: image(6) })).phase, 'denying')
      assert.deepEqual(held(it), [`${image(4)} denying`, `${image(5)} warning`, `${image(6)} denying`])
      await assert.rejects(one(it, { image: image(7) }), StoreBusyError)
      assert.deepEqual(held(it), [`${image(4)} denying`, `${image(5)} warning`, `${image(6)} denying`])
    })

    it('lets a release give way only when no event from before it can count', async () => {
      const it = await rig({ store: capped(1) })
      const { verdict = '' } = await one(it)
      await it.release(verdict, { by: 'ann', reason: 'ok', as: 'fixed' })
      it.now += 24 * HOUR
      await assert.rejects(one(it, { image: image(1), time: it.now }), StoreBusyError)
      it.now += 1
      assert.equal((await one(it, { image: image(1), time: it.now })).phase, 'denying')
      assert.deepEqual(held(it), [`${image(1)} denying`])
    })

    it('does not fail a request for weak newcomers, and tries them again when they come again', async () => {
      const it = await rig({ store: capped(2) })
      await one(it, { ...WEAK, image: image(1) })
      await one(it, { image: image(2) })
      const weak = alert({ ...WEAK, image: image(3) })
      const outcomes = await it.handle([weak, alert({ image: image(4) })])
      assert.deepEqual(
        outcomes.map(({ decision, reason }) => [decision, decision === 'no-room' ? reason : '']),
        [
          ['no-room', 'full, and this image would only be observed'],
          ['contributed', ''],
        ],
      )
      assert.deepEqual(held(it), [`${image(2)} denying`, `${image(4)} denying`])
      assert.equal((await it.handle([weak]))[0]?.decision, 'no-room')
    })

    it('takes many denials at once', async () => {
      const it = await rig({ store: capped(20) })
      await it.handle(Array.from({ length: 20 }, (_, n) => alert({ ...WEAK, image: image(n) })))
      await it.handle(Array.from({ length: 20 }, (_, n) => alert({ image: image(100 + n) })))
      assert.deepEqual(
        it.list().map(({ phase }) => phase),
        Array.from({ length: 20 }, () => 'denying'),
      )
    })
  })

  describe('two correlators over one store', () => {
    it('count together and cross once', async () => {
      const store = createMemoryStore()
      const [left, right] = [await rig({ store }), await rig({ store })]
      const outcomes = await Promise.all([
        one(left, PTRACE),
        one(right, { rule: 'Execution from /dev/shm' }),
        one(left, { rule: 'PTRACE anti-debug attempt' }),
        one(right),
      ])
      assert.equal(outcomes.filter(({ phase, crossed }) => crossed === true && phase === 'denying').length, 1)
      assert.equal([...left.phases, ...right.phases].filter((change) => change.endsWith('-> denying')).length, 1)
      assert.deepEqual(left.list(), right.list())
      assert.equal(Object.keys(left.list()[0]?.contributions ?? {}).length, 4)
    })

    it('tell both of every change, and settle a release that a person wrote elsewhere', async () => {
      const store = createMemoryStore()
      const [left, right] = [await rig({ store }), await rig({ store })]
      const seen: unknown[] = []
      right.onChange(({ verdict }) => void seen.push(verdict?.phase))
      const { verdict = '' } = await one(left)
      assert.deepEqual(seen, ['denying'])
      const release = { by: 'ann', reason: 'ok', at: NOW, as: 'fixed' as const }
      await store.write(verdict, (current) => ({ ...(current ?? assert.fail()), release }))
      await left.stop()
      await right.stop()
      assert.deepEqual(
        [left.get(verdict)?.phase, right.get(verdict)?.phase, seen.at(-1)],
        ['released', 'released', 'released'],
      )
    })

    it('does not let a late answer to a write undo a newer change', async () => {
      const inner = createMemoryStore()
      const it = await rig({
        store: {
          ...inner,
          write: async (name, update) => {
            const mine = await inner.write(name, update)
            await inner.write(name, (current) => ({
              ...(current ?? assert.fail()),
              reason: 'newer: by another replica',
            }))
            return mine
          },
        },
      })
      await one(it, PTRACE)
      assert.equal(it.list()[0]?.reason, 'newer: by another replica')
    })
  })

  it('reaches the same verdicts in any order, with duplicates, in any grouping', async () => {
    const rules = [
      'Drop and execute new binary in container',
      'PTRACE attached to process',
      'PTRACE anti-debug attempt',
      'Read sensitive file untrusted',
      'Execution from /dev/shm',
    ]
    const some = fc.array(
      fc.record({
        rule: fc.constantFrom(...rules),
        image: fc.constantFrom('registry.example/a:1', 'registry.example/b:1'),
        pod: fc.constantFrom('p', 'q'),
        time: fc.integer({ min: NOW - 20 * HOUR, max: NOW }),
      }),
      { minLength: 1, maxLength: 12 },
    )
    await fc.assert(
      fc.asyncProperty(some, fc.infiniteStream(fc.nat()), async (list, random) => {
        const alerts = list.map((item) => alert(item))
        const shuffled = [...alerts, ...alerts]
          .map((item) => [random.next().value ?? 0, item] as const)
          .toSorted(([a], [b]) => a - b)
          .map(([, item]) => item)
        const expected = await phasesAfter([alerts])
        assert.deepEqual(await phasesAfter(shuffled.map((item) => [item])), expected)
        assert.deepEqual(await phasesAfter([shuffled]), expected)
      }),
      { numRuns: 25 },
    )
  }).timeout(20_000)
})
