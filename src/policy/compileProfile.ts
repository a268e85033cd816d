import { allowancesOf, loosen } from './allowances.ts'
import { PROFILE_CHECKS } from './checks/index.ts'
import { contradictions } from './contradictions.ts'
import type { AdmissionProfile, AdmissionProfileSpec } from './profile.ts'
import { readAdmissionProfile } from './profile.ts'
import { BUILTIN_CHECKS, type Registry } from './registry.ts'
import type { CompiledCheck, MinorVersion } from './types.ts'

/** An AdmissionProfile, ready to judge by. */
export interface CompiledProfile {
  readonly name: string
  readonly spec: AdmissionProfileSpec
  /** Its checks at a version, sorted by ID. The version that was last asked for is kept: nearly always all namespaces mean the same. */
  readonly checksAt: (version: MinorVersion) => readonly CompiledCheck[]
}

/** Looks an AdmissionProfile up by its name; undefined: there is none that may be used. */
export type FindProfile = (name: string) => CompiledProfile | undefined

/** Compiles a profile without contradictions, once; `checksAt` only puts lists together. */
export const compileProfile = (profile: AdmissionProfile, registry: Registry = BUILTIN_CHECKS): CompiledProfile => {
  const { name, spec } = profile
  const allowances = allowancesOf(spec)
  const asked = PROFILE_CHECKS.flatMap(({ id, create, replaces }) => {
    const check = create(spec)
    return check === undefined ? [] : [{ id, check, replaces: replaces ?? [] }]
  })
  const replaced = new Set(asked.flatMap(({ replaces }) => replaces))
  let last: { readonly version: MinorVersion; readonly checks: readonly CompiledCheck[] } | undefined
  return {
    name,
    spec,
    checksAt: (version) => {
      if (last?.version !== version) {
        const level = registry(spec.extends.level, version).filter(({ id }) => !replaced.has(id))
        const checks = [
          ...level.map((check) => loosen(check, allowances)),
          ...asked.map(({ id, check }) => ({ id, check })),
        ].sort((a, b) => (a.id < b.id ? -1 : 1))
        last = { version, checks }
      }
      return last.checks
    },
  }
}

/**
 * Reads and compiles an object that should be an AdmissionProfile: one that cannot be read or contradicts itself (made while nobody
 * checked) is as good as none, and `problems` say why. Never throws.
 */
export const loadProfile = (
  object: unknown,
):
  | { readonly profile: CompiledProfile; readonly problems?: undefined }
  | { readonly problems: readonly string[]; readonly profile?: undefined } => {
  const read = readAdmissionProfile(object)
  if (read.profile === undefined) return read
  const problems = contradictions(read.profile)
  return problems.length > 0 ? { problems } : { profile: compileProfile(read.profile) }
}
