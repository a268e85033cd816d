/**
 * Every container that the cluster reported in the last 24 h: what attribution trusts.
 *
 * `createContainerDirectory` is the memory, fed with pods; `watchContainers` feeds it from the API server.
 * A record's reference and owner are those of the first sighting: a pod's image may be changed in place, and then the status
 * still shows the old container for a while. Its digests only grow. Whose status came only after such a change has no name that can be trusted: see `nameOf`.
 */
import { MAX_USES } from '../../correlator/types.ts'
import type { ContainerDirectory, ContainerRecord } from '../../correlator/types.ts'
import { repositoryOf } from '../../verdicts/name.ts'
import type { ImageUse } from '../../verdicts/reach.ts'
import type { KubernetesClient } from './client.ts'
import { listWatch } from './listWatch.ts'
import { digestGroupsOfNode, readPodContainers } from './podContainers.ts'
import type { NormalizeReference, SeenContainer, SeenPod } from './podContainers.ts'

/** How long an id is kept after it was last in a status. */
export const KEEP_MS = 24 * 60 * 60_000
/** Digests of one image: index, a few platforms, config id. */
const MAX_DIGESTS = 16
const PREFIX_LENGTH = 12

export interface ContainerDirectoryOptions {
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** A container was seen for the first time, or more digests of its image became known. */
  readonly onRecord?: ((record: ContainerRecord) => void) | undefined
  /** Most records; beyond it those that left first go first. Default 200,000 (about 100 MB). */
  readonly maxRecords?: number | undefined
}

export interface FedContainerDirectory extends ContainerDirectory {
  /** A pod as it is now, in place of what was known of it. */
  readonly update: (pod: SeenPod) => void
  /** A pod is gone; its containers stay for 24 h. */
  readonly remove: (pod: SeenPod) => void
  /** Digests of one image, as a node lists them. */
  readonly linkDigests: (digests: readonly string[]) => void
  readonly size: () => number
}

interface Entry {
  record: ContainerRecord
  /** When a status last showed it; undefined: one does now. */
  leftAt: number | undefined
}

const podKey = (record: { readonly namespace: string; readonly pod: string }): string =>
  `${record.namespace}/${record.pod}`

/** Whether a status has shown it since then. */
const isSince = ({ leftAt }: Entry, time: number): boolean => leftAt === undefined || leftAt >= time

/** Sorted, bounded; `a` itself when `b` adds nothing. */
function union(a: readonly string[], b: readonly string[]): readonly string[] {
  const all = new Set(a)
  for (const digest of b) if (all.size < MAX_DIGESTS) all.add(digest)
  return all.size === a.length ? a : [...all].sort()
}

/** Adds to the set under a key, making it if need be. */
function addTo(index: Map<string, Set<string>>, key: string, value: string): void {
  const set = index.get(key)
  if (set === undefined) index.set(key, new Set([value]))
  else set.add(value)
}

function removeFrom(index: Map<string, Set<string>>, key: string, value: string): void {
  const set = index.get(key)
  set?.delete(value)
  if (set?.size === 0) index.delete(key)
}

