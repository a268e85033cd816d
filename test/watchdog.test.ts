import assert from 'node:assert/strict'
import { watchAnswers } from '../src/watchdog.ts'

describe('watchAnswers', () => {
  const settings = { everyMilliseconds: 1, withinMilliseconds: 20 }

  it('says once that an answer is missing', async () => {
    let asked = 0
    const stuck = await new Promise<number>((resolve) => {
      watchAnswers({
        ...settings,
        ask: () => ((asked += 1) < 4 ? Promise.resolve() : new Promise(() => undefined)),
        onStuck: () => resolve(asked),
      })
    })
    assert.equal(stuck, 4)
  })

  it('says nothing of a thread that has ended, or after it was stopped', async () => {
    const unexpected = (): never => assert.fail('taken for stuck')
    await new Promise<void>((resolve) => {
      watchAnswers({
        ...settings,
        ask: () => Promise.reject(new Error('ended')).finally(() => setTimeout(resolve, 40)),
        onStuck: unexpected,
      })
    })
    await new Promise<void>((resolve) => {
      const stop = watchAnswers({
        ...settings,
        ask: () => {
          stop()
          setTimeout(resolve, 40)
          return new Promise(() => undefined)
        },
        onStuck: unexpected,
      })
    })
  })
})
