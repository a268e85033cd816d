/** Stories of rule 19: a release sticks. */
import assert from 'node:assert/strict'
import type { RuntimeAlert } from '../../src/alerts/types.ts'
import type { Correlator, CorrelatorOptions } from '../../src/correlator/api.ts'
import { createCorrelator } from '../../src/correlator/correlator.ts'
import { createMemoryStore } from '../../src/verdicts/memoryStore.ts'
import { StoreBusyError, type Release, type VerdictStore } from '../../src/verdicts/types.ts'
import { alert, container, DIGEST_B, directoryOf, HOUR, NOW, parseReference } from './support.ts'
import { loaded } from './loaded.ts'

const DAY = 24 * HOUR
const NAME_A = `sha256-${'a'.repeat(64)}`
const NAME_B = `sha256-${'b'.repeat(64)}`
const FILELESS = 'Fileless execution via memfd_create'

const OLD = container()
const NEWER = container({
  containerId: 'd'.repeat(64),
  pod: 'web-2',
  digests: [DIGEST_B],
  reference: 'registry.example/shop/web:2',
})
const FOREIGN = container({
  containerId: 'e'.repeat(64),
  pod: 'web-3',
  digests: [DIGEST_B],
  reference: 'registry.example/shop/web2:1',
})

interface Rig extends Correlator {
  now: number
  readonly store: VerdictStore
  send(changes?: Partial<RuntimeAlert>): Promise<string>
}

async function rig(
  store: VerdictStore = createMemoryStore(),
  directory: CorrelatorOptions['directory'] | 'none' = directoryOf(OLD, NEWER, FOREIGN),
): Promise<Rig> {
  const state = { now: NOW }
  const correlator = createCorrelator({
    parseReference,
    clock: () => state.now,
    directory: directory === 'none' ? undefined : directory,
    store,
  })
  await correlator.start()
  return Object.assign(state, correlator, {
    store,
    send: async (changes: Partial<RuntimeAlert> = {}) => {
      state.now += 60_000
      const [outcome] = await correlator.handle([alert({ time: state.now, ...changes })])
      return `${outcome?.decision} ${outcome?.phase}`
    },
  })
}

/** A drop was reported, and a person said what it was. */
async function released(as: Release['as'], until?: number): Promise<Rig> {
  const it = await rig()
  assert.equal(await it.send(), 'contributed denying')
  await it.release(NAME_A, { by: 'ann', reason: 'ok', as, ...(until === undefined ? {} : { until: NOW + until }) })
  return it
}

const on = (record: { readonly containerId: string; readonly pod: string }): Partial<RuntimeAlert> => ({
  containerId: record.containerId,
  pod: record.pod,
})

/** Waits for what the correlator does by itself. */
async function eventually(condition: () => boolean): Promise<void> {
  for (let turn = 0; turn < 1000 && !condition(); turn++) await new Promise(setImmediate)
  assert.ok(condition())
}

