/**
 * Merging what is known of an image. Commutative and idempotent always; associative as long as nothing has to be dropped for the bounds.
 * Inputs are never changed.
 */
import { boundFacts, present } from './bounds.ts'
import { inOrder, joinParts, keepDigests, keepReferences, partsOf } from './imageNames.ts'
import { canonicalJson, compareText } from './jsonText.ts'
import type { Contribution, Decision, ImageVerdict, Muted, VerdictFacts } from './types.ts'

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
  return {
    digests: without(wanted.digests, stored.digests, stored.alerted?.digests),
    references: without(wanted.references, stored.references, stored.alerted?.references),
  }
}

/** Those that are not among the first `count` of `known` (default all), which are few. */
function without(names: readonly string[], known: readonly string[], count = known.length): readonly string[] {
  return names.filter((name) => {
    const index = known.indexOf(name)
    return index < 0 || index >= count
  })
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

function later<Item extends Decision | Muted>(left: Item | undefined, right: Item | undefined): Item | undefined {
  if (left === undefined || right === undefined) return left ?? right
  if (left.at !== right.at) return left.at > right.at ? left : right
  return compareText(canonicalJson(left), canonicalJson(right)) <= 0 ? left : right
}
