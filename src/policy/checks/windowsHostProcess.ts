import type { Check, CheckFunction } from '../types.ts'
import { inContainers, inPod } from '../checkHelpers.ts'

/*
 * Windows containers must not run as processes of the node.
 *
 * Restricted fields: spec.securityContext.windowsOptions.hostProcess,
 * spec.{containers,initContainers,ephemeralContainers}[*].securityContext.windowsOptions.hostProcess
 * Allowed values: false, undefined
 *
 * Source: kubernetes/pod-security-admission:policy/check_windowsHostProcess.go
 */

const RULE = {
  check: 'windowsHostProcess',
  reason: 'hostProcess',
  required: 'false or not set',
  fix: 'remove it',
}

const windowsHostProcess_1_0: CheckFunction = (_metadata, spec) => [
  ...inPod(
    RULE,
    spec.securityContext?.windowsOptions?.hostProcess === true
      ? [{ path: 'spec.securityContext.windowsOptions.hostProcess', found: 'true' }]
      : [],
  ),
  ...inContainers(RULE, spec, (container, path) =>
    container.securityContext?.windowsOptions?.hostProcess === true
      ? { path: `${path}.securityContext.windowsOptions.hostProcess`, found: 'true' }
      : undefined,
  ),
]

export const windowsHostProcess: Check = {
  id: 'windowsHostProcess',
  profiles: ['baseline', 'standard', 'restricted'],
  versions: [{ since: 0, check: windowsHostProcess_1_0 }],
}
