/** Room in a full ledger: what expired goes first, then what only was watched gives way to what warns or denies. */
import { isStricter, countedContributions } from '../verdicts/phase.ts'
import { mutesUntil } from '../verdicts/decisions.ts'
import type { ImageVerdict, VerdictStore } from '../verdicts/types.ts'
import { MAX_AGE_MS } from './contribute.ts'
import type { Ledger } from './ledger.ts'

/** A queue of candidates is as good as new for so long, milliseconds: a burst of denials must not sort the ledger for each of them. */
const QUEUE_MS = 10_000

export interface RoomOptions {
  readonly ledger: Pick<Ledger, 'entries' | 'get'>
  readonly store: Pick<VerdictStore, 'remove'>
  /** After every removal. */
  readonly onRemoved: (name: string) => void
  /** Milliseconds since the epoch. */
  readonly clock: () => number
}

export interface Room {
  /** Deletes verdicts that expired more than `after` milliseconds ago; whether any went. */
  removeExpired(after: number): Promise<boolean>
  /**
   * The ledger refused `wanted`: whether there is room now. One verdict that is only observed (the weakest first, of those the oldest) or whose release is
   * older than the oldest event that counts, and silences nothing, gives way to one that warns or denies; never the reverse, and never to another that is only observed.
   */
  make(wanted: ImageVerdict | undefined): Promise<boolean>
}

export function createRoom({ ledger, store, onRemoved, clock }: RoomOptions): Room {
  let queue: ImageVerdict[] = []
  let queuedAt = Number.NEGATIVE_INFINITY

  const removeIf = async (name: string, mayRemove: (current: ImageVerdict) => boolean): Promise<boolean> => {
    const done = (await store.remove?.(name, mayRemove)) === true
    if (done) onRemoved(name)
    return done
  }

  const removeExpired = async (after: number): Promise<boolean> => {
    const now = clock()
    let removed = false
    // What a person silenced stays so, however long nothing was reported.
    const isOver = (current: ImageVerdict): boolean =>
      current.phase === 'expired' && now - current.expiresAt > after && now > mutesUntil(current)
    for (const { name, phase } of ledger.entries()) {
      if (phase !== 'expired') continue
      const verdict = ledger.get(name)
      if (verdict !== undefined && isOver(verdict) && (await removeIf(name, isOver))) removed = true
    }
    return removed
  }

  /** The next candidate; the queue is taken from at the end. */
  const next = (now: number): ImageVerdict | undefined => {
    if (queue.length === 0 || now - queuedAt > QUEUE_MS) {
      queuedAt = now
      queue = [...ledger.entries()]
        .filter(({ phase }) => phase === 'observing' || phase === 'released')
        .flatMap(({ name }) => ledger.get(name) ?? [])
        .filter((verdict) => mayGiveWay(verdict, now))
        .map((verdict) => ({ verdict, weight: weightOf(verdict) }))
        .toSorted((left, right) => right.weight - left.weight || right.verdict.expiresAt - left.verdict.expiresAt)
        .map(({ verdict }) => verdict)
    }
    return queue.pop()
  }

  return {
    removeExpired,
    make: async (wanted) => {
      if (await removeExpired(0)) return true
      if (store.remove === undefined || wanted === undefined || !isStricter(undefined, wanted.phase)) return false
      const now = clock()
      // Ends: every round takes a candidate away, and what was changed meanwhile so that it may not go is none any more.
      for (let candidate = next(now); candidate !== undefined; candidate = next(now)) {
        if (await removeIf(candidate.name, (current) => mayGiveWay(current, now))) return true
        if (queue.length === 0) return false
      }
      return false
    },
  }
}

function mayGiveWay(verdict: ImageVerdict, now: number): boolean {
  const { phase, release } = verdict
  if (now <= mutesUntil(verdict)) return false
  // A release that is younger still answers events from before it.
  return phase === 'observing' || (phase === 'released' && release !== undefined && now - release.at > MAX_AGE_MS)
}

function weightOf(verdict: ImageVerdict): number {
  return countedContributions(verdict).reduce((sum, { weight }) => sum + weight, 0)
}
