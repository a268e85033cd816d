import type { PodSpec } from '../kube/types.ts'
import { inSecurityContexts } from './containers.ts'
import type { Addition } from './types.ts'

/**
 * Adds `allowPrivilegeEscalation: false` to containers that say nothing. Not to privileged ones, nor beside `CAP_SYS_ADMIN`: the API
 * server refuses that combination (kubernetes/kubernetes:pkg/apis/core/validation/validation.go `ValidateSecurityContext`), and a patch must not make a pod unacceptable
 * that was acceptable. Expects a spec that passed `checkPodShape`.
 */
export const injectAllowPrivilegeEscalation = (spec: PodSpec): readonly Addition[] =>
  inSecurityContexts(
    spec,
    ['allowPrivilegeEscalation'],
    false,
    ({ securityContext: context }) =>
      context?.allowPrivilegeEscalation == null &&
      context?.privileged !== true &&
      context?.capabilities?.add?.includes('CAP_SYS_ADMIN') !== true,
  )
