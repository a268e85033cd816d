/**
 * Merging what is known of an image. Commutative and idempotent always; associative as long as nothing has to be dropped for the bounds.
 * Inputs are never changed.
 */
import type { Contribution, Decision, Evidence, ImageVerdict, Muted } from './types.ts'

/** The part of a verdict that grows by merging. Everything else of it is decided from this (phase.ts). */
export type VerdictFacts = Pick<
  ImageVerdict,
  'digests' | 'references' | 'alerted' | 'contributions' | 'evidence' | 'release' | 'confirm' | 'mute' | 'muted'
>

export const MAX_CONTRIBUTIONS = 64
/** More than any one image has; of a tag that was pushed more often the rest get verdicts of their own. */
export const MAX_DIGESTS = 16
export const MAX_REFERENCES = 32
export const EVIDENCE_STRONGEST = 5
export const EVIDENCE_NEWEST = 5

/**
 * Bytes of all facts together as JSON. A stored object stays below 8 KiB with it: the rest is for the phase's own fields and its reach,
 * for times as text (`2026-11-22T06:08:15.844Z` where JSON here has a number) and for the object's metadata.
 */
export const MAX_FACTS_BYTES = 5400

/** People's decisions take from the others' room up to so much; the API's schema bounds their texts. */
const MAX_DECISIONS_BYTES = 2000

/** References share this part, so that long names cannot crowd out the contributions. */
const MAX_REFERENCES_BYTES = 1200

/** The same for digests: all of them of SHA-256, fewer of the longer algorithms. */
const MAX_DIGESTS_BYTES = 2 + MAX_DIGESTS * 74

/** Kept for evidence when contributions would fill the object. */
const EVIDENCE_RESERVE_BYTES = 1500

export const noFacts: VerdictFacts = { digests: [], references: [], contributions: {}, evidence: [] }

/** The key of the map of contributions. It holds two bars, so it is never `__proto__`. What counts for its own namespace only is never merged with what counts everywhere. */
export function contributionKey(contribution: Pick<Contribution, 'class' | 'detector' | 'owner' | 'own'>): string {
  const own = contribution.own === true ? 'own|' : ''
  return `${own}${contribution.class}|${contribution.detector}|${contribution.owner}`
}

/** Maximum weight, earlier `first`, later `last`. Both must have the same key. */
export function mergeContribution(left: Contribution, right: Contribution): Contribution {
  return {
    ...left,
    weight: Math.max(left.weight, right.weight),
    first: Math.min(left.first, right.first),
    last: Math.max(left.last, right.last),
  }
}

/** The union of both, bounded; where it is too much the strongest contributions, the strongest and the newest evidence stay. */
export function mergeFacts(left: VerdictFacts, right: VerdictFacts): VerdictFacts {
  const digests = joinParts(partsOf(left, 'digests'), partsOf(right, 'digests'))
  const references = joinParts(partsOf(left, 'references'), partsOf(right, 'references'))
  return boundFacts({
    ...inOrder(digests, references),
    contributions: mergeContributions(left.contributions, right.contributions),
    evidence: [...left.evidence, ...right.evidence],
    ...present({
      release: later(left.release, right.release),
      confirm: later(left.confirm, right.confirm),
      mute: later(left.mute, right.mute),
      muted: later(left.muted, right.muted),
    }),
  })
}

/**
 * Adds to what is stored. Like `mergeFacts`, but names have an order of precedence: those that alerts came with, then those that were observed, and in both
 * the stored ones before the added ones. So the names that a verdict was made for are never pushed out, however many other names its image is given.
 */
export function extendFacts(stored: VerdictFacts, added: VerdictFacts): VerdictFacts {
  const digests = keepDigests(joinParts(partsOf(stored, 'digests'), partsOf(added, 'digests')))
  const references = keepReferences(joinParts(partsOf(stored, 'references'), partsOf(added, 'references')))
  return mergeFacts(
    { ...stored, ...inOrder(digests, references) },
    { ...added, digests: [], references: [], alerted: undefined },
  )
}

/** Names that `stored` does not hold for good: absent, or only observed there and so the first to go. */
export function missingNames(
  stored: Pick<VerdictFacts, 'digests' | 'references' | 'alerted'>,
  wanted: Pick<VerdictFacts, 'digests' | 'references'>,
): Pick<VerdictFacts, 'digests' | 'references'> {
  // Without `alerted` the store may not know the field (an older CRD): names that are there must do.
  const digests = new Set(stored.digests.slice(0, stored.alerted?.digests))
  const references = new Set(stored.references.slice(0, stored.alerted?.references))
  return {
    digests: wanted.digests.filter((digest) => !digests.has(digest)),
    references: wanted.references.filter((reference) => !references.has(reference)),
  }
}

/** Brings any facts into bounds and into canonical order. Idempotent. */
export function boundFacts(facts: VerdictFacts): VerdictFacts {
  const names = inOrder(
    keepDigests(sortParts(partsOf(facts, 'digests'))),
    keepReferences(sortParts(partsOf(facts, 'references'))),
  )
  const evidence = selectEvidence(facts.evidence)
  const people = present({ release: facts.release, confirm: facts.confirm, mute: facts.mute, muted: facts.muted })
  let left = MAX_FACTS_BYTES - jsonBytes(names) - Math.min(jsonBytes(people), MAX_DECISIONS_BYTES)
  const reserved = Math.min(EVIDENCE_RESERVE_BYTES, jsonBytes(evidence), left / 2)
  const strongest = Object.entries(facts.contributions).sort(byStrength)
  // Half of the room is for what counts everywhere: a tenant could push it out with heavier evidence that counts for its own namespace only.
  const shared = strongest.filter(([, { own }]) => own !== true)
  const first = new Set(takeBytes(shared, MAX_CONTRIBUTIONS / 2, (left - reserved) / 2))
  const order = [...first, ...strongest.filter((entry) => !first.has(entry))]
  const kept = takeBytes(order, MAX_CONTRIBUTIONS, left - reserved)
  left -= jsonBytes(kept)
  return {
    ...names,
    contributions: Object.fromEntries(kept.sort(([a], [b]) => compareText(a, b))),
    evidence: takeBytes(evidence, EVIDENCE_STRONGEST + EVIDENCE_NEWEST, left),
    ...people,
  }
}

