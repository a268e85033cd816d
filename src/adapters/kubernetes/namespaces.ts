/** The labels of every namespace, from a watch; and one live read for when that is not enough. */
import { DNS_LABEL } from '../../kube/names.ts'
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
  /** Monotonic milliseconds. Default: the process's. */
  readonly now?: (() => number) | undefined
}

export interface Namespaces {
  /** From memory; undefined: not known (which does not mean that it does not exist). */
  get(name: string): Labels | undefined
  /**
   * One read from the API server, shared by all who ask for the same name meanwhile. At most 32 at once: reviews of many names, whoever
   * sends them, must not become a flood of reads. The others wait for their turn, oldest first.
   * @returns undefined: there is no such namespace
   * @throws KubernetesError when turn and answer do not come within `timeoutMs` (default 2,000), or 1,000 wait already: fail closed
   */
  getLive(name: string, timeoutMs?: number): Promise<Labels | undefined>
  /** Every namespace known now. */
  readonly all: () => ReadonlyMap<string, Labels>
  synced(timeoutMs: number): Promise<void>
  readonly isSynced: () => boolean
  /** Seconds since the API server last said anything about them. */
  readonly age: () => number
  stop(): Promise<void>
}

interface NamespaceLabels {
  readonly name: string
  readonly labels: Labels
}

const PREFIXES = ['drawbridge.dev/', 'pod-security.kubernetes.io/'] as const

const MAX_READS = 32
const MAX_WAITING = 1000

const tooMany = (): KubernetesError =>
  new KubernetesError(0, 'Timeout', 'too many namespaces are being read from the Kubernetes API; try again')

/** Starts to watch at once. */
export function watchNamespaces(options: NamespacesOptions): Namespaces {
  const { client, onChange, now = () => performance.now() } = options
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

  const turns = { taken: 0, waiting: new Set<() => void>() }
  const takeTurn = (timeoutMs: number): Promise<void> => {
    if (turns.taken < MAX_READS) {
      turns.taken += 1
      return Promise.resolve()
    }
    if (turns.waiting.size >= MAX_WAITING) return Promise.reject(tooMany())
    return new Promise((resolve, reject) => {
      const begin = (): void => {
        clearTimeout(timer)
        resolve()
      }
      const timer = setTimeout(() => {
        turns.waiting.delete(begin)
        reject(tooMany())
      }, timeoutMs)
      turns.waiting.add(begin)
    })
  }
  /** Hands the turn on to whoever waits longest. */
  const passTurn = (): void => {
    const [next] = turns.waiting
    if (next === undefined) turns.taken -= 1
    else {
      turns.waiting.delete(next)
      next()
    }
  }

  const readInTurn = async (name: string, timeoutMs: number): Promise<Labels | undefined> => {
    try {
      const object = await client.request('GET', `/api/v1/namespaces/${name}`, { timeoutMs })
      cache.inject(object)
      return select(object)?.labels
    } catch (error) {
      if (error instanceof KubernetesError && error.status === 404) return undefined
      throw error
    } finally {
      passTurn()
    }
  }

  const read = async (name: string, timeoutMs: number): Promise<Labels | undefined> => {
    const deadline = now() + timeoutMs
    try {
      await takeTurn(timeoutMs)
      return await readInTurn(name, Math.max(1, Math.ceil(deadline - now())))
    } finally {
      live.delete(name)
    }
  }

  return {
    get: (name) => cache.get(name)?.labels,
    getLive: (name, timeoutMs = 2000) => {
      if (!DNS_LABEL.test(name)) return Promise.resolve(undefined)
      const asked = live.get(name) ?? read(name, timeoutMs)
      live.set(name, asked)
      return asked
    },
    all: () => new Map([...cache.values()].map(({ name, labels }) => [name, labels])),
    synced: cache.synced,
    isSynced: cache.isSynced,
    age: cache.age,
    stop: cache.stop,
  }
}
