/**
 * `AdmissionException` objects: watched, and their uses counted in `status`.
 *
 * Uses are summed in memory and written at most once per object and `flushMs`, a bounded number of objects at a time: never one write per
 * admission. Replicas add to what they find; a write is conditional, the loser reads again. What a crash takes along is a few uses, no grant.
 */
import { GROUP, VERSION } from '../../kube/names.ts'
import { printable } from '../../kube/text.ts'
import { addUses } from '../../policy/exceptionUses.ts'
import type { ExceptionSource, ExceptionUse, ListedException } from '../../policy/exceptionUses.ts'
import { readAdmissionException } from '../../policy/exceptions.ts'
import { KubernetesError } from './client.ts'
import type { KubernetesClient } from './client.ts'
import { listWatch } from './listWatch.ts'

export interface ExceptionsOptions {
  readonly client: Pick<KubernetesClient, 'request' | 'watch'>
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** One came, changed or went. */
  readonly onChange?: (() => void) | undefined
  /** One line for people: a lost watch, a malformed object, uses that could not be written. */
  readonly onProblem?: ((message: string) => void) | undefined
  /** Shortest time between two writes of one object, in milliseconds. Default 10,000. */
  readonly flushMs?: number | undefined
}

export interface Exceptions extends Pick<ExceptionSource, 'find' | 'list'> {
  /** Counts one confirmed use for each name: in memory, written later. */
  recordUse(names: readonly string[], by: string): void
  readonly isSynced: () => boolean
  /** Seconds since the API server last said anything about them. */
  readonly age: () => number
  /** Resolves when every exception is known. Rejects with what to do when the CRD is missing, or with what went wrong last. */
  synced(timeoutMs: number): Promise<void>
  /** Writes what is still only in memory, then ends the watch. */
  stop(): Promise<void>
}

interface Stored extends ListedException {
  readonly resourceVersion: string
}

export const EXCEPTIONS_PATH = `/apis/${GROUP}/${VERSION}/admissionexceptions`

const DEFAULT_FLUSH_MS = 10_000
/** Objects written in one round; the others wait for the next. Etcd is everybody's. */
const MAX_WRITES = 50
const MAX_ATTEMPTS = 4
const MAX_USED_BY = 512

const text = (value: unknown): string => (typeof value === 'string' ? value : '')

/** What the status says; undefined when it says nothing that can be read. */
function readUse(status: unknown): ExceptionUse | undefined {
  const { uses, lastUse, lastUsedBy } = (status ?? {}) as Readonly<Record<string, unknown>>
  if (!Number.isSafeInteger(uses) || (uses as number) < 0) return undefined
  const time = Date.parse(text(lastUse))
  return { uses: uses as number, lastUse: Number.isNaN(time) ? 0 : time, lastUsedBy: text(lastUsedBy) }
}

/** An object of the API as it is listed; undefined for what has no name. */
export function readListedException(object: unknown): ListedException | undefined {
  const { metadata, status } = (object ?? {}) as { metadata?: { name?: unknown } | null; status?: unknown }
  if (typeof metadata?.name !== 'string') return undefined
  return { name: metadata.name, reading: readAdmissionException(object), use: readUse(status) }
}

function toStored(object: unknown): Stored | undefined {
  const listed = readListedException(object)
  const { metadata } = (object ?? {}) as { metadata?: { resourceVersion?: unknown } | null }
  return listed && { ...listed, resourceVersion: text(metadata?.resourceVersion) }
}

/** Starts to watch at once. */
export function watchExceptions(options: ExceptionsOptions): Exceptions {
  const { client, now, onProblem } = options
  const flushMs = options.flushMs ?? DEFAULT_FLUSH_MS
  const pending = new Map<string, ExceptionUse>()
  const state: { timer: NodeJS.Timeout | undefined; flushing: Promise<void>; stopped: boolean } = {
    timer: undefined,
    flushing: Promise.resolve(),
    stopped: false,
  }

  const report = ({ name, reading }: Stored, old?: Stored): void => {
    if (reading.problem !== undefined && reading.problem !== old?.reading.problem)
      onProblem?.(`AdmissionException ${name} is malformed and grants nothing: ${reading.problem}`)
    options.onChange?.()
  }
  const cache = listWatch<Stored>({
    client,
    path: EXCEPTIONS_PATH,
    select: toStored,
    onAdd: (stored) => report(stored),
    onUpdate: report,
    onDelete: ({ name }) => {
      pending.delete(name)
      options.onChange?.()
    },
    onProblem,
  })

  const readLive = async (name: string): Promise<Stored | undefined> => {
    const object = await client.request('GET', `${EXCEPTIONS_PATH}/${name}`, { timeoutMs: 5000 })
    cache.inject(object)
    return toStored(object)
  }

  /** Adds to what the status says. Rejects when that did not succeed. */
  const write = async (name: string, use: ExceptionUse): Promise<void> => {
    let stored = cache.get(name)
    for (let attempt = 1; stored !== undefined; attempt += 1) {
      const next = addUses(stored.use, use)
      try {
        const answer = await client.request('PATCH', `${EXCEPTIONS_PATH}/${name}/status`, {
          contentType: 'application/merge-patch+json',
          timeoutMs: 5000,
          body: {
            metadata: { resourceVersion: stored.resourceVersion },
            status: { ...next, lastUse: new Date(next.lastUse).toISOString() },
          },
        })
        cache.inject(answer)
        return
      } catch (error) {
        if (!(error instanceof KubernetesError) || error.status !== 409 || attempt >= MAX_ATTEMPTS) throw error
        stored = await readLive(name)
      }
    }
  }

  const flush = async (): Promise<void> => {
    for (const [name, use] of [...pending].slice(0, MAX_WRITES)) {
      pending.delete(name)
      try {
        await write(name, use)
      } catch (error) {
        // Deleted meanwhile: nobody wants to know any more.
        if (error instanceof KubernetesError && error.status === 404) continue
        pending.set(name, addUses(pending.get(name), use))
        onProblem?.(`uses of AdmissionException ${name} could not be written: ${(error as Error).message}`)
        // The next one would fail as well, after the same wait.
        break
      }
    }
  }

  const schedule = (): void => {
    if (state.timer !== undefined || state.stopped || pending.size === 0) return
    state.timer = setTimeout(() => {
      state.flushing = flush().finally(() => {
        state.timer = undefined
        schedule()
      })
    }, flushMs)
    state.timer.unref()
  }

  return {
    find: (name) => cache.get(name)?.reading,
    list: () => [...cache.values()],
    isSynced: cache.isSynced,
    age: cache.age,
    recordUse: (names, by) => {
      for (const name of names) {
        if (cache.get(name) === undefined) continue
        const use = { uses: 1, lastUse: now(), lastUsedBy: printable(by, MAX_USED_BY) }
        pending.set(name, addUses(pending.get(name), use))
      }
      schedule()
    },
    synced: async (timeoutMs) => {
      try {
        await cache.synced(timeoutMs)
      } catch (error) {
        if (!(error instanceof KubernetesError) || error.status !== 404) throw error
        const message = 'the AdmissionException CRD is not installed: kubectl apply -f manifests/crds'
        throw new KubernetesError(404, error.reason, message)
      }
    },
    stop: async () => {
      state.stopped = true
      clearTimeout(state.timer)
      await state.flushing
      await flush()
      await cache.stop()
    },
  }
}
