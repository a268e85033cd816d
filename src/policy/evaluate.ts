import type { ObjectMeta, PodSpec } from '../kube/types.ts'
import { BUILTIN_CHECKS, isBuiltinProfile, type Registry } from './registry.ts'
import type { CompiledCheck, MinorVersion, ProfileAtVersion, Violation } from './types.ts'

/**
 * Every violation of a profile at a version, sorted by check and then in the order of the pod: pod, init containers,
 * containers, ephemeral containers. Empty: the pod may run.
 *
 * `metadata` and `spec` must have passed `checkPodShape`. A profile that nobody knows is judged as `restricted` (rule 8: what cannot be
 * resolved is not an allowance). Time is linear in the pod; never throws.
 */
export const evaluate = (
  profile: string,
  version: MinorVersion,
  metadata: ObjectMeta,
  spec: PodSpec,
  registry: Registry = BUILTIN_CHECKS,
): readonly Violation[] =>
  runChecks(registry(isBuiltinProfile(profile) ? profile : 'restricted', version), metadata, spec)

/**
 * As `evaluate`, for a profile as a namespace asks for it: an AdmissionProfile brings its checks along.
 */
export const evaluateProfile = (
  { profile, version, checks }: ProfileAtVersion,
  metadata: ObjectMeta,
  spec: PodSpec,
): readonly Violation[] =>
  checks === undefined ? evaluate(profile, version, metadata, spec) : runChecks(checks, metadata, spec)

const runChecks = (checks: readonly CompiledCheck[], metadata: ObjectMeta, spec: PodSpec): readonly Violation[] => {
  const violations: Violation[] = []
  // By index: nearly every check finds nothing, and an iterator costs more than that.
  for (let index = 0; index < checks.length; index++) {
    const found = checks[index]!.check(metadata, spec)
    if (found.length > 0) for (const violation of found) violations.push(violation)
  }
  return violations
}
