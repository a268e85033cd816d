import assert from 'node:assert/strict'

import * as fc from 'fast-check'

import { fitStatus, MAX_STATUS_BYTES, storedBytes } from '../../../src/adapters/kubernetes/statusSize.ts'

const status = (evidence: number, names: number, contributions: number, text: string) => ({
  phase: 'denying',
  digests: Array.from({ length: names }, (_, index) => `d${index}${text}`),
  references: Array.from({ length: names }, (_, index) => `r${index}${text}`),
  alerted: { digests: 1, references: 1 },
  contributions: Array.from({ length: contributions }, (_, index) => ({ owner: text, weight: index % 7 })),
  evidence: Array.from({ length: evidence }, () => ({ rule: text })),
})

describe('fitStatus', () => {
  it('counts bytes as etcd keeps them', () => {
    for (const [text, bytes] of [
      ['a', 3],
      ['\u00e4', 4],
      ['<a>', 15],
      ['&', 8],
      ['\u2028', 8],
    ] as const)
      assert.equal(storedBytes(text), bytes, text)
  })

  it('leaves alone what fits', () => {
    const small = status(1, 1, 1, 'x')
    assert.equal(fitStatus(small), small)
  })

  it('drops evidence first, then observed names, then the lightest contributions', () => {
    const kept = fitStatus(status(3, 2, 4, 'x'.repeat(1200))) as ReturnType<typeof status>
    assert.deepEqual(
      [
        kept.evidence.length,
        kept.references.length,
        kept.digests.length,
        kept.contributions.map(({ weight }) => weight),
      ],
      [0, 1, 1, [1, 2, 3]],
    )
  })

  it('is within the bound where a whole list goes', () => {
    const kept = fitStatus(status(22, 57, 37, '𑪾𘤦𝁸ヒ࠻ꩣ𝠴🌩ꓚ')) as ReturnType<typeof status>
    assert.deepEqual([kept.evidence.length, storedBytes(kept) <= MAX_STATUS_BYTES], [0, true])
  })

  it('is always within the bound, and never drops the names of alerts', () => {
    const counts = fc.integer({ min: 0, max: 64 })
    fc.assert(
      fc.property(
        counts,
        counts,
        counts,
        fc.string({ maxLength: 300, unit: 'grapheme' }),
        (evidence, names, contributions, text) => {
          const kept = fitStatus(status(evidence, names, contributions, text)) as ReturnType<typeof status>
          assert.ok(storedBytes(kept) <= MAX_STATUS_BYTES)
          assert.ok(kept.references.length >= Math.min(1, names) && kept.digests.length >= Math.min(1, names))
        },
      ),
    )
  })
})
