/** Each event is handled once, however often and by how many roads it arrives. */
import type { RuntimeAlert } from '../alerts/types.ts'
import { eventKey } from './dedupe.ts'
import type { SeenEvents } from './dedupe.ts'
import type { Outcome } from './types.ts'

/** What is there at once, or later. Nearly every alert of a flood changes nothing and is decided at once, without a promise. */
export type Eventually<T> = T | Promise<T>

/**
 * Returns what handles an alert received at a time (milliseconds), unless its event was or is being handled.
 *
 * @param handle gets the event's key, too
 * @param decided is told each outcome, and gives it back
 */
export function createOnce(
  seen: SeenEvents,
  handle: (alert: RuntimeAlert, key: string, receivedAt: number) => Eventually<Outcome>,
  decided: (outcome: Outcome) => Outcome,
): (alert: RuntimeAlert, receivedAt: number) => Eventually<Outcome> {
  /** Events that wait for a write. */
  const inFlight = new Map<string, Promise<unknown>>()

  const done = (key: string, outcome: Outcome): Outcome => {
    seen.settle(key, outcome.decision)
    return decided(outcome)
  }

  const wait = async (key: string, work: Promise<Outcome>): Promise<Outcome> => {
    inFlight.set(key, work)
    try {
      return done(key, await work)
    } finally {
      inFlight.delete(key)
    }
  }

  const handleUnlessSeen = (alert: RuntimeAlert, key: string, receivedAt: number): Eventually<Outcome> => {
    if (seen.has(key)) return decided({ alert, decision: 'duplicate', reason: 'this event arrived before' })
    const work = handle(alert, key, receivedAt)
    return work instanceof Promise ? wait(key, work) : done(key, work)
  }

  return (alert, receivedAt) => {
    const key = eventKey(alert)
    const other = inFlight.get(key)
    return other === undefined
      ? handleUnlessSeen(alert, key, receivedAt)
      : other.then(() => handleUnlessSeen(alert, key, receivedAt))
  }
}

/** What throws is a promise that rejects, so that one alert's error does not keep others from being awaited. */
export function attempt<T>(work: () => Eventually<T>): Eventually<T> {
  try {
    return work()
  } catch (error) {
    return Promise.reject(error)
  }
}
