/** Objects of the Kubernetes API in pages: whoever reads them holds one page at a time, however many there are. */
import { setTimeout as delay } from 'node:timers/promises'

import type { ObjectMeta } from '../../kube/types.ts'
import { KubernetesError } from './client.ts'
import type { KubernetesClient } from './client.ts'
import { ownerWorkload } from '../../kube/owner.ts'
import { ownerMetadata } from './podContainers.ts'

export interface PageOptions {
  /** Ends the pages early, without an error. */
  readonly signal?: AbortSignal | undefined
  /** Objects per request. Default 500. */
  readonly pageSize?: number | undefined
  /** Waited before a page is asked for again, in milliseconds; doubles with each attempt. Default 500. */
  readonly retryMs?: number | undefined
}

/** A pod and the workload that it belongs to. */
export interface PodOfPage {
  readonly namespace: string
  readonly name: string
  /** `Deployment/web`: as people name it, without the namespace. */
  readonly workload: string
  /** As the API server gave it, unchecked. */
  readonly object: unknown
}

interface Page {
  readonly items: readonly unknown[]
  readonly next: string | undefined
}

const MAX_ATTEMPTS = 4
/** Starts over in a row that bring nothing new. */
const MAX_RESTARTS = 3

/**
 * Lists a collection, page by page, in the order of the keys (`namespace/name`).
 *
 * A continue token lives only a few minutes. When it has expired, the list starts over and skips what was already given: each object
 * comes once, whatever happens in between. Short failures (no answer, 429, 5xx) are tried again.
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks
 *
 * @param path for example `/api/v1/namespaces/shop/pods`
 * @throws KubernetesError for every other failure
 */
export async function* listPages(
  client: Pick<KubernetesClient, 'request'>,
  path: string,
  options: PageOptions = {},
): AsyncGenerator<readonly unknown[]> {
  const { signal, pageSize = 500 } = options
  let token: string | undefined
  let last = ''
  let restarts = 0
  for (;;) {
    if (signal?.aborted) return
    let page: Page | undefined
    try {
      page = await readPage(client, path, { limit: String(pageSize), continue: token }, options)
    } catch (error) {
      const expired = error instanceof KubernetesError && error.status === 410 && token !== undefined
      if (!expired || restarts >= MAX_RESTARTS) throw error
      token = undefined
      restarts += 1
      continue
    }
    if (page === undefined) return
    const fresh = last === '' ? page.items : page.items.filter((item) => keyOf(item) > last)
    if (fresh.length > 0) {
      last = keyOf(fresh.at(-1))
      restarts = 0
      yield fresh
    }
    token = page.next
    if (token === undefined) return
  }
}

/** The pods of one namespace, or of all, with their workloads. */
export async function* podPages(
  client: Pick<KubernetesClient, 'request'>,
  namespace: string | undefined,
  options: PageOptions = {},
): AsyncGenerator<readonly PodOfPage[]> {
  const path = namespace === undefined ? '/api/v1/pods' : `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods`
  for await (const items of listPages(client, path, options)) yield items.map(readPod)
}

/** One page; undefined: aborted meanwhile. */
async function readPage(
  client: Pick<KubernetesClient, 'request'>,
  path: string,
  query: Readonly<Record<string, string | undefined>>,
  { signal, retryMs = 500 }: PageOptions,
): Promise<Page | undefined> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const answer = await untilAborted(client.request('GET', path, { query, timeoutMs: 60_000 }), signal)
      if (answer === undefined) return undefined
      const { items, metadata } = answer as { items?: unknown; metadata?: { continue?: unknown } | null }
      const next = metadata?.continue
      return {
        items: Array.isArray(items) ? items : [],
        next: typeof next === 'string' && next !== '' ? next : undefined,
      }
    } catch (error) {
      if (attempt >= MAX_ATTEMPTS || !isPassing(error)) throw error
      await untilAborted(delay(retryMs * 2 ** (attempt - 1)), signal)
      if (signal?.aborted) return undefined
    }
  }
}

const isPassing = (error: unknown): boolean =>
  error instanceof KubernetesError &&
  (error.status === 429 || error.status >= 500 || error.reason === 'Timeout' || error.reason === 'Unreachable')

/** What `promise` resolves to, or undefined as soon as `signal` aborts. */
async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T | undefined> {
  if (signal === undefined) return promise
  let abort: () => void = () => undefined
  const aborted = new Promise<undefined>((resolve) => {
    abort = () => resolve(undefined)
    signal.addEventListener('abort', abort, { once: true })
    if (signal.aborted) abort()
  })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '')

const metadataOf = (object: unknown): Readonly<Record<string, unknown>> => {
  const metadata = (object as { metadata?: unknown } | null | undefined)?.metadata
  return typeof metadata === 'object' && metadata !== null ? (metadata as Readonly<Record<string, unknown>>) : {}
}

/** The end of the object's key in etcd; lists come in the order of these keys, byte by byte. */
const keyOf = (object: unknown): string => {
  const { namespace, name } = metadataOf(object)
  return `${text(namespace)}/${text(name)}`
}

function readPod(object: unknown): PodOfPage {
  const metadata = metadataOf(object)
  const [namespace, name] = [text(metadata['namespace']), text(metadata['name'])]
  const created = Date.parse(text(metadata['creationTimestamp']))
  const about: ObjectMeta = ownerMetadata(metadata, name, namespace)
  const owner = ownerWorkload(about, Number.isNaN(created) ? 0 : created)
  return { namespace, name, workload: owner.slice(namespace.length + 1), object }
}
