/** What a write makes of the stored verdict. Pure: stores call it again after a conflict, with the newest value. */
import { extendFacts, type VerdictFacts } from '../verdicts/merge.ts'
import { decidePhase, factsToExtend, type Thresholds } from '../verdicts/phase.ts'
import { sameVerdict } from '../verdicts/serialize.ts'
import type { ImageVerdict, Release } from '../verdicts/types.ts'

/** `current` with `facts` merged in and its phase decided; `current` itself when nothing changes. */
export function extendVerdict(
  name: string,
  current: ImageVerdict | undefined,
  facts: VerdictFacts,
  now: number,
  thresholds: Thresholds,
): ImageVerdict {
  // Names and evidence alone start nothing over.
  const base = Object.keys(facts.contributions).length === 0 ? current : factsToExtend(current, now)
  const merged = base === undefined ? facts : extendFacts(base, facts)
  return orSame(current, decidePhase(name, merged, current, now, thresholds))
}

/** `current` with its phase decided again: after a person's release, or when its time is over. */
export function settleVerdict(current: ImageVerdict, now: number, thresholds: Thresholds): ImageVerdict {
  return orSame(current, decidePhase(current.name, current, current, now, thresholds))
}

/** `current` released by a person. */
export function releaseVerdict(
  current: ImageVerdict,
  release: Release,
  now: number,
  thresholds: Thresholds,
): ImageVerdict {
  return decidePhase(current.name, { ...current, release }, current, now, thresholds)
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
