/**
 * Whose image is it? In a cluster the answer comes from pod statuses, never from the alert's own image fields; standalone the alert is all there is.
 */
import { cleanText } from '../alerts/text.ts'
import type { RuntimeAlert } from '../alerts/types.ts'
import type { ParseReference } from '../verdicts/name.ts'
import type { ContainerDirectory, ContainerRecord } from './types.ts'

/** What a contribution is filed under. At least one digest or one reference. */
export interface ImageIdentity {
  readonly digests: readonly string[]
  /** Normalised. */
  readonly references: readonly string[]
  /** Owner workload, as in Contribution. */
  readonly owner: string
  /** Counts for its own namespace only: the process may be of whoever wrote the pod, or of who attached the ephemeral container (rule 18). */
  readonly own?: true | undefined
  /** Place of the evidence: the cluster's word where there is a cluster. */
  readonly namespace?: string | undefined
  readonly pod?: string | undefined
  readonly container?: string | undefined
  readonly node?: string | undefined
}

export type Attribution =
  | { readonly kind: 'image'; readonly image: ImageIdentity; readonly record?: ContainerRecord | undefined }
  | { readonly kind: 'host' }
  /** Nothing matches now; a pod status may still come. */
  | { readonly kind: 'unknown'; readonly reason: string }
  /** Nothing can match: no ids, several different images, or a contradiction. */
  | { readonly kind: 'unresolved'; readonly reason: string }

/** A sensor may be this much faster than the kubelet's status. */
const STATUS_LAG_MS = 120_000

const MAX_OWNER = 256

const NEITHER_TAG_NOR_DIGEST =
  'the alert names a repository without tag or digest: add container.image.digest to the rules (append_output, extra_output_fields)'

/** Standalone: the claimed reference is the identity and its digest joins; without a reference the digest is the identity. */
export function attributeByClaim(alert: RuntimeAlert, parseReference: ParseReference): Attribution {
  if (alert.containerId === 'host') return { kind: 'host' }
  const reference = alert.image === undefined ? undefined : parseReference(alert.image)
  const digest = reference?.digest ?? alert.imageDigest
  if (reference === undefined && digest === undefined) return { kind: 'unresolved', reason: 'the alert names no image' }
  // A container that was deployed by digest has no tag; `latest`, which the parser adds, would be another image.
  const named = reference?.digest !== undefined || hasTag(alert.image ?? '')
  if (!named && digest === undefined) return { kind: 'unresolved', reason: NEITHER_TAG_NOR_DIGEST }
  return {
    kind: 'image',
    image: {
      digests: digest === undefined ? [] : [digest],
      references: reference === undefined ? [] : [named ? reference.normalized : `${reference.repository}@${digest}`],
      owner: claimedOwner(alert),
      namespace: alert.namespace,
      pod: alert.pod,
      container: alert.containerName,
      node: alert.node,
    },
  }
}

/**
 * In a cluster: by the container's id if the alert has one, else by namespace, pod, uid and container name.
 *
 * An id that no status has shown yet is not replaced by the pod's name at once: after a restart the name would lead to the container before, which may have run
 * another digest. With `lastChance` (the wait is over) the name may decide, if it names the container.
 */
export function attributeByCluster(
  alert: RuntimeAlert,
  directory: ContainerDirectory,
  lastChance = false,
): Attribution {
  const { containerId, namespace, pod } = alert
  if (containerId === 'host') return { kind: 'host' }
  if (containerId !== undefined) {
    const matches = directory.findById(containerId)
    if (matches.length > 0) return oneImage(tieBrokenByNode(matches, alert.node), alert)
    if (!lastChance || alert.containerName === undefined)
      return { kind: 'unknown', reason: 'no pod status shows this container id' }
  }
  if (namespace === undefined || pod === undefined) {
    return containerId === undefined
      ? { kind: 'unresolved', reason: 'the alert names no container and no pod' }
      : { kind: 'unknown', reason: 'no pod status shows this container id' }
  }
  const matches = directory
    .findByPod(namespace, pod, alert.containerName, alert.podUid)
    .filter((record) => record.firstSeen - STATUS_LAG_MS <= alert.time)
  return matches.length === 0
    ? { kind: 'unknown', reason: 'no pod status shows this pod and container' }
    : oneImage(matches, alert)
}

/** Sensors' node names are often wrong, so a node only chooses between matches and never excludes the last one. */
function tieBrokenByNode(matches: readonly ContainerRecord[], node: string | undefined): readonly ContainerRecord[] {
  if (matches.length === 1 || node === undefined) return matches
  const onNode = matches.filter((record) => record.node === node)
  return onNode.length > 0 ? onNode : matches
}

function oneImage(matches: readonly ContainerRecord[], alert: RuntimeAlert): Attribution {
  const record = matches.reduce((first, other) => (other.containerId < first.containerId ? other : first))
  if (!matches.every((other) => isSameImage(record, other))) {
    return { kind: 'unresolved', reason: `${matches.length} containers with different images match` }
  }
  if (!matches.every((other) => other.owner === record.owner)) {
    return { kind: 'unresolved', reason: `${matches.length} containers of different workloads match` }
  }
  // Not the uid: of a static pod sensors report the kubelet's own, the status that of its mirror. Where no id decides, findByPod has compared it.
  if (differs(alert.namespace, record.namespace) || differs(alert.pod, record.pod)) {
    return { kind: 'unresolved', reason: 'the container id belongs to another pod than the alert names' }
  }
  // Of several that match, one is enough to doubt whose command it was.
  const own = matches.some(({ overridesCommand, kind }) => overridesCommand === true || kind === 'ephemeral')
  return {
    kind: 'image',
    record,
    image: {
      digests: record.digests,
      references: [record.reference],
      owner: cleanText(record.owner, MAX_OWNER),
      ...(own ? { own } : {}),
      namespace: record.namespace,
      pod: record.pod,
      container: record.containerName,
      node: record.node,
    },
  }
}

/** Whether two containers ran the same image: their sets of digests meet. */
export function isSameImage(left: Pick<ContainerRecord, 'digests'>, right: Pick<ContainerRecord, 'digests'>): boolean {
  return left.digests.some((digest) => right.digests.includes(digest))
}

function differs(claimed: string | undefined, known: string): boolean {
  return claimed !== undefined && claimed !== known
}

/** A colon after the last slash starts a tag; an earlier one starts a port. */
function hasTag(image: string): boolean {
  return image.includes(':', image.lastIndexOf('/') + 1)
}

function claimedOwner(alert: RuntimeAlert): string {
  const { namespace, pod, containerName, containerId } = alert
  if (namespace !== undefined && pod !== undefined) return cleanText(`${namespace}/${pod}`, MAX_OWNER)
  return cleanText(pod ?? containerName ?? containerId?.slice(0, 12) ?? 'unknown', MAX_OWNER)
}
