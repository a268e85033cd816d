import type { CheckFunction, Check } from '../types.ts'
import { hasUserNamespace, inContainers } from '../checkHelpers.ts'

/*
 * The runtime's masks over /proc must stay, except in a user namespace.
 *
 * Restricted fields: spec.{containers,initContainers,ephemeralContainers}[*].securityContext.procMount
 * Allowed values: Default, undefined; since 1.35 any value if spec.hostUsers is false
 *
 * Source: kubernetes/pod-security-admission:policy/check_procMount_baseline.go (the ID there is procMount)
 */

/** Forbids unmasked procMount for everybody; the restricted check goes on using it. */
export const onlyDefaultProcMount =
  (check: string): CheckFunction =>
  (_metadata, spec) =>
    inContainers(
      { check, reason: 'procMount', required: 'Default or not set', fix: 'remove procMount' },
      spec,
      (container, path) => {
        const value = container.securityContext?.procMount
        return value == null || value === 'Default'
          ? undefined
          : { path: `${path}.securityContext.procMount`, found: value || 'an empty text' }
      },
    )

const procMount_1_0 = onlyDefaultProcMount('procMount')

const procMount_1_35: CheckFunction = (metadata, spec) => (hasUserNamespace(spec) ? [] : procMount_1_0(metadata, spec))

export const procMount: Check = {
  id: 'procMount',
  profiles: ['baseline', 'standard', 'restricted'],
  versions: [
    { since: 0, check: procMount_1_0 },
    { since: 35, check: procMount_1_35 },
  ],
}
