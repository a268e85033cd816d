/** What happens to verdicts by the passing of time alone. */
import { LRUCache } from 'lru-cache'
import { isExpired, isFlagged } from '../verdicts/phase.ts'
import { reachOf, type UsesOf } from '../verdicts/reach.ts'
import type { ImageVerdict } from '../verdicts/types.ts'
import { MAX_AGE_MS } from './contribute.ts'
import { withoutIdleNamespaces } from './decide.ts'
import type { Ledger, LedgerEntry } from './ledger.ts'
import type { Change } from './writer.ts'

/** How long before a verdict's end people are told. */
export const EXPIRES_SOON_MS = 72 * 3600_000

/** Spared namespaces are looked at so often: who left is known for a day anyway. */
const IDLE_CHECK_MS = 10 * 60_000

export interface UpkeepOptions {
  readonly ledger: Pick<Ledger, 'entries' | 'verdicts' | 'get'>
  /** `current` with its phase decided again. */
  readonly settle: (current: ImageVerdict) => ImageVerdict
  /** A write that nobody waits for; never rejects. */
  readonly submit: (task: string, name: string, change: Change) => Promise<void>
  readonly usesOf: UsesOf | undefined
  /** Once for each verdict and end, by each replica, again after a restart. */
  readonly onExpiresSoon: (verdict: ImageVerdict) => void
  /** Milliseconds since the epoch. */
  readonly clock: () => number
}

export interface Upkeep {
  /** Ends what is over, tells of what soon will be, and no longer spares namespaces in which an image has not run for 24 h. */
  sweep(): Promise<void>
}

export function createUpkeep({ ledger, settle, submit, usesOf, onExpiresSoon, clock }: UpkeepOptions): Upkeep {
  const startedAt = clock()
  const told = new LRUCache<string, number>({ max: 10_000 })
  let checkedAt = startedAt

  const tell = ({ name, phaseSince, expiresAt }: LedgerEntry, now: number): void => {
    // One that never had so long to live would be announced at its birth.
    if (expiresAt - now > EXPIRES_SOON_MS || expiresAt - phaseSince <= EXPIRES_SOON_MS) return
    if (told.get(name) === expiresAt) return
    const verdict = ledger.get(name)
    if (verdict === undefined || !isFlagged(verdict, now)) return
    told.set(name, expiresAt)
    onExpiresSoon(verdict)
  }

  const endSparing = async (now: number): Promise<void> => {
    // Until then a directory that has just begun does not know who left before.
    if (usesOf === undefined || now - startedAt < MAX_AGE_MS || now - checkedAt < IDLE_CHECK_MS) return
    checkedAt = now
    for (const verdict of ledger.verdicts()) {
      const { elsewhere, warning } = reachOf(verdict)
      if (elsewhere !== 'denying' || warning.length === 0) continue
      const running = new Set(usesOf(verdict).map(({ namespace }) => namespace))
      if (warning.every((namespace) => running.has(namespace))) continue
      await submit('end sparing', verdict.name, { step: (current) => withoutIdleNamespaces(current, running) })
    }
  }

  return {
    sweep: async () => {
      const now = clock()
      for (const entry of ledger.entries()) {
        if (entry.phase === 'expired') continue
        if (isExpired(entry, now)) await submit('expire', entry.name, { step: settle })
        else tell(entry, now)
      }
      await endSparing(now)
    },
  }
}
