import type { Check, CheckFunction } from '../types.ts'
import { inContainers } from '../checkHelpers.ts'

/*
 * A privileged container switches most protections off.
 *
 * Restricted fields: spec.{containers,initContainers,ephemeralContainers}[*].securityContext.privileged
 * Allowed values: false, undefined
 *
 * Source: kubernetes/pod-security-admission:policy/check_privileged.go
 */

const RULE = {
  check: 'privileged',
  reason: 'privileged',
  required: 'false or not set',
  fix: 'remove it',
}

const privileged_1_0: CheckFunction = (_metadata, spec) =>
  inContainers(RULE, spec, (container, path) =>
    container.securityContext?.privileged === true
      ? { path: `${path}.securityContext.privileged`, found: 'true' }
      : undefined,
  )

export const privileged: Check = {
  id: 'privileged',
  profiles: ['baseline', 'standard', 'restricted'],
  versions: [{ since: 0, check: privileged_1_0 }],
}
