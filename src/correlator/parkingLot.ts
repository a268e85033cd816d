import { StoreBusyError } from '../verdicts/types.ts'
import { MAX_PARKED, type ParkedAlert, type ParkingLot } from './types.ts'

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
