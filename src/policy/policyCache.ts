import type { Labels } from '../kube/types.ts'
import type { FindProfile } from './compileProfile.ts'
import { resolveNamespace } from './namespace.ts'
import type { NamespacePolicy } from './types.ts'

/** What resolved labels depend on beside the labels. */
export interface PolicySources {
  readonly podSecurityLabels: boolean
  /** The cluster's minor version; undefined where it is not known. */
  readonly minor: () => number | undefined
  readonly profiles: {
    readonly get: FindProfile
    /** Another number after every change. */
    readonly generation: () => number
  }
}

/**
 * `resolveNamespace`, remembered: resolving is cheap but not free. One result for each set of labels (by identity), as long as that set is in
 * use and neither the cluster's version nor a profile changes.
 */
export const cachePolicies = (sources: PolicySources): ((labels: Labels) => NamespacePolicy) => {
  const { podSecurityLabels, minor, profiles } = sources
  let known = new WeakMap<Labels, NamespacePolicy>()
  let latest = minor()
  let generation = profiles.generation()
  return (labels) => {
    if (minor() !== latest || profiles.generation() !== generation) {
      latest = minor()
      generation = profiles.generation()
      known = new WeakMap()
    }
    let policy = known.get(labels)
    if (policy === undefined) {
      policy = resolveNamespace(labels, {
        podSecurityLabels,
        profiles: profiles.get,
        ...(latest !== undefined && { latest }),
      })
      known.set(labels, policy)
    }
    return policy
  }
}
