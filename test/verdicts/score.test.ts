import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { peakScore, scoreAt } from '../../src/verdicts/score.ts'
import { contribution, HOUR, NOW } from '../correlator/support.ts'

describe('verdicts/score', () => {
  const cases: readonly (readonly [string, Parameters<typeof contribution>[0][], number, number])[] = [
    ['one drop, now', [{}], NOW, 100],
    ['one drop, a day later', [{}], NOW + 24 * HOUR, 50],
    ['one drop, two days later', [{}], NOW + 48 * HOUR, 25],
    ['nothing before it began', [{}], NOW - 1, 0],
    ['two owners of one class', [{ weight: 20 }, { weight: 20, owner: 'b' }], NOW, 30],
    ['a hundred owners of one class', Array.from({ length: 100 }, (_, n) => ({ owner: `o${n}` })), NOW, 150],
    [
      'two classes',
      [
        { weight: 60, class: 'ptrace-attach' },
        { weight: 20, class: 'anti-debug' },
      ],
      NOW,
      80,
    ],
    ['two detectors, one owner', [{ weight: 60 }, { weight: 40, detector: 'tracee' }], NOW, 60 * 1.5 * 1.25],
    ['two detectors, two owners', [{ weight: 60 }, { weight: 40, detector: 'tracee', owner: 'b' }], NOW, 90],
    ['between first and last in full', [{ first: NOW, last: NOW + 10 * HOUR }], NOW + 5 * HOUR, 100],
  ]
  for (const [name, changes, at, expected] of cases) {
    it(`is ${expected} for ${name}`, () =>
      assert.equal(
        scoreAt(
          changes.map((change) => contribution(change)),
          at,
        ),
        expected,
      ))
  }

  it('peaks where a contribution begins', () => {
    const list = [
      contribution({ class: 'ptrace-attach', weight: 60 }),
      contribution({ class: 'x', weight: 60, first: NOW + 24 * HOUR }),
    ]
    assert.deepEqual(peakScore(list), { score: 90, at: NOW + 24 * HOUR })
    assert.deepEqual(peakScore([contribution()]), { score: 100, at: NOW })
    assert.deepEqual(peakScore([]), { score: 0, at: 0 })
    assert.deepEqual(peakScore([contribution({ weight: 0 })]), { score: 0, at: 0 })
    // No act ends before it begins; where something says so, it counts as little as it can.
    assert.deepEqual(peakScore([contribution({ first: NOW, last: NOW - 48 * HOUR })]), { score: 25, at: NOW })
  })

  it('keeps a class within 1.5 times its largest weight, a quarter more where detectors agree', () => {
    const owners = Array.from({ length: 40 }, (_, n) => contribution({ owner: `o${n}`, weight: 60 }))
    assert.equal(scoreAt(owners, NOW), 90)
    assert.equal(scoreAt([...owners, contribution({ owner: 'o7', detector: 'tracee', weight: 20 })], NOW), 112.5)
    assert.equal(scoreAt([...owners, contribution({ owner: 'x', detector: 'tracee', weight: 20 })], NOW), 90)
    const three = (['falco', 'tracee', 'tetragon'] as const).map((detector) => contribution({ detector }))
    assert.equal(scoreAt(three, NOW), 187.5, 'three detectors are not another quarter')
  })

  it('peaks at least as high as the score at any time, and higher or equal with more', () => {
    const some = fc
      .array(
        fc.record({
          class: fc.constantFrom('a', 'b'),
          detector: fc.constantFrom('falco' as const, 'tracee' as const),
          owner: fc.constantFrom('o', 'p', 'q'),
          weight: fc.constantFrom(20, 60, 100),
          first: fc.integer({ min: NOW - 40 * HOUR, max: NOW }),
          length: fc.nat(30 * HOUR),
        }),
        { maxLength: 8 },
      )
      .map((list) => list.map(({ length, ...item }) => ({ ...item, last: item.first + length })))
    fc.assert(
      fc.property(some, some, fc.integer({ min: NOW - 50 * HOUR, max: NOW + 50 * HOUR }), (list, more, at) => {
        const { score } = peakScore(list)
        assert.ok(score >= scoreAt(list, at) - 1e-9)
        assert.ok(peakScore([...list, ...more]).score >= score - 1e-9)
      }),
    )
  })
})
