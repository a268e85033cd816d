/**
 * How many images may become denied in an hour without a person (rule 18): a flood of alerts, true or forged, must not stop a cluster's deployments.
 * Counted from the ledger, so that replicas agree as far as they have seen one another's writes.
 */
import { evidenceNamespaces } from '../verdicts/reach.ts'
import { countedContributions, reasonCode } from '../verdicts/phase.ts'
import type { ImageVerdict, VerdictChange } from '../verdicts/types.ts'

const HOUR_MS = 3600_000

/** A denial that was decided but is not in the ledger after so long was not written. */
const RESERVED_MS = 60_000

export interface Budget {
  /** A change of the ledger, at `now`. */
  note(change: VerdictChange, now: number): void
  /**
   * Takes the denial of `name` out of the budget. `false`: the cluster's is spent, or that of every namespace of its evidence (`''` has none). Asking again
   * for the same name costs nothing: a write may be repeated after a conflict.
   */
  take(name: string, evidence: readonly string[], now: number): boolean
}

export interface BudgetLimits {
  /** New denials an hour that have evidence from one namespace. */
  readonly perNamespace: number
  /** New denials an hour, all together. */
  readonly perCluster: number
}

interface Denial {
  readonly since: number
  readonly evidence: readonly string[]
  /** Not in the ledger yet. */
  readonly reserved: boolean
}

/** Remembers the denials of one hour, which are few: the budget itself bounds them. */
export function createBudget({ perNamespace, perCluster }: BudgetLimits): Budget {
  const denials = new Map<string, Denial>()

  const forgetOld = (now: number): void => {
    for (const [name, { since, reserved }] of denials)
      if (now - since > (reserved ? RESERVED_MS : HOUR_MS)) denials.delete(name)
  }

  return {
    note: ({ name, verdict }, now) => {
      const since = verdict === undefined ? undefined : deniedSince(verdict)
      // Any other phase says that the denial was not written, or that somebody took it back. A ledger that is loaded is full of old ones.
      if (verdict === undefined || since === undefined || now - since > HOUR_MS) denials.delete(name)
      else denials.set(name, { since, evidence: evidenceNamespaces(countedContributions(verdict)), reserved: false })
    },
    take: (name, evidence, now) => {
      forgetOld(now)
      const others = [...denials].filter(([other]) => other !== name).map(([, denial]) => denial)
      const spent = (namespace: string): boolean =>
        others.filter((denial) => denial.evidence.includes(namespace)).length >= perNamespace
      const named = evidence.filter((namespace) => namespace !== '')
      if (others.length >= perCluster || (named.length > 0 && named.every(spent))) return false
      denials.set(name, { since: now, evidence: named, reserved: true })
      return true
    },
  }
}

/** When the machine last denied this image somewhere new; what a person confirmed costs nothing. */
function deniedSince(verdict: ImageVerdict): number | undefined {
  return verdict.phase === 'denying' && reasonCode(verdict) !== 'confirmed' ? verdict.phaseSince : undefined
}
