/**
 * The revisions of single workloads, read when somebody needs them: following every ReplicaSet of a cluster would cost memory for what is asked about
 * once in a while. Bounded in every way, because whoever makes pods chooses how often it is asked (docs/decisions/0008-way-back.md).
 */
import { LRUCache } from 'lru-cache'
import { readHead, readRevisions, REVISION_KINDS } from '../../kube/revisions.ts'
import type { ReadHistory, RevisedWorkload, RevisionHistory, WorkloadHead } from '../../kube/revisions.ts'
import { KubernetesError } from './client.ts'
import type { KubernetesClient } from './client.ts'
import { tokenBucket } from './tokenBucket.ts'

export interface RevisionsOptions {
  readonly client: Pick<KubernetesClient, 'request'>
  /** Monotonic milliseconds. */
  readonly now: () => number
  /** One line for people; again only after a read has worked. */
  readonly onProblem?: ((message: string) => void) | undefined
}

/** How long an answer is used, "none" too: a ReplicaSet that is refused tries again every second. */
const KEEP_MS = 10_000
const MAX_WORKLOADS = 1000
/** Workloads asked about per second, two requests each. */
const PER_SECOND = 5
const BURST = 20
const MAX_AT_ONCE = 8
const TIMEOUT_MS = 2000
/** Parsed on the thread that answers reviews; a ReplicaSet has a few KiB, and a Deployment keeps ten. */
const MAX_BYTES = 1024 * 1024
/** Ten is what workloads keep by default. Where there are more than this, nobody could say which is the last good one. */
const MAX_REVISIONS = 100

/** A workload and the objects that hold its revisions, as the API server has them. */
export interface ReadWorkload {
  readonly object: unknown
  readonly head: WorkloadHead
  readonly revisions: readonly unknown[]
}

/**
 * Undefined: there is no such workload, it is paused, or has too many revisions.
 * @throws KubernetesError where it cannot be read, or is too large
 */
export async function readWorkload(
  client: Pick<KubernetesClient, 'request'>,
  { kind, namespace, name }: RevisedWorkload,
): Promise<ReadWorkload | undefined> {
  const { resource, revisions } = REVISION_KINDS[kind]
  const folder = `/apis/apps/v1/namespaces/${namespace}`
  const settings = { timeoutMs: TIMEOUT_MS, maxBytes: MAX_BYTES }
  const object = await client.request('GET', `${folder}/${resource}/${name}`, settings)
  const head = readHead(kind, object)
  if (head === undefined) return undefined
  const query = { labelSelector: head.selector, limit: String(MAX_REVISIONS) }
  const list = (await client.request('GET', `${folder}/${revisions}`, { ...settings, query })) as {
    readonly items?: unknown
    readonly metadata?: { readonly continue?: unknown } | null
  }
  if (list.metadata?.continue) return undefined
  return { object, head, revisions: Array.isArray(list.items) ? (list.items as readonly unknown[]) : [] }
}

/**
 * What the workload runs and could go back to. Undefined as readWorkload.
 * @throws KubernetesError where it cannot be read
 */
export async function readHistory(
  client: Pick<KubernetesClient, 'request'>,
  workload: RevisedWorkload,
): Promise<RevisionHistory | undefined> {
  const read = await readWorkload(client, workload)
  if (read === undefined) return undefined
  const { head, revisions } = read
  return { uid: head.uid, images: head.images, revisions: readRevisions(workload.kind, head.uid, revisions) }
}

/** Reads each workload at most every ten seconds. At once undefined where too much is asked. */
export function createRevisions({ client, now, onProblem }: RevisionsOptions): ReadHistory {
  const known = new LRUCache<string, Promise<RevisionHistory | undefined>>({
    max: MAX_WORKLOADS,
    ttl: KEEP_MS,
    ttlResolution: 0,
    perf: { now },
  })
  const bucket = tokenBucket(PER_SECOND, BURST, now)
  const state = { reading: 0, failing: false }

  const read = async (workload: RevisedWorkload): Promise<RevisionHistory | undefined> => {
    state.reading += 1
    try {
      const history = await readHistory(client, workload)
      state.failing = false
      return history
    } catch (error) {
      const gone = error instanceof KubernetesError && error.status === 404
      if (!gone && !state.failing)
        onProblem?.(
          `the revisions of a workload cannot be read: ${error instanceof Error ? error.message : String(error)}`,
        )
      state.failing = !gone
      return undefined
    } finally {
      state.reading -= 1
    }
  }

  return (workload) => {
    const key = `${workload.namespace}/${workload.kind}/${workload.name}`
    const before = known.get(key)
    if (before !== undefined) return before
    if (state.reading >= MAX_AT_ONCE || !bucket.take()) return Promise.resolve(undefined)
    const reading = read(workload)
    known.set(key, reading)
    return reading
  }
}
