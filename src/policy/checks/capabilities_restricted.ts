import type { Check, CheckFunction } from '../types.ts'
import { inContainers, isWindowsPod, joinValues, NOT_SET } from '../checkHelpers.ts'
import { removalAdvice } from '../dangerousCapabilities.ts'

/*
 * Containers must drop ALL capabilities and may add only NET_BIND_SERVICE.
 *
 * Restricted fields: spec.{containers,initContainers,ephemeralContainers}[*].securityContext.capabilities.drop
 * Allowed values: must include ALL
 *
 * Restricted fields: spec.{containers,initContainers,ephemeralContainers}[*].securityContext.capabilities.add
 * Allowed values: NET_BIND_SERVICE; empty, undefined
 *
 * Since 1.25 Windows pods need not drop. Upstream also lets them add anything, because the API server refuses capabilities there;
 * Drawbridge does not rely on that: this check replaces capabilities_baseline and must never be weaker.
 *
 * Source: kubernetes/pod-security-admission:policy/check_capabilities_restricted.go
 */

const SHARED = { check: 'capabilities_restricted', reason: 'unrestricted capabilities' }
const DROP = { ...SHARED, required: 'a list with ALL', fix: 'set drop: ["ALL"]' }
const ADD = { ...SHARED, required: 'only NET_BIND_SERVICE', fix: 'remove it from add' }

const mustDropAll: CheckFunction = (_metadata, spec) =>
  inContainers(DROP, spec, (container, path) => {
    const drop = container.securityContext?.capabilities?.drop ?? []
    return drop.includes('ALL')
      ? undefined
      : { path: `${path}.securityContext.capabilities.drop`, found: joinValues(drop) || NOT_SET }
  })

const mayAddOnlyNetBindService: CheckFunction = (_metadata, spec) =>
  inContainers(ADD, spec, (container, path) => {
    const beyond = (container.securityContext?.capabilities?.add ?? []).filter((name) => name !== 'NET_BIND_SERVICE')
    return beyond.length > 0
      ? { path: `${path}.securityContext.capabilities.add`, found: joinValues(beyond), fix: removalAdvice(beyond) }
      : undefined
  })

const capabilitiesRestricted_1_22: CheckFunction = (metadata, spec) => [
  ...mustDropAll(metadata, spec),
  ...mayAddOnlyNetBindService(metadata, spec),
]

const capabilitiesRestricted_1_25: CheckFunction = (metadata, spec) =>
  isWindowsPod(spec) ? mayAddOnlyNetBindService(metadata, spec) : capabilitiesRestricted_1_22(metadata, spec)

export const capabilities_restricted: Check = {
  id: 'capabilities_restricted',
  profiles: ['restricted'],
  versions: [
    { since: 22, check: capabilitiesRestricted_1_22 },
    { since: 25, check: capabilitiesRestricted_1_25 },
  ],
  replaces: ['capabilities_baseline'],
}
