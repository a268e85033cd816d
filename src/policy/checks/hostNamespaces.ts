import type { Check, CheckFunction } from '../types.ts'
import { inPod } from '../checkHelpers.ts'

/*
 * Sharing the host's network, process or IPC namespace is forbidden.
 *
 * Restricted fields: spec.hostNetwork, spec.hostPID, spec.hostIPC
 * Allowed values: false, undefined
 *
 * Source: kubernetes/pod-security-admission:policy/check_hostNamespaces.go
 */

const FIELDS = ['hostNetwork', 'hostPID', 'hostIPC'] as const

const hostNamespaces_1_0: CheckFunction = (_metadata, spec) =>
  FIELDS.filter((field) => spec[field] === true).flatMap((field) =>
    inPod(
      {
        check: 'hostNamespaces',
        reason: 'host namespaces',
        required: 'false or not set',
        fix: `remove ${field}`,
      },
      [{ path: `spec.${field}`, found: 'true' }],
    ),
  )

export const hostNamespaces: Check = {
  id: 'hostNamespaces',
  profiles: ['baseline', 'standard', 'restricted'],
  versions: [{ since: 0, check: hostNamespaces_1_0 }],
}
