import type { Check, CheckFunction } from '../types.ts'
import { inContainers } from '../checkHelpers.ts'

/*
 * Containers must not open ports of the node.
 *
 * Restricted fields: spec.{containers,initContainers,ephemeralContainers}[*].ports[*].hostPort
 * Allowed values: 0, undefined
 *
 * Source: kubernetes/pod-security-admission:policy/check_hostPorts.go
 */

const RULE = {
  check: 'hostPorts',
  reason: 'hostPort',
  required: 'not set',
  fix: 'remove hostPort; a Service can expose the port',
}

const hostPorts_1_0: CheckFunction = (_metadata, spec) =>
  inContainers(RULE, spec, (container, path) => {
    const ports = container.ports ?? []
    const first = ports.findIndex((port) => (port.hostPort ?? 0) !== 0)
    if (first === -1) return undefined
    const used = ports.flatMap((port) => (port.hostPort ? [port.hostPort] : []))
    return { path: `${path}.ports[${first}].hostPort`, found: [...new Set(used)].sort((a, b) => a - b).join(', ') }
  })

export const hostPorts: Check = {
  id: 'hostPorts',
  profiles: ['baseline', 'standard', 'restricted'],
  versions: [{ since: 0, check: hostPorts_1_0 }],
}
