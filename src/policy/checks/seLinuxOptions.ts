import type { SELinuxOptions } from '../../kube/types.ts'
import type { Check, CheckFunction } from '../types.ts'
import { inContainers, inPod, type Finding } from '../checkHelpers.ts'

/*
 * Only SELinux types made for containers are allowed, and no SELinux user or role.
 *
 * Restricted fields: spec.securityContext.seLinuxOptions.type,
 * spec.{containers,initContainers,ephemeralContainers}[*].securityContext.seLinuxOptions.type
 * Allowed values: container_t, container_init_t, container_kvm_t, since 1.31 container_engine_t; empty, undefined
 *
 * Restricted fields: the same with .user and .role
 * Allowed values: empty, undefined
 *
 * Source: kubernetes/pod-security-admission:policy/check_seLinuxOptions.go
 */

const TYPES_1_0: ReadonlySet<string> = new Set(['', 'container_t', 'container_init_t', 'container_kvm_t'])
const TYPES_1_31: ReadonlySet<string> = new Set([...TYPES_1_0, 'container_engine_t'])

const RULE = {
  check: 'seLinuxOptions',
  reason: 'seLinuxOptions',
  required: 'a container type, no user, no role',
  fix: 'remove seLinuxOptions',
}

const find = (
  options: SELinuxOptions | null | undefined,
  path: string,
  allowedTypes: ReadonlySet<string>,
): Finding | undefined => {
  if (options == null) return undefined
  const wrong = [
    ...(allowedTypes.has(options.type ?? '') ? [] : [['type', options.type] as const]),
    ...(options.user ? [['user', options.user] as const] : []),
    ...(options.role ? [['role', options.role] as const] : []),
  ]
  const [first] = wrong
  return (
    first && {
      path: `${path}.securityContext.seLinuxOptions.${first[0]}`,
      found: wrong.map(([field, value]) => `${field} ${value}`).join(', '),
    }
  )
}

const withTypes =
  (allowedTypes: ReadonlySet<string>): CheckFunction =>
  (_metadata, spec) => {
    const podFinding = find(spec.securityContext?.seLinuxOptions, 'spec', allowedTypes)
    return [
      ...inPod(RULE, podFinding ? [podFinding] : []),
      ...inContainers(RULE, spec, (container, path) =>
        find(container.securityContext?.seLinuxOptions, path, allowedTypes),
      ),
    ]
  }

const seLinuxOptions_1_0 = withTypes(TYPES_1_0)
const seLinuxOptions_1_31 = withTypes(TYPES_1_31)

export const seLinuxOptions: Check = {
  id: 'seLinuxOptions',
  profiles: ['baseline', 'standard', 'restricted'],
  versions: [
    { since: 0, check: seLinuxOptions_1_0 },
    { since: 31, check: seLinuxOptions_1_31 },
  ],
}
