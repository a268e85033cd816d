import assert from 'node:assert/strict'

import { matchesLabels } from '../../src/kube/labelSelector.ts'
import type { LabelTerm } from '../../src/kube/labelSelector.ts'

describe('matchesLabels', () => {
  const cases: readonly (readonly [
    LabelTerm['operator'],
    readonly string[] | undefined,
    string | undefined,
    boolean,
  ])[] = [
    ['Exists', undefined, undefined, false],
    ['Exists', undefined, '', true],
    ['Exists', undefined, 'a', true],
    ['DoesNotExist', undefined, undefined, true],
    ['DoesNotExist', undefined, '', false],
    ['In', ['a', 'b'], undefined, false],
    ['In', ['a', 'b'], 'b', true],
    ['In', ['a', 'b'], 'c', false],
    ['NotIn', ['a', 'b'], undefined, true],
    ['NotIn', ['a', 'b'], 'a', false],
    ['NotIn', ['a', 'b'], 'c', true],
  ]
  for (const [operator, values, value, expected] of cases) {
    it(`${operator} ${values?.join() ?? ''} of ${value === undefined ? 'nothing' : `"${value}"`}: ${expected}`, () => {
      const term = { key: 'key', operator, ...(values && { values }) }
      assert.equal(matchesLabels([term], value === undefined ? { other: 'a' } : { key: value, other: 'a' }), expected)
    })
  }

  it('wants every term, and nothing of no terms', () => {
    const terms: readonly LabelTerm[] = [
      { key: 'a', operator: 'Exists' },
      { key: 'b', operator: 'DoesNotExist' },
    ]
    assert.deepEqual(
      [{ a: '' }, { a: '', b: '' }, {}].map((labels) => matchesLabels(terms, labels)),
      [true, false, false],
    )
    assert.equal(matchesLabels([], {}), true)
  })

  it('sees no label that the prototype has', () => {
    assert.equal(matchesLabels([{ key: 'toString', operator: 'Exists' }], {}), false)
    assert.equal(matchesLabels([{ key: '__proto__', operator: 'Exists' }], {}), false)
  })
})
