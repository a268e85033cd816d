/** The warnings of one judgement. Each at most 255 characters. */
import { shorten } from '../kube/text.ts'
import { flaggedLine, MAX_WARNING, nameSubject, profileWarnings, type Subject } from './denial.ts'
import { deniesNewPods } from './flaggedImages.ts'
import type { FlaggedUse } from './flaggedImages.ts'
import { formatProfile } from './namespace.ts'
import type { NamespacePolicy, Violation } from './types.ts'

/** What is wrong with exceptions that were asked for. */
export const exceptionWarnings = (notes: readonly string[]): readonly string[] =>
  notes.map((note) => shorten(`drawbridge: ${note}`, MAX_WARNING))

/** A flagged image that is not denied, and why not. Not yet shortened. */
export const flaggedHeadline = (use: FlaggedUse, subject: Subject, policy: NamespacePolicy): string => {
  const why =
    use.phase === 'warning'
      ? 'uses a suspicious image'
      : policy.quarantine === 'warn'
        ? 'uses a flagged image (this namespace only warns)'
        : 'goes on using a flagged image (new pods with it are denied)'
  return `${nameSubject(subject)} ${why}: ${flaggedLine(use, subject.path)}`
}

/** How the workload gets rid of the flagged image; the line is short enough not to be cut. */
export const rollbackWarnings = (
  flagged: readonly FlaggedUse[],
  policy: NamespacePolicy,
  rollback: string | undefined,
): readonly string[] =>
  rollback === undefined || !deniesNewPods(flagged, policy) ? [] : [shorten(`drawbridge: ${rollback}`, MAX_WARNING)]

/** What a pod breaks of the `warn` profile. */
export const podWarnings = (
  { warn }: NamespacePolicy,
  subject: Subject,
  violations: readonly Violation[],
): readonly string[] =>
  warn && violations.length > 0
    ? profileWarnings(`${nameSubject(subject)} would break profile ${formatProfile(warn)}`, violations, subject.path)
    : []

/** Violations of the enforced profile come first: its pods will really be denied. The warn profile follows if it is another one. */
export const templateWarnings = (
  { enforce, warn }: NamespacePolicy,
  subject: Subject,
  enforced: readonly Violation[],
  warned: readonly Violation[],
): readonly string[] => {
  const name = nameSubject(subject)
  const both = enforce && warn && formatProfile(enforce) === formatProfile(warn)
  return [
    ...(enforce
      ? profileWarnings(
          `${name}: its pods will be denied, they break profile ${formatProfile(enforce)}`,
          enforced,
          subject.path,
        )
      : []),
    ...(warn && !both
      ? profileWarnings(`${name}: its pods would break profile ${formatProfile(warn)}`, warned, subject.path)
      : []),
  ]
}
