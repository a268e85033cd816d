import { StoreBusyError } from '../verdicts/types.ts'
import type { ParkedAlert, ParkingLot } from './types.ts'

/** Alerts that wait at once; a burst of new pods parks a few hundred. */
export const MAX_PARKED = 10_000

/** A parking lot that does not survive the process: for replays, tests, and stores that have none. */
export function createMemoryParkingLot(max: number = MAX_PARKED): ParkingLot {
  const parked = new Map<string, ParkedAlert>()
  return {
    park: async (alerts) => {
      for (const alert of alerts) {
        if (!parked.has(alert.id) && parked.size >= max) throw new StoreBusyError(`${max} alerts are parked already`)
        parked.set(alert.id, alert)
      }
    },
    list: () => Promise.resolve([...parked.values()]),
    remove: async (ids) => {
      for (const id of ids) parked.delete(id)
    },
  }
}
