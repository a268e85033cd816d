import type { Check, CheckFunction } from '../types.ts'
import { hasUserNamespace, inContainers, inPod, NOT_SET } from '../checkHelpers.ts'

/*
 * The kubelet must refuse to start containers as root.
 *
 * Restricted fields: spec.securityContext.runAsNonRoot,
 * spec.{containers,initContainers,ephemeralContainers}[*].securityContext.runAsNonRoot
 * Allowed values: true; undefined in a container if the pod's is true; since 1.35 any value if spec.hostUsers is false
 *
 * Source: kubernetes/pod-security-admission:policy/check_runAsNonRoot.go
 */

const RULE = {
  check: 'runAsNonRoot',
  reason: 'runAsNonRoot != true',
  required: 'true',
  fix: 'set it to true',
}

const runAsNonRoot_1_0: CheckFunction = (_metadata, spec) => {
  const podValue = spec.securityContext?.runAsNonRoot
  return [
    ...inPod(RULE, podValue === false ? [{ path: 'spec.securityContext.runAsNonRoot', found: 'false' }] : []),
    ...inContainers(RULE, spec, (container, path) => {
      const value = container.securityContext?.runAsNonRoot
      if (value === true) return undefined
      // What a container inherits from the pod is reported once, at the pod.
      if (value == null && podValue != null) return undefined
      return { path: `${path}.securityContext.runAsNonRoot`, found: value === false ? 'false' : NOT_SET }
    }),
  ]
}

const runAsNonRoot_1_35: CheckFunction = (metadata, spec) =>
  hasUserNamespace(spec) ? [] : runAsNonRoot_1_0(metadata, spec)

export const runAsNonRoot: Check = {
  id: 'runAsNonRoot',
  profiles: ['restricted'],
  versions: [
    { since: 0, check: runAsNonRoot_1_0 },
    { since: 35, check: runAsNonRoot_1_35 },
  ],
}
