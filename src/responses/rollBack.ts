/**
 * Rolls a workload back by itself when a verdict stops it, instead of only saying how. Off unless `quarantine.rollback` is `automatic`: it changes what
 * runs. At most once for each workload and verdict (who puts the image in again meant it), and a few in an hour: alerts may be forged.
 */
import { LRUCache } from 'lru-cache'
import { rollbackKey, type Rollback } from '../verdicts/rollback.ts'

/** What became of one: `changed`, the workload is no longer what it was; `not-denied`, admission lets it be; `too-many`, a person has to do it. */
export type RollBackResult = 'rolled-back' | 'changed' | 'not-denied' | 'too-many' | 'failed'

/** Gives the workload the template of the revision back, if it still runs what it ran. Rejects when the API server refuses. */
export type UndoRollout = (rollback: Rollback) => Promise<'rolled-back' | 'changed'>

export interface RollBackOptions {
  /** Whether admission would deny a pod with one of these images there now: label, verdict, reach and brake together. */
  readonly denies: (namespace: string, images: readonly string[]) => Promise<boolean>
  readonly undo: UndoRollout
  /** Told of each, once. `error` with `failed`. */
  readonly onResult: (rollback: Rollback, verdict: string, result: RollBackResult, error?: unknown) => void
  /** Milliseconds since the epoch. */
  readonly clock: () => number
}

export interface RollBack {
  /** Only puts into a queue. `verdict`: its name. */
  readonly add: (rollback: Rollback, verdict: string) => void
  /** Resolves when what is queued was dealt with. */
  readonly idle: () => Promise<void>
}

const HOUR_MS = 3600_000
/** As many denials as an hour may bring without a person (`quarantine.budget.perCluster`), whatever that is set to. */
export const ROLLBACKS_AN_HOUR = 10
const MAX_REMEMBERED = 10_000

export function createRollBack({ denies, undo, onResult, clock }: RollBackOptions): RollBack {
  const tried = new LRUCache<string, true>({ max: MAX_REMEMBERED })
  let times: readonly number[] = []
  let working: Promise<void> = Promise.resolve()

  const decide = async (rollback: Rollback): Promise<RollBackResult> => {
    times = times.filter((time) => clock() - time < HOUR_MS)
    if (times.length >= ROLLBACKS_AN_HOUR) return 'too-many'
    if (!(await denies(rollback.workload.namespace, rollback.from))) return 'not-denied'
    times = [...times, clock()]
    return undo(rollback)
  }

  return {
    add: (rollback, verdict) => {
      const key = `${verdict} ${rollbackKey(rollback)}`
      if (tried.has(key)) return
      tried.set(key, true)
      // One after the other, so that the count holds.
      working = working.then(async () => {
        try {
          onResult(rollback, verdict, await decide(rollback))
        } catch (error) {
          onResult(rollback, verdict, 'failed', error)
        }
      })
    },
    idle: () => working,
  }
}
