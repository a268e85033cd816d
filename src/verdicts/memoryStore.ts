import { sameVerdict } from './serialize.ts'
import type { ImageVerdict, VerdictChange, VerdictStore } from './types.ts'

/** A store that forgets at the end of the process: for replays and tests. Several correlators may share one. */
export function createMemoryStore(initial: readonly ImageVerdict[] = []): VerdictStore {
  const verdicts = new Map(initial.map((verdict) => [verdict.name, verdict]))
  const listeners = new Set<(change: VerdictChange) => void>()
  const emit = (change: VerdictChange): void => {
    for (const listener of listeners) listener(change)
  }
  return {
    load: async (take) => {
      await take([...verdicts.values()])
      return []
    },
    get: (name) => verdicts.get(name),
    write: async (name, update) => {
      const current = verdicts.get(name)
      const next = update(current)
      if (current !== undefined && (next === current || sameVerdict(current, next))) return current
      verdicts.set(name, next)
      emit({ name, verdict: next })
      return next
    },
    remove: async (name, mayRemove) => {
      const current = verdicts.get(name)
      if (current === undefined || !mayRemove(current)) return false
      verdicts.delete(name)
      emit({ name })
      return true
    },
    watch: (onChange) => {
      listeners.add(onChange)
      return () => listeners.delete(onChange)
    },
    close: () => Promise.resolve(),
  }
}
