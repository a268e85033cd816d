/** Where a verdict holds (rule 18): which namespaces are denied the image, which are only warned, which hear nothing. Pure. */
import { peakScore } from './score.ts'
import type { Answer, Contribution, ImageVerdict, Phase, Reach } from './types.ts'

/** One owner workload that ran an image in the last 24 h. */
export interface ImageUse {
  /** `namespace/Kind/name`. */
  readonly owner: string
  readonly namespace: string
  /** One of its pods has priority class system-node-critical or system-cluster-critical. */
  readonly critical: boolean
  /** Milliseconds since the epoch: when the first of its containers was seen. */
  readonly firstSeen: number
}

/** Who ran an image in the last 24 h; one without digests is known by its references alone. */
export type UsesOf = (image: Pick<ImageVerdict, 'digests' | 'references'>) => readonly ImageUse[]

/** Why nobody is denied the image before a person decides: a stable code, and a clause for people that names no namespace. */
export interface Hold {
  readonly code: 'pending-many-workloads' | 'pending-critical' | 'pending-protected' | 'pending-budget'
  readonly text: string
}

/** A denial that is about to begin, or to reach further. */
export interface NewDenial {
  readonly name: string
  readonly digests: readonly string[]
  readonly references: readonly string[]
  /** The one namespace that it is for; absent: all. */
  readonly namespace?: string | undefined
  /** Namespaces of the evidence. */
  readonly evidence: readonly string[]
  readonly now: number
}

/** What deciding about reach needs to know. */
export interface ReachRules {
  /** `auto`: rule 18. `cluster`: everywhere at once. `evidence`: only where the evidence is from, a warning elsewhere. */
  readonly mode: 'auto' | 'cluster' | 'evidence'
  /** Where an image ran in the last 24 h. Absent (standalone): nobody knows, and verdicts hold everywhere. */
  readonly usesOf?: UsesOf | undefined
  /** Whether a person has to decide first. Absent: never. */
  readonly hold?: ((denial: NewDenial) => Hold | undefined) | undefined
}

/** Verdicts hold everywhere, and none waits for a person. */
export const EVERYWHERE: ReachRules = { mode: 'cluster' }

/** Namespaces that a reach names, both lists together. A denial begins only where at most 10 workloads run the image. */
export const MAX_REACH_NAMESPACES = 16

const RANK: Readonly<Record<Answer, number>> = { none: 0, warning: 1, denying: 2 }
const NOWHERE: Reach = { elsewhere: 'none', denying: [], warning: [] }

/** What a phase means in a namespace that nothing else is said of. */
function answerOfPhase(phase: Phase): Answer {
  if (phase === 'denying') return 'denying'
  return phase === 'warning' || phase === 'pending' ? 'warning' : 'none'
}

/** The reach of a verdict, spelt out. */
export function reachOf({ phase, reach }: Pick<ImageVerdict, 'phase' | 'reach'>): Reach {
  const elsewhere = answerOfPhase(phase)
  return elsewhere === 'none' ? NOWHERE : (reach ?? { ...NOWHERE, elsewhere })
}

/** What the verdict means for one namespace (undefined: none in particular), by phase and reach alone. Constant time. */
export function answerIn(verdict: Pick<ImageVerdict, 'phase' | 'reach'>, namespace: string | undefined): Answer {
  const { elsewhere, denying, warning } = reachOf(verdict)
  if (namespace === undefined) return elsewhere
  if (denying.includes(namespace)) return 'denying'
  return warning.includes(namespace) ? 'warning' : elsewhere
}

/** The namespace of an owner workload, `''` where it has none (standalone). */
export function namespaceOfOwner(owner: string): string {
  const slash = owner.indexOf('/')
  return slash < 0 ? '' : owner.slice(0, slash)
}

/** Distinct namespaces of contributions, sorted. */
export function evidenceNamespaces(contributions: readonly Contribution[]): readonly string[] {
  return sorted(contributions.map(({ owner }) => namespaceOfOwner(owner)))
}

/** The scores that decide: one of what counts everywhere, and for each namespace with contributions of its own those added. */
export interface Scores {
  readonly shared: number
  readonly own: ReadonlyMap<string, number>
  readonly highest: number
}

/** Peaks, see score.ts: they do not depend on the order in which alerts came. */
export function scoresOf(counted: readonly Contribution[]): Scores {
  const shared = counted.filter(({ own }) => own !== true)
  const mine = new Map<string, Contribution[]>()
  for (const contribution of counted) {
    if (contribution.own !== true) continue
    const namespace = namespaceOfOwner(contribution.owner)
    const list = mine.get(namespace)
    if (list === undefined) mine.set(namespace, [contribution])
    else list.push(contribution)
  }
  const own = new Map(
    [...mine].map(([namespace, list]): [string, number] => [namespace, peakScore([...shared, ...list]).score]),
  )
  const score = peakScore(shared).score
  return { shared: score, own, highest: Math.max(score, ...own.values()) }
}