/** An empty directory. */
export function createContainerDirectory(options: ContainerDirectoryOptions): FedContainerDirectory {
  const maxRecords = options.maxRecords ?? 200_000
  // Keyed pod uid and container id: two pods that show one id are two records, and so a contradiction that attribution sees.
  const entries = new Map<string, Entry>()
  const byPrefix = new Map<string, Set<string>>()
  const byPod = new Map<string, Set<string>>()
  const byDigest = new Map<string, Set<string>>()
  const current = new Map<string, ReadonlySet<string>>()
  // In the order of leaving, so that cleaning up looks only at what it removes.
  const departed = new Set<string>()
  const links = new Map<string, ReadonlySet<string>>()
  // Of containers that no status has shown yet: pod uid and container name -> image in the spec.
  const awaited = new Map<string, string>()
  // Pod uid and container name: the image in the spec was changed.
  const renamed = new Set<string>()

  const drop = (key: string): void => {
    const entry = entries.get(key)
    if (entry === undefined) return
    entries.delete(key)
    departed.delete(key)
    removeFrom(byPrefix, entry.record.containerId.slice(0, PREFIX_LENGTH), key)
    removeFrom(byPod, podKey(entry.record), key)
    for (const digest of entry.record.digests) removeFrom(byDigest, digest, key)
  }

  const clean = (): void => {
    const oldest = options.now() - KEEP_MS
    for (const key of departed) {
      const entry = entries.get(key)
      if (entry !== undefined && isSince(entry, oldest) && entries.size <= maxRecords) return
      drop(key)
    }
  }

  const withLinks = (digests: readonly string[]): readonly string[] =>
    union(
      digests,
      digests.flatMap((digest) => [...(links.get(digest) ?? [])]),
    )

  const setRecord = (key: string, entry: Entry, record: ContainerRecord): void => {
    entry.record = record
    for (const digest of record.digests) addTo(byDigest, digest, key)
    options.onRecord?.(record)
  }

  const leave = (key: string): void => {
    const entry = entries.get(key)
    if (entry === undefined || entry.leftAt !== undefined) return
    entry.leftAt = options.now()
    departed.add(key)
  }

  const noteNames = ({ uid, images = new Map<string, string>() }: SeenPod): void => {
    const known = new Map<string, string>()
    for (const key of current.get(uid) ?? []) {
      const record = entries.get(key)?.record
      if (record !== undefined) known.set(record.containerName, record.reference)
    }
    for (const [name, image] of images) {
      const key = `${uid}/${name}`
      if (renamed.has(key)) continue
      const before = known.get(name) ?? awaited.get(key)
      if (before === undefined) awaited.set(key, image)
      else if (before !== image) renamed.add(key)
      if (known.has(name) || renamed.has(key)) awaited.delete(key)
    }
  }

  /**
   * The name that a new container ran under. Who changes a pod's image while the old one is being pulled gets a status that shows the old image beside the
   * new name, and could have anybody's tag denied. Its digest is the truth, so that is the name then.
   */
  const nameOf = (uid: string, { containerName, reference, digests }: SeenContainer): string =>
    renamed.has(`${uid}/${containerName}`) ? `${repositoryOf(reference)}@${digests[0]}` : reference

  const update = (pod: SeenPod): void => {
    const time = options.now()
    const keys = new Set<string>()
    noteNames(pod)
    for (const { past, ...container } of pod.containers) {
      const key = `${pod.uid}/${container.containerId}`
      keys.add(key)
      const entry = entries.get(key)
      if (entry === undefined) {
        const digests = withLinks(container.digests)
        const reference = nameOf(pod.uid, { ...container, past })
        const record: ContainerRecord = { ...container, reference, digests, firstSeen: time }
        const added: Entry = { record, leftAt: undefined }
        entries.set(key, added)
        addTo(byPrefix, container.containerId.slice(0, PREFIX_LENGTH), key)
        addTo(byPod, podKey(record), key)
        setRecord(key, added, record)
        continue
      }
      entry.leftAt = undefined
      departed.delete(key)
      // The same run under another digest of its image. Of a past run the status no longer knows the image.
      const digests = past ? entry.record.digests : union(entry.record.digests, withLinks(container.digests))
      if (digests.length > entry.record.digests.length) setRecord(key, entry, { ...entry.record, digests })
    }
    for (const key of current.get(pod.uid) ?? []) if (!keys.has(key)) leave(key)
    if (keys.size === 0) current.delete(pod.uid)
    else current.set(pod.uid, keys)
    clean()
  }

  const find = (
    keys: ReadonlySet<string> | undefined,
    accept: (record: ContainerRecord) => boolean,
  ): readonly ContainerRecord[] => {
    const found: ContainerRecord[] = []
    if (keys === undefined) return found
    const oldest = options.now() - KEEP_MS
    for (const key of keys) {
      const entry = entries.get(key)
      if (entry !== undefined && isSince(entry, oldest) && accept(entry.record)) found.push(entry.record)
    }
    return found
  }

  /** Looks at the containers of the image only, and copies none of them. */
  const usesOf = (digests: readonly string[]): readonly ImageUse[] => {
    const oldest = options.now() - KEEP_MS
    const uses = new Map<string, ImageUse>()
    for (const digest of new Set(digests)) {
      for (const key of byDigest.get(digest) ?? []) {
        const entry = entries.get(key)
        if (entry === undefined || !isSince(entry, oldest)) continue
        const { owner, namespace, critical = false, firstSeen } = entry.record
        const known = uses.get(owner)
        if (known === undefined && uses.size >= MAX_USES) continue
        if (known !== undefined && (known.critical || !critical) && known.firstSeen <= firstSeen) continue
        uses.set(owner, {
          owner,
          namespace,
          critical: critical || known?.critical === true,
          firstSeen: Math.min(firstSeen, known?.firstSeen ?? firstSeen),
        })
      }
    }
    return [...uses.values()]
  }

  const ranAs = (digests: readonly string[], reference: string): boolean => {
    const oldest = options.now() - KEEP_MS
    return digests.some((digest) => {
      for (const key of byDigest.get(digest) ?? []) {
        const entry = entries.get(key)
        if (entry?.record.reference === reference && isSince(entry, oldest)) return true
      }
      return false
    })
  }

  return {
    update,
    remove: (pod) => {
      for (const key of current.get(pod.uid) ?? []) leave(key)
      current.delete(pod.uid)
      for (const name of pod.images?.keys() ?? []) {
        awaited.delete(`${pod.uid}/${name}`)
        renamed.delete(`${pod.uid}/${name}`)
      }
      clean()
    },
    linkDigests: (digests) => {
      const group = new Set(digests.slice(0, MAX_DIGESTS))
      for (const digest of group) {
        const known = links.get(digest)
        if (known !== undefined && [...group].every((other) => known.has(other))) continue
        // Bounded: the oldest group is forgotten; what records already learned stays.
        const first = links.keys().next()
        if (links.size >= 50_000 && first.done !== true) links.delete(first.value)
        links.set(digest, new Set([...(known ?? []), ...group].slice(0, MAX_DIGESTS)))
        for (const key of byDigest.get(digest) ?? []) {
          const entry = entries.get(key)
          if (entry === undefined) continue
          const grown = withLinks(entry.record.digests)
          if (grown.length > entry.record.digests.length) setRecord(key, entry, { ...entry.record, digests: grown })
        }
      }
    },
    findById: (prefix) => {
      if (!/^[0-9a-f]{12,64}$/.test(prefix)) return []
      return find(byPrefix.get(prefix.slice(0, PREFIX_LENGTH)), (record) => record.containerId.startsWith(prefix))
    },
    findByPod: (namespace, pod, container, podUid) =>
      find(
        byPod.get(`${namespace}/${pod}`),
        (record) =>
          (container === undefined || record.containerName === container) &&
          (podUid === undefined || record.podUid === podUid),
      ),
    usesOf,
    ranAs,
    size: () => entries.size,
  }
}

