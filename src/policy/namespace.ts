import { LABEL } from '../kube/names.ts'
import { printable } from '../kube/text.ts'
import type { Labels } from '../kube/types.ts'
import type { CompiledProfile, FindProfile } from './compileProfile.ts'
import type { InjectedSeccomp } from './profile.ts'
import { BUILTIN_CHECKS, BUILTIN_PROFILES, isBuiltinProfile } from './registry.ts'
import type {
  CompiledCheck,
  MinorVersion,
  NamespacePolicy,
  ProfileAtVersion,
  QuarantineMode,
  Violation,
} from './types.ts'

export interface ResolveOptions {
  /** The cluster's minor version: what `latest` means. Absent: newer than every number. */
  readonly latest?: number | undefined
  /** Honour `pod-security.kubernetes.io/*` too. They bring checks only: no injection, no quarantine. */
  readonly podSecurityLabels?: boolean | undefined
  /** The AdmissionProfiles. Absent: there are none. */
  readonly profiles?: FindProfile | undefined
}

type Mode = 'enforce' | 'warn' | 'audit'

/** What a namespace that asks for nothing gets. */
const NOT_OPTED_IN: NamespacePolicy = Object.freeze({ quarantine: 'off', problems: Object.freeze([]) })

const VERSION = /^v1\.(0|[1-9][0-9]{0,3})$/u
/** One file name: no slash, no two dots in a row, so that it cannot leave the `drawbridge` folder of the node's profiles. */
const LOCALHOST_PROFILE = /^localhost\.((?:[A-Za-z0-9_-]+\.)*[A-Za-z0-9_-]+)$/u
const MAX_LABEL_VALUE = 63

/**
 * What the labels of a namespace ask for (docs/design.md, rule 8).
 *
 * Labels come from outside: unknown ones are ignored; a value that cannot be resolved enforces `restricted` at the latest version and is
 * named in `problems`, except for `warn` and `audit`, where it is only named. Where both kinds of `enforce` labels are honoured and
 * present, the stricter profile holds; where neither is (an AdmissionProfile, or another version), both hold. What the enforced AdmissionProfile says of seccomp and quarantine
 * stands in for labels that are absent. Pure; never throws.
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
  const source: Source = { read, latest, upstream, profiles: options.profiles ?? (() => undefined) }
  const enforce = strictest(modeOf('enforce', source))
  const warn = strictest(modeOf('warn', source))
  const audit = strictest(modeOf('audit', source))
  const enforcing = read(LABEL.enforce) !== undefined
  const custom = enforce.custom?.spec
  const seccomp = seccompOf(read(LABEL.seccomp), enforcing, custom?.seccomp)
  const quarantine = quarantineOf(read(LABEL.quarantine), enforcing, custom?.quarantine)

  const grave = [...enforce.problems, ...seccomp.problems, ...quarantine.problems]
  const restricted = { profile: 'restricted', version: latest }
  const problems = [
    ...grave.map((problem) => `${problem}; ${formatProfile(restricted)} is enforced until it is corrected`),
    ...[...warn.problems, ...audit.problems].map((problem) => `${problem}; correct it to be warned`),
  ]
  const unknown = [enforce.unknown, warn.unknown, audit.unknown].filter((name) => name !== undefined)
  return {
    // What does resolve still holds: an AdmissionProfile may ask for more than restricted does.
    enforce: grave.length > 0 ? jointly(enforce.value, restricted) : enforce.value,
    warn: warn.value,
    audit: audit.value,
    seccomp: seccomp.value,
    ...(custom?.hardening ? { hardening: custom.hardening } : {}),
    quarantine: quarantine.value,
    ...(options.profiles && unknown.length > 0 ? { unknownProfiles: unknown } : {}),
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

interface ResolvedProfile extends Resolved<ProfileAtVersion | undefined> {
  /** Set where an AdmissionProfile is meant. */
  readonly custom?: CompiledProfile | undefined
  /** The name of a profile that nobody knows. */
  readonly unknown?: string | undefined
}

/** What labels are resolved from. */
interface Source {
  readonly read: (label: string) => string | undefined
  readonly latest: MinorVersion
  readonly upstream: boolean
  readonly profiles: FindProfile
}

