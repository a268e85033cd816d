/** The workload that a pod belongs to, as people name it: the Deployment, not its ReplicaSet. */
import type { ObjectMeta } from './types.ts'

/** A CronJob names its Jobs `<name>-<minutes since the epoch>`: kubernetes/kubernetes:pkg/controller/cronjob/utils.go getJobName. */
const CRONJOB_RUN = /^(.+)-(\d{8})$/
const WEEK_IN_MINUTES = 7 * 24 * 60

/**
 * `namespace/Kind/name`. Read from the pod alone, without asking for ReplicaSets or Jobs: the pod-template-hash label says which
 * suffix a Deployment added; a suffix that is the pod's own creation time in minutes (a week either way) is a CronJob's.
 * Whoever writes pods can claim any owner: it groups alerts, it never grants anything.
 *
 * @param metadata the pod's
 * @param createdAt milliseconds since the epoch, from metadata.creationTimestamp
 */
export function ownerWorkload(metadata: ObjectMeta, createdAt: number): string {
  const namespace = metadata.namespace ?? ''
  const owner = metadata.ownerReferences?.find((reference) => reference.controller === true)
  // A static pod belongs to its node; the node is no workload.
  if (owner === undefined || owner.kind === 'Node') return `${namespace}/Pod/${metadata.name ?? ''}`
  const hash = metadata.labels?.['pod-template-hash']
  if (owner.kind === 'ReplicaSet' && typeof hash === 'string' && hash !== '' && owner.name.endsWith(`-${hash}`)) {
    return `${namespace}/Deployment/${owner.name.slice(0, -hash.length - 1)}`
  }
  if (owner.kind === 'Job') {
    const [, name, minutes] = CRONJOB_RUN.exec(owner.name) ?? []
    if (name !== undefined && Math.abs(Number(minutes) - createdAt / 60_000) < WEEK_IN_MINUTES) {
      return `${namespace}/CronJob/${name}`
    }
  }
  return `${namespace}/${owner.kind}/${owner.name}`
}
