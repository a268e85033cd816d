/** The labels of every namespace, from a watch; and one live read for when that is not enough. */
import type { Labels } from '../../kube/types.ts'
import { KubernetesError } from './client.ts'
import type { KubernetesClient } from './client.ts'
import { listWatch } from './listWatch.ts'

export interface NamespacesOptions {
  readonly client: KubernetesClient
  readonly onProblem?: ((message: string) => void) | undefined
  /** Which labels are kept. Default: those that Drawbridge or Pod Security read. */
  readonly keep?: ((key: string) => boolean) | undefined
  /** A namespace appeared or its labels changed; undefined: it is gone. */
  readonly onChange?: ((name: string, labels: Labels | undefined) => void) | undefined
}

export interface Namespaces {
  /** From memory; undefined: not known (which does not mean that it does not exist). */
  get(name: string): Labels | undefined
  /**
   * One read from the API server, shared by all who ask for the same name meanwhile.
   * @returns undefined: there is no such namespace
   * @throws KubernetesError when the API server does not answer within `timeoutMs` (default 2,000): fail closed
   */
  getLive(name: string, timeoutMs?: number): Promise<Labels | undefined>
  /** Every namespace known now. */
  readonly all: () => ReadonlyMap<string, Labels>
  synced(timeoutMs: number): Promise<void>
  readonly isSynced: () => boolean
  stop(): Promise<void>
}

interface NamespaceLabels {
  readonly name: string
  readonly labels: Labels
}

const PREFIXES = ['drawbridge.dev/', 'pod-security.kubernetes.io/'] as const

/** A name that cannot exist is not asked for: it could otherwise walk the API's paths. */
const NAME = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/

/** Starts to watch at once. */
export function watchNamespaces(options: NamespacesOptions): Namespaces {
  const { client, onChange } = options
  const keep = options.keep ?? ((key: string) => PREFIXES.some((prefix) => key.startsWith(prefix)))
  const live = new Map<string, Promise<Labels | undefined>>()

  const select = (object: unknown): NamespaceLabels | undefined => {
    const metadata = (object as { metadata?: { name?: unknown; labels?: unknown } } | null)?.metadata
    if (typeof metadata?.name !== 'string') return undefined
    const labels = Object.entries((metadata.labels ?? {}) as Record<string, unknown>).filter(
      (entry): entry is [string, string] => typeof entry[1] === 'string' && keep(entry[0]),
    )
    return { name: metadata.name, labels: Object.fromEntries(labels) }
  }

  const cache = listWatch<NamespaceLabels>({
    client,
    path: '/api/v1/namespaces',
    select,
    onAdd: ({ name, labels }) => onChange?.(name, labels),
    onUpdate: ({ name, labels }) => onChange?.(name, labels),
    onDelete: ({ name }) => onChange?.(name, undefined),
    onProblem: options.onProblem,
  })

  const read = async (name: string, timeoutMs: number): Promise<Labels | undefined> => {
    try {
      const object = await client.request('GET', `/api/v1/namespaces/${name}`, { timeoutMs })
      cache.inject(object)
      return select(object)?.labels
    } catch (error) {
      if (error instanceof KubernetesError && error.status === 404) return undefined
      throw error
    } finally {
      live.delete(name)
    }
  }

  return {
    get: (name) => cache.get(name)?.labels,
    getLive: (name, timeoutMs = 2000) => {
      if (!NAME.test(name)) return Promise.resolve(undefined)
      const asked = live.get(name) ?? read(name, timeoutMs)
      live.set(name, asked)
      return asked
    },
    all: () => new Map([...cache.values()].map(({ name, labels }) => [name, labels])),
    synced: cache.synced,
    isSynced: cache.isSynced,
    stop: cache.stop,
  }
}
