import type { Check, CheckFunction } from '../types.ts'
import { inContainers, joinValues } from '../checkHelpers.ts'
import { DEFAULT_CAPABILITIES, removalAdvice } from '../dangerousCapabilities.ts'

/*
 * Adding NET_RAW, SYS_ADMIN or any other capability beyond the runtime's default set is forbidden.
 *
 * Restricted fields: spec.{containers,initContainers,ephemeralContainers}[*].securityContext.capabilities.add
 * Allowed values: AUDIT_WRITE, CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, MKNOD, NET_BIND_SERVICE, SETFCAP, SETGID, SETPCAP,
 * SETUID, SYS_CHROOT; empty, undefined
 *
 * Source: kubernetes/pod-security-admission:policy/check_capabilities_baseline.go
 */

const RULE = {
  check: 'capabilities_baseline',
  reason: 'non-default capabilities',
  required: 'default ones only',
  fix: 'remove it from add',
}

const capabilitiesBaseline_1_0: CheckFunction = (_metadata, spec) =>
  inContainers(RULE, spec, (container, path) => {
    const beyond = (container.securityContext?.capabilities?.add ?? []).filter(
      (name) => !DEFAULT_CAPABILITIES.has(name),
    )
    return beyond.length > 0
      ? { path: `${path}.securityContext.capabilities.add`, found: joinValues(beyond), fix: removalAdvice(beyond) }
      : undefined
  })

export const capabilities_baseline: Check = {
  id: 'capabilities_baseline',
  profiles: ['baseline', 'standard', 'restricted'],
  versions: [{ since: 0, check: capabilitiesBaseline_1_0 }],
}
