import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { readVerdict, sameVerdict, writeVerdict } from '../../src/verdicts/serialize.ts'
import { contribution, evidence, facts, NOW, verdict } from '../correlator/support.ts'

const FULL = verdict({
  release: { by: 'ann', reason: 'ok', at: NOW, until: NOW + 5, as: 'accepted' },
  confirm: { by: 'bob', reason: 'ok', at: NOW },
  mute: { by: 'cy', reason: 'ok', at: NOW, until: NOW + 9 },
  muted: { at: NOW, repositories: ['registry.example/shop/web'], acts: [{ class: 'drop', target: '/tmp/sleep' }] },
  reach: { elsewhere: 'denying', denying: [], warning: ['blog', 'pay'] },
  contributions: facts([contribution(), contribution({ own: true })]).contributions,
  evidence: [evidence({ node: 'n', container: 'web', own: true })],
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
      'a reach of another kind',
      { reach: { elsewhere: 'maybe', denying: [], warning: [] } },
      'elsewhere is not one of none, warning, denying',
    ],
    ['a reach without its lists', { reach: { elsewhere: 'none' } }, 'denying is not an array'],
    ['a mute of nothing', { muted: { at: 1, repositories: ['a'], acts: ['b'] } }, 'a muted act is not an object'],
    ['a confirmation without a person', { confirm: { at: 1 } }, 'by is not text'],
    [
      'an end that is text',
      { mute: { by: 'a', reason: 'b', at: 1, until: 'x' } },
      'until is not a number of 0 or more',
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

  it('takes no more namespaces than a reach has room for, and nothing but true for a flag', () => {
    const many = Array.from({ length: 30 }, (_, n) => `n${String(n).padStart(2, '0')}`)
    const read = readVerdict({
      ...FULL,
      reach: { elsewhere: 'none', denying: many, warning: ['shop'] },
      contributions: { a: { ...contribution(), own: 'yes' } },
    })
    assert.deepEqual(read.verdict?.reach, { elsewhere: 'none', denying: many.slice(0, 16), warning: [] })
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
