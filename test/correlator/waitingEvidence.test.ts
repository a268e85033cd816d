import assert from 'node:assert/strict'
import { createWaitingEvidence } from '../../src/correlator/waitingEvidence.ts'
import { evidence, NOW } from './support.ts'

describe('evidence that waits', () => {
  it('keeps the newest piece of each key, whatever the order, until it is taken', () => {
    const waiting = createWaitingEvidence()
    const [old, newer] = [evidence({ key: 'a', time: NOW }), evidence({ key: 'a', time: NOW + 1 })]
    waiting.add('x', [newer])
    waiting.add('x', [old, evidence({ key: 'b' })])
    waiting.add('y', [old])
    assert.deepEqual([waiting.names(), waiting.size()], [['x', 'y'], 2])
    assert.deepEqual(waiting.take('x')?.evidence, [newer, evidence({ key: 'b' })])
    assert.equal(waiting.take('x'), undefined)
    assert.equal(waiting.size(), 1)
  })

  it('keeps of ever new acts those that a verdict would keep', () => {
    const waiting = createWaitingEvidence()
    for (let index = 0; index < 1000; index++)
      waiting.add('x', [evidence({ key: String(index), time: NOW + index, weight: index === 7 ? 200 : 100 })])
    const kept = waiting.take('x')?.evidence ?? []
    assert.ok(kept.length <= 64)
    assert.ok(kept.some(({ key }) => key === '7'))
    assert.ok(kept.some(({ key }) => key === '999'))
  })
})
