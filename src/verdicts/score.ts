/**
 * The score of an image, computed from its contributions whenever it is read; it is never stored.
 *
 * Per class: the sum over (detector, owner) of the decayed weights, at most 1.5 times the largest weight of the class however many containers report it,
 * and a quarter more when two detectors report the class for one owner. The score is the sum over the classes.
 */
import type { Contribution } from './types.ts'

/** A weight halves in this time, counted from the contribution's `last`. */
export const HALF_LIFE_MS = 24 * 3600_000

const CLASS_CAP = 1.5
const AGREEMENT = 1.25

/** The score at `time`, milliseconds since the epoch. A contribution between its `first` and `last` counts in full; one that has not begun does not count. */
export function scoreAt(contributions: Iterable<Contribution>, time: number): number {
  const classes = new Map<
    string,
    { sum: number; largest: number; readonly detectors: Map<string, string>; agreed: boolean }
  >()
  for (const contribution of contributions) {
    if (contribution.first > time) continue
    let entry = classes.get(contribution.class)
    if (entry === undefined) {
      entry = { sum: 0, largest: 0, detectors: new Map(), agreed: false }
      classes.set(contribution.class, entry)
    }
    const age = Math.max(0, time - contribution.last)
    entry.sum += contribution.weight * 2 ** (-age / HALF_LIFE_MS)
    entry.largest = Math.max(entry.largest, contribution.weight)
    const other = entry.detectors.get(contribution.owner)
    entry.detectors.set(contribution.owner, contribution.detector)
    if (other !== undefined && other !== contribution.detector) entry.agreed = true
  }
  let score = 0
  for (const { sum, largest, agreed } of classes.values()) {
    score += Math.min(sum, CLASS_CAP * largest) * (agreed ? AGREEMENT : 1)
  }
  return score
}

/**
 * The highest value that the score ever had, and when. Phases are decided on it: at "now" a drop (100) that is a second old is 99.999 and would never deny.
 *
 * The score only rises where a contribution begins, so it is evaluated there. Adding or extending a contribution never lowers the peak, therefore the order in
 * which alerts arrive does not matter. (The price: the ledger does not keep the silences between `first` and `last`; phase.ts forgets old contributions.)
 */
export function peakScore(contributions: readonly Contribution[]): { readonly score: number; readonly at: number } {
  const [only] = contributions
  // Nearly every verdict has one, and then its weight is all there is.
  if (only !== undefined && contributions.length === 1 && only.weight > 0 && only.first <= only.last)
    return { score: only.weight, at: only.first }
  let peak = { score: 0, at: 0 }
  for (const { first } of contributions) {
    const score = scoreAt(contributions, first)
    if (score > peak.score || (score === peak.score && first < peak.at)) peak = { score, at: first }
  }
  return peak
}
