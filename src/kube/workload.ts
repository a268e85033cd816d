/** A workload as far as it matters whether it has the pods that it wants. */
import { podImages } from './containers.ts'
import { checkPodShape } from './podShape.ts'
import { findPodTemplate } from './podTemplate.ts'
import { isObject } from './shape.ts'
import type { PodSpec } from './types.ts'

export interface Workload {
  readonly namespace: string
  readonly kind: string
  readonly name: string
  /** Pods that it wants now, and those that are ready (a Job: that run). */
  readonly desired: number
  readonly ready: number
  /** Every image of its template, once. */
  readonly images: readonly string[]
}

/** The kinds that make pods, with their paths. A CronJob makes Jobs. */
export const WORKLOAD_KINDS = [
  { group: 'apps', kind: 'Deployment', path: '/apis/apps/v1/deployments' },
  { group: 'apps', kind: 'StatefulSet', path: '/apis/apps/v1/statefulsets' },
  { group: 'apps', kind: 'DaemonSet', path: '/apis/apps/v1/daemonsets' },
  { group: 'apps', kind: 'ReplicaSet', path: '/apis/apps/v1/replicasets' },
  { group: 'batch', kind: 'Job', path: '/apis/batch/v1/jobs' },
  { group: '', kind: 'ReplicationController', path: '/api/v1/replicationcontrollers' },
] as const

type Json = Readonly<Record<string, unknown>>

const asObject = (value: unknown): Json => (isObject(value) ? value : {})
const text = (value: unknown): string => (typeof value === 'string' ? value : '')
const count = (value: unknown, absent = 0): number =>
  typeof value === 'number' && Number.isFinite(value) ? Math.max(0, value) : absent

/**
 * Reads an object of one of `WORKLOAD_KINDS`. Undefined: no workload of its own (a Deployment speaks for its ReplicaSets), or it cannot be read.
 * Never throws.
 */
export function readWorkload(
  kind: { readonly group: string; readonly kind: string },
  object: unknown,
): Workload | undefined {
  const { metadata, spec, status } = asObject(object)
  const { name, namespace, ownerReferences } = asObject(metadata)
  const owners = Array.isArray(ownerReferences) ? (ownerReferences as readonly unknown[]) : []
  if (kind.kind === 'ReplicaSet' && owners.some((owner) => asObject(owner)['controller'] === true)) return undefined
  const template = findPodTemplate(kind, object)
  if (template === undefined || checkPodShape(template.metadata, template.spec, template.path) !== undefined)
    return undefined
  const images = podImages(template.spec as PodSpec).map(({ image }) => image)
  return {
    namespace: text(namespace),
    kind: kind.kind,
    name: text(name),
    ...podsOf(kind.kind, asObject(spec), asObject(status)),
    images: [...new Set(images)],
  }
}

function podsOf(kind: string, spec: Json, status: Json): Pick<Workload, 'desired' | 'ready'> {
  if (kind === 'DaemonSet') {
    return { desired: count(status['desiredNumberScheduled']), ready: count(status['numberReady']) }
  }
  if (kind === 'Job') {
    const conditions = Array.isArray(status['conditions'])
      ? (status['conditions'] as readonly unknown[]).map(asObject)
      : []
    const over = conditions.some(
      ({ type, status: holds }) => (type === 'Complete' || type === 'Failed') && holds === 'True',
    )
    if (over || spec['suspend'] === true) return { desired: 0, ready: 0 }
    const parallelism = count(spec['parallelism'], 1)
    // Without completions one success is enough, whatever else runs then ends.
    const left = spec['completions'] == null ? parallelism : count(spec['completions']) - count(status['succeeded'])
    return { desired: Math.max(0, Math.min(parallelism, left)), ready: count(status['active']) }
  }
  return { desired: count(spec['replicas'], 1), ready: count(status['readyReplicas']) }
}
