import type { PodSpec } from '../kube/types.ts'
import { inSecurityContexts } from './containers.ts'
import type { Addition } from './types.ts'

/**
 * Adds `drop: ["ALL"]` to containers that say nothing of what they drop; what they add by name they keep. Not beside `add: ["ALL"]`, which
 * it would silently undo. Expects a spec that passed `checkPodShape`.
 */
export const injectDropAllCapabilities = (spec: PodSpec): readonly Addition[] =>
  inSecurityContexts(spec, ['capabilities', 'drop'], ['ALL'], ({ securityContext }) => {
    const { add, drop } = securityContext?.capabilities ?? {}
    return drop == null && add?.includes('ALL') !== true
  })
