import type { Check, CheckFunction } from '../types.ts'
import { inContainers, isWindowsPod, NOT_SET } from '../checkHelpers.ts'

/*
 * Processes must not gain more privileges than their parent, for example by set-user-ID files.
 *
 * Restricted fields: spec.{containers,initContainers,ephemeralContainers}[*].securityContext.allowPrivilegeEscalation
 * Allowed values: false
 *
 * The field exists since 1.8; since 1.25 Windows pods are exempt.
 *
 * Source: kubernetes/pod-security-admission:policy/check_allowPrivilegeEscalation.go
 */

const RULE = {
  check: 'allowPrivilegeEscalation',
  reason: 'allowPrivilegeEscalation != false',
  required: 'false',
  fix: 'set it to false',
}

const allowPrivilegeEscalation_1_8: CheckFunction = (_metadata, spec) =>
  inContainers(RULE, spec, (container, path) => {
    const value = container.securityContext?.allowPrivilegeEscalation
    return value === false
      ? undefined
      : { path: `${path}.securityContext.allowPrivilegeEscalation`, found: value === true ? 'true' : NOT_SET }
  })

const allowPrivilegeEscalation_1_25: CheckFunction = (metadata, spec) =>
  isWindowsPod(spec) ? [] : allowPrivilegeEscalation_1_8(metadata, spec)

export const allowPrivilegeEscalation: Check = {
  id: 'allowPrivilegeEscalation',
  profiles: ['restricted'],
  versions: [
    { since: 8, check: allowPrivilegeEscalation_1_8 },
    { since: 25, check: allowPrivilegeEscalation_1_25 },
  ],
}
