import type { Check, CheckFunction } from '../types.ts'
import { hasUserNamespace, inContainers, inPod } from '../checkHelpers.ts'

/*
 * Nothing may ask for user 0.
 *
 * Restricted fields: spec.securityContext.runAsUser,
 * spec.{containers,initContainers,ephemeralContainers}[*].securityContext.runAsUser
 * Allowed values: any but 0, undefined; since 1.35 any value if spec.hostUsers is false
 *
 * Since 1.23.
 *
 * Source: kubernetes/pod-security-admission:policy/check_runAsUser.go
 */

/** Forbids user 0 wherever it is written; the standard profile asks for the same. */
export const neverUserZero =
  (check: string, reason: string): CheckFunction =>
  (_metadata, spec) => {
    const rule = { check, reason, required: 'any user but 0', fix: 'choose another user' }
    return [
      ...inPod(
        rule,
        spec.securityContext?.runAsUser === 0 ? [{ path: 'spec.securityContext.runAsUser', found: '0' }] : [],
      ),
      ...inContainers(rule, spec, (container, path) =>
        container.securityContext?.runAsUser === 0
          ? { path: `${path}.securityContext.runAsUser`, found: '0' }
          : undefined,
      ),
    ]
  }

const runAsUser_1_23 = neverUserZero('runAsUser', 'runAsUser=0')

const runAsUser_1_35: CheckFunction = (metadata, spec) => (hasUserNamespace(spec) ? [] : runAsUser_1_23(metadata, spec))

export const runAsUser: Check = {
  id: 'runAsUser',
  profiles: ['restricted'],
  versions: [
    { since: 23, check: runAsUser_1_23 },
    { since: 35, check: runAsUser_1_35 },
  ],
}
