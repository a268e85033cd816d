import { LABEL } from '../kube/names.ts'
import { printable } from '../kube/text.ts'
import type { Labels } from '../kube/types.ts'
import { BUILTIN_PROFILES, isBuiltinProfile } from './registry.ts'
import type { MinorVersion, NamespacePolicy, ProfileAtVersion, QuarantineMode } from './types.ts'

export interface ResolveOptions {
  /** The cluster's minor version: what `latest` means. Absent: newer than every number. */
  readonly latest?: number | undefined
  /** Honour `pod-security.kubernetes.io/*` too. They bring checks only: no injection, no quarantine. */
  readonly podSecurityLabels?: boolean | undefined
}

type Mode = 'enforce' | 'warn' | 'audit'

/** What a namespace that asks for nothing gets. */
const NOT_OPTED_IN: NamespacePolicy = Object.freeze({ quarantine: 'off', problems: Object.freeze([]) })

const VERSION = /^v1\.(0|[1-9][0-9]{0,3})$/u
/** One file name: no slash, no two dots in a row, so that it cannot leave the `drawbridge` folder of the node's profiles. */
const LOCALHOST_PROFILE = /^localhost\.((?:[A-Za-z0-9_-]+\.)*[A-Za-z0-9_-]+)$/u
const MAX_LABEL_VALUE = 63

/**
 * What the labels of a namespace ask for (DESIGN.md section 2, rule 8).
 *
 * Labels come from outside: unknown ones are ignored; a value that cannot be resolved enforces `restricted` at the latest version and is
 * named in `problems`, except for `warn` and `audit`, where it is only named. Where both kinds of `enforce` labels are honoured and
 * present, the stricter profile holds. Pure; never throws.
 */
export const resolveNamespace = (labels: Labels | undefined, options: ResolveOptions = {}): NamespacePolicy => {
  const read = (label: string): string | undefined =>
    labels && Object.hasOwn(labels, label) ? String(labels[label]) : undefined

  const own = [LABEL.enforce, LABEL.warn, LABEL.audit, LABEL.seccomp, LABEL.quarantine].some(
    (label) => read(label) !== undefined,
  )
  const upstream = options.podSecurityLabels === true
  if (!own && !upstream) return NOT_OPTED_IN

  const latest: MinorVersion = options.latest ?? 'latest'
  const enforce = strictest(modeOf('enforce', read, latest, upstream))
  const warn = strictest(modeOf('warn', read, latest, upstream))
  const audit = strictest(modeOf('audit', read, latest, upstream))
  const enforcing = read(LABEL.enforce) !== undefined
  const seccomp = seccompOf(read(LABEL.seccomp), enforcing)
  const quarantine = quarantineOf(read(LABEL.quarantine), enforcing)

  const grave = [...enforce.problems, ...seccomp.problems, ...quarantine.problems]
  const restricted = { profile: 'restricted', version: latest }
  const problems = [
    ...grave.map((problem) => `${problem}; ${formatProfile(restricted)} is enforced until it is corrected`),
    ...[...warn.problems, ...audit.problems].map((problem) => `${problem}; correct it to be warned`),
  ]
  return {
    enforce: grave.length > 0 ? restricted : enforce.value,
    warn: warn.value,
    audit: audit.value,
    seccomp: seccomp.value,
    quarantine: quarantine.value,
    problems,
  }
}

/** A profile as labels and messages name it: `standard:latest`, `restricted:v1.29`. */
export const formatProfile = ({ profile, version }: ProfileAtVersion): string =>
  `${printable(profile, MAX_LABEL_VALUE)}:${version === 'latest' ? version : `v1.${version}`}`

interface Resolved<T> {
  readonly value: T
  readonly problems: readonly string[]
}

const modeOf = (
  mode: Mode,
  read: (label: string) => string | undefined,
  latest: MinorVersion,
  upstream: boolean,
): readonly Resolved<ProfileAtVersion | undefined>[] =>
  ['drawbridge.dev', ...(upstream ? ['pod-security.kubernetes.io'] : [])].map((prefix) => {
    const label = `${prefix}/${mode}`
    const name = read(label)
    if (name === undefined) return { value: undefined, problems: [] }
    // Pod Security knows no standard profile: there, as in the plugin, the name is a mistake.
    if (!isBuiltinProfile(name) || (name === 'standard' && prefix !== 'drawbridge.dev')) {
      return { value: undefined, problems: [problem(label, name, 'is no profile')] }
    }
    const version = versionOf(read(`${label}-version`), latest)
    return version === undefined
      ? {
          value: { profile: name, version: latest },
          problems: [problem(`${label}-version`, read(`${label}-version`) ?? '', 'is no version (latest or v1.N)')],
        }
      : { value: { profile: name, version }, problems: [] }
  })

const strictest = (
  candidates: readonly Resolved<ProfileAtVersion | undefined>[],
): Resolved<ProfileAtVersion | undefined> => ({
  value: candidates.map(({ value }) => value).reduce((a, b) => (rank(b) > rank(a) ? b : a)),
  problems: candidates.flatMap(({ problems }) => problems),
})

const rank = (profile: ProfileAtVersion | undefined): number =>
  BUILTIN_PROFILES.findIndex((name) => name === profile?.profile)

const versionOf = (value: string | undefined, latest: MinorVersion): MinorVersion | undefined => {
  if (value === undefined || value === 'latest') return latest
  const minor = VERSION.exec(value)?.[1]
  return minor === undefined ? undefined : Number(minor)
}

const seccompOf = (value: string | undefined, enforcing: boolean): Resolved<NamespacePolicy['seccomp']> => {
  if (value === undefined) return { value: enforcing ? { type: 'RuntimeDefault' } : undefined, problems: [] }
  if (value === 'off') return { value: undefined, problems: [] }
  if (value === 'RuntimeDefault') return { value: { type: 'RuntimeDefault' }, problems: [] }
  const name = value.length <= MAX_LABEL_VALUE ? LOCALHOST_PROFILE.exec(value)?.[1] : undefined
  return name === undefined
    ? {
        value: { type: 'RuntimeDefault' },
        problems: [problem(LABEL.seccomp, value, 'is no setting (RuntimeDefault, localhost.<name> or off)')],
      }
    : { value: { type: 'Localhost', localhostProfile: `drawbridge/${name}.json` }, problems: [] }
}

const quarantineOf = (value: string | undefined, enforcing: boolean): Resolved<QuarantineMode> => {
  if (value === undefined) return { value: enforcing ? 'enforce' : 'off', problems: [] }
  if (value === 'enforce' || value === 'warn' || value === 'off') return { value, problems: [] }
  return {
    value: 'enforce',
    problems: [problem(LABEL.quarantine, value, 'is no setting (enforce, warn or off)')],
  }
}

const problem = (label: string, value: string, what: string): string =>
  `namespace label ${label}: "${printable(value, MAX_LABEL_VALUE)}" ${what}`

/** Whether the labels of a namespace ask for anything at all. */
export const isOptedIn = ({ enforce, warn, audit, seccomp, quarantine, problems }: NamespacePolicy): boolean =>
  enforce !== undefined ||
  warn !== undefined ||
  audit !== undefined ||
  seccomp !== undefined ||
  quarantine !== 'off' ||
  problems.length > 0
