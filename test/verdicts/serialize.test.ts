import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { readVerdict, sameVerdict, writeVerdict } from '../../src/verdicts/serialize.ts'
import { contribution, evidence, facts, NOW, verdict } from '../correlator/support.ts'

const FULL = verdict({
  release: { by: 'ann', reason: 'ok', at: NOW, as: 'accepted' },
  evidence: [evidence({ node: 'n', container: 'web' })],
})

describe('verdicts/serialize', () => {
  it('reads what it wrote', () => {
    assert.deepEqual(readVerdict(JSON.parse(writeVerdict(FULL))), { verdict: FULL })
    assert.deepEqual(readVerdict(JSON.parse(writeVerdict(verdict()))), { verdict: verdict() })
  })

  const damages: readonly (readonly [string, Record<string, unknown>, string])[] = [
    ['a name of another kind', { name: '__proto__' }, 'name is not sha256-<64 hex> or ref-<40 hex>'],
    [
      'digests that are none',
      { digests: ['sha256:12'] },
      'digests holds something else than sha256:<64 hex>, sha384:<96 hex> or sha512:<128 hex>',
    ],
    ['digests that are missing', { digests: undefined }, 'digests is not an array'],
    [
      'an unknown phase',
      { phase: 'denied' },
      'phase is not one of observing, warning, denying, pending, released, expired',
    ],
    ['a time that is text', { expiresAt: '2026' }, 'expiresAt is not a number of 0 or more'],
    ['a time beyond all time', { expiresAt: 1e300 }, 'expiresAt is not a time'],
    ['contributions that are a list', { contributions: [] }, 'contributions is not an object'],
    [
      'a contribution without a weight',
      { contributions: { a: { ...contribution(), weight: null } } },
      'weight is not a number of 0 or more',
    ],
    [
      'a contribution that ends before it begins',
      { contributions: { a: contribution({ first: 2, last: 1 }) } },
      'a contribution ends before it begins',
    ],
    [
      'a detector nobody knows',
      { evidence: [{ ...evidence(), detector: 'x' }] },
      'detector is not one of falco, k8s-audit, tracee, tetragon, kubearmor',
    ],
    [
      'a release as something else',
      { release: { by: 'a', reason: 'b', at: 1, as: 'x' } },
      'as is not one of false-positive, accepted, fixed',
    ],
  ]
  for (const [name, change, problem] of damages) {
    it(`refuses ${name}`, () => {
      assert.deepEqual(readVerdict(JSON.parse(JSON.stringify({ ...FULL, ...change }))), { problem })
    })
  }

  it('files contributions under their own key, not under the stored one', () => {
    const read = readVerdict({ ...FULL, contributions: JSON.parse(`{"__proto__":${JSON.stringify(contribution())}}`) })
    assert.deepEqual(read.verdict?.contributions, facts([contribution()]).contributions)
  })

  it('does not write what it would not read', () => {
    assert.throws(() => writeVerdict(verdict({ name: 'sha512-12' })), {
      message: 'a verdict that could not be read back is not written: name is not sha256-<64 hex> or ref-<40 hex>',
    })
    assert.throws(() => writeVerdict(verdict({ expiresAt: Number.NaN })))
  })

  it('never throws', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(...Object.keys(FULL)), (value, key) => {
        readVerdict(value)
        readVerdict({ ...FULL, [key]: value })
      }),
    )
  })

  it('compares values, not the order of keys', () => {
    assert.equal(sameVerdict(FULL, Object.fromEntries(Object.entries(FULL).toReversed()) as typeof FULL), true)
    assert.equal(sameVerdict(FULL, { ...FULL, expiresAt: 1 }), false)
  })
})
