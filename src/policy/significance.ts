import type { Container, PodSpec } from '../kube/types.ts'
import { containersOf } from '../kube/containers.ts'

/**
 * Whether an update of a pod changes anything that a check reads, so that the whole pod must be judged again (rule 9).
 *
 * Upstream asks whether images changed or containers were added (kubernetes/pod-security-admission:admission/admission.go
 * `isSignificantPodUpdate`), since the API server refuses other changes. This asks for the other fields as well: a
 * subresource that nobody knows yet might change them. Labels, annotations, tolerations, resources and the like are not significant: a
 * pod that is older than the profile must be able to finish. Linear in the pods; never throws.
 */
export const isSignificantUpdate = (next: PodSpec, previous: PodSpec): boolean => {
  if (!POD_FIELDS.every((field) => isSame(next[field], previous[field], MAX_DEPTH))) return true
  const before = containersOf(previous)
  const ephemeralBefore = new Map(
    before.filter(({ kind }) => kind === 'ephemeral').map(({ container }) => [container.name, container]),
  )
  const fixedBefore = before.filter(({ kind }) => kind !== 'ephemeral')
  const fixedAfter = containersOf(next).filter(({ kind }) => kind !== 'ephemeral')
  if (fixedAfter.length !== fixedBefore.length) return true
  return (
    fixedAfter.some(({ path, container }, index) => {
      const old = fixedBefore[index]
      return old?.path !== path || differs(container, old.container)
    }) ||
    (next.ephemeralContainers ?? []).some((container) => {
      const old = ephemeralBefore.get(container.name)
      return old === undefined || differs(container, old)
    })
  )
}

/** What the checks and the exceptions read. A check that reads more adds its field here. */
const POD_FIELDS = [
  'hostNetwork',
  'hostPID',
  'hostIPC',
  'hostUsers',
  'os',
  'securityContext',
  'volumes',
  // Exceptions are granted to service accounts.
  'serviceAccountName',
  'automountServiceAccountToken',
] as const
const CONTAINER_FIELDS = [
  'image',
  'ports',
  'securityContext',
  'volumeMounts',
  'livenessProbe',
  'readinessProbe',
  'startupProbe',
  'lifecycle',
] as const

/** Deeper than any field that a check reads; what is deeper counts as different, so that the pod is judged. */
const MAX_DEPTH = 24

const differs = (next: Container, previous: Container): boolean =>
  !CONTAINER_FIELDS.every((field) => isSame(next[field], previous[field], MAX_DEPTH))

const isSame = (a: unknown, b: unknown, depth: number): boolean => {
  if (a == null || b == null) return a == null && b == null
  if (typeof a !== 'object' || typeof b !== 'object') return a === b
  if (depth === 0 || Array.isArray(a) !== Array.isArray(b)) return false
  const left = a as Readonly<Record<string, unknown>>
  const right = b as Readonly<Record<string, unknown>>
  const keys = Object.keys(left)
  return (
    keys.length === Object.keys(right).length &&
    keys.every((key) => Object.hasOwn(right, key) && isSame(left[key], right[key], depth - 1))
  )
}
