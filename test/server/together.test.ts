import assert from 'node:assert/strict'
import { createTogether } from '../../src/server/together.ts'

/** What happened, in order; each decision takes so many milliseconds. */
function stage(): {
  readonly events: string[]
  readonly take: (name: string, milliseconds?: number, after?: () => void) => void
  /** Ends the turn of the event loop. */
  readonly turn: () => void
} {
  const events: string[] = []
  const soon: (() => void)[] = []
  let time = 0
  const together = createTogether({ now: () => time, soon: (callback) => void soon.push(callback) })
  return {
    events,
    take: (name, milliseconds = 0.01, after) =>
      together(() => {
        events.push(`decide ${name}`)
        time += milliseconds
        after?.()
        return name === 'late' ? undefined : () => void events.push(`send ${name}`)
      }),
    turn() {
      events.push('turn')
      for (const callback of soon.splice(0)) callback()
    },
  }
}

describe('server/together', () => {
  it('decides what has arrived, and then sends it, in the order in which it came', () => {
    const { events, take, turn } = stage()
    take('a')
    take('b')
    take('c')
    turn()
    turn()
    assert.deepEqual(events, ['turn', 'decide a', 'decide b', 'decide c', 'send a', 'send b', 'send c', 'turn'])
  })

  it('leaves what comes meanwhile, or after it, for the next turn', () => {
    const { events, take, turn } = stage()
    take('a', 0.01, () => take('b'))
    turn()
    take('c')
    turn()
    assert.deepEqual(events, ['turn', 'decide a', 'send a', 'turn', 'decide b', 'decide c', 'send b', 'send c'])
  })

  it('sends nothing for what something else answers', () => {
    const { events, take, turn } = stage()
    take('late')
    take('a')
    turn()
    assert.deepEqual(events, ['turn', 'decide late', 'decide a', 'send a'])
  })

  it('has nobody wait for more than a millisecond of the decisions of others', () => {
    const { events, take, turn } = stage()
    take('a', 0.6)
    take('b', 0.6)
    take('c', 0.6)
    take('large', 5)
    take('d')
    turn()
    const expected = 'turn,decide a,decide b,send a,send b,decide c,decide large,send c,send large,decide d,send d'
    assert.equal(events.join(','), expected)
  })
})
