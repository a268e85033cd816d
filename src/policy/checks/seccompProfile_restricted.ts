import type { Check, CheckFunction } from '../types.ts'
import { inContainers, isWindowsPod, NOT_SET } from '../checkHelpers.ts'
import { writtenSeccompMustFilter } from './seccompProfile_baseline.ts'

/*
 * Every container must run under a seccomp profile that filters.
 *
 * Restricted fields: spec.securityContext.seccompProfile.type,
 * spec.{containers,initContainers,ephemeralContainers}[*].securityContext.seccompProfile.type
 * Allowed values: RuntimeDefault, Localhost (with a localhostProfile: CVE-2023-2431);
 * undefined in a container if the pod names a profile
 *
 * Since 1.19. Since 1.25 Windows pods need not set one; one that they set is judged all the same, so that replacing
 * seccompProfile_baseline never makes the answer weaker.
 *
 * Source: kubernetes/pod-security-admission:policy/check_seccompProfile_restricted.go
 */

/** Every profile that is written must filter, and every container must have one, its own or the pod's. */
export const seccompMustBeSet = (check: string): CheckFunction => {
  const written = writtenSeccompMustFilter(check)
  const rule = {
    check,
    reason: 'seccompProfile',
    required: 'RuntimeDefault or a named Localhost',
    fix: 'set RuntimeDefault for the pod',
  }
  return (metadata, spec) => [
    ...written(metadata, spec),
    ...inContainers(rule, spec, (container, path) =>
      container.securityContext?.seccompProfile == null && spec.securityContext?.seccompProfile == null
        ? { path: `${path}.securityContext.seccompProfile.type`, found: NOT_SET }
        : undefined,
    ),
  ]
}

/** As `seccompMustBeSet`, but a Windows pod need not set a profile. */
export const seccompMustBeSetOnLinux = (check: string): CheckFunction => {
  const written = writtenSeccompMustFilter(check)
  const set = seccompMustBeSet(check)
  return (metadata, spec) => (isWindowsPod(spec) ? written(metadata, spec) : set(metadata, spec))
}

const ID = 'seccompProfile_restricted'

export const seccompProfile_restricted: Check = {
  id: ID,
  profiles: ['restricted'],
  versions: [
    { since: 19, check: seccompMustBeSet(ID) },
    { since: 25, check: seccompMustBeSetOnLinux(ID) },
  ],
  replaces: ['seccompProfile_baseline'],
}
