/** Decisions of people as they come over HTTP: unknown JSON -> what the correlator takes. Errors are named so that the admin listener answers 400. */
import type { Decision, Release } from '../verdicts/types.ts'

const RELEASE_KINDS: readonly string[] = ['false-positive', 'accepted', 'fixed'] satisfies readonly Release['as'][]
const MAXIMUM_TEXT = 512

const invalid = (message: string): Error => Object.assign(new Error(message), { name: 'InvalidError' })

/** Milliseconds since the epoch of an RFC 3339 text, NaN for anything else. */
const timeOf = (value: unknown): number =>
  typeof value === 'string' && /^\d{4}-\d\d-\d\dT/.test(value) ? Date.parse(value) : Number.NaN

/**
 * Who decided, why and until when.
 *
 * @param now milliseconds since the epoch
 * @throws an error named `InvalidError` for anything that is no decision
 */
export function readDecision(decision: unknown, now: number): Omit<Decision, 'at'> {
  const { by, reason, until } = (decision ?? {}) as Readonly<Record<string, unknown>>
  const isText = (value: unknown): value is string =>
    typeof value === 'string' && value.trim() !== '' && value.length <= MAXIMUM_TEXT
  if (!isText(by) || !isText(reason))
    throw invalid(`by and reason are needed, as text of at most ${MAXIMUM_TEXT} characters`)
  const end = until === undefined ? undefined : timeOf(until)
  if (end !== undefined && !(end > now))
    throw invalid('until must be a time in the future, for example 2026-12-31T00:00:00Z')
  return { by, reason, ...(end === undefined ? {} : { until: end }) }
}

/** What the finding was, `fixed` where nothing is said. Throws as readDecision. */
export function readReleaseKind(decision: unknown): Release['as'] {
  const { as = 'fixed' } = (decision ?? {}) as Readonly<Record<string, unknown>>
  if (typeof as !== 'string' || !RELEASE_KINDS.includes(as))
    throw invalid(`as must be one of ${RELEASE_KINDS.join(', ')}`)
  return as as Release['as']
}
