import assert from 'node:assert/strict'
import { createInPieces } from '../../src/alerts/inPieces.ts'

describe('work in pieces', () => {
  /** Works through items that take so many milliseconds each. @returns at which item there was a rest, and the items that were given */
  function work(items: Iterable<number>): { readonly given: readonly number[]; readonly rests: readonly number[] } {
    let time = 1000
    const given: number[] = []
    const rests: number[] = []
    const inPieces = createInPieces({
      now: () => time,
      rest() {
        rests.push(given.length)
        time += 0.1
      },
    })
    for (const item of inPieces(items)) {
      given.push(item)
      time += item
    }
    return { given, rests }
  }

  it('rests whenever the items since the last rest took 0.35 ms', () => {
    assert.deepEqual(work(Array<number>(10).fill(0.125)).rests, [3, 6, 9])
  })

  it('rests after each item that took longer', () => {
    assert.deepEqual(work([5, 0.1, 5]).rests, [1, 3])
  })

  it('does not rest for what is quick, however many batches there are', () => {
    assert.deepEqual([work([]).rests, work([0.1, 0.1]).rests], [[], []])
  })

  it('gives every item once and in order, and reads them only as they are asked for', () => {
    let read = 0
    function* items(): Iterable<number> {
      for (const item of [0.4, 0.3, 0.2]) {
        read++
        yield item
      }
    }
    assert.deepEqual(work(items()).given, [0.4, 0.3, 0.2])
    const [first] = createInPieces({ now: () => 0, rest: () => undefined })(items())
    assert.deepEqual([first, read], [0.4, 4])
  })
})
