import type { PodSpec } from '../kube/types.ts'
import type { PatchOperation, SeccompSetting } from './types.ts'

/**
 * Adds the pod-level seccomp profile where the pod has none (rule 1 and 2): containers without their own inherit it, ephemeral containers
 * that come later too. An explicit profile, whatever it says, is never replaced; the validating webhook judges it.
 *
 * The patch always applies: `add` sets a member whether it is absent or null, and a missing `securityContext` is added whole.
 * Expects a spec that passed `checkPodShape`.
 */
export const injectSeccomp = (spec: PodSpec, setting: SeccompSetting): readonly PatchOperation[] => {
  if (setting === undefined || spec.securityContext?.seccompProfile != null) return []
  return spec.securityContext == null
    ? [{ op: 'add', path: '/spec/securityContext', value: { seccompProfile: setting } }]
    : [{ op: 'add', path: '/spec/securityContext/seccompProfile', value: setting }]
}
