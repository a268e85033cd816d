import assert from 'node:assert/strict'
import { Worker } from 'node:worker_threads'
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

  it('sleeps in a worker, and wakes by itself', async () => {
    const module = new URL('../../src/alerts/inPieces.js', import.meta.url).href
    const worker = new Worker(
      `import('${module}').then(({ restThread }) => {
        const before = performance.now()
        for (let count = 0; count < 200; count++) restThread()
        require('node:worker_threads').parentPort.postMessage(performance.now() - before)
      })`,
      { eval: true },
    )
    const milliseconds = await new Promise<number>((resolve, reject) => {
      worker.once('message', resolve)
      worker.once('error', reject)
    })
    // 200 times 0.01 ms at least; without sleep it is a tenth of that.
    assert.ok(milliseconds >= 2, `${milliseconds} ms`)
  })
})
