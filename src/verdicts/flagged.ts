/** What admission needs of a verdict, and no more: there may be many, and admission keeps them all in memory. */
import { decisionEnd } from './decisions.ts'
import { namedAs, type Named } from './nameIndex.ts'
import { oneOrMany, type OneOrMany } from './oneOrMany.ts'
import { countedContributions, isFlaggedPhase } from './phase.ts'
import { scoresOf } from './reach.ts'
import type { Evidence, FlaggedPhase, ImageVerdict, VerdictChange } from './types.ts'

/** A piece of evidence that a denial may name. */
export type ShownEvidence = Pick<Evidence, 'detector' | 'rule' | 'time' | 'namespace' | 'pod' | 'target' | 'own'>

/** A verdict that warns or denies somewhere. Times are milliseconds since the epoch. */
export interface FlaggedVerdict extends Named, Pick<ImageVerdict, 'reason' | 'reach' | 'phaseSince' | 'expiresAt'> {
  readonly phase: FlaggedPhase
  /** It says something up to and including then. */
  readonly until: number
  /** A person said that the image is bad. */
  readonly confirmed: boolean
  /** The highest score of any namespace. */
  readonly score: number
  /** Those of which one is the strongest somewhere, strongest first. */
  readonly evidence: OneOrMany<ShownEvidence>
}

/** A change of what admission says. `verdict` undefined: nothing any more. */
export interface FlaggedChange {
  readonly name: string
  readonly verdict?: FlaggedVerdict | undefined
}

/** What admission is told of a change. */
export const flaggedChange = ({ name, verdict }: VerdictChange): FlaggedChange => ({
  name,
  verdict: verdict === undefined ? undefined : flaggedVerdict(verdict),
})

/** Those that admission has to know of. */
export const flaggedOf = (verdicts: readonly ImageVerdict[]): readonly FlaggedVerdict[] =>
  verdicts.flatMap((verdict) => flaggedVerdict(verdict) ?? [])

/** Undefined: admission has nothing to say of it, at whatever time. */
export function flaggedVerdict(verdict: ImageVerdict): FlaggedVerdict | undefined {
  const { phase, reason, reach, phaseSince, expiresAt, confirm } = verdict
  if (!isFlaggedPhase(phase)) return undefined
  const until = flaggedUntil(verdict)
  return until === undefined
    ? undefined
    : {
        ...namedAs(verdict),
        phase,
        reason,
        ...(reach === undefined ? {} : { reach }),
        phaseSince,
        expiresAt,
        until,
        confirmed: confirm !== undefined,
        score: scoresOf(countedContributions(verdict)).highest,
        evidence: oneOrMany(shownEvidence(verdict)),
      }
}

/** Until when a verdict in a flagged phase holds; undefined: a release has ended it. Agrees with isFlagged at every time. */
function flaggedUntil(verdict: ImageVerdict): number | undefined {
  const { release, confirm, expiresAt } = verdict
  if (release === undefined || countedContributions(verdict).length > 0) return expiresAt
  return confirm !== undefined && confirm.at > release.at ? Math.min(expiresAt, decisionEnd(confirm)) : undefined
}

/** Evidence is kept strongest first; what counts everywhere hides all that is weaker. */
function shownEvidence({ evidence, release }: ImageVerdict): readonly ShownEvidence[] {
  const since = release?.at ?? Number.NEGATIVE_INFINITY
  const counted = evidence.filter(({ weight, time }) => weight > 0 && time > since)
  const last = counted.findIndex(({ own }) => own !== true)
  return counted
    .slice(0, last < 0 ? undefined : last + 1)
    .map(({ detector, rule, time, namespace, pod, target, own }) => ({
      detector,
      rule,
      time,
      ...(namespace === undefined ? {} : { namespace }),
      ...(pod === undefined ? {} : { pod }),
      ...(target === undefined ? {} : { target }),
      ...(own === undefined ? {} : { own }),
    }))
}
