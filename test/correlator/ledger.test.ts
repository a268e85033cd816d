import assert from 'node:assert/strict'
import { createCorrelator } from '../../src/correlator/correlator.ts'
import { createLedger } from '../../src/correlator/ledger.ts'
import { createMemoryStore } from '../../src/verdicts/memoryStore.ts'
import type { ImageVerdict } from '../../src/verdicts/types.ts'
import { NOW, parseReference, verdict } from './support.ts'

const digestOf = (index: number): string => `sha256:${String(index).padStart(64, '0')}`
const numbered = (index: number, changes: Partial<ImageVerdict> = {}): ImageVerdict =>
  verdict({
    name: `sha256-${String(index).padStart(64, '0')}`,
    digests: [digestOf(index)],
    references: [`registry.example/app-${index}:1`, 'registry.example/shared:1'],
    ...changes,
  })

/** A ledger that keeps two verdicts whole, over a store that counts how often it is read. */
function small(count: number) {
  const stored = new Map<string, ImageVerdict>()
  let reads = 0
  const ledger = createLedger((name) => {
    reads++
    return stored.get(name)
  }, 2)
  const put = (one: ImageVerdict): void => {
    stored.set(one.name, one)
    ledger.apply({ name: one.name, verdict: one })
  }
  for (let index = 0; index < count; index++) put(numbered(index))
  return { ledger, stored, put, reads: () => reads }
}

describe('the ledger in memory', () => {
  it('reads from the store what it does not keep whole, and finds it all the same', () => {
    const { ledger, reads } = small(10)
    assert.equal(ledger.get(numbered(1).name)?.digests[0], digestOf(1))
    assert.equal(reads(), 0)
    assert.equal(ledger.findByDigest(digestOf(9))?.name, numbered(9).name)
    assert.equal(reads(), 1)
    assert.equal(ledger.findByDigest(digestOf(9))?.name, numbered(9).name)
    assert.equal(reads(), 1)
    assert.equal(ledger.findByReference('registry.example/shared:1').length, 10)
    const image = parseReference('registry.example/app-3:1') ?? assert.fail()
    assert.equal(ledger.find(image, NOW, 'shop')?.answer, 'denying')
  })

  it('lists everything without pushing out what is used', () => {
    const { ledger, reads } = small(10)
    assert.equal([...ledger.entries()].length, 10)
    assert.equal(reads(), 0)
    assert.deepEqual(
      [...ledger.verdicts()].map(({ name }) => name),
      Array.from({ length: 10 }, (_, index) => numbered(index).name),
    )
    assert.equal(reads(), 8)
    ledger.get(numbered(1).name)
    assert.equal(reads(), 8)
  })

  it('keeps a verdict whole that changed, however many there are', () => {
    const { ledger, put, reads } = small(10)
    put(numbered(7, { phase: 'expired' }))
    assert.equal(ledger.get(numbered(7).name)?.phase, 'expired')
    assert.equal(reads(), 0)
  })

  it('finds an image by a digest that its verdict is not named after, and not by one that the verdict does not hold', () => {
    const { ledger, put } = small(0)
    put(numbered(1, { digests: [digestOf(2), digestOf(3)] }))
    assert.equal(ledger.findByDigest(digestOf(1)), undefined)
    assert.equal(ledger.findByDigest(digestOf(3))?.name, numbered(1).name)
    put(numbered(1, { digests: [digestOf(1), digestOf(3)] }))
    assert.equal(ledger.findByDigest(digestOf(1))?.name, numbered(1).name)
    assert.equal(ledger.findByDigest(digestOf(2)), undefined)
    assert.equal(ledger.findByDigest(digestOf(3))?.name, numbered(1).name)
    put(numbered(3))
    assert.equal(ledger.findByDigest(digestOf(3))?.name, numbered(1).name)
    ledger.apply({ name: numbered(1).name })
    assert.equal(ledger.findByDigest(digestOf(1)), undefined)
    assert.equal(ledger.findByDigest(digestOf(3))?.name, numbered(3).name)
  })

  it('forgets what was removed, and names that a verdict no longer has', () => {
    const { ledger, stored, put } = small(3)
    put(numbered(0, { references: [] }))
    assert.deepEqual(ledger.findByReference('registry.example/app-0:1'), [])
    ledger.apply({ name: numbered(1).name })
    stored.delete(numbered(1).name)
    assert.equal(ledger.findByDigest(digestOf(1)), undefined)
    assert.equal(ledger.get(numbered(1).name), undefined)
    assert.equal([...ledger.entries()].length, 2)
  })

  it('meets nothing twice that changes while all of them are gone through', () => {
    const { ledger, put } = small(3)
    const met: string[] = []
    for (const { name } of ledger.entries()) {
      met.push(name)
      put(numbered(Number(name.slice(-1)), { phase: 'expired' }))
    }
    assert.equal(met.length, 3)
  })

  it('goes without what the store lost', () => {
    const { ledger, stored } = small(5)
    stored.clear()
    assert.equal(ledger.get(numbered(4).name), undefined)
    assert.equal(ledger.findByReference('registry.example/shared:1').length, 2)
  })

  it('hears what others change, however many verdicts there are', async () => {
    const watched = (n: number): ImageVerdict => numbered(n, { references: [], phase: 'observing' })
    // One more than a correlator keeps whole.
    const store = createMemoryStore(Array.from({ length: 5001 }, (_, n) => watched(n)))
    const correlator = createCorrelator({ store, parseReference, clock: () => NOW })
    await correlator.start()
    const told: string[] = []
    correlator.onChange(({ name, verdict: changed }) => told.push(`${name.slice(-4)} ${changed?.phase}`))
    for (const n of [0, 5000])
      await store.write(numbered(n).name, (current) => ({ ...(current ?? watched(n)), phase: 'denying' }))
    assert.deepEqual(told, ['0000 denying', '5000 denying'])
    await correlator.stop()
  })
})
