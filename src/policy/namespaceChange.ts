/** What a change of a namespace's labels means: names that cannot be resolved, and whether existing pods are worth a look. Pure. */
import { LABEL } from '../kube/names.ts'
import { printable } from '../kube/text.ts'
import type { Labels } from '../kube/types.ts'
import { asWarnings, MAX_WARNING } from './denial.ts'
import { formatProfile } from './namespace.ts'
import { BUILTIN_PROFILES } from './registry.ts'
import type { NamespacePolicy, ProfileAtVersion, Violation } from './types.ts'

/** Groups of pods that are named in warnings; the API server passes on 4,096 characters of warnings in all. */
const MAX_GROUPS = 12
const MAX_UNKNOWN_LABELS = 3
const MAX_DENIAL_PROBLEMS = 4

/** What resolveNamespace says happens meanwhile; nothing does where the change is refused. */
const MEANWHILE = /; (?:\S+ is enforced until it is corrected|correct it to be warned)$/u

const whenDownProblems = (labels: Labels): readonly string[] => {
  const value = Object.hasOwn(labels, LABEL.whenDown) ? labels[LABEL.whenDown] : undefined
  return value === undefined || value === 'deny' || value === 'net'
    ? []
    : [`namespace label ${LABEL.whenDown}: "${printable(value, 63)}" is no setting (deny or net)`]
}

/** One line for each label that cannot be resolved. `policy` is what `labels` were resolved to. */
export const labelProblems = (labels: Labels, policy: NamespacePolicy): readonly string[] => [
  ...policy.problems.map((problem) => problem.replace(MEANWHILE, '')),
  ...whenDownProblems(labels),
]

/** The refusal of labels that cannot be resolved: one line, at most 1 KiB. */
export const labelDenial = (problems: readonly string[]): string => {
  const more = problems.length > MAX_DENIAL_PROBLEMS ? ` (and ${problems.length - MAX_DENIAL_PROBLEMS} more)` : ''
  return `drawbridge: ${problems.slice(0, MAX_DENIAL_PROBLEMS).join('; ')}${more}`
}

/** Warnings about labels with our prefix that nothing reads: most often a typing mistake. */
export const unknownLabelWarnings = (labels: Labels): readonly string[] => {
  const known: ReadonlySet<string> = new Set(Object.values(LABEL))
  return Object.keys(labels)
    .filter((key) => key.startsWith('drawbridge.dev/') && !known.has(key))
    .sort()
    .slice(0, MAX_UNKNOWN_LABELS)
    .map((key) => `drawbridge: namespace label ${printable(key, 100)} is unknown and does nothing`)
}

const rank = ({ profile }: ProfileAtVersion): number => BUILTIN_PROFILES.findIndex((name) => name === profile)

/**
 * Whether pods that pass before may fail after: then existing pods are looked at. As upstream, not for `privileged`, nor for the same or a weaker
 * built-in profile at the same version; profiles that cannot be compared always are.
 */
export const mayDenyMore = (before: ProfileAtVersion | undefined, after: ProfileAtVersion | undefined): boolean => {
  if (after === undefined || after.profile === 'privileged') return false
  if (before === undefined || before.version !== after.version) return true
  const [old, next] = [rank(before), rank(after)]
  return old < 0 || next < 0 ? before.profile !== after.profile : next > old
}

/** Existing pods by the reasons why they break a profile; holds one name and a count for each group. */
export interface PodGroups {
  add(name: string, violations: readonly Violation[]): void
  /** Pods that break the profile. */
  count(): number
  /** A line for each group, the largest first; at most 13, each at most 255 characters. */
  lines(): readonly string[]
}

/** Groups pods by upstream's short phrases. */
export const createPodGroups = (): PodGroups => {
  const groups = new Map<string, { readonly first: string; count: number }>()
  return {
    add(name, violations) {
      if (violations.length === 0) return
      const reasons = [...new Set(violations.map(({ reason }) => reason))].sort().join(', ')
      const group = groups.get(reasons)
      if (group) group.count++
      else groups.set(reasons, { first: name, count: 1 })
    },
    count: () => [...groups.values()].reduce((sum, { count }) => sum + count, 0),
    lines() {
      const sorted = [...groups].sort(([a, x], [b, y]) => y.count - x.count || (a < b ? -1 : 1))
      const lines = sorted.slice(0, MAX_GROUPS).map(([reasons, { first, count }]) => {
        const others = count === 1 ? '' : ` (and ${count - 1} other ${count === 2 ? 'pod' : 'pods'})`
        return printable(`${printable(first, 63)}${others}: ${reasons}`, MAX_WARNING)
      })
      const missing = sorted.slice(MAX_GROUPS).reduce((sum, [, { count }]) => sum + count, 0)
      return missing === 0 ? lines : [...lines, `and ${missing} more pods for other reasons`]
    },
  }
}

/** How far the look at existing pods came. */
export interface Checked {
  readonly checked: number
  /** Undefined: not known. */
  readonly total: number | undefined
  /** Why not all of them; undefined: all were checked. */
  readonly stopped?: string | undefined
}

/** The warnings about existing pods: what they break and, when not all were checked, how many were. */
export const existingPodWarnings = (
  namespace: string,
  profile: ProfileAtVersion,
  groups: PodGroups,
  { checked, total, stopped }: Checked,
): readonly string[] => {
  const partly =
    stopped === undefined
      ? []
      : asWarnings(
          `drawbridge: only the first ${checked}${total === undefined ? '' : ` of ${total}`} existing pods were checked against ${formatProfile(profile)}: ${stopped}`,
        )
  const lines = groups.lines()
  if (lines.length === 0) return partly
  const count = groups.count()
  const headline = `drawbridge: ${count} existing ${count === 1 ? 'pod' : 'pods'} in namespace "${printable(namespace, 63)}" would be denied by enforce ${formatProfile(profile)}, and cannot be replaced when ${count === 1 ? 'it ends' : 'they end'}`
  return [...asWarnings(headline), ...lines, ...partly]
}
