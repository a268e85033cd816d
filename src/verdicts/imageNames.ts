/** The digests and references of facts: those that alerts came with first (`alerted`), both parts sorted and in bounds. */
import { atMostBytes, compareText, jsonBytes, takeBytes } from './jsonText.ts'
import type { VerdictFacts } from './types.ts'

/** More than any one image has; of a tag that was pushed more often the rest get verdicts of their own. */
export const MAX_DIGESTS = 16
export const MAX_REFERENCES = 32

/** References share this part, so that long names cannot crowd out the contributions. */
const MAX_REFERENCES_BYTES = 1200

/** The same for digests: all of them of SHA-256, fewer of the longer algorithms. */
const MAX_DIGESTS_BYTES = 2 + MAX_DIGESTS * 74

/** Names of one kind: those that alerts came with, and the others. */
interface Parts {
  readonly alerted: readonly string[]
  readonly observed: readonly string[]
}

export function partsOf(facts: VerdictFacts, kind: 'digests' | 'references'): Parts {
  const count = facts.alerted?.[kind] ?? 0
  return { alerted: facts[kind].slice(0, count), observed: facts[kind].slice(count) }
}

/** Both, the left one's names first; a name that any alert came with is no longer among the observed. */
export function joinParts(left: Parts, right: Parts): Parts {
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

export function keepDigests(parts: Parts): Parts {
  return keepParts(parts, MAX_DIGESTS, MAX_DIGESTS_BYTES)
}

export function keepReferences(parts: Parts): Parts {
  return keepParts(parts, MAX_REFERENCES, MAX_REFERENCES_BYTES)
}

/** Both kinds, each in bounds and in canonical order. */
export function boundNames(facts: VerdictFacts): Pick<VerdictFacts, 'digests' | 'references' | 'alerted'> {
  const { digests, references, alerted } = facts
  if (isBound(digests, alerted?.digests, MAX_DIGESTS, MAX_DIGESTS_BYTES)) {
    if (isBound(references, alerted?.references, MAX_REFERENCES, MAX_REFERENCES_BYTES)) {
      return alerted === undefined || alerted.digests + alerted.references === 0
        ? { digests, references }
        : { digests, references, alerted: { digests: alerted.digests, references: alerted.references } }
    }
  }
  return inOrder(
    keepDigests(sortParts(partsOf(facts, 'digests'))),
    keepReferences(sortParts(partsOf(facts, 'references'))),
  )
}

/** Whether nothing has to be done about these names: few enough, each once, both parts sorted. */
function isBound(names: readonly string[], alerted = 0, maxItems: number, maxBytes: number): boolean {
  if (names.length > maxItems || !Number.isInteger(alerted) || alerted > names.length) return false
  if (names.some((name, index) => index > 0 && index !== alerted && names[index - 1]! >= name)) return false
  return (
    (alerted === 0 || new Set(names).size === names.length) &&
    (atMostBytes(names) < maxBytes || jsonBytes(names) < maxBytes)
  )
}

export function inOrder(digests: Parts, references: Parts): Pick<VerdictFacts, 'digests' | 'references' | 'alerted'> {
  const alerted = { digests: digests.alerted.length, references: references.alerted.length }
  return {
    digests: [...digests.alerted, ...digests.observed],
    references: [...references.alerted, ...references.observed],
    ...(alerted.digests + alerted.references === 0 ? {} : { alerted }),
  }
}
