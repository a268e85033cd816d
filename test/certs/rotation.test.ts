import assert from 'node:assert/strict'
import { bundleOf, nextStep, NOTHING_OBSERVED, observe, shouldServeCurrent } from '../../certs/rotation.ts'
import type { Generation, Situation } from '../../certs/rotation.ts'

/** Leaves live from 0 to 900, authorities from 0 to 9000. */
const generation = (name: string, changes: Partial<Generation> = {}): Generation => ({
  authority: `ca-${name}`,
  authorityValidity: { from: 0, to: 9000 },
  leaf: `leaf-${name}`,
  leafValidity: { from: 0, to: 900 },
  ...changes,
})
const A = generation('a')
const B = generation('b', { authorityValidity: { from: 0, to: 90_000 }, leafValidity: { from: 0, to: 90_000 } })
const C = generation('c')

const situation = (changes: Partial<Situation> = {}): Situation => ({
  stored: { current: A, previous: [] },
  live: [['ca-a'], ['ca-a']],
  observed: NOTHING_OBSERVED,
  now: 100,
  tick: 1000,
  propagation: 60,
  keepPrevious: 600,
  ...changes,
})
const trustedFor = (authority: string, duration: number) => ({ trustedSince: new Map([[authority, 1000 - duration]]) })
const steadyFor = (duration: number) => ({ trustedSince: new Map(), steady: { of: 'x', since: 1000 - duration } })

