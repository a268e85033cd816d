import assert from 'node:assert/strict'
import { createTogether } from '../../src/server/together.ts'

/** What happened, in order; each decision takes so many milliseconds. */
function stage(): {
  readonly events: string[]
  readonly take: (
    name: string,
    milliseconds?: number,
    after?: () => void,
    bytes?: number,
    /** Another for each when not given. */
    connection?: object | null,
  ) => void
  /** Lets time pass. */
  readonly pass: (milliseconds: number) => void
  /** How long each had waited when it was decided. */
  readonly waits: number[]
  /** Ends the turn of the event loop. */
  readonly turn: () => void
} {
  const events: string[] = []
  const soon: (() => void)[] = []
  const waits: number[] = []
  let time = 0
  const together = createTogether({ now: () => time, soon: (callback) => void soon.push(callback) })
  return {
    events,
    waits,
    pass: (milliseconds) => void (time += milliseconds),
    take: (name, milliseconds = 0.01, after = () => undefined, bytes = 2, connection = {}) =>
      together(connection, bytes, (waited) => {
        waits.push(waited)
        events.push(`decide ${name}`)
        time += milliseconds
        after()
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

  it('sends what was decided within a millisecond before it decides more', () => {
    const { events, take, turn } = stage()
    take('a', 0.6)
    take('b', 0.6)
    take('c', 0.6)
    take('slow', 5)
    take('d')
    turn()
    const expected = 'turn,decide a,decide b,send a,send b,decide c,decide slow,send c,send slow,decide d,send d'
    assert.equal(events.join(','), expected)
  })

  it('sends what was decided before it decides what is large', () => {
    const { events, take, turn } = stage()
    take('a')
    take('b')
    take('large', 70, undefined, 64 * 1024 + 1)
    take('c')
    take('not large', 0.5, undefined, 64 * 1024)
    turn()
    const expected =
      'turn,decide a,decide b,send a,send b,decide large,send large,decide c,decide not large,send c,send not large'
    assert.equal(events.join(','), expected)
  })

  it('lets nobody wait who asks alone, or two who ask in turn', () => {
    const { events, take, turn } = stage()
    const [one, other, third] = [{}, {}, {}]
    for (const [name, connection] of Object.entries({ a: one, b: one, c: other, d: one, e: other, f: third, g: one }))
      take(name, 0.01, undefined, 2, connection)
    turn()
    const expected =
      'decide b,send b,decide d,send d,decide e,send e,turn,decide a,decide c,decide f,decide g,send a,send c,send f,send g'
    assert.equal(events.join(','), expected)
  })

  it('lets nobody wait behind another of its connection', () => {
    const { events, take } = stage()
    take('a', 0.01, undefined, 2, null)
    take('b', 0.01, undefined, 2, null)
    take('late', 0.01, undefined, 2, null)
    assert.deepEqual(events, ['decide a', 'send a', 'decide b', 'send b', 'decide late'])
  })

  it('counts what sending takes as waiting, too', () => {
    const soon: (() => void)[] = []
    const waits: number[] = []
    let time = 0
    const together = createTogether({ now: () => time, soon: (callback) => void soon.push(callback) })
    for (const connection of [{}, {}])
      together(connection, 2, (waited) => {
        waits.push(waited)
        time += 2
        return () => void (time += 5)
      })
    soon[0]!()
    assert.deepEqual(waits, [0, 7])
  })

  it('tells each how long it has waited', () => {
    const { waits, take, pass, turn } = stage()
    take('a', 16)
    pass(4)
    take('b', 1)
    take('c')
    pass(2)
    turn()
    assert.deepEqual(waits, [6, 18, 19])
  })
})
