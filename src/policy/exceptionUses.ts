/** How often and by whom exceptions are used: counted in memory, written elsewhere and lazily. */
import type { ObjectMeta } from '../kube/types.ts'
import type { ExceptionReading, FindException } from './exceptions.ts'

export interface ExceptionUse {
  readonly uses: number
  /** Milliseconds since the epoch. */
  readonly lastUse: number
  /** `namespace/Kind/name` of the workload that the latest pod belongs to. */
  readonly lastUsedBy: string
}

/** One exception as `drawbridge exceptions list` shows it. Plain data: it is sent as JSON. */
export interface ListedException {
  readonly name: string
  readonly reading: ExceptionReading
  readonly use?: ExceptionUse | undefined
}

/** Where the server's exceptions come from: files, or the Kubernetes API. */
export interface ExceptionSource {
  readonly find: FindException
  readonly list: () => readonly ListedException[]
  /**
   * A review says that `pod` was admitted because of these. Counts it for each name; in a cluster only after the API server has confirmed
   * that there is such a pod. Cheap; nothing waits for it. `by` as `lastUsedBy`.
   */
  recordUse(names: readonly string[], by: string, pod: ObjectMeta): void
}

/** Told of every use that was counted. */
export type OnUseCounted = (names: readonly string[], by: string) => void

/** Both together: the sum, and the later of the two. */
export const addUses = (a: ExceptionUse | undefined, b: ExceptionUse): ExceptionUse => {
  if (a === undefined) return b
  const later = b.lastUse >= a.lastUse ? b : a
  // A counter that cannot go on stays where it is.
  return { ...later, uses: Math.min(a.uses + b.uses, Number.MAX_SAFE_INTEGER) }
}

/**
 * Exceptions that do not change while the program runs. Uses are counted until it ends.
 * @param now milliseconds since the epoch
 */
export const fixedExceptions = (
  readings: ReadonlyMap<string, ExceptionReading>,
  now: () => number,
  onCounted: OnUseCounted = () => undefined,
): ExceptionSource => {
  const uses = new Map<string, ExceptionUse>()
  return {
    find: (name) => readings.get(name),
    list: () => [...readings].map(([name, reading]) => ({ name, reading, use: uses.get(name) })),
    recordUse: (names, by) => {
      onCounted(names, by)
      for (const name of names)
        // Only what exists is counted: the map stays as small as the files.
        if (readings.has(name)) uses.set(name, addUses(uses.get(name), { uses: 1, lastUse: now(), lastUsedBy: by }))
    },
  }
}