describe('the rotation of certificates', () => {
  for (const [what, changes, step] of [
    ['all is well', {}, { kind: 'rest' }],
    ['there is nothing', { stored: undefined }, { kind: 'create', reason: 'there is none', trust: ['ca-a'] }],
    [
      'there is nothing, nobody is asked',
      { stored: undefined, live: [] },
      { kind: 'create', reason: 'there is none', trust: [] },
    ],
    [
      'there is nothing, and this replica serves',
      { stored: undefined, serving: C },
      { kind: 'create', reason: 'there is none', trust: ['ca-c', 'ca-a'] },
    ],
    [
      'deleted, and remembered',
      { stored: undefined, remembered: { current: A, previous: [] } },
      { kind: 'restore', reason: 'there is none' },
    ],
    [
      'deleted, and what is remembered has expired',
      { stored: undefined, remembered: { current: A, previous: [] }, now: 901 },
      { kind: 'create', reason: 'there is none', trust: ['ca-a'] },
    ],
    ['damaged', { stored: { damage: 'rubbish' }, live: undefined }, { kind: 'replace', reason: 'rubbish', trust: [] }],
    [
      'the key of the authority is damaged',
      { stored: { current: { ...A, authorityDamage: 'has a damaged key' }, previous: [] } },
      { kind: 'replace', reason: 'the authority has a damaged key', trust: ['ca-a'] },
    ],
    [
      'the authority has expired',
      { now: 9000 },
      { kind: 'replace', reason: 'the authority expired at 1970-01-01T00:00:09.000Z', trust: ['ca-a'] },
    ],
    [
      'the authority has expired, the next one is there',
      { now: 9000, stored: { current: A, next: B, previous: [] } },
      { kind: 'promote', reason: 'the authority expired at 1970-01-01T00:00:09.000Z' },
    ],
    [
      'the clock is before everything',
      { now: -1 },
      { kind: 'replace', reason: 'the authority is not valid before 1970-01-01T00:00:00.000Z', trust: ['ca-a'] },
    ],
    ['two thirds of the leaf are over', { now: 600 }, { kind: 'rest' }],
    [
      'a little more',
      { now: 601 },
      { kind: 'renew', reason: 'less than a third of its lifetime is left', keepNames: false },
    ],
    [
      'the leaf has expired',
      { now: 900 },
      { kind: 'renew', reason: 'it expired at 1970-01-01T00:00:00.900Z', keepNames: false },
    ],
    [
      'a name is missing',
      { stored: { current: { ...A, leafDamage: 'it does not cover the name x' }, previous: [] } },
      { kind: 'renew', reason: 'it does not cover the name x', keepNames: true },
    ],
    [
      'the authority is due',
      { now: 6001, stored: { current: { ...A, leafValidity: B.leafValidity }, previous: [] } },
      { kind: 'stage', reason: 'less than a third of the lifetime of the authority is left' },
    ],
    [
      'the next one is not known to everybody',
      { stored: { current: A, next: B, previous: [] }, observed: trustedFor('ca-b', 59) },
      { kind: 'rest' },
    ],
    [
      'the next one is known',
      { stored: { current: A, next: B, previous: [] }, observed: trustedFor('ca-b', 60) },
      { kind: 'promote', reason: 'every client has learnt of its authority' },
    ],
    [
      'the next one is damaged',
      {
        stored: { current: A, next: { ...B, leafDamage: 'it has a damaged key' }, previous: [] },
        observed: trustedFor('ca-b', 60),
      },
      { kind: 'stage', reason: 'the next certificate cannot be used: it has a damaged key' },
    ],
    ['this replica serves something else', { serving: C }, { kind: 'trust', authority: 'ca-c' }],
    ['and that has expired', { serving: { ...C, leafValidity: { from: 0, to: 50 } } }, { kind: 'rest' }],
    [
      'the previous one is still needed',
      { stored: { current: A, previous: ['ca-c'] }, observed: steadyFor(599) },
      { kind: 'rest' },
    ],
    [
      'this replica serves by it',
      { stored: { current: A, previous: ['ca-c'] }, observed: steadyFor(600), serving: C },
      { kind: 'rest' },
    ],
    [
      'it is needed no more',
      { stored: { current: A, previous: ['ca-c'] }, observed: steadyFor(600), serving: A },
      { kind: 'retire' },
    ],
  ] as const) {
    it(`when ${what}: ${step.kind}`, () => assert.deepEqual(nextStep(situation(changes)), step))
  }

  const both = [['ca-a', 'ca-c']]
  for (const [what, changes, expected] of [
    ['nothing is served yet', {}, true],
    ['it is served', { serving: A }, false],
    ['nothing is stored', { stored: undefined, serving: A }, false],
    ['it has expired', { now: 901, serving: C }, false],
    ['another of the same authority is served', { serving: { ...A, leaf: 'older' } }, true],
    [
      'another is served, and both are trusted for a moment',
      { serving: C, live: both, observed: trustedFor('ca-a', 59) },
      false,
    ],
    [
      'another is served, and both are trusted long enough',
      { serving: C, live: both, observed: trustedFor('ca-a', 60) },
      true,
    ],
    ['what is served is not trusted, the new one is', { serving: C }, true],
    ['neither is trusted', { serving: C, live: [['ca-x']] }, false],
    ['what is served has expired', { serving: { ...C, leafValidity: { from: 0, to: 50 } }, live: both }, true],
    ['nobody knows what is trusted', { serving: C, live: undefined, observed: steadyFor(59) }, false],
    ['nobody knows for long', { serving: C, live: undefined, observed: steadyFor(60) }, true],
  ] as const) {
    it(`${expected ? 'takes the current one into use' : 'keeps what it serves'} when ${what}`, () =>
      assert.equal(shouldServeCurrent(situation(changes)), expected))
  }

  it('counts from the first time that every webhook trusted an authority, and anew after a break', () => {
    const stored = { current: A, next: B, previous: [] }
    const at = (before: typeof NOTHING_OBSERVED, tick: number, live: Situation['live']) =>
      observe(before, { stored, live, tick })
    const first = at(NOTHING_OBSERVED, 1, [['ca-a', 'ca-b'], ['ca-a']])
    assert.deepEqual([...first.trustedSince], [['ca-a', 1]])
    const second = at(first, 2, [
      ['ca-a', 'ca-b'],
      ['ca-b', 'ca-a'],
    ])
    assert.deepEqual(
      [...second.trustedSince],
      [
        ['ca-a', 1],
        ['ca-b', 2],
      ],
    )
    const lost = at(second, 3, undefined)
    assert.deepEqual([...lost.trustedSince], [])
    assert.deepEqual(lost.steady?.since, 1)
    assert.deepEqual([...at(lost, 4, [['ca-b']]).trustedSince], [['ca-b', 4]])
  })

  it('counts anew when the bundles changed, though they look the same', () => {
    const stored = { current: A, previous: [] }
    const at = (before: typeof NOTHING_OBSERVED, tick: number, version: string) =>
      observe(before, { stored, live: [['ca-a']], tick }, version)
    const first = at(NOTHING_OBSERVED, 1, 'one')
    assert.deepEqual([...at(first, 2, 'one').trustedSince], [['ca-a', 1]])
    assert.deepEqual([...at(first, 2, 'two').trustedSince], [['ca-a', 2]])
  })

  it('asks clients to trust current, next and previous, each once', () => {
    assert.deepEqual(bundleOf({ current: A, next: B, previous: ['ca-c', 'ca-a'] }), ['ca-a', 'ca-b', 'ca-c'])
  })
})