export interface ReachInput {
  readonly name: string
  readonly digests: readonly string[]
  readonly references: readonly string[]
  readonly counted: readonly Contribution[]
  readonly scores: Scores
  /** The verdict whose phase still holds. */
  readonly latched: ImageVerdict | undefined
  /** Of `latched` if it waits for a person: what was due then. */
  readonly waiting?: Scores | undefined
  readonly warnAt: number
  readonly denyAt: number
  readonly now: number
}

export interface ReachDecision {
  readonly reach: Reach
  /** The denial that was due waits for a person. */
  readonly hold?: Hold | undefined
  /** A denial began, or reaches further than before. */
  readonly widened: boolean
}

/** The reach that follows from the scores. It never shrinks, except that a namespace that was spared is no longer when there is reason. */
export function decideReach(input: ReachInput, rules: ReachRules): ReachDecision {
  const { counted, scores, latched, waiting, warnAt, denyAt } = input
  const before = latched === undefined ? NOWHERE : reachOf(latched)
  const above = (least: number): readonly string[] =>
    [...scores.own].flatMap(([namespace, score]) => (score >= least ? [namespace] : []))
  const warned = stricter(before.elsewhere, scores.shared >= warnAt ? 'warning' : 'none')
  const onlyWarning: Reach = bounded({
    elsewhere: warned,
    denying: before.denying,
    warning: [...before.warning, ...above(warnAt)],
  })
  // What waits for a person goes on waiting. What waits in one namespace, for evidence that counts there only, holds up nobody else.
  if (waiting !== undefined && waiting.shared >= denyAt) return { reach: onlyWarning, widened: false }

  const evidence = evidenceNamespaces(counted.filter(({ own }) => own !== true))
  const due = scores.shared >= denyAt
  const everywhere = due && rules.mode !== 'evidence'
  if (before.elsewhere !== 'denying') {
    const inside = due ? evidenceNamespaces(counted) : above(denyAt)
    const added = inside.filter((namespace) => !before.denying.includes(namespace))
    const holdOf = (namespace: string | undefined, from: readonly string[]): Hold | undefined => {
      const { name, digests, references, now } = input
      return rules.hold?.({ name, digests, references, namespace, evidence: from, now })
    }
    if (due && (everywhere || added.length > 0)) {
      const hold = holdOf(undefined, evidence)
      if (hold !== undefined) return { reach: onlyWarning, hold, widened: false }
    }
    if (!everywhere) {
      const held = new Map<string, Hold>()
      for (const namespace of due ? [] : added) {
        if ((waiting?.own.get(namespace) ?? 0) >= denyAt) continue
        const hold = holdOf(namespace, [namespace])
        if (hold !== undefined) held.set(namespace, hold)
      }
      const denied = added.filter(
        (namespace) => !held.has(namespace) && (due || (waiting?.own.get(namespace) ?? 0) < denyAt),
      )
      const [hold] = held.values()
      const reach = bounded({ ...onlyWarning, denying: [...before.denying, ...denied] })
      return { reach, hold, widened: denied.length > 0 }
    }
  }
  const reach: Reach = { elsewhere: 'denying', denying: [], warning: spared(input, before, evidence, rules) }
  return { reach: bounded(reach), widened: before.elsewhere !== 'denying' }
}

/** Namespaces where the image ran before it was denied and nothing was reported, as long as all evidence is from one other namespace. */
function spared(
  { digests, references, counted, latched }: ReachInput,
  before: Reach,
  evidence: readonly string[],
  { mode, usesOf }: ReachRules,
): readonly string[] {
  if (mode === 'cluster' || usesOf === undefined || evidence.length > 1) return []
  const known = before.elsewhere === 'denying'
  // Once it holds everywhere it stays so.
  if (known && before.warning.length === 0) return []
  const since = known ? (latched?.phaseSince ?? 0) : Infinity
  const running = usesOf({ digests, references }).flatMap(({ namespace, firstSeen }) =>
    firstSeen <= since ? [namespace] : [],
  )
  const involved = new Set(evidenceNamespaces(counted))
  return sorted([...(known ? before.warning : []), ...running]).filter((namespace) => !involved.has(namespace))
}

/** What a verdict keeps: nothing where its phase says it all. */
export function keptReach(phase: Phase, reach: Reach): { readonly reach?: Reach } {
  const elsewhere = answerOfPhase(phase)
  if (elsewhere === 'none') return {}
  return reach.elsewhere === elsewhere && reach.denying.length + reach.warning.length === 0 ? {} : { reach }
}

/** Sorted, no namespace twice, denials first where there is not room for all, nothing that `elsewhere` says already. */
export function bounded({ elsewhere, denying, warning }: Reach): Reach {
  const denied = elsewhere === 'denying' ? [] : sorted(denying).slice(0, MAX_REACH_NAMESPACES)
  const warned = elsewhere === 'warning' ? [] : sorted(warning).filter((namespace) => !denied.includes(namespace))
  return { elsewhere, denying: denied, warning: warned.slice(0, MAX_REACH_NAMESPACES - denied.length) }
}

function stricter(left: Answer, right: Answer): Answer {
  return RANK[left] >= RANK[right] ? left : right
}

function sorted(namespaces: readonly string[]): readonly string[] {
  // By UTF-16 code unit, the same on every machine.
  return [...new Set(namespaces)].filter((namespace) => namespace !== '').sort()
}