const modeOf = (mode: Mode, source: Source): readonly ResolvedProfile[] =>
  ['drawbridge.dev', ...(source.upstream ? ['pod-security.kubernetes.io'] : [])].map((prefix) => {
    const label = `${prefix}/${mode}`
    const name = source.read(label)
    if (name === undefined) return { value: undefined, problems: [] }
    const isOwn = prefix === 'drawbridge.dev'
    // Pod Security knows no standard profile, and none of ours: there, as in the plugin, the name is a mistake.
    const isBuiltin = isBuiltinProfile(name) && (name !== 'standard' || isOwn)
    const custom = isOwn && !isBuiltin ? source.profiles(name) : undefined
    if (!isBuiltin && custom === undefined) {
      return {
        value: undefined,
        problems: [problem(label, name, 'is no profile')],
        ...(isOwn ? { unknown: name } : {}),
      }
    }
    const labelled = versionOf(source.read(`${label}-version`), source.latest)
    const own = custom?.spec.extends.version
    // A profile that fixes a version means it: a label beside it cannot take that back.
    const version = own === undefined ? labelled : own === 'latest' ? source.latest : own
    const value = { profile: name, version: version ?? source.latest }
    return {
      value: custom === undefined ? value : { ...value, checks: custom.checksAt(value.version) },
      problems:
        labelled === undefined
          ? [problem(`${label}-version`, source.read(`${label}-version`) ?? '', 'is no version (latest or v1.N)')]
          : [],
      custom,
    }
  })

const strictest = (candidates: readonly ResolvedProfile[]): ResolvedProfile => {
  const [own, upstream] = candidates
  const { custom } = own ?? {}
  const unknown = candidates.find((candidate) => candidate.unknown !== undefined)?.unknown
  return {
    value:
      own?.value && upstream?.value && !areComparable(own.value, upstream.value)
        ? both(own.value, upstream.value)
        : candidates.map(({ value }) => value).reduce((a, b) => (custom && a ? a : rank(b) > rank(a) ? b : a)),
    problems: candidates.flatMap(({ problems }) => problems),
    custom,
    unknown,
  }
}

/** From this minor version on `restricted` asks for all that `standard` does: no root by user id since 1.23, seccomp set since 1.19. */
const RESTRICTED_COVERS_STANDARD = 23

/**
 * Whether one of two profiles is surely the stricter one: built-in ones at one version are (`standard` and `restricted` only from 1.23 on), and
 * `privileged` asks for nothing at any.
 */
const areComparable = (a: ProfileAtVersion, b: ProfileAtVersion): boolean => {
  if (rank(a) < 0 || rank(b) < 0) return false
  if (rank(a) === 0 || rank(b) === 0) return true
  const covered = a.version === 'latest' || a.version >= RESTRICTED_COVERS_STANDARD
  return a.version === b.version && (covered || ![a.profile, b.profile].includes('standard') || a.profile === b.profile)
}

/** What holds where two profiles are asked for at once. */
const jointly = (first: ProfileAtVersion | undefined, second: ProfileAtVersion): ProfileAtVersion => {
  if (first === undefined) return second
  return areComparable(first, second) ? (rank(first) > rank(second) ? first : second) : both(first, second)
}

/** Neither is stricter as a whole (an AdmissionProfile, or another version): the checks of both run. */
const both = (custom: ProfileAtVersion, builtin: ProfileAtVersion): ProfileAtVersion => {
  const checksOf = ({ checks, profile, version }: ProfileAtVersion): readonly CompiledCheck[] =>
    checks ?? (isBuiltinProfile(profile) ? BUILTIN_CHECKS(profile, version) : [])
  const others = checksOf(builtin)
  const shared = new Map(others.map(({ id, check }) => [id, check]))
  const own = checksOf(custom).map(({ id, check }): CompiledCheck => {
    const other = shared.get(id)
    shared.delete(id)
    return {
      id,
      check: other ? (metadata, spec) => withoutRepeats([...check(metadata, spec), ...other(metadata, spec)]) : check,
    }
  })
  const rest = others.filter(({ id }) => shared.has(id))
  // The version of the first is printed behind; where the other has its own, it is said.
  const profile =
    custom.version === builtin.version
      ? `${custom.profile}+${builtin.profile}`
      : `${formatProfile(builtin)}+${custom.profile}`
  return { ...custom, profile, checks: [...own, ...rest].sort((a, b) => (a.id < b.id ? -1 : 1)) }
}

const withoutRepeats = (violations: readonly Violation[]): readonly Violation[] => [
  ...new Map(violations.map((violation) => [violation.path, violation])).values(),
]

const rank = (profile: ProfileAtVersion | undefined): number =>
  BUILTIN_PROFILES.findIndex((name) => name === profile?.profile)

const versionOf = (value: string | undefined, latest: MinorVersion): MinorVersion | undefined => {
  if (value === undefined || value === 'latest') return latest
  const minor = VERSION.exec(value)?.[1]
  return minor === undefined ? undefined : Number(minor)
}

const seccompOf = (
  value: string | undefined,
  enforcing: boolean,
  ofProfile: InjectedSeccomp | undefined,
): Resolved<NamespacePolicy['seccomp']> => {
  if (value === undefined) {
    return { value: enforcing ? (ofProfile ?? { type: 'RuntimeDefault' }) : undefined, problems: [] }
  }
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

const quarantineOf = (
  value: string | undefined,
  enforcing: boolean,
  ofProfile: QuarantineMode | undefined,
): Resolved<QuarantineMode> => {
  if (value === undefined) return { value: enforcing ? (ofProfile ?? 'enforce') : 'off', problems: [] }
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
