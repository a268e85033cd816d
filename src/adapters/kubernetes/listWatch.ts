/**
 * A reflector: keeps a trimmed copy of one kind of object, by paged lists and a watch, and says what changed.
 *
 * No gaps: a watch goes on from the last version seen; when the API server no longer knows that version (410), or anything else
 * is odd, everything is listed again and compared with what is known. Objects are trimmed by `select` before they are stored.
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
 */
import { setTimeout as delay } from 'node:timers/promises'

import { KubernetesError } from './client.ts'
import type { KubernetesClient, WatchEvent } from './client.ts'

export interface ListWatchOptions<T> {
  readonly client: Pick<KubernetesClient, 'request' | 'watch'>
  /** For example `/api/v1/pods`. */
  readonly path: string
  readonly query?: Readonly<Record<string, string>> | undefined
  /** What is kept of an object; undefined: nothing, as if the object did not exist. Must not throw. */
  readonly select: (object: unknown) => T | undefined
  readonly onAdd?: ((value: T) => void) | undefined
  readonly onUpdate?: ((value: T, old: T) => void) | undefined
  readonly onDelete?: ((old: T) => void) | undefined
  /** After each complete list; the first one means that the copy is whole. */
  readonly onSynced?: (() => void) | undefined
  /** Something went wrong and is being repaired; one line for people. */
  readonly onProblem?: ((message: string) => void) | undefined
  /** Objects per list request. Default 500. */
  readonly pageSize?: number | undefined
  /** Between 0 and 1; spreads the reconnects of many replicas. */
  readonly random?: (() => number) | undefined
  /** Longest pause between attempts in milliseconds. Default 10,000. */
  readonly maxBackoffMs?: number | undefined
}

export interface ListWatch<T> {
  /** Keyed `namespace/name`, or `name` for cluster-scoped kinds. */
  readonly get: (key: string) => T | undefined
  readonly size: () => number
  /** True between the first complete list and `stop`. Stays true while a lost watch is repaired. */
  readonly isSynced: () => boolean
  /** Seconds since the API server last said anything about these objects: bookmarks come about once a minute. */
  readonly age: () => number
  readonly values: () => IterableIterator<T>
  /** Takes in an object that a write of our own brought back, unless something newer is already known. */
  readonly inject: (object: unknown) => void
  /** Forgets an object that a deletion of our own took away, or that a read did not find, unless something newer than `version` is already known. */
  readonly forget: (key: string, version: string) => void
  /** Resolves after the first complete list, or rejects with what went wrong last when `timeoutMs` is over. */
  readonly synced: (timeoutMs: number) => Promise<void>
  /** Ends the watch. No callback is called after it resolves. */
  readonly stop: () => Promise<void>
}

interface Entry<T> {
  readonly uid: string
  readonly version: string
  readonly value: T
}

interface Identity {
  readonly key: string
  readonly uid: string
  readonly version: string
}

/** Deletions remembered, so that the late answer to a write of our own does not bring an object back. */
const MAX_TOMBSTONES = 1000

const text = (value: unknown): string => (typeof value === 'string' ? value : '')

function identify(object: unknown): Identity | undefined {
  const metadata = (object as { metadata?: unknown } | null | undefined)?.metadata as
    { name?: unknown; namespace?: unknown; uid?: unknown; resourceVersion?: unknown } | null | undefined
  const name = text(metadata?.name)
  if (name === '') return undefined
  const namespace = text(metadata?.namespace)
  return {
    key: namespace === '' ? name : `${namespace}/${name}`,
    uid: text(metadata?.uid),
    version: text(metadata?.resourceVersion),
  }
}

/**
 * Whether version `a` is later than `b`. Decimal numbers of growing length, comparable since Kubernetes 1.35 by contract
 * (KEP-5504) and before that in fact. What is not a number counts as later: better to take in twice than to miss.
 */
