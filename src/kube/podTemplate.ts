import { isObject } from './shape.ts'

/** A pod's two halves where an object holds them, unchecked: call `checkPodShape` next. */
export interface FoundTemplate {
  readonly metadata: unknown
  readonly spec: unknown
  /** Where they stand: empty for a pod, `spec.template` in a Deployment. Put before the paths of violations. */
  readonly path: string
}

const TEMPLATE = ['spec', 'template'] as const

/** The eight kinds that carry pod templates, by `group/Kind`; the pod itself carries no steps. Every version of a kind has one place. */
const STEPS: ReadonlyMap<string, readonly string[]> = new Map<string, readonly string[]>([
  ['/Pod', []],
  ['/PodTemplate', ['template']],
  ['/ReplicationController', TEMPLATE],
  ['apps/ReplicaSet', TEMPLATE],
  ['apps/Deployment', TEMPLATE],
  ['apps/DaemonSet', TEMPLATE],
  ['apps/StatefulSet', TEMPLATE],
  ['batch/Job', TEMPLATE],
  ['batch/CronJob', ['spec', 'jobTemplate', 'spec', 'template']],
])

/** Whether objects of this kind are pods or carry a pod template. */
export const carriesPodTemplate = (kind: { readonly group: string; readonly kind: string }): boolean =>
  STEPS.has(`${kind.group}/${kind.kind}`)

/**
 * The pod inside an object: a pod itself, or the template of the eight workload kinds.
 *
 * Undefined for other kinds and for a workload without a template (a ReplicationController's may be null).
 * Absent metadata is `{}`, as in Go. A template of a wrong type comes back as a wrong `spec`, which `checkPodShape` refuses:
 * what cannot be read is never mistaken for "nothing to judge". Never throws.
 */
export const findPodTemplate = (
  kind: { readonly group: string; readonly kind: string },
  object: unknown,
): FoundTemplate | undefined => {
  const steps = STEPS.get(`${kind.group}/${kind.kind}`)
  if (steps === undefined) return undefined
  let holder: unknown = object
  const walked: string[] = []
  for (const step of steps) {
    if (!isObject(holder)) return { metadata: {}, spec: holder, path: walked.slice(0, -1).join('.') }
    holder = holder[step]
    if (holder == null) return undefined
    walked.push(step)
  }
  const path = walked.join('.')
  if (!isObject(holder)) return { metadata: {}, spec: holder, path }
  return { metadata: holder['metadata'] ?? {}, spec: holder['spec'], path }
}
