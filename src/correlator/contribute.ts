/** From an alert to what it would change in the ledger. */
import type { Classification } from '../alerts/classes.ts'
import { cleanText } from '../alerts/text.ts'
import type { RuntimeAlert } from '../alerts/types.ts'
import { contributionKey, mergeContribution, mergeFacts, missingNames, noFacts } from '../verdicts/merge.ts'
import { nameByDigest, nameByReference } from '../verdicts/name.ts'
import { countedContributions } from '../verdicts/phase.ts'
import type { Contribution, Evidence, ImageVerdict, VerdictFacts } from '../verdicts/types.ts'
import type { ImageIdentity } from './attribute.ts'
import { repeatKey } from './dedupe.ts'

/** An event from before is a broken clock: the receipt time counts. */
export const PLAUSIBLE_SINCE = Date.UTC(2015, 0, 1)

/** Clocks of nodes differ by as much; a time further ahead is no time of an event. */
export const CLOCK_SKEW_MS = 5 * 60_000

/** Longest text of a place or target kept with evidence. */
const MAX_NOTE = 128

/** An older event is evidence without weight. */
export const MAX_AGE_MS = 24 * 3600_000

/** What is to be merged into one verdict. */
export interface Effect {
  readonly digests: readonly string[]
  readonly references: readonly string[]
  readonly contributions: readonly Contribution[]
  readonly evidence: readonly Evidence[]
}

/**
 * The time that counts (milliseconds): the event's own, or the receipt's when that one is implausible or in the future. `implausible`: more
 * than a clock's difference, so that nobody knows whether the event was before or after something else.
 */
export function countedTime(
  alert: RuntimeAlert,
  receivedAt: number,
): { readonly time: number; readonly tooOld: boolean; readonly implausible: boolean } {
  const plausible = alert.time >= PLAUSIBLE_SINCE && alert.time <= receivedAt
  const time = plausible ? alert.time : receivedAt
  const implausible = !plausible && !(alert.time > receivedAt && alert.time <= receivedAt + CLOCK_SKEW_MS)
  return { time, tooOld: receivedAt - time > MAX_AGE_MS, implausible }
}

/** The alert's target as evidence keeps it, `''` for none: what a release silences is compared with this. */
export function actTarget(alert: Pick<RuntimeAlert, 'target'>): string {
  return cleanText(alert.target, MAX_NOTE)
}

/** The effect of one alert; `weight` 0 leaves evidence only. */
export function effectOf(
  alert: RuntimeAlert,
  classification: Classification,
  image: ImageIdentity,
  time: number,
): Effect {
  const { class: name, weight } = classification
  const { detector } = alert
  const own: { readonly own?: true } = image.own === true ? { own: true } : {}
  // Field by field: this runs for every alert.
  const evidence: { -readonly [Key in keyof Evidence]: Evidence[Key] } = {
    key: repeatKey(alert),
    detector,
    rule: cleanText(alert.rule, 256),
    priority: cleanText(alert.priority, 64),
    class: name,
    weight,
    time,
  }
  if (image.namespace !== undefined) evidence.namespace = cleanText(image.namespace, MAX_NOTE)
  if (image.pod !== undefined) evidence.pod = cleanText(image.pod, MAX_NOTE)
  if (image.container !== undefined) evidence.container = cleanText(image.container, MAX_NOTE)
  if (image.node !== undefined) evidence.node = cleanText(image.node, MAX_NOTE)
  const target = actTarget(alert)
  if (target !== '') evidence.target = target
  if (image.own === true) evidence.own = true
  return {
    digests: image.digests,
    references: image.references,
    contributions:
      weight > 0 ? [{ class: name, detector, owner: image.owner, weight, first: time, last: time, ...own }] : [],
    evidence: [evidence],
  }
}

/** Several effects on one verdict as facts that can be merged into it. */
export function factsOf(effects: readonly Effect[]): VerdictFacts {
  let facts = noFacts
  for (const { digests, references, contributions, evidence } of effects) {
    const byKey = new Map<string, Contribution>()
    for (const item of contributions) {
      const key = contributionKey(item)
      const other = byKey.get(key)
      byKey.set(key, other === undefined ? item : mergeContribution(other, item))
    }
    const alerted = contributions.length === 0 ? undefined : { digests: digests.length, references: references.length }
    facts = mergeFacts(facts, { digests, references, alerted, contributions: Object.fromEntries(byKey), evidence })
  }
  return facts
}

/** An effect and the verdict that it is for. */
export interface FiledEffect {
  readonly name: string
  readonly effect: Effect
}

/**
 * What `effect` needs beside the verdict `stored`, which is full: a verdict of its own for every name that found no room there. It holds what counts against
 * the image so far, so that the name is judged like the others.
 */
export function ownVerdicts(stored: ImageVerdict, effect: Effect): readonly FiledEffect[] {
  const missing = missingNames(stored, effect)
  if (missing.digests.length + missing.references.length === 0) return []
  const contributions = [...countedContributions(stored), ...effect.contributions]
  const own = [
    ...missing.digests.map((digest) => ({ name: nameByDigest(digest), digests: [digest], references: [] })),
    ...missing.references.map((reference) => ({
      name: nameByReference(reference),
      digests: [],
      references: [reference],
    })),
  ]
  return own
    .filter(({ name }) => name !== stored.name)
    .map(({ name, ...names }) => ({ name, effect: { ...effect, ...names, contributions } }))
}

/** Where all of `effect` belongs, given that `stored` is the verdict `name` now: there, and in the verdicts of names that are not held there. */
export function filedEffects(name: string, effect: Effect, stored: ImageVerdict | undefined): readonly FiledEffect[] {
  const own = stored === undefined ? [] : ownVerdicts(stored, effect)
  if (stored === undefined || own.length === 0) return [{ name, effect }]
  const missing = missingNames(stored, effect)
  const digests = effect.digests.filter((digest) => !missing.digests.includes(digest))
  const references = effect.references.filter((reference) => !missing.references.includes(reference))
  return [{ name, effect: { ...effect, digests, references } }, ...own]
}

/**
 * The verdict to contribute to: one that already holds a digest of the image, else a new one. Standalone (`byReference`) the reference is the name,
 * so that it depends on this alert alone and not on which came first.
 */
export function verdictNameFor(
  image: Pick<ImageIdentity, 'digests' | 'references'>,
  findByDigest: ((digest: string) => string | undefined) | undefined,
): string | undefined {
  const [reference] = image.references
  const [digest] = image.digests
  if (findByDigest === undefined) {
    const pinned = reference?.includes('@') === true
    if (reference !== undefined && !pinned) return nameByReference(reference)
  } else {
    for (const known of image.digests) {
      const name = findByDigest(known)
      if (name !== undefined) return name
    }
  }
  return digest === undefined ? undefined : nameByDigest(digest)
}
