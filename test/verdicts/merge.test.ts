import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { boundFacts, MAX_CONTRIBUTIONS, MAX_FACTS_BYTES } from '../../src/verdicts/bounds.ts'
import { MAX_DIGESTS, MAX_REFERENCES } from '../../src/verdicts/imageNames.ts'
import { contributionKey, extendFacts, mergeContribution, mergeFacts, noFacts } from '../../src/verdicts/merge.ts'
import { decidePhase } from '../../src/verdicts/phase.ts'
import { readVerdict, writeVerdict } from '../../src/verdicts/serialize.ts'
import type { Contribution, Evidence, VerdictFacts } from '../../src/verdicts/types.ts'
import { contribution, evidence, facts, NOW } from '../correlator/support.ts'

const time = fc.integer({ min: NOW - 48 * 3600_000, max: NOW })
const contributions = (owners: number): fc.Arbitrary<Contribution> =>
  fc
    .record({
      class: fc.constantFrom('drop', 'ptrace-attach', 'anti-debug'),
      detector: fc.constantFrom('falco' as const, 'tracee' as const),
      owner: fc.nat(owners - 1).map((n) => `shop/Deployment/web-${n}`),
      weight: fc.constantFrom(20, 60, 100),
      first: time,
      length: fc.nat(3600_000),
      own: fc.boolean(),
    })
    .map(({ length, own, ...item }) => ({ ...item, last: item.first + length, ...(own ? { own } : {}) }))
/** The weight of a piece follows from its key, as in life: key = detector, rule, container, target. */
const pieces: fc.Arbitrary<Evidence> = fc
  .record({ n: fc.nat(20), time })
  .map((item) =>
    evidence({ key: `k${item.n}`, weight: (item.n % 3) * 50, time: item.time, pod: `web-${item.time % 7}` }),
  )
/** People's decisions, and what a release silences: at most one of each, equal where the time is. */
const decided = fc
  .record({ release: fc.nat(2), confirm: fc.nat(2), mute: fc.nat(2), muted: fc.nat(2) })
  .map(({ release, confirm, mute, muted }) => ({
    ...(release === 0 ? {} : { release: { by: 'ann', reason: 'ok', at: NOW + release, as: 'fixed' as const } }),
    ...(confirm === 0 ? {} : { confirm: { by: 'bob', reason: 'yes', at: NOW + confirm } }),
    ...(mute === 0 ? {} : { mute: { by: 'bob', reason: 'yes', at: NOW, until: NOW + mute } }),
    ...(muted === 0
      ? {}
      : { muted: { at: NOW + muted, repositories: ['r.example/a'], acts: [{ class: 'drop', target: `/${muted}` }] } }),
  }))
const hex = fc.nat(6).map((n) => `sha256:${String(n).repeat(64)}`)
const someFacts = (owners: number): fc.Arbitrary<VerdictFacts> =>
  fc
    .record({
      digests: fc.array(hex, { maxLength: 4 }),
      references: fc.array(
        fc.nat(5).map((n) => `registry.example/a:${n}`),
        { maxLength: 4 },
      ),
      alerted: fc.record({ digests: fc.nat(4), references: fc.nat(4) }, { noNullPrototype: true }),
      contributions: fc.array(contributions(owners), { maxLength: owners * 2 }),
      evidence: fc.array(pieces, { maxLength: 12 }),
      people: decided,
    })
    .map(({ contributions: list, people, ...rest }) =>
      boundFacts({
        ...rest,
        ...facts([]),
        digests: rest.digests,
        references: rest.references,
        alerted: rest.alerted,
        evidence: rest.evidence,
        contributions: list.map((item) => facts([item])).reduce(mergeFacts, noFacts).contributions,
        ...people,
      }),
    )

/** Anything that passes the decoders, at its longest. */
const hostileFacts: fc.Arbitrary<VerdictFacts> = fc
  .record({
    digests: fc.array(fc.string({ unit: fc.constantFrom('0', '7', 'a', 'f'), minLength: 64, maxLength: 64 }), {
      maxLength: 60,
    }),
    references: fc.array(fc.string({ unit: 'binary', maxLength: 512 }), { maxLength: 60 }),
    alerted: fc.record({ digests: fc.nat(60), references: fc.nat(60) }, { noNullPrototype: true }),
    owners: fc.array(fc.string({ unit: 'binary', maxLength: 256 }), { maxLength: 120 }),
    targets: fc.array(fc.string({ unit: 'binary', maxLength: 128 }), { maxLength: 30 }),
    own: fc.boolean(),
    people: decided,
  })
  .map((item) => ({
    digests: item.digests.map((digest) => `sha256:${digest}`),
    references: item.references,
    alerted: item.alerted,
    contributions: facts(item.owners.map((owner) => contribution({ owner, ...(item.own ? { own: true } : {}) })))
      .contributions,
    ...item.people,
    evidence: item.targets.map((target, index) =>
      evidence({ key: `k${index}`, target, rule: target + target, pod: target, node: target }),
    ),
  }))

