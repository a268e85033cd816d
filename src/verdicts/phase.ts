/** Phases of a verdict: decided from its facts, its last phase and the time. Pure. */
import { boundFacts, type VerdictFacts } from './merge.ts'
import { HALF_LIFE_MS, peakScore } from './score.ts'
import type { Contribution, ImageVerdict, Phase } from './types.ts'

export interface Thresholds {
  readonly warnAt: number
  readonly denyAt: number
  /** How long an image is only watched after its last contribution, milliseconds. */
  readonly observeMs: number
  /** How long a warning or a denial lasts after the last contribution, milliseconds. */
  readonly flagMs: number
}

export const THRESHOLDS: Thresholds = { warnAt: 50, denyAt: 100, observeMs: 24 * 3600_000, flagMs: 30 * 24 * 3600_000 }

/** Why a phase is what it is. Stable: metric labels, and the first word of `ImageVerdict.reason`. */
export type PhaseReason = 'below-thresholds' | 'warn-threshold' | 'deny-threshold' | 'released' | 'expired'

/** A weight is 3 % after five half-lives: a new act so much later is judged by itself. */
const FORGET_MS = 5 * HALF_LIFE_MS

const RANK: Readonly<Record<Phase, number>> = {
  expired: 0,
  released: 0,
  observing: 1,
  pending: 1,
  warning: 2,
  denying: 3,
}

/** Whether going from one phase to the other makes admission stricter: a threshold was crossed. `undefined`: there was no verdict. */
export function isStricter(from: Phase | undefined, to: Phase): boolean {
  return RANK[to] > RANK.observing && RANK[to] > (from === undefined ? 0 : RANK[from])
}

/** The code at the start of a verdict's `reason`. */
export function reasonCode(verdict: Pick<ImageVerdict, 'reason'>): string {
  return verdict.reason.split(':', 1)[0] ?? ''
}

/** Whether `now` is past the verdict's end; a released one ends too. */
export function isExpired(verdict: ImageVerdict, now: number): boolean {
  return now > verdict.expiresAt
}

/** Whether admission has to speak of this verdict at `now`: warning or denying, not over, not released since. */
export function isFlagged(
  verdict: ImageVerdict,
  now: number,
): verdict is ImageVerdict & { phase: 'warning' | 'denying' } {
  if (verdict.phase !== 'warning' && verdict.phase !== 'denying') return false
  return !isExpired(verdict, now) && (verdict.release === undefined || countedContributions(verdict).length > 0)
}

/** The contributions that count: all, or after a release those with later reports, from the release on. */
export function countedContributions(facts: Pick<VerdictFacts, 'contributions' | 'release'>): readonly Contribution[] {
  const all = Object.values(facts.contributions)
  const { release } = facts
  if (release === undefined) return all
  const later = all.filter((contribution) => contribution.last > release.at)
  return later.map((contribution) => ({ ...contribution, first: Math.max(contribution.first, release.at + 1) }))
}

/**
 * The verdict that follows from facts. `previous` is the value they were merged into; its phase is latched: without a release or the end of its time a
 * phase never goes down. Values are equal for equal inputs, whatever the order in which the facts came.
 */
export function decidePhase(
  name: string,
  facts: VerdictFacts,
  previous: ImageVerdict | undefined,
  now: number,
  thresholds: Thresholds = THRESHOLDS,
): ImageVerdict {
  const latched = latchable(facts, previous, now) ? previous : undefined
  const counted = countedContributions(facts)
  const decision = decide(counted, facts, latched, thresholds)
  const newest = counted.reduce((latest, { last }) => Math.max(latest, last), 0)
  const unchanged = latched?.phase === decision.phase ? latched : undefined
  const verdict: ImageVerdict = {
    name,
    ...boundFacts(facts),
    phase: decision.phase,
    phaseSince: unchanged?.phaseSince ?? now,
    reason: `${decision.code}: ${decision.text}`,
    expiresAt: Math.max(endOf(decision.phase, facts, newest, thresholds), unchanged?.expiresAt ?? 0),
  }
  if (!isExpired(verdict, now)) return verdict
  if (previous?.phase === 'expired') return previous
  const since = newest === 0 ? '' : ` since ${new Date(newest).toISOString()}`
  const code: PhaseReason = 'expired'
  return {
    ...verdict,
    phase: 'expired',
    phaseSince: now,
    reason: `${code}: was ${verdict.phase}, no contribution${since}`,
  }
}

/** A phase that was reached before a release, or that is over, holds nothing any more. */
function latchable(facts: VerdictFacts, previous: ImageVerdict | undefined, now: number): previous is ImageVerdict {
  if (previous === undefined || previous.phase === 'expired' || isExpired(previous, now)) return false
  return facts.release === undefined || previous.phaseSince > facts.release.at || previous.phase === 'released'
}

/** What a new act is added to: an expired verdict starts over (its names and evidence stay), and what is too old is forgotten unless it denies. */
export function factsToExtend(current: ImageVerdict | undefined, now: number): VerdictFacts | undefined {
  if (current === undefined) return undefined
  if (current.phase === 'expired' || isExpired(current, now)) return { ...current, contributions: {} }
  if (current.phase === 'denying') return current
  const recent = Object.entries(current.contributions).filter(([, { last }]) => now - last <= FORGET_MS)
  return { ...current, contributions: Object.fromEntries(recent) }
}

interface Decision {
  readonly phase: Phase
  readonly code: PhaseReason
  readonly text: string
}

function decide(
  counted: readonly Contribution[],
  facts: VerdictFacts,
  latched: ImageVerdict | undefined,
  thresholds: Thresholds,
): Decision {
  const { score } = peakScore(counted)
  const shown = (Math.round(score * 10) / 10).toFixed(1)
  const classes = [...new Set(counted.map((contribution) => contribution.class))].sort().slice(0, 6).join(', ')
  if (score >= thresholds.denyAt) {
    return {
      phase: 'denying',
      code: 'deny-threshold',
      text: `score ${shown} reached ${thresholds.denyAt} (${classes})`,
    }
  }
  if (latched?.phase === 'denying') {
    return { phase: 'denying', code: 'deny-threshold', text: textAfterCode(latched.reason) }
  }
  if (score >= thresholds.warnAt) {
    return {
      phase: 'warning',
      code: 'warn-threshold',
      text: `score ${shown} reached ${thresholds.warnAt} (${classes})`,
    }
  }
  if (latched?.phase === 'warning') {
    return { phase: 'warning', code: 'warn-threshold', text: textAfterCode(latched.reason) }
  }
  if (facts.release !== undefined) {
    const { by, as, reason } = facts.release
    return { phase: 'released', code: 'released', text: `by ${by} as ${as}: ${reason}` }
  }
  const because = classes === '' ? '' : ` (${classes})`
  return {
    phase: 'observing',
    code: 'below-thresholds',
    text: `score ${shown} is below ${thresholds.warnAt}${because}`,
  }
}

function endOf(phase: Phase, facts: VerdictFacts, newest: number, thresholds: Thresholds): number {
  if (phase === 'released') return (facts.release?.at ?? newest) + thresholds.flagMs
  return newest + (phase === 'observing' ? thresholds.observeMs : thresholds.flagMs)
}

function textAfterCode(reason: string): string {
  return reason.slice(reason.indexOf(':') + 2)
}
