/**
 * Why an image has the score that it has: which alerts counted how much, what each added, where each threshold was crossed, and what was not counted.
 * Filled while a capture is replayed; bounded whatever the capture holds.
 */
import { classify, type Classification, type ClassifyOptions } from '../alerts/classes.ts'
import type { Detector, RuntimeAlert } from '../alerts/types.ts'
import { countedContributions, factsToExtend, type Thresholds } from '../verdicts/phase.ts'
import { peakScore } from '../verdicts/score.ts'
import type { ImageVerdict } from '../verdicts/types.ts'
import type { ImageIdentity } from './attribute.ts'
import type { AlertDecision, Outcome } from './types.ts'

/** An alert that raised the score of its image. */
export interface CountedAlert {
  /** Where it is in the file, from 1. */
  readonly line: number
  /** The time that counts, RFC 3339 in UTC with milliseconds. */
  readonly time: string
  readonly detector: Detector
  readonly rule: string
  readonly class: string
  readonly weight: number
  readonly owner: string
  /** What the highest score rose by with it, and what it was then; two decimals. */
  readonly added: number
  readonly score: number
  /** Thresholds that it crossed. */
  readonly crossed: readonly ('warnAt' | 'denyAt')[]
}

/** Alerts that did not raise the score, of one rule and for one reason. */
export interface UncountedAlerts {
  readonly decision: AlertDecision
  readonly detector: Detector
  readonly rule: string
  readonly class: string
  readonly weight: number
  readonly reason: string
  readonly count: number
  /** Lines of the first and the last of them. */
  readonly firstLine: number
  readonly lastLine: number
}

export interface Explanation {
  /** In the order of the file. */
  readonly counted: readonly CountedAlert[]
  readonly notCounted: readonly UncountedAlerts[]
  /** Alerts beyond the bounds of both lists. */
  readonly unlisted: number
}

/** Of one image. A score rises once for each contribution, seldom more often, and a verdict has 64. */
const MAX_COUNTED = 200
const MAX_GROUPS = 100
/** Images that are explained; those beyond are only judged. */
const MAX_IMAGES = 5000

/** One alert and what became of it. */
export interface Explained {
  readonly line: number
  readonly outcome: Outcome
  /** The time that counts, and the replay's clock, milliseconds. */
  readonly time: number
  readonly now: number
  /** Whose alert it is, and the name of its verdict; undefined: no image. */
  readonly image?: { readonly name: string; readonly identity: ImageIdentity } | undefined
  /** The verdict before and after. */
  readonly before?: ImageVerdict | undefined
  readonly after?: ImageVerdict | undefined
}

export interface Explainer {
  add(explained: Explained): void
  /** Undefined: beyond the bounds. */
  of(name: string): Explanation | undefined
  /** Of alerts without an image. */
  withoutImage(): Explanation
}

/** `rules` and `thresholds` are those of the replay. */
export function createExplainer(
  rules: ClassifyOptions | undefined,
  thresholds: Pick<Thresholds, 'warnAt' | 'denyAt'>,
): Explainer {
  const nowhere = createNotes()
  const images = new Map<string, Notes>()

  const notesOf = (name: string | undefined): Notes | undefined => {
    if (name === undefined) return nowhere
    const known = images.get(name)
    if (known !== undefined || images.size === MAX_IMAGES) return known
    const notes = createNotes()
    images.set(name, notes)
    return notes
  }

  return {
    add: (explained) => {
      const notes = notesOf(explained.image?.name)
      if (notes === undefined) return
      const { alert, decision } = explained.outcome
      const classification = classify(alert, rules, explained.image?.identity)
      const rise = decision === 'contributed' ? riseOf(explained) : undefined
      if (rise !== undefined && rise.score > rise.from)
        notes.count({
          line: explained.line,
          time: new Date(explained.time).toISOString(),
          detector: alert.detector,
          rule: alert.rule,
          class: classification.class,
          weight: classification.weight,
          owner: explained.image?.identity.owner ?? '',
          added: round(rise.score - rise.from),
          score: round(rise.score),
          crossed: (['warnAt', 'denyAt'] as const).filter(
            (name) => rise.from < thresholds[name] && rise.score >= thresholds[name],
          ),
        })
      else notes.group(alert, classification, explained)
    },
    of: (name) => images.get(name)?.value(),
    withoutImage: () => nowhere.value(),
  }
}

interface Notes {
  count(alert: CountedAlert): void
  group(alert: RuntimeAlert, classification: Classification, explained: Explained): void
  value(): Explanation
}

function createNotes(): Notes {
  const counted: CountedAlert[] = []
  const groups = new Map<string, UncountedAlerts>()
  let unlisted = 0
  return {
    count: (alert) => {
      if (counted.length < MAX_COUNTED) counted.push(alert)
      else unlisted++
    },
    group: ({ detector, rule }, { class: name, weight }, { line, outcome }) => {
      const { decision } = outcome
      // A contribution's own reason has the score in it: one group for each score would be none.
      const reason = decision === 'contributed' ? 'adds nothing to the highest score so far' : outcome.reason
      const key = JSON.stringify([decision, detector, rule, name, weight, reason])
      const known = groups.get(key)
      if (known === undefined && groups.size === MAX_GROUPS) unlisted++
      else
        groups.set(key, {
          ...(known ?? { decision, detector, rule, class: name, weight, reason, firstLine: line }),
          count: (known?.count ?? 0) + 1,
          lastLine: line,
        })
    },
    value: () => ({ counted, notCounted: [...groups.values()], unlisted }),
  }
}

/** From which score to which: as the correlator itself reckons, which starts an expired verdict over and forgets what is old. */
function riseOf({ before, after, now }: Explained): { readonly from: number; readonly score: number } | undefined {
  if (after === undefined) return undefined
  const base = factsToExtend(before, now)
  return {
    from: base === undefined ? 0 : peakScore(countedContributions(base)).score,
    score: peakScore(countedContributions(after)).score,
  }
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}
