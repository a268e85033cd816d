/** What the safety net knows of profiles, and of names that there is no profile of. Pure. */
import { LABEL } from '../kube/names.ts'
import type { NetProfile } from '../kube/safetyNet.ts'
import type { Labels } from '../kube/types.ts'
import type { CompiledProfile } from '../policy/compileProfile.ts'
import { BUILTIN_CHECKS, BUILTIN_PROFILES, isBuiltinProfile } from '../policy/registry.ts'
import type { MinorVersion } from '../policy/types.ts'
import { byName, bytesOf, fitting } from './fitting.ts'
import { netProfile } from './profileRule.ts'

export interface ProfileSources {
  /** The AdmissionProfiles that may be used. */
  readonly profiles: readonly CompiledProfile[]
  /** The labels of every namespace, by its name. */
  readonly namespaces: ReadonlyMap<string, Labels>
  /** What `latest` means; undefined: newer than every number. */
  readonly minor: number | undefined
}

/** Bytes of JSON. Names without a profile have room of their own: anybody may write one on a namespace. */
const MAX_BYTES = 96 * 1024
const MAX_UNKNOWN_BYTES = 48 * 1024
const MAX_UNKNOWN = 100

type ProfileEntry = readonly [string, NetProfile]

/**
 * What namespaces enforce: first where the net holds, which needs `weaken`, so that nobody who only makes profiles or namespaces takes the room of those;
 * then by name.
 */
const enforcedNames = (namespaces: ProfileSources['namespaces']): readonly string[] => {
  const here = [...namespaces.values()].flatMap((labels) => {
    const name = labels[LABEL.enforce]
    return name === undefined ? [] : [{ name, isNet: labels[LABEL.whenDown] === 'net' }]
  })
  const sorted = here.sort((a, b) => Number(b.isNet) - Number(a.isNet) || (a.name < b.name ? -1 : 1))
  return [...new Set(sorted.map(({ name }) => name))]
}

/** The profiles that there are, built-in ones and enforced ones first; and the names that are enforced and that there is no profile of. */
const profileEntries = (
  { profiles, minor, namespaces }: ProfileSources,
  holdsChecks: boolean,
): { readonly known: readonly ProfileEntry[]; readonly unknown: readonly ProfileEntry[] } => {
  const latest: MinorVersion = minor ?? 'latest'
  const builtinOf = (name: (typeof BUILTIN_PROFILES)[number]): NetProfile =>
    netProfile({ checks: BUILTIN_CHECKS(name, latest), quarantine: 'enforce' })
  const builtin = BUILTIN_PROFILES.map((name) => [name, builtinOf(name)] as const)
  const byItsName = new Map(byName(profiles).map((profile) => [profile.name, profile]))
  const enforced = enforcedNames(namespaces)
  const ordered = [...new Set([...enforced, ...byItsName.keys()])].flatMap((name) => byItsName.get(name) ?? [])
  const custom = ordered.map(({ name, spec, checksAt }) => {
    const version = spec.extends.version ?? latest
    const known = {
      checks: checksAt(version),
      quarantine: spec.quarantine ?? 'enforce',
      hostPaths: spec.allowedHostPathPrefixes,
    } as const
    return [name, netProfile(known)] as const
  })
  // As the webhook: a name that cannot be resolved enforces restricted at the latest version.
  const unknown = enforced
    .filter((name) => !isBuiltinProfile(name) && !byItsName.has(name))
    .map((name) => [name, builtinOf('restricted')] as const)
  const held = ([name, profile]: ProfileEntry): ProfileEntry => [
    name,
    holdsChecks ? profile : { ...profile, checks: {} },
  ]
  return { known: [...builtin, ...custom].map(held), unknown: unknown.map(held) }
}

/** Paths are what takes room; without them no hostPath is held. */
const withoutHostPaths = (profile: NetProfile): NetProfile => {
  const { hostPath: _notHeld, ...checks } = profile.checks
  return profile.hostPaths.length === 0 ? profile : { ...profile, checks, hostPaths: [] }
}

/**
 * All without their paths as far as they fit, then with them as far as those do; and how many found no room, as a whole or for their paths.
 *
 * @param holdsChecks false: nothing is held but verdicts
 */
export const netProfiles = (
  sources: ProfileSources,
  holdsChecks: boolean,
): { readonly map: Readonly<Record<string, NetProfile>>; readonly left: number; readonly isComplete: boolean } => {
  const entries = profileEntries(sources, holdsChecks)
  const unknown = fitting(entries.unknown, MAX_UNKNOWN_BYTES, MAX_UNKNOWN)
  const slim = entries.known.map(([name, profile]) => [name, withoutHostPaths(profile)] as const)
  const known = fitting(slim, MAX_BYTES)
  const slimBytes = Object.entries(known.map).reduce((sum, entry) => sum + bytesOf(...entry), 0)
  const withPaths = entries.known.filter(
    ([name, { hostPaths }]) => Object.hasOwn(known.map, name) && hostPaths.length > 0,
  )
  const full = fitting(withPaths, MAX_BYTES - slimBytes, Number.POSITIVE_INFINITY, (name, profile) => {
    const without = known.map[name]
    return bytesOf(name, profile) - (without === undefined ? 0 : bytesOf(name, without))
  })
  const all = Object.entries({ ...known.map, ...full.map, ...unknown.map })
  return {
    map: Object.fromEntries(all.sort(([a], [b]) => (a < b ? -1 : 1))),
    left: known.left + full.left + unknown.left,
    isComplete: known.left === 0,
  }
}
