/** Phases of a verdict: decided from its facts, its last phase and the time. Pure. */
import { decisionEnd, isConfirmed, mutedBy, mutesUntil } from './decisions.ts'
import { boundFacts } from './bounds.ts'
import { decideReach, EVERYWHERE, keptReach, scoresOf, type Hold, type ReachRules, type Scores } from './reach.ts'
import { HALF_LIFE_MS } from './score.ts'
import type { Contribution, FlaggedPhase, ImageVerdict, Phase, Reach, VerdictFacts } from './types.ts'

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
export type PhaseReason =
  | 'below-thresholds'
  | 'warn-threshold'
  | 'deny-threshold'
  | Hold['code']
  /** A person confirmed it. */
  | 'confirmed'
  | 'released'
  | 'expired'

/** A weight is 3 % after five half-lives: a new act so much later is judged by itself. */
const FORGET_MS = 5 * HALF_LIFE_MS

const RANK: Readonly<Record<Phase, number>> = {
  expired: 0,
  released: 0,
  observing: 1,
  pending: 2,
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
export function isExpired(verdict: Pick<ImageVerdict, 'expiresAt'>, now: number): boolean {
  return now > verdict.expiresAt
}

/** Whether admission has anything to say in this phase. */
export function isFlaggedPhase(phase: Phase): phase is FlaggedPhase {
  return phase === 'warning' || phase === 'denying' || phase === 'pending'
}

/** Whether admission has to speak of this verdict at `now`, somewhere: warning, pending or denying, not over, not released since. Where: answerIn. */
export function isFlagged(verdict: ImageVerdict, now: number): boolean {
  if (!isFlaggedPhase(verdict.phase)) return false
  if (isExpired(verdict, now)) return false
  return verdict.release === undefined || isConfirmed(verdict, now) || countedContributions(verdict).length > 0
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
  rules: ReachRules = EVERYWHERE,
): ImageVerdict {
  const latched = latchable(facts, previous, now) ? previous : undefined
  const kept = boundFacts({ ...facts, ...mutedBy(facts) })
  const counted = countedContributions(facts)
  const decision = decide(name, counted, kept, latched, now, thresholds, rules)
  const newest = counted.reduce((latest, { last }) => Math.max(latest, last), 0)
  const unchanged = latched?.phase === decision.phase ? latched : undefined
  const verdict: ImageVerdict = {
    name,
    ...kept,
    phase: decision.phase,
    phaseSince: decision.widened ? now : (unchanged?.phaseSince ?? now),
    reason: `${decision.code}: ${decision.text}`,
    expiresAt: Math.max(endOf(decision.phase, facts, newest, now, thresholds), unchanged?.expiresAt ?? 0),
    ...keptReach(decision.phase, decision.reach),
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

/** What a new act is added to: an expired verdict starts over (its names and evidence stay), and what is too old is forgotten unless it denies or waits for a person. */
export function factsToExtend(current: ImageVerdict | undefined, now: number): VerdictFacts | undefined {
  if (current === undefined) return undefined
  if (current.phase === 'expired' || isExpired(current, now)) return { ...current, contributions: {} }
  if (current.phase === 'denying' || current.phase === 'pending') return current
  const recent = Object.entries(current.contributions).filter(([, { last }]) => now - last <= FORGET_MS)
  return { ...current, contributions: Object.fromEntries(recent) }
}

interface PhaseDecision {
  readonly phase: Phase
  readonly code: PhaseReason
  readonly text: string
  readonly reach: Reach
  readonly widened: boolean
}

function decide(
  name: string,
  counted: readonly Contribution[],
  facts: VerdictFacts,
  latched: ImageVerdict | undefined,
  now: number,
  thresholds: Thresholds,
  rules: ReachRules,
): PhaseDecision {
  const { warnAt, denyAt } = thresholds
  const { digests, references, confirm } = facts
  if (confirm !== undefined && isConfirmed(facts, now)) {
    const reach: Reach = { elsewhere: 'denying', denying: [], warning: [] }
    const text = `by ${confirm.by}: ${confirm.reason}`
    return { phase: 'denying', code: 'confirmed', text, reach, widened: false }
  }
  const scores = scoresOf(counted)
  const waiting = latched?.phase === 'pending' ? scoresOf(countedContributions(latched)) : undefined
  const input = { name, digests, references, counted, scores, latched, waiting, warnAt, denyAt, now }
  const { reach, hold, widened } = decideReach(input, rules)
  const phase = phaseOf(reach, hold, latched)
  const held = phase === 'pending' ? hold : undefined
  const said = { phase, reach, widened }
  if (held !== undefined) return { ...said, code: held.code, text: `${scored(scores, counted, denyAt)}; ${held.text}` }
  if (latched?.phase === phase && (phase === 'pending' || latched.reason.startsWith('confirmed: '))) {
    return { ...said, code: reasonCode(latched) as PhaseReason, text: textAfterCode(latched.reason) }
  }
  if (phase === 'denying' || phase === 'warning') {
    const [code, threshold]: [PhaseReason, number] =
      phase === 'denying' ? ['deny-threshold', denyAt] : ['warn-threshold', warnAt]
    if (scores.highest < threshold && latched?.phase === phase)
      return { ...said, code, text: textAfterCode(latched.reason) }
    const only = scores.shared < threshold ? ', in the namespace of the evidence only' : ''
    return { ...said, code, text: `${scored(scores, counted, threshold)}${only}` }
  }
  if (facts.release !== undefined) {
    const { by, as, reason } = facts.release
    // The date until which it silences anything: the list of verdicts shows it.
    const end = as === 'fixed' ? '' : ` until ${dayOf(decisionEnd(facts.release))}`
    return { ...said, phase: 'released', code: 'released', text: `by ${by} as ${as}${end}: ${reason}` }
  }
  const classes = classesOf(counted)
  const because = classes === '' ? '' : ` (${classes})`
  return { ...said, code: 'below-thresholds', text: `score ${shown(scores)} is below ${warnAt}${because}` }
}

function phaseOf(reach: Reach, hold: Hold | undefined, latched: ImageVerdict | undefined): Phase {
  if (reach.elsewhere === 'denying') return 'denying'
  if (hold !== undefined || latched?.phase === 'pending') return 'pending'
  if (reach.denying.length > 0) return 'denying'
  return reach.elsewhere === 'warning' || reach.warning.length > 0 ? 'warning' : 'observing'
}

function scored(scores: Scores, counted: readonly Contribution[], threshold: number): string {
  return `score ${shown(scores)} reached ${threshold} (${classesOf(counted)})`
}

function shown({ highest }: Scores): string {
  return (Math.round(highest * 10) / 10).toFixed(1)
}

function classesOf(counted: readonly Contribution[]): string {
  return [...new Set(counted.map((contribution) => contribution.class))].sort().slice(0, 6).join(', ')
}

function endOf(phase: Phase, facts: VerdictFacts, newest: number, now: number, thresholds: Thresholds): number {
  // As long as it silences anything it has to be there.
  if (phase === 'released') return Math.max((facts.release?.at ?? newest) + thresholds.flagMs, mutesUntil(facts))
  const flagged = newest + (phase === 'observing' ? thresholds.observeMs : thresholds.flagMs)
  return facts.confirm !== undefined && isConfirmed(facts, now)
    ? Math.max(flagged, decisionEnd(facts.confirm))
    : flagged
}

/** `2026-12-22`; what no date can be, as the last day that has four digits. */
function dayOf(time: number): string {
  return new Date(Math.min(Math.max(time, 0), Date.UTC(9999, 11, 31))).toISOString().slice(0, 10)
}

function textAfterCode(reason: string): string {
  return reason.slice(reason.indexOf(':') + 2)
}
