import type { Check, CheckFunction } from '../types.ts'
import { hasUserNamespace, inContainers, NOT_SET } from '../checkHelpers.ts'
import { neverUserZero } from './runAsUser.ts'

/*
 * No container may run as root: each must say that it does not, or name another user. Pod Security's baseline does not ask for this.
 *
 * Restricted fields: spec.securityContext.{runAsNonRoot,runAsUser},
 * spec.{containers,initContainers,ephemeralContainers}[*].securityContext.{runAsNonRoot,runAsUser}
 * Allowed values: runAsNonRoot true, or runAsUser other than 0 (each a container's own, else the pod's); never runAsUser 0;
 * since 1.35 any value if spec.hostUsers is false, as in restricted, so that standard is never stricter than restricted
 *
 * Source: docs/design.md (profile standard); Drawbridge's own.
 */

const CHECK = 'runAsNonRoot_standard'
const REASON = 'may run as root'
const RULE = {
  check: CHECK,
  reason: REASON,
  required: 'true, or runAsUser not 0',
  fix: 'set it to true, or set runAsUser',
}

const userZero = neverUserZero(CHECK, REASON)

const runAsNonRootStandard_1_0: CheckFunction = (metadata, spec) => [
  ...userZero(metadata, spec),
  ...inContainers(RULE, spec, (container, path) => {
    const user = container.securityContext?.runAsUser ?? spec.securityContext?.runAsUser
    // User 0, own or inherited, is reported where it is written; another user settles the question.
    if (user != null) return undefined
    const nonRoot = container.securityContext?.runAsNonRoot ?? spec.securityContext?.runAsNonRoot
    return nonRoot === true
      ? undefined
      : { path: `${path}.securityContext.runAsNonRoot`, found: nonRoot === false ? 'false' : NOT_SET }
  }),
]

const runAsNonRootStandard_1_35: CheckFunction = (metadata, spec) =>
  hasUserNamespace(spec) ? [] : runAsNonRootStandard_1_0(metadata, spec)

export const runAsNonRoot_standard: Check = {
  id: CHECK,
  profiles: ['standard'],
  versions: [
    { since: 0, check: runAsNonRootStandard_1_0 },
    { since: 35, check: runAsNonRootStandard_1_35 },
  ],
}