export function isLater(a: string, b: string): boolean {
  if (!/^\d{1,40}$/.test(a) || !/^\d{1,40}$/.test(b)) return true
  return BigInt(a) > BigInt(b)
}

/** Starts at once. Failures never end it: it repairs itself until `stop`. */
export function listWatch<T>(options: ListWatchOptions<T>): ListWatch<T> {
  const entries = new Map<string, Entry<T>>()
  const tombstones = new Map<string, string>()
  const abort = new AbortController()
  const random = options.random ?? Math.random
  const pageSize = options.pageSize ?? 500
  const state = {
    synced: false,
    failures: 0,
    paged: true,
    problem: new KubernetesError(0, 'Timeout', 'not listed yet'),
  }
  const waiting = new Set<() => void>()
  let heardAt = performance.now()

  /** A callback that throws is a bug elsewhere; it must not cost the watch. */
  const tell = (call: (() => void) | undefined): void => {
    if (abort.signal.aborted || call === undefined) return
    try {
      call()
    } catch (error) {
      options.onProblem?.(
        `a listener of ${options.path} failed: ${error instanceof Error ? error.message : String(error)}`,
      )
    }
  }

  const problem = (message: string, cause?: unknown): void => {
    const { status, reason } = cause instanceof KubernetesError ? cause : { status: 0, reason: 'Unknown' }
    state.problem = new KubernetesError(status, reason, message)
    tell(() => options.onProblem?.(message))
  }

  const remove = (key: string, version: string): void => {
    const entry = entries.get(key)
    tombstones.delete(key)
    tombstones.set(key, version)
    const oldest = tombstones.keys().next()
    if (tombstones.size > MAX_TOMBSTONES && oldest.done !== true) tombstones.delete(oldest.value)
    if (entry === undefined) return
    entries.delete(key)
    tell(() => options.onDelete?.(entry.value))
  }

  /** A write of our own has already made another object under the name of this deleted one. */
  const isReplaced = ({ key, uid, version }: Identity): boolean => {
    const known = entries.get(key)
    return known !== undefined && known.uid !== uid && isLater(known.version, version)
  }

  const upsert = (identity: Identity, object: unknown): void => {
    const { key, uid, version } = identity
    const known = entries.get(key)
    if (known !== undefined && !isLater(version, known.version)) return
    const tombstone = tombstones.get(key)
    if (tombstone !== undefined) {
      if (!isLater(version, tombstone)) return
      tombstones.delete(key)
    }
    const value = options.select(object)
    if (value === undefined) {
      if (known !== undefined) remove(key, version)
      return
    }
    entries.set(key, { uid, version, value })
    if (known === undefined) tell(() => options.onAdd?.(value))
    else if (known.uid === uid) tell(() => options.onUpdate?.(value, known.value))
    else {
      // Deleted and made again under the same name while nobody watched.
      tell(() => options.onDelete?.(known.value))
      tell(() => options.onAdd?.(value))
    }
  }

  /** Lists everything and compares. Returns the version to watch from. */
  const list = async (): Promise<string> => {
    const seen = new Set<string>()
    let token: string | undefined
    let version = ''
    do {
      const page = (await options.client.request('GET', options.path, {
        query: { ...options.query, limit: state.paged ? String(pageSize) : undefined, continue: token },
        timeoutMs: 60_000,
      })) as { metadata?: { resourceVersion?: unknown; continue?: unknown }; items?: unknown }
      if (!Array.isArray(page.items))
        throw new KubernetesError(0, 'NotJson', `the list of ${options.path} has no items`)
      version = text(page.metadata?.resourceVersion)
      token = text(page.metadata?.continue) || undefined
      for (const object of page.items as unknown[]) {
        const identity = identify(object)
        if (identity === undefined) continue
        seen.add(identity.key)
        upsert(identity, object)
      }
    } while (token !== undefined && !abort.signal.aborted)
    if (abort.signal.aborted) return version
    // What a write of our own brought in after the list was made is not missing from it.
    for (const [key, entry] of entries) if (!seen.has(key) && !isLater(entry.version, version)) remove(key, version)
    state.synced = true
    state.paged = true
    heardAt = performance.now()
    tell(options.onSynced)
    for (const wake of waiting) wake()
    return version
  }

  /** Watches from `version` until the connection ends. Returns the version to go on from; undefined: list again. */
  const watch = async (version: string): Promise<string | undefined> => {
    const position = { version, lost: false }
    const onEvent = (event: WatchEvent): void => {
      if (position.lost || abort.signal.aborted) return
      heardAt = performance.now()
      if (event.type === 'ERROR') {
        position.lost = true
        const { message } = (event.object ?? {}) as { message?: unknown }
        if ((event.object as { code?: unknown } | null)?.code !== 410)
          problem(`the watch of ${options.path} failed: ${text(message)}`)
        return
      }
      const reported = text(
        (event.object as { metadata?: { resourceVersion?: unknown } } | null)?.metadata?.resourceVersion,
      )
      if (reported !== '') position.version = reported
      if (event.type === 'BOOKMARK') return
      const identity = identify(event.object)
      if (identity === undefined) return
      if (event.type !== 'DELETED') upsert(identity, event.object)
      else if (!isReplaced(identity)) remove(identity.key, identity.version)
    }
    const started = performance.now()
    try {
      const timeoutSeconds = String(300 + Math.floor(random() * 300))
      await options.client.watch(
        options.path,
        { ...options.query, resourceVersion: version, timeoutSeconds },
        onEvent,
        abort.signal,
      )
    } catch (error) {
      if (error instanceof KubernetesError && (error.status === 410 || error.reason === 'NotJson')) position.lost = true
      else problem(`the watch of ${options.path} ended: ${error instanceof Error ? error.message : String(error)}`)
    }
    // However it ended: a server that ends every watch at once must not be asked, or listed, in a tight loop.
    state.failures = performance.now() - started < 1000 ? state.failures + 1 : 0
    return position.lost ? undefined : position.version
  }

  const pause = async (): Promise<void> => {
    const longest = options.maxBackoffMs ?? 10_000
    const base = Math.min(longest, 50 * 2 ** Math.min(state.failures, 12))
    await delay(base * (0.5 + random() / 2), undefined, { signal: abort.signal }).catch(() => undefined)
  }

  const run = async (): Promise<void> => {
    let version: string | undefined
    while (!abort.signal.aborted) {
      try {
        version ??= await list()
        version = await watch(version)
      } catch (error) {
        version = undefined
        // A continue token expired between two pages: paging is too slow for this cluster, so ask for all at once.
        if (error instanceof KubernetesError && error.status === 410) state.paged = false
        state.failures += 1
        problem(`${options.path} cannot be listed: ${error instanceof Error ? error.message : String(error)}`, error)
      }
      await pause()
    }
  }
  const running = run()

  return {
    get: (key) => entries.get(key)?.value,
    size: () => entries.size,
    isSynced: () => state.synced,
    age: () => (performance.now() - heardAt) / 1000,
    values: function* values() {
      for (const entry of entries.values()) yield entry.value
    },
    inject: (object) => {
      const identity = identify(object)
      if (identity !== undefined) upsert(identity, object)
    },
    forget: (key, version) => {
      const known = entries.get(key)
      if (known !== undefined && !isLater(known.version, version)) remove(key, version)
    },
    synced: (timeoutMs) =>
      new Promise((resolve, reject) => {
        if (state.synced) return resolve()
        const timer = setTimeout(() => {
          waiting.delete(wake)
          reject(state.problem)
        }, timeoutMs)
        const wake = (): void => {
          clearTimeout(timer)
          waiting.delete(wake)
          resolve()
        }
        waiting.add(wake)
      }),
    stop: async () => {
      abort.abort()
      await running
    },
  }
}
