/** Which pieces of evidence are kept, and in which order. */
import { canonicalJson, compareText } from './jsonText.ts'
import type { Evidence } from './types.ts'

export const EVIDENCE_STRONGEST = 5
export const EVIDENCE_NEWEST = 5

/** One piece per key (the newest), then the 5 strongest and the 5 newest, strongest first. */
export function selectEvidence(evidence: readonly Evidence[]): readonly Evidence[] {
  if (evidence.length <= 1) return evidence
  const byKey = new Map<string, Evidence>()
  for (const piece of evidence) {
    const other = byKey.get(piece.key)
    byKey.set(piece.key, other === undefined ? piece : newestEvidence(piece, other))
  }
  const pieces = [...byKey.values()]
  // All of them are among the strongest and among the newest.
  if (pieces.length <= Math.min(EVIDENCE_STRONGEST, EVIDENCE_NEWEST)) return pieces.sort(compareEvidenceStrength)
  const newest = pieces.toSorted(compareEvidenceAge).slice(0, EVIDENCE_NEWEST)
  const strongest = pieces.toSorted(compareEvidenceStrength).slice(0, EVIDENCE_STRONGEST)
  return [...new Set([...strongest, ...newest])].sort(compareEvidenceStrength)
}

/** The newer one of two pieces, whatever their order. */
export function newestEvidence(left: Evidence, right: Evidence): Evidence {
  return compareEvidenceAge(left, right) <= 0 ? left : right
}

/** Newest first; a total order, so that the order of merging never shows. */
function compareEvidenceAge(left: Evidence, right: Evidence): number {
  return right.time - left.time || right.weight - left.weight || compareFields(left, right)
}

function compareFields(left: Evidence, right: Evidence): number {
  // In a flood one act is reported many times in a millisecond: their texts would cost more than all else that happens to an alert.
  return isSame(left, right) ? 0 : compareText(canonicalJson(left), canonicalJson(right))
}

function isSame(left: Evidence, right: Evidence): boolean {
  const names = Object.keys(left) as (keyof Evidence)[]
  return (
    names.length === Object.keys(right).length && names.every((name) => name in right && left[name] === right[name])
  )
}

/** Strongest first, then newest. */
function compareEvidenceStrength(left: Evidence, right: Evidence): number {
  return right.weight - left.weight || compareEvidenceAge(left, right)
}
