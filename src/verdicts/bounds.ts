/** How much a verdict holds: where facts are too much, the strongest contributions, the strongest and the newest evidence stay. */
import { EVIDENCE_NEWEST, EVIDENCE_STRONGEST, selectEvidence } from './evidence.ts'
import { boundNames } from './imageNames.ts'
import { atMostBytes, compareText, jsonBytes, takeBytes } from './jsonText.ts'
import type { Contribution, Evidence, VerdictFacts } from './types.ts'

export const MAX_CONTRIBUTIONS = 64

/**
 * Bytes of all facts together as JSON. A stored object stays below 8 KiB with it: the rest is for the phase's own fields and its reach,
 * for times as text (`2026-11-22T06:08:15.844Z` where JSON here has a number) and for the object's metadata.
 */
export const MAX_FACTS_BYTES = 5400

/** People's decisions take from the others' room up to so much; the API's schema bounds their texts. */
const MAX_DECISIONS_BYTES = 2000

/** Kept for evidence when contributions would fill the object. */
const EVIDENCE_RESERVE_BYTES = 1500

/** Brings any facts into bounds and into canonical order. Idempotent. */
export function boundFacts(facts: VerdictFacts): VerdictFacts {
  const names = boundNames(facts)
  const evidence = selectEvidence(facts.evidence)
  const { release, confirm, mute, muted } = facts
  const people = present({ release, confirm, mute, muted })
  const contributions = Object.entries(facts.contributions)
  // Nearly always, and of all verdicts of a ledger when it is loaded: nothing has to give way.
  const room = MAX_FACTS_BYTES - 2 * MAX_CONTRIBUTIONS
  const fits =
    contributions.length <= MAX_CONTRIBUTIONS &&
    (roughBytes(names, contributions, evidence, people) <= room ||
      jsonBytes([names, people, evidence, facts.contributions]) <= room)
  if (!fits) return { ...names, ...choose(names, contributions, evidence, people), ...people }
  const inOrder = contributions.every(([key], index) => index === 0 || contributions[index - 1]![0] < key)
  return { ...names, contributions: inOrder ? facts.contributions : byKey(contributions), evidence, ...people }
}

/** More than the punctuation, the names of fields and the numbers of anything in a verdict. */
const FIXED_BYTES = 300

/** Never less than the bytes of all of it as JSON, without writing that. */
function roughBytes(
  { digests, references }: Pick<VerdictFacts, 'digests' | 'references'>,
  contributions: readonly [string, Contribution][],
  evidence: readonly Evidence[],
  people: object,
): number {
  let bytes = FIXED_BYTES + atMostBytes(digests) + atMostBytes(references)
  for (const [key, item] of contributions) bytes += FIXED_BYTES + atMostBytes([key, item.class, item.owner])
  for (const {
    key,
    rule,
    priority,
    class: name,
    namespace = '',
    pod = '',
    container = '',
    node = '',
    target = '',
  } of evidence)
    bytes += FIXED_BYTES + atMostBytes([key, rule, priority, name, namespace, pod, container, node, target])
  return Object.keys(people).length > 0 ? Infinity : bytes
}

/** Those that there is room for. */
function choose(
  names: object,
  contributions: readonly [string, Contribution][],
  evidence: readonly Evidence[],
  people: object,
): Pick<VerdictFacts, 'contributions' | 'evidence'> {
  let left = MAX_FACTS_BYTES - jsonBytes(names) - Math.min(jsonBytes(people), MAX_DECISIONS_BYTES)
  const reserved = Math.min(EVIDENCE_RESERVE_BYTES, jsonBytes(evidence), left / 2)
  const strongest = contributions.toSorted(byStrength)
  // Half of the room is for what counts everywhere: a tenant could push it out with heavier evidence that counts for its own namespace only.
  const shared = strongest.filter(([, { own }]) => own !== true)
  const first = new Set(takeBytes(shared, MAX_CONTRIBUTIONS / 2, (left - reserved) / 2))
  const order = [...first, ...strongest.filter((entry) => !first.has(entry))]
  const beside = takeBytes(order, MAX_CONTRIBUTIONS, left - reserved)
  // Evidence is only shown: it gives way before nothing counts any more.
  const kept = beside.length > 0 ? beside : takeBytes(order, MAX_CONTRIBUTIONS, left)
  left -= jsonBytes(kept)
  return { contributions: byKey(kept), evidence: takeBytes(evidence, EVIDENCE_STRONGEST + EVIDENCE_NEWEST, left) }
}

const byKey = (contributions: readonly [string, Contribution][]): VerdictFacts['contributions'] =>
  Object.fromEntries(contributions.toSorted(([a], [b]) => compareText(a, b)))

function byStrength([leftKey, left]: [string, Contribution], [rightKey, right]: [string, Contribution]): number {
  const shared = Number(left.own === true) - Number(right.own === true)
  return right.weight - left.weight || shared || right.last - left.last || compareText(leftKey, rightKey)
}

/** Without the keys that have no value. */
export function present<Item extends object>(item: Item): Partial<Item> {
  return Object.fromEntries(Object.entries(item).filter(([, value]) => value !== undefined)) as Partial<Item>
}