/** Merging is associative while nothing has to be dropped for the bound of bytes; no item here is longer than the margin. */
const nothingIsDropped = (list: readonly VerdictFacts[]): boolean =>
  Buffer.byteLength(JSON.stringify(list.reduce(mergeFacts, noFacts))) < MAX_FACTS_BYTES - 700

const releasedAt = (at: number) => ({ ...noFacts, release: { by: 'ann', reason: 'ok', at, as: 'fixed' as const } })

describe('verdicts/merge', () => {
  it('keeps what counts everywhere, however much that is heavier counts for one namespace only', () => {
    const shared = ['ptrace-attach', 'kernel-tampering'].map((name) => contribution({ class: name, weight: 60 }))
    const own = Array.from({ length: 80 }, (_, n) => contribution({ owner: `evil/Pod/${n}`, weight: 1000, own: true }))
    const kept = Object.values(mergeFacts(facts(own), facts(shared)).contributions)
    assert.equal(kept.filter((item) => item.own !== true).length, 2)
    assert.ok(kept.length > 2)
  })

  it('merges one contribution by maximum weight, earlier first, later last', () => {
    const left = contribution({ weight: 60, first: 10, last: 20 })
    const right = contribution({ weight: 100, first: 5, last: 12 })
    assert.deepEqual(mergeContribution(left, right), contribution({ weight: 100, first: 5, last: 20 }))
    assert.equal(contributionKey(left), 'drop|falco|shop/Deployment/web')
  })

  it('is commutative, idempotent and associative', () => {
    fc.assert(
      fc.property(someFacts(3), someFacts(3), someFacts(3), (a, b, c) => {
        assert.deepEqual(mergeFacts(a, b), mergeFacts(b, a))
        assert.deepEqual(mergeFacts(a, a), a)
        fc.pre(nothingIsDropped([a, b, c]))
        assert.deepEqual(mergeFacts(mergeFacts(a, b), c), mergeFacts(a, mergeFacts(b, c)))
      }),
    )
  })

  it('gives the same for every permutation with duplicates', () => {
    fc.assert(
      fc.property(
        fc
          .array(someFacts(2), { minLength: 1, maxLength: 6 })
          .chain((list) =>
            fc.tuple(fc.constant(list), fc.shuffledSubarray([...list, ...list], { minLength: list.length * 2 })),
          ),
        ([list, shuffled]) => {
          fc.pre(nothingIsDropped(list))
          assert.deepEqual(shuffled.reduce(mergeFacts, noFacts), list.reduce(mergeFacts, noFacts))
        },
      ),
    )
  })

  it('stays commutative, idempotent and bounded when it is full', () => {
    fc.assert(
      fc.property(hostileFacts, hostileFacts, (a, b) => {
        const merged = mergeFacts(a, b)
        assert.deepEqual(merged, mergeFacts(b, a))
        assert.deepEqual(mergeFacts(merged, merged), merged)
        assert.ok(Object.keys(merged.contributions).length <= MAX_CONTRIBUTIONS)
        assert.ok(merged.digests.length <= MAX_DIGESTS)
        assert.ok(merged.evidence.length <= 10)
        assert.ok(Buffer.byteLength(JSON.stringify(merged)) <= MAX_FACTS_BYTES + 128, 'bytes')
        const verdict = decidePhase(`sha256-${'a'.repeat(64)}`, merged, undefined, NOW)
        assert.ok(Buffer.byteLength(writeVerdict(verdict)) <= 8192 - 1024)
        assert.notEqual(readVerdict(JSON.parse(writeVerdict(verdict))).verdict, undefined)
      }),
      { numRuns: 60 },
    )
  })

  it('keeps what counts for one namespace apart from what counts for all', () => {
    const own = contribution({ own: true, weight: 60 })
    const merged = mergeFacts(facts([contribution()]), facts([own]))
    assert.deepEqual(Object.keys(merged.contributions), [
      'drop|falco|shop/Deployment/web',
      'own|drop|falco|shop/Deployment/web',
    ])
    // Of equals the one that counts for all stays; a weaker one never pushes out a stronger.
    const many = (weight: number, changes: Partial<Contribution>): VerdictFacts =>
      facts(Array.from({ length: 100 }, (_, n) => contribution({ owner: `evil/o${n}`, weight, ...changes })))
    assert.ok(
      'drop|falco|shop/Deployment/web' in mergeFacts(merged, many(100, { own: true, last: NOW + 1 })).contributions,
    )
    assert.ok('own|drop|falco|shop/Deployment/web' in mergeFacts(merged, many(20, {})).contributions)
  })

  it('keeps the strongest contributions when full, and does not change its inputs', () => {
    const weak = Object.freeze(
      facts(Array.from({ length: 200 }, (_, n) => contribution({ owner: `o${n}`, weight: 20 }))),
    )
    const strong = Object.freeze(facts([contribution({ owner: 'the-one', weight: 100 })]))
    const merged = mergeFacts(weak, strong)
    assert.ok(Object.values(merged.contributions).some(({ owner }) => owner === 'the-one'))
    assert.ok(Object.keys(merged.contributions).length > 20)
    assert.equal(Object.keys(weak.contributions).length, 200)
  })

  it('keeps the 5 strongest and the 5 newest pieces, one per key', () => {
    const strong = Array.from({ length: 8 }, (_, n) => evidence({ key: `s${n}`, weight: 100, time: NOW - 1000 + n }))
    const fresh = Array.from({ length: 8 }, (_, n) => evidence({ key: `f${n}`, weight: 0, time: NOW + n }))
    const again = evidence({ key: 's7', time: NOW - 500 })
    const merged = mergeFacts(facts([], { evidence: strong }), facts([], { evidence: [...fresh, again] }))
    assert.deepEqual(
      merged.evidence.map(({ key }) => key),
      ['s7', 's6', 's5', 's4', 's3', 'f7', 'f6', 'f5', 'f4', 'f3'],
    )
    assert.equal(merged.evidence[0]?.time, NOW - 500)
  })

  it('never lets observed names push out those of alerts, and keeps those that were there', () => {
    const names = (count: number, prefix: string): string[] =>
      Array.from({ length: count }, (_, n) => `a.example/${prefix}:${String(n).padStart(3, '0')}`)
    const alertedX = facts([contribution()], { references: ['z.example/x:1'], alerted: { digests: 0, references: 1 } })
    const full = extendFacts(alertedX, facts([], { references: names(MAX_REFERENCES - 1, 'm') }))
    assert.deepEqual(full.references, ['z.example/x:1', ...names(MAX_REFERENCES - 1, 'm')])
    assert.deepEqual(extendFacts(full, facts([], { references: names(100, 'a') })), full)
    assert.equal(mergeFacts(full, facts([], { references: names(100, 'a') })).references[0], 'z.example/x:1')
    const alertedY = facts([contribution()], { references: ['z.example/y:1'], alerted: { digests: 0, references: 1 } })
    const both = extendFacts(full, alertedY)
    assert.deepEqual(
      [both.references.slice(0, 2), both.alerted],
      [['z.example/x:1', 'z.example/y:1'], { digests: 0, references: 2 }],
    )
    assert.equal(both.references.length, MAX_REFERENCES)
  })

  it('never takes a name of an alert from what is stored, and stays in bounds', () => {
    fc.assert(
      fc.property(hostileFacts, hostileFacts, (a, b) => {
        const stored = boundFacts(a)
        const next = extendFacts(stored, b)
        assert.deepEqual(boundFacts(next), next)
        for (const kind of ['digests', 'references'] as const) {
          const before = stored[kind].slice(0, stored.alerted?.[kind] ?? 0)
          const after = new Set(next[kind].slice(0, next.alerted?.[kind] ?? 0))
          assert.deepEqual(
            before.filter((name) => !after.has(name)),
            [],
          )
        }
        assert.ok(Buffer.byteLength(JSON.stringify(next)) <= MAX_FACTS_BYTES + 128)
      }),
      { numRuns: 60 },
    )
  })

  it('keeps the later release', () => {
    assert.equal(mergeFacts(releasedAt(1), releasedAt(2)).release?.at, 2)
    assert.equal(mergeFacts(releasedAt(2), noFacts).release?.at, 2)
  })
})