export interface WatchContainersOptions extends ContainerDirectoryOptions {
  readonly client: KubernetesClient
  readonly normalize: NormalizeReference
  /** Also read nodes, which link the digests of one image. Default true. */
  readonly nodes?: boolean | undefined
  readonly onProblem?: ((message: string) => void) | undefined
}

export interface WatchedContainers extends ContainerDirectory {
  /** Resolves when every pod was listed once; rejects with the last problem after `timeoutMs`. */
  synced(timeoutMs: number): Promise<void>
  readonly isSynced: () => boolean
  /** Records held, for a metric. */
  readonly size: () => number
  stop(): Promise<void>
}

/** A directory that follows the pods (and nodes) of the cluster until `stop`. */
export function watchContainers(options: WatchContainersOptions): WatchedContainers {
  const { client, normalize, onProblem } = options
  const directory = createContainerDirectory(options)
  const pods = listWatch<SeenPod>({
    client,
    path: '/api/v1/pods',
    select: (object) => readPodContainers(object, normalize),
    onAdd: directory.update,
    onUpdate: directory.update,
    onDelete: directory.remove,
    onProblem,
  })
  const link = (groups: readonly (readonly string[])[]): void => groups.forEach(directory.linkDigests)
  const nodes =
    options.nodes === false
      ? undefined
      : listWatch({ client, path: '/api/v1/nodes', select: digestGroupsOfNode, onAdd: link, onUpdate: link, onProblem })
  return {
    findById: (prefix) => directory.findById(prefix),
    findByPod: (namespace, pod, container, podUid) => directory.findByPod(namespace, pod, container, podUid),
    usesOf: (digests) => directory.usesOf(digests),
    ranAs: (digests, reference) => directory.ranAs(digests, reference),
    size: directory.size,
    synced: pods.synced,
    isSynced: pods.isSynced,
    stop: async () => {
      await Promise.all([pods.stop(), nodes?.stop()])
    },
  }
}
