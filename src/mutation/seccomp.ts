import type { PodSpec } from '../kube/types.ts'
import type { Addition, SeccompSetting } from './types.ts'

/**
 * Adds the pod-level seccomp profile where the pod has none (rule 1 and 2): containers without their own inherit it, ephemeral containers
 * that come later too. An explicit profile, whatever it says, is never replaced; the validating webhook judges it.
 * Expects a spec that passed `checkPodShape`.
 */
export const injectSeccomp = (spec: PodSpec, setting: SeccompSetting): readonly Addition[] =>
  setting === undefined || spec.securityContext?.seccompProfile != null
    ? []
    : [{ path: ['spec', 'securityContext', 'seccompProfile'], value: setting }]