/** Names of one kind: those that alerts came with, and the others. */
interface Parts {
  readonly alerted: readonly string[]
  readonly observed: readonly string[]
}

function partsOf(facts: VerdictFacts, kind: 'digests' | 'references'): Parts {
  const count = facts.alerted?.[kind] ?? 0
  return { alerted: facts[kind].slice(0, count), observed: facts[kind].slice(count) }
}

/** Both, the left one's names first; a name that any alert came with is no longer among the observed. */
function joinParts(left: Parts, right: Parts): Parts {
  const alerted = new Set([...left.alerted, ...right.alerted])
  const observed = new Set([...left.observed, ...right.observed])
  return { alerted: [...alerted], observed: [...observed].filter((name) => !alerted.has(name)) }
}

function sortParts(parts: Parts): Parts {
  const { alerted, observed } = joinParts(parts, parts)
  return { alerted: alerted.toSorted(compareText), observed: observed.toSorted(compareText) }
}

/** The first names that fit, those that alerts came with before the others. */
function keepParts({ alerted, observed }: Parts, maxItems: number, maxBytes: number): Parts {
  const kept = new Set(takeBytes([...alerted, ...observed], maxItems, maxBytes))
  return { alerted: alerted.filter((name) => kept.has(name)), observed: observed.filter((name) => kept.has(name)) }
}

function keepDigests(parts: Parts): Parts {
  return keepParts(parts, MAX_DIGESTS, MAX_DIGESTS_BYTES)
}

function keepReferences(parts: Parts): Parts {
  return keepParts(parts, MAX_REFERENCES, MAX_REFERENCES_BYTES)
}

function inOrder(digests: Parts, references: Parts): Pick<VerdictFacts, 'digests' | 'references' | 'alerted'> {
  const alerted = { digests: digests.alerted.length, references: references.alerted.length }
  return {
    digests: [...digests.alerted, ...digests.observed],
    references: [...references.alerted, ...references.observed],
    ...(alerted.digests + alerted.references === 0 ? {} : { alerted }),
  }
}

function mergeContributions(
  left: ImageVerdict['contributions'],
  right: ImageVerdict['contributions'],
): ImageVerdict['contributions'] {
  const merged = new Map(Object.entries(left))
  for (const [key, contribution] of Object.entries(right)) {
    const other = merged.get(key)
    merged.set(key, other === undefined ? contribution : mergeContribution(other, contribution))
  }
  return Object.fromEntries(merged)
}

/** One piece per key (the newest), then the 5 strongest and the 5 newest, strongest first. */
export function selectEvidence(evidence: readonly Evidence[]): readonly Evidence[] {
  const byKey = new Map<string, Evidence>()
  for (const piece of evidence) {
    const other = byKey.get(piece.key)
    byKey.set(piece.key, other === undefined ? piece : newestEvidence(piece, other))
  }
  const pieces = [...byKey.values()]
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
  return right.time - left.time || right.weight - left.weight || compareText(canonicalJson(left), canonicalJson(right))
}

/** Strongest first, then newest. */
function compareEvidenceStrength(left: Evidence, right: Evidence): number {
  return right.weight - left.weight || compareEvidenceAge(left, right)
}

function byStrength([leftKey, left]: [string, Contribution], [rightKey, right]: [string, Contribution]): number {
  const shared = Number(left.own === true) - Number(right.own === true)
  return right.weight - left.weight || shared || right.last - left.last || compareText(leftKey, rightKey)
}

function later<Item extends Decision | Muted>(left: Item | undefined, right: Item | undefined): Item | undefined {
  if (left === undefined || right === undefined) return left ?? right
  if (left.at !== right.at) return left.at > right.at ? left : right
  return compareText(canonicalJson(left), canonicalJson(right)) <= 0 ? left : right
}

/** The first items that fit, at most `maxItems`; an item too long for what is left is passed over, not the end. */
function takeBytes<Item>(items: readonly Item[], maxItems: number, maxBytes: number): Item[] {
  const taken: Item[] = []
  let left = maxBytes - 2
  for (const item of items) {
    if (taken.length === maxItems) break
    const bytes = jsonBytes(item) + 1
    if (bytes > left) continue
    left -= bytes
    taken.push(item)
  }
  return taken
}

/** Independent of the order in which keys were set. */
function canonicalJson(value: object): string {
  return JSON.stringify(Object.entries(value).sort(([a], [b]) => compareText(a, b)))
}

/** Without the keys that have no value. */
function present<Item extends object>(item: Item): Partial<Item> {
  return Object.fromEntries(Object.entries(item).filter(([, value]) => value !== undefined)) as Partial<Item>
}

/** By UTF-16 code unit, the same on every machine (`localeCompare` is not). */
function compareText(left: string, right: string): number {
  if (left === right) return 0
  return left < right ? -1 : 1
}

function jsonBytes(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value))
}
