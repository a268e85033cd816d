/** What an alert's sender may do: accuse the containers of its own node, and so many images an hour. */
import { LRUCache } from 'lru-cache'
import type { RuntimeAlert } from '../alerts/types.ts'
import { isExpired } from '../verdicts/phase.ts'
import type { ImageVerdict } from '../verdicts/types.ts'
import type { AlertDecision } from './types.ts'

/** Why an alert's weight does not count. It is evidence then. */
export interface WithoutWeight {
  readonly decision: Extract<AlertDecision, 'wrong-node' | 'over-budget' | 'implausible-time'>
  readonly reason: string
}

export interface SenderLimits {
  /**
   * Says why an alert that would weigh may not, or undefined. An image that is not denied yet is counted against the sender's hour, once.
   *
   * @param node where the cluster says that the container runs; standalone: as the alert claims
   * @param name of the verdict
   * @param known the verdict as it is now
   */
  refuse(
    alert: Pick<RuntimeAlert, 'credential'>,
    node: string | undefined,
    name: string,
    known: ImageVerdict | undefined,
  ): WithoutWeight | undefined
}

const HOUR_MILLISECONDS = 3600_000

/**
 * @param verdictsPerHour by the name of a credential; undefined: no limit
 * @param clock milliseconds
 */
export function createSenderLimits(
  verdictsPerHour: (credential: string) => number | undefined,
  clock: () => number,
): SenderLimits {
  // Sender -> verdict -> when it was first counted, oldest first. Of a credential that is bound to nodes each node is a sender: one that is taken over must
  // not spend what the others may accuse.
  const accused = new LRUCache<string, Map<string, number>>({ max: 10_000 })

  const isOverBudget = (sender: string, limit: number, name: string): boolean => {
    const now = clock()
    const names = accused.get(sender) ?? new Map<string, number>()
    accused.set(sender, names)
    for (const [other, at] of names) {
      if (at <= now && now - at < HOUR_MILLISECONDS) break
      names.delete(other)
    }
    if (names.has(name)) return false
    if (names.size >= limit) return true
    names.set(name, now)
    return false
  }

  return {
    refuse({ credential }, node, name, known) {
      if (credential === undefined) return undefined
      if (credential.node !== undefined && credential.node !== node)
        return {
          decision: 'wrong-node',
          reason: 'the container runs on another node than the sender is bound to: evidence without weight',
        }
      const limit = verdictsPerHour(credential.name)
      const isDenied = known?.phase === 'denying' && !isExpired(known, clock())
      if (
        limit === undefined ||
        isDenied ||
        !isOverBudget(JSON.stringify([credential.name, credential.node]), limit, name)
      )
        return undefined
      return {
        decision: 'over-budget',
        reason: `the sender has accused ${limit} images within an hour, as many as it may: evidence without weight`,
      }
    },
  }
}

/**
 * After a person's decision an alert whose time says nothing does not weigh: it may be a replay of what was decided on, and its receipt, which
 * would count in place of its time, is always later than the decision.
 */
export function timeRefused(implausible: boolean, known: ImageVerdict | undefined): WithoutWeight | undefined {
  if (!implausible || known?.release === undefined) return undefined
  return {
    decision: 'implausible-time',
    reason: 'its time is in the future or before 2015, so it may be from before the release: evidence without weight',
  }
}
