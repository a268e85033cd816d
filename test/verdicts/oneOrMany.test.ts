import assert from 'node:assert/strict'
import { listOf, oneOrMany } from '../../src/verdicts/oneOrMany.ts'

describe('verdicts/oneOrMany', () => {
  it('keeps the one of a list without the list', () => {
    const one = { a: 1 }
    assert.equal(oneOrMany([one]), one)
  })

  for (const list of [[], ['a'], ['a', 'b'], [undefined]]) {
    it(`gives back a list of ${list.length}: ${JSON.stringify(list)}`, () =>
      assert.deepEqual(listOf(oneOrMany(list)), list))
  }
})