describe('correlator: mutes', () => {
  const cases: readonly (readonly [string, Release['as'], Partial<RuntimeAlert>, string])[] = [
    ['the same act', 'false-positive', {}, 'muted released'],
    ['the same act in another image of the repository', 'false-positive', on(NEWER), 'muted undefined'],
    ['the same act in a repository with a longer name', 'false-positive', on(FOREIGN), 'contributed denying'],
    ['another class', 'false-positive', { rule: FILELESS }, 'contributed denying'],
    ['another executable', 'false-positive', { target: '/tmp/sleep2' }, 'contributed denying'],
    ['the same act', 'accepted', {}, 'muted released'],
    ['another class', 'accepted', { rule: FILELESS, target: '/x' }, 'muted released'],
    ['another image of the repository', 'accepted', on(NEWER), 'contributed denying'],
    ['the same act', 'fixed', {}, 'contributed denying'],
  ]
  for (const [name, as, change, expected] of cases) {
    it(`${as}: ${name} is ${expected}`, async () => {
      const it = await released(as)
      assert.equal(await it.send(change), expected)
    })
  }

  it('keeps muted alerts as evidence without weight', async () => {
    const it = await released('false-positive')
    const event = alert({ time: NOW + 2 * HOUR, containerId: 'c0ffee000001' })
    it.now = NOW + 2 * HOUR
    const [outcome] = await it.handle([event])
    assert.deepEqual([outcome?.decision, outcome?.reason], ['muted', 'drop: a person called it a false positive'])
    assert.equal((await it.handle([event]))[0]?.decision, 'duplicate')
    await it.sweep()
    assert.deepEqual(
      it.get(NAME_A)?.evidence.map(({ weight, time }) => [weight, time]),
      [[0, NOW + 2 * HOUR]],
    )
    const [elsewhere] = await it.handle([alert({ ...on(NEWER), time: it.now })])
    assert.equal(elsewhere?.reason, `drop: a person called it a false positive in this repository (${NAME_A})`)
  })

  it('goes on after the image was denied again for something else', async () => {
    const it = await released('false-positive')
    assert.equal(await it.send({ rule: FILELESS }), 'contributed denying')
    assert.equal(await it.send(), 'muted denying')
    assert.equal(await it.send(on(NEWER)), 'muted undefined')
  })

  const ends: readonly (readonly [string, number | undefined, number])[] = [
    ['30 days', undefined, 30 * DAY],
    ['the date given', 90 * DAY, 90 * DAY],
    ['a year, whatever the date', 5000 * DAY, 365 * DAY + 60_000],
  ]
  for (const [name, until, end] of ends) {
    it(`lasts ${name}, and so does the verdict that says so`, async () => {
      const it = await released('false-positive', until)
      it.now = NOW + end - 2 * 60_000
      await it.sweep()
      assert.equal(await it.send(), 'muted released')
      it.now = NOW + end + 2 * DAY
      assert.match(await it.send(), /^contributed denying$/)
    })
  }

  it('is taken once: what is reported and named afterwards was in nobody’s mind', async () => {
    const it = await released('false-positive')
    const { muted } = it.get(NAME_A) ?? assert.fail()
    assert.deepEqual(muted, {
      at: NOW + 60_000,
      repositories: ['registry.example/shop/web'],
      acts: [{ class: 'drop', target: '/tmp/sleep' }],
    })
    // The same image under a name of somebody else's, and another act: neither widens what is silent.
    await it.observeContainer({ ...OLD, containerId: 'f'.repeat(64), reference: 'registry.example/evil:1' })
    await it.send({ target: '/tmp/other' })
    assert.deepEqual(it.get(NAME_A)?.muted, muted)
    assert.deepEqual(it.get(NAME_A)?.references.includes('registry.example/evil:1'), true)
  })

  it('follows from a release that was made with kubectl', async () => {
    const it = await rig()
    await it.send()
    const release = { by: 'ann', reason: 'ok', as: 'false-positive', at: it.now } as const
    await it.store.write(NAME_A, (current) => ({ ...(current ?? assert.fail()), release }))
    await eventually(() => it.get(NAME_A)?.muted?.acts.length === 1)
    assert.equal(await it.send(on(NEWER)), 'muted undefined')
    // Taken back: nothing is silent any more.
    await it.store.write(NAME_A, (current) => ({ ...(current ?? assert.fail()), release: undefined }))
    assert.equal(await it.send(on(NEWER)), 'contributed denying')
  })

  it('mutes an image entirely by spec.mute, until its date, and leaves what counted', async () => {
    const it = await rig()
    await it.send()
    const mute = { by: 'ann', reason: 'noisy', at: NOW, until: NOW + 40 * DAY }
    await it.store.write(NAME_A, (current) => ({ ...(current ?? assert.fail()), mute }))
    assert.equal(await it.send({ rule: FILELESS, target: '/x' }), 'muted denying')
    // Its verdict is over by then, but the mute is kept with it.
    it.now = NOW + 39 * DAY
    for (let n = 0; n < 2; n++) await it.sweep()
    assert.equal(await it.send(), 'muted expired')
    it.now = NOW + 41 * DAY
    await it.sweep()
    assert.deepEqual(it.list(), [])
    assert.equal(await it.send(), 'contributed denying')
  })

  it('is never pushed out of a full ledger by new denials', async () => {
    const inner = createMemoryStore()
    const it = await rig({
      ...inner,
      write: async (name, update) => {
        const { verdicts } = await loaded(inner)
        const full = verdicts.length > 0 && verdicts.every((verdict) => verdict.name !== name)
        return inner.write(name, (current) => {
          const next = update(current)
          if (full) throw new StoreBusyError('full', true)
          return next
        })
      },
    })
    await it.send()
    await it.release(NAME_A, { by: 'ann', reason: 'ok', as: 'accepted' })
    it.now += 2 * DAY
    await assert.rejects(it.send(on(NEWER)), StoreBusyError)
    assert.equal(it.get(NAME_A)?.phase, 'released')
    assert.equal(it.get(NAME_B), undefined)
  })

  it('works standalone, where the reference is the image', async () => {
    const it = await rig(createMemoryStore(), 'none')
    await it.send()
    const [verdict] = it.list()
    await it.release(verdict?.name ?? '', { by: 'ann', reason: 'ok', as: 'false-positive' })
    assert.equal(await it.send(), 'muted released')
    assert.equal(await it.send({ image: 'registry.example/shop/web:2' }), 'muted undefined')
    assert.equal(await it.send({ image: 'registry.example/shop/web2:2' }), 'contributed denying')
  })
})
