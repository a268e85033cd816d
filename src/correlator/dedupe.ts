/** Which alerts say what is known already: the same event again, the same act again, or an effect that the ledger already holds. */
import { hash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { RuntimeAlert } from '../alerts/types.ts'
import { isExpired } from '../verdicts/phase.ts'
import { contributionKey, missingNames } from '../verdicts/merge.ts'
import type { ImageVerdict } from '../verdicts/types.ts'
import type { Effect } from './contribute.ts'
import type { AlertDecision } from './types.ts'

/** An effect whose `last` is at most this much newer than the stored one need not be written again. */
const UNNOTICED_MS = 10_000

/** Some configurations report 12 characters of the id, some all 64. */
const ID_PREFIX = 12

/** Characters of what is kept as it is: a sender may send 50,000 different ones of thousands of characters. */
const MAX_PLAIN = 160

/** Hashes of the acts that were reported last: nearly every alert of a flood repeats one. */
const hashes = new LRUCache<string, string>({ max: 4096 })

/**
 * Identity of a replay: detector, container, rule and the event's time to the nanosecond. The road and its random ids are no part of it. Without a
 * container id all that says which container it was: times of some sensors are whole seconds.
 */
export function eventKey(alert: RuntimeAlert): string {
  const { detector, containerId, namespace, pod, containerName, image, imageDigest, rule, timeText } = alert
  const key = JSON.stringify(
    containerId === undefined
      ? [detector, namespace ?? '', pod ?? '', containerName ?? '', image ?? '', imageDigest ?? '', rule, timeText]
      : [detector, containerId.slice(0, ID_PREFIX), rule, timeText],
  )
  // Every event has a key of its own, and hashing it takes longer than comparing it. Long ones would fill the memory of `createSeenEvents`.
  return key.length <= MAX_PLAIN ? key : hashOf(key)
}

/** Identity of a repeat: detector, rule, container and target. Evidence is kept once per key. */
export function repeatKey(alert: RuntimeAlert): string {
  const act = JSON.stringify([alert.detector, alert.rule, alert.containerId?.slice(0, ID_PREFIX) ?? '', alert.target])
  if (act.length > MAX_PLAIN) return hashOf(act)
  const known = hashes.get(act)
  if (known !== undefined) return known
  const key = hashOf(act)
  hashes.set(act, key)
  return key
}

/** Outcomes after which the same event can change nothing. The others may only lack what it brings along by another road: an image, or a pod's name. */
const FINAL: ReadonlySet<AlertDecision> = new Set(['contributed', 'repeat', 'parked', 'no-weight', 'too-old', 'muted'])

/** Events that were dealt with for good: at most `max`, at least the last half of them (the replay of a forgotten one merges into what is stored). */
export interface SeenEvents {
  has(key: string): boolean
  add(key: string): void
  /** Remembers or forgets the event, as its outcome asks. */
  settle(key: string, decision: AlertDecision): void
}

export function createSeenEvents(max: number): SeenEvents {
  let newer = new Set<string>()
  let older = new Set<string>()
  const add = (key: string): void => {
    newer.add(key)
    // The older half is forgotten as a whole: every alert adds one, and an order of use would cost more than it is worth.
    if (newer.size < max / 2) return
    older = newer
    newer = new Set()
  }
  return {
    has: (key) => newer.has(key) || older.has(key),
    add,
    settle: (key, decision) => {
      if (FINAL.has(decision)) return add(key)
      newer.delete(key)
      older.delete(key)
    },
  }
}

/** Whether the effect is from before a person's decision: it may have come late, or the node's clock is behind. */
export function isBeforeRelease(stored: ImageVerdict | undefined, effect: Effect): boolean {
  const release = stored?.release
  return release !== undefined && effect.contributions.every(({ last }) => last <= release.at)
}

/** Whether writing `effect` into `stored` at `now` would change nothing that counts: then it can be acknowledged without a write. */
export function isAlreadyDurable(stored: ImageVerdict | undefined, effect: Effect, now: number): boolean {
  if (stored === undefined || stored.phase === 'expired' || isExpired(stored, now)) return false
  const missing = missingNames(stored, effect)
  if (missing.digests.length + missing.references.length > 0) return false
  return effect.contributions.every((contribution) => {
    const { release } = stored
    if (release !== undefined && contribution.last <= release.at) return true
    const known = stored.contributions[contributionKey(contribution)]
    if (known === undefined || known.weight < contribution.weight) return false
    if (release !== undefined && known.last <= release.at) return false
    return contribution.first >= known.first - UNNOTICED_MS && contribution.last <= known.last + UNNOTICED_MS
  })
}

function hashOf(text: string): string {
  return hash('sha256', text, 'hex').slice(0, 32)
}
