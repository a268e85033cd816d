/** What a pod's status says of its containers, from unknown JSON. Pure; never throws. */
import type { ContainerRecord } from '../../correlator/types.ts'
import type { ObjectMeta } from '../../kube/types.ts'
import { ownerWorkload } from '../../kube/owner.ts'

/** A record without its times. `past`: the run before the one that the status describes; its image is a guess. */
export type SeenContainer = Omit<ContainerRecord, 'firstSeen'> & { readonly past: boolean }

/** Gives the normalised name of an image reference, or undefined for what is none. */
export type NormalizeReference = (reference: string) => string | undefined

type Json = Readonly<Record<string, unknown>>

/** Statuses read of one pod; the API server itself allows more containers than any node runs. */
const MAX_STATUSES = 1000

const asObject = (value: unknown): Json => (typeof value === 'object' && value !== null ? (value as Json) : {})
const asList = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])
const asText = (value: unknown): string => (typeof value === 'string' ? value : '')

/** `containerd://<64 hex>` -> the hex part; undefined: not an id. Runtimes differ in the scheme only. */
export function bareContainerId(text: string): string | undefined {
  return /^(?:[a-z0-9.+-]{1,32}:\/\/)?([0-9a-f]{64})$/.exec(text)?.[1]
}

/**
 * The digest in a status' imageID: `repo@sha256:...` (containerd, CRI-O), `docker-pullable://repo@sha256:...`, a bare
 * `sha256:...` or `docker://sha256:...` (the config id of an image that was imported, not pulled), bare hex (CRI-O). sha384 and sha512 likewise.
 */
export function digestOfImageId(text: string): string | undefined {
  const end = text.slice(-2048)
  const named = /(?:^|@|:\/\/)(sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128})$/.exec(end)?.[1]
  if (named !== undefined) return named
  const hex = /(?:^|@|:\/\/)([0-9a-f]{64})$/.exec(end)?.[1]
  return hex === undefined ? undefined : `sha256:${hex}`
}

const KINDS = [
  ['init', 'initContainers', 'initContainerStatuses'],
  ['container', 'containers', 'containerStatuses'],
  ['ephemeral', 'ephemeralContainers', 'ephemeralContainerStatuses'],
] as const

const CRITICAL: ReadonlySet<string> = new Set(['system-node-critical', 'system-cluster-critical'])

/** An empty list is the same as none: the image's own command runs. What is no list the API server would not take, and nobody knows what it does. */
const isSet = (value: unknown): boolean =>
  value !== undefined && value !== null && !(Array.isArray(value) && value.length === 0)

/** A pod reduced to what the directory keeps. */
export interface SeenPod {
  readonly namespace: string
  readonly name: string
  readonly uid: string
  readonly containers: readonly SeenContainer[]
  /** Container name -> image as the spec names it now, normalised where it can be; containers without a status too. */
  readonly images?: ReadonlyMap<string, string> | undefined
}

/**
 * Reads a pod. Containers without an id or without a digest (still waiting) are left out: there is nothing to attribute to yet.
 * The id of the last terminated run has no image of its own in the status; it is taken to be of the image that runs now, unless
 * the directory saw it run earlier.
 *
 * @param normalize the pod spec's image as other parts write it
 * @returns undefined for what is no pod
 */
export function readPodContainers(object: unknown, normalize: NormalizeReference): SeenPod | undefined {
  const pod = asObject(object)
  const metadata = asObject(pod['metadata'])
  const [name, namespace, uid] = [asText(metadata['name']), asText(metadata['namespace']), asText(metadata['uid'])]
  if (name === '' || namespace === '' || uid === '') return undefined
  const spec = asObject(pod['spec'])
  const status = asObject(pod['status'])
  const created = Date.parse(asText(metadata['creationTimestamp']))
  const owner = ownerWorkload(ownerMetadata(metadata, name, namespace), Number.isNaN(created) ? 0 : created)
  const node = asText(spec['nodeName'])
  const critical = CRITICAL.has(asText(spec['priorityClassName']))
  const containers: SeenContainer[] = []
  const images = new Map<string, string>()
  for (const [kind, specField, statusField] of KINDS) {
    const specs = new Map(asList(spec[specField]).map((entry) => [asText(asObject(entry)['name']), asObject(entry)]))
    for (const [containerName, wanted] of specs) {
      const image = asText(wanted['image'])
      images.set(containerName, normalize(image) ?? image)
    }
    for (const entry of asList(status[statusField]).slice(0, MAX_STATUSES)) {
      const container = asObject(entry)
      const containerName = asText(container['name'])
      const wanted = specs.get(containerName) ?? {}
      const reference = normalize(asText(wanted['image']))
      const digest = digestOfImageId(asText(container['imageID']))
      if (reference === undefined || digest === undefined) continue
      for (const [id, past] of idsOf(container)) {
        containers.push({
          past,
          containerId: id,
          containerName,
          kind,
          namespace,
          pod: name,
          podUid: uid,
          ...(node === '' ? {} : { node }),
          reference,
          digests: [digest],
          owner,
          ...(isSet(wanted['command']) || isSet(wanted['args']) ? { overridesCommand: true } : {}),
          ...(critical ? { critical: true } : {}),
        })
      }
    }
  }
  return { namespace, name, uid, containers, images }
}

/** The ids of one container, and whether each is of the run before. */
function idsOf(container: Json): ReadonlyMap<string, boolean> {
  const ended = (state: unknown): string => asText(asObject(asObject(state)['terminated'])['containerID'])
  const ids = [ended(container['lastState']), ended(container['state']), asText(container['containerID'])]
  return new Map(
    ids.flatMap((text, index): readonly (readonly [string, boolean])[] => {
      const id = bareContainerId(text)
      return id === undefined ? [] : [[id, index === 0]]
    }),
  )
}

/** What `ownerWorkload` reads, from a pod's unchecked metadata. */
export function ownerMetadata(metadata: Json, name: string, namespace: string): ObjectMeta {
  const hash = asObject(metadata['labels'])['pod-template-hash']
  const ownerReferences = asList(metadata['ownerReferences'])
    .slice(0, 100)
    .map((entry) => {
      const reference = asObject(entry)
      return {
        kind: asText(reference['kind']),
        name: asText(reference['name']),
        controller: reference['controller'] === true,
      }
    })
  return {
    name,
    namespace,
    ownerReferences,
    ...(typeof hash === 'string' ? { labels: { 'pod-template-hash': hash } } : {}),
  }
}

/** The digests under which one node knows each of its images: `status.images[].names` that hold a digest. */
export function digestGroupsOfNode(object: unknown): readonly (readonly string[])[] {
  return asList(asObject(asObject(object)['status'])['images'])
    .slice(0, 500)
    .flatMap((image) => {
      const names = asList(asObject(image)['names']).slice(0, 64)
      const digests = new Set(
        names.flatMap((name) => (asText(name).includes('@') ? (digestOfImageId(asText(name)) ?? []) : [])),
      )
      return digests.size > 1 ? [[...digests].sort()] : []
    })
}
