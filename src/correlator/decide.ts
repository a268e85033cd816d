/** What a write makes of the stored verdict. Pure: stores call it again after a conflict, with the newest value. */
import { extendFacts } from '../verdicts/merge.ts'
import { decidePhase, factsToExtend, type Thresholds } from '../verdicts/phase.ts'
import { keptReach, reachOf, type ReachRules } from '../verdicts/reach.ts'
import { sameVerdict } from '../verdicts/serialize.ts'
import type { Decision, ImageVerdict, Release, VerdictFacts } from '../verdicts/types.ts'

/** By what verdicts are decided. */
export interface VerdictPolicy {
  readonly thresholds: Thresholds
  readonly reach: ReachRules
}

/** `current` with `facts` merged in and its phase decided; `current` itself when nothing changes. */
export function extendVerdict(
  name: string,
  current: ImageVerdict | undefined,
  facts: VerdictFacts,
  now: number,
  policy: VerdictPolicy,
): ImageVerdict {
  // Names and evidence alone start nothing over.
  const base = Object.keys(facts.contributions).length === 0 ? current : factsToExtend(current, now)
  const merged = base === undefined ? facts : extendFacts(base, facts)
  return orSame(current, decidePhase(name, merged, current, now, policy.thresholds, policy.reach))
}

/** `current` with its phase decided again: after a person's release, or when its time is over. */
export function settleVerdict(current: ImageVerdict, now: number, policy: VerdictPolicy): ImageVerdict {
  return orSame(current, decidePhase(current.name, current, current, now, policy.thresholds, policy.reach))
}

/**
 * Whether `next`, which is what `current` should be by now, is worth a write that no alert asked for. Replicas with different thresholds would rewrite one
 * another's reasons for ever; a phase, a person's confirmation and what a release silences they agree about.
 */
export function isWorthSettling(current: ImageVerdict, next: ImageVerdict): boolean {
  if (current.phase !== next.phase || current.muted?.at !== next.muted?.at) return true
  return current.reach !== undefined && next.reach === undefined && next.phase === 'denying'
}

/** `current` with what a person decided: a release, or a confirmation that denies everywhere. */
export function withDecision(
  current: ImageVerdict,
  decision: { readonly release: Release } | { readonly confirm: Decision },
  now: number,
  policy: VerdictPolicy,
): ImageVerdict {
  return decidePhase(current.name, { ...current, ...decision }, current, now, policy.thresholds, policy.reach)
}

/** `current` without the spared namespaces in which the image no longer runs. */
export function withoutIdleNamespaces(current: ImageVerdict, running: ReadonlySet<string>): ImageVerdict {
  const reach = reachOf(current)
  if (reach.elsewhere !== 'denying') return current
  const warning = reach.warning.filter((namespace) => running.has(namespace))
  if (warning.length === reach.warning.length) return current
  const { reach: _before, ...rest } = current
  return { ...rest, ...keptReach(current.phase, { ...reach, warning }) }
}

/** `current` without a tag that now names another image. */
export function withoutReference(current: ImageVerdict, reference: string): ImageVerdict {
  if (!current.references.includes(reference)) return current
  const references = current.references.filter((known) => known !== reference)
  const { alerted } = current
  if (alerted === undefined || current.references.indexOf(reference) >= alerted.references)
    return { ...current, references }
  return { ...current, references, alerted: { ...alerted, references: alerted.references - 1 } }
}

function orSame(current: ImageVerdict | undefined, next: ImageVerdict): ImageVerdict {
  return current !== undefined && sameVerdict(current, next) ? current : next
}
