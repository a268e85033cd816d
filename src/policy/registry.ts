import { CHECKS } from './checks/index.ts'
import type { BuiltinProfile, Check, CompiledCheck, MinorVersion } from './types.ts'

export type { CompiledCheck } from './types.ts'

/** Weakest first. */
export const BUILTIN_PROFILES: readonly BuiltinProfile[] = ['privileged', 'baseline', 'standard', 'restricted']

export const isBuiltinProfile = (name: string): name is BuiltinProfile =>
  (BUILTIN_PROFILES as readonly string[]).includes(name)

/** Which checks a built-in profile consists of at a version; sorted by ID, replaced ones left out. */
export type Registry = (profile: BuiltinProfile, version: MinorVersion) => readonly CompiledCheck[]

/**
 * Validates a list of checks and compiles it. Everything is computed here, once; a look-up only searches a short list of versions.
 * Throws an Error that names the check for: a repeated ID, no or unknown profile, no versions, versions that are no minor numbers
 * or do not ascend, a replacement of an unknown check, of itself, or by a check that does not share a profile with it.
 */
export const compileRegistry = (checks: readonly Check[]): Registry => {
  validate(checks)
  const starts = [...new Set([0, ...checks.flatMap((check) => check.versions.map(({ since }) => since))])].sort(
    (a, b) => b - a,
  )
  const compiled = new Map(
    BUILTIN_PROFILES.map((profile) => [
      profile,
      starts.map((start) => ({ start, checks: compileAt(checks, profile, start) })),
    ]),
  )
  return (profile, version) => {
    const ranges = compiled.get(profile) ?? []
    const range = version === 'latest' ? ranges[0] : ranges.find(({ start }) => start <= version)
    // Versions are never below 0 (`resolveNamespace`); if one were, the oldest range must hold rather than none.
    return (range ?? ranges.at(-1))?.checks ?? []
  }
}

const compileAt = (checks: readonly Check[], profile: BuiltinProfile, minor: number): readonly CompiledCheck[] => {
  const active = checks.flatMap(({ id, profiles, versions, replaces }) => {
    const version = profiles.includes(profile) ? versions.findLast(({ since }) => since <= minor) : undefined
    return version ? [{ id, check: version.check, replaces: replaces ?? [] }] : []
  })
  const replaced = new Set(active.flatMap(({ replaces }) => replaces))
  return active
    .filter(({ id }) => !replaced.has(id))
    .map(({ id, check }) => ({ id, check }))
    .sort((a, b) => (a.id < b.id ? -1 : 1))
}

const validate = (checks: readonly Check[]): void => {
  const byId = new Map<string, Check>()
  for (const check of checks) {
    if (byId.has(check.id)) throw new Error(`check ${check.id}: registered twice`)
    byId.set(check.id, check)
    if (check.profiles.length === 0) throw new Error(`check ${check.id}: belongs to no profile`)
    for (const profile of check.profiles) {
      if (!isBuiltinProfile(profile) || profile === 'privileged') {
        throw new Error(`check ${check.id}: cannot belong to profile ${profile}`)
      }
    }
    if (check.versions.length === 0) throw new Error(`check ${check.id}: has no versions`)
    for (const [index, { since }] of check.versions.entries()) {
      if (!Number.isInteger(since) || since < 0) throw new Error(`check ${check.id}: ${since} is no minor version`)
      const previous = check.versions[index - 1]
      if (previous && previous.since >= since) throw new Error(`check ${check.id}: versions must ascend`)
    }
  }
  for (const check of checks) {
    for (const id of check.replaces ?? []) {
      const other = byId.get(id)
      if (!other || id === check.id) throw new Error(`check ${check.id}: cannot replace ${id}`)
      if (!check.profiles.some((profile) => other.profiles.includes(profile))) {
        throw new Error(`check ${check.id}: shares no profile with ${id}, which it replaces`)
      }
    }
  }
}

/** The checks that Drawbridge ships. */
export const BUILTIN_CHECKS: Registry = compileRegistry(CHECKS)
