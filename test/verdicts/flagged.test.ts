import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { decisionEnd } from '../../src/verdicts/decisions.ts'
import { flaggedVerdict } from '../../src/verdicts/flagged.ts'
import { isFlagged } from '../../src/verdicts/phase.ts'
import { denialText } from '../../src/verdicts/text.ts'
import type { Evidence, ImageVerdict, Phase } from '../../src/verdicts/types.ts'
import { contribution, evidence, HOUR, NOW, verdict } from '../correlator/support.ts'

const hours = fc.integer({ min: -100, max: 800 }).map((hour) => NOW + hour * HOUR)
const decision = fc.record(
  { by: fc.constant('ada'), reason: fc.constant('x'), at: hours, until: hours },
  { requiredKeys: ['by', 'reason', 'at'] },
)

const anyVerdict: fc.Arbitrary<ImageVerdict> = fc
  .record({
    phase: fc.constantFrom<Phase>('observing', 'warning', 'denying', 'pending', 'released', 'expired'),
    expiresAt: hours,
    last: hours,
    release: fc.option(decision, { nil: undefined }),
    confirm: fc.option(decision, { nil: undefined }),
  })
  .map(({ phase, expiresAt, last, release, confirm }) =>
    verdict({
      phase,
      expiresAt,
      contributions: { a: contribution({ first: last, last }) },
      ...(release && { release: { ...release, as: 'accepted' } }),
      ...(confirm && { confirm }),
    }),
  )

const piece = fc.record({
  own: fc.constantFrom(true as const, undefined),
  namespace: fc.constantFrom('shop', 'bank', undefined),
  weight: fc.constantFrom(0, 60, 100),
  time: hours,
})

describe('what admission needs of a verdict', () => {
  it('holds exactly as long as the verdict is flagged', () => {
    fc.assert(
      fc.property(anyVerdict, hours, (one, now) => {
        const { release, confirm, expiresAt } = one
        const edges = [
          expiresAt,
          ...(release ? [release.at] : []),
          ...(confirm ? [confirm.at, decisionEnd(confirm)] : []),
        ]
        const flagged = flaggedVerdict(one)
        for (const time of [now, ...edges.flatMap((edge) => [edge - 1, edge, edge + 1])])
          assert.equal(flagged !== undefined && time <= flagged.until, isFlagged(one, time))
      }),
      { numRuns: 1000 },
    )
  })

  it('says what the whole verdict would say, in every namespace', () => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), fc.option(hours, { nil: undefined }), (pieces, releasedAt) => {
        const all: readonly Evidence[] = pieces.map((part, index) =>
          evidence({ ...part, key: String(index), rule: `rule ${index}` }),
        )
        const one = verdict({
          evidence: all,
          contributions: { a: contribution({ first: NOW + 900 * HOUR, last: NOW + 900 * HOUR }) },
          ...(releasedAt === undefined ? {} : { release: { by: 'ada', reason: 'x', at: releasedAt, as: 'fixed' } }),
        })
        const flagged = flaggedVerdict(one)
        assert.ok(flagged)
        for (const namespace of ['shop', 'bank', 'other', undefined]) {
          const expected = all.find(
            ({ weight, time, own, namespace: from }) =>
              weight > 0 && time > (releasedAt ?? -Infinity) && (own !== true || from === namespace),
          )
          const reference = { repository: 'x', normalized: 'x:1' }
          const text = denialText({ image: 'x:1', reference, verdict: flagged, answer: 'denying', namespace })
          assert.ok(text.includes(expected === undefined ? one.reason.slice(0, 30) : `"${expected.rule}"`), text)
        }
      }),
    )
  })
})
