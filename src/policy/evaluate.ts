import type { ObjectMeta, PodSpec } from '../kube/types.ts'
import { BUILTIN_CHECKS, isBuiltinProfile, type Registry } from './registry.ts'
import type { MinorVersion, ProfileAtVersion, Violation } from './types.ts'

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
  registry(isBuiltinProfile(profile) ? profile : 'restricted', version).flatMap(({ check }) => check(metadata, spec))

/**
 * As `evaluate`, for a profile as a namespace asks for it: an AdmissionProfile brings its checks along.
 */
export const evaluateProfile = (
  { profile, version, checks }: ProfileAtVersion,
  metadata: ObjectMeta,
  spec: PodSpec,
): readonly Violation[] =>
  checks === undefined
    ? evaluate(profile, version, metadata, spec)
    : checks.flatMap(({ check }) => check(metadata, spec))
