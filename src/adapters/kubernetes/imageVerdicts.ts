/**
 * The verdict ledger as ImageVerdict objects in the Kubernetes API: every replica watches, any replica writes.
 *
 * Writes are conditional on resourceVersion; the loser reads again and re-applies its update. Updates of one verdict that arrive
 * while a write of it is under way are composed into the next write: no timer, and no conflict with oneself.
 */
import { setTimeout as delay } from 'node:timers/promises'

import { GROUP, VERSION } from '../../kube/names.ts'
import { StoreBusyError } from '../../verdicts/types.ts'
import type { ImageVerdict, VerdictChange, VerdictStore } from '../../verdicts/types.ts'
import { KubernetesError } from './client.ts'
import type { KubernetesClient } from './client.ts'
import { listWatch } from './listWatch.ts'
import { fitStatus } from './statusSize.ts'
import { tokenBucket } from './tokenBucket.ts'
import { decisionsPatch, toStored, verdictOf } from './storedVerdict.ts'
import type { Stored } from './storedVerdict.ts'
import { newVerdictObject, toStatus } from './verdictObject.ts'
import { WRITE_BURST, WRITES_PER_SECOND } from './writeShare.ts'
import type { WriteShare } from './writeShare.ts'

export interface KubernetesVerdictStoreOptions {
  readonly client: KubernetesClient
  /** Milliseconds of a steady clock. */
  readonly now: () => number
  /** Milliseconds since the epoch: a decision dated later than now is not believed. Absent: every date is. */
  readonly wallClock?: (() => number) | undefined
  /** One line for people: a lost watch, a damaged object that appeared later. */
  readonly onProblem?: ((message: string) => void) | undefined
  /** What requests that write are taken from. Default: the cap of the whole cluster, 20 a second and 100 at once; of several replicas each needs its share. */
  readonly writes?: Pick<WriteShare, 'take'> | undefined
  /** Most objects. Default 5,000. */
  readonly maxVerdicts?: number | undefined
  /** How long `load` waits for the API server, in milliseconds. Default 30,000. */
  readonly loadTimeoutMs?: number | undefined
  readonly random?: (() => number) | undefined
}

export interface KubernetesVerdictStore extends VerdictStore {
  /** The uid of the object as it was last seen. */
  uidOf(name: string): string | undefined
}

type Update = (current: ImageVerdict | undefined) => ImageVerdict

interface Pending {
  readonly update: Update
  readonly resolve: (value: ImageVerdict) => void
  readonly reject: (reason: unknown) => void
}

export const VERDICTS_PATH = `/apis/${GROUP}/${VERSION}/imageverdicts`
const MAX_ATTEMPTS = 12
/** Updates that wait for a write, all verdicts together. */
const MAX_PENDING = 10_000
/** After so long without a write by anybody else (one that succeeded) this replica takes itself for the only one that writes, */
const QUIET_MS = 5000
/** if the watch is alive: it brought something a moment ago, as it does while this replica writes. */
const HEARD_SECONDS = 2

/**
 * Opens the ledger. It lists and watches from here on; call `watch` before `load` and no change is missed.
 *
 * A damaged object (older schema, hand-made) is never overwritten: writes to its name fail with what is wrong with it.
 */
export function createKubernetesVerdictStore(options: KubernetesVerdictStoreOptions): KubernetesVerdictStore {
  const { client } = options
  const random = options.random ?? Math.random
  const maxVerdicts = options.maxVerdicts ?? 5000
  const writes = options.writes ?? tokenBucket(WRITES_PER_SECOND, WRITE_BURST, options.now)
  const listeners = new Set<(change: VerdictChange) => void>()
  const queues = new Map<string, Pending[]>()
  const working = new Set<Promise<void>>()
  const state = { pending: 0, closed: false, otherWroteAt: options.now() }
  /** New versions of verdicts that are being written, by name, which no answer to a write of our own has explained: the watch may be faster. */
  const unexplained = new Map<string, Set<string>>()
  const removing = new Set<string>()

  const read = (object: unknown): Stored | undefined => toStored(object, options.wallClock?.() ?? Infinity)

  /** Something was written, by us or by somebody else. */
  const noteWrite = ({ name, resourceVersion }: Stored, gone: boolean): void => {
    if (gone && removing.has(name)) return
    if (!queues.has(name)) {
      state.otherWroteAt = options.now()
      return
    }
    const versions = unexplained.get(name) ?? new Set()
    unexplained.set(name, versions.add(resourceVersion))
  }

  const emit = (stored: Stored, gone: boolean): void => {
    noteWrite(stored, gone)
    if (stored.reading.kind === 'damaged' && !gone) {
      options.onProblem?.(`ImageVerdict ${stored.name} is damaged and ignored: ${stored.reading.problem}`)
    }
    const verdict = gone ? undefined : verdictOf(stored)
    for (const listener of listeners) listener({ name: stored.name, verdict })
  }

  const cache = listWatch<Stored>({
    client,
    path: VERDICTS_PATH,
    select: read,
    onAdd: (stored) => emit(stored, false),
    onUpdate: (stored) => emit(stored, false),
    onDelete: (stored) => emit(stored, true),
    onProblem: options.onProblem,
    random,
  })

  /** Before the first of `requests`: a verdict that is made but not filled would be left over. */
  const spend = (requests: number): void => {
    const alone = options.now() - state.otherWroteAt > QUIET_MS && cache.age() < HEARD_SECONDS
    if (!writes.take(requests, alone))
      throw new StoreBusyError('the cap on ledger writes is reached; the alert should be sent again')
  }

  const send = async (method: 'POST' | 'PUT' | 'PATCH', path: string, body: unknown): Promise<Stored> => {
    const contentType = method === 'PATCH' ? 'application/merge-patch+json' : undefined
    const object = await client.request(method, path, { body, contentType, timeoutMs: 10_000 })
    const stored = read(object)
    if (stored === undefined)
      throw new KubernetesError(0, 'NotJson', `the answer to ${method} ${path} is not an ImageVerdict`)
    cache.inject(object)
    unexplained.get(stored.name)?.delete(stored.resourceVersion)
    return stored
  }

  /** The object as the API server has it now; undefined: none. */
  const readLive = async (name: string): Promise<Stored | undefined> => {
    try {
      const object = await client.request('GET', `${VERDICTS_PATH}/${name}`, { timeoutMs: 10_000 })
      cache.inject(object)
      return read(object)
    } catch (error) {
      if (error instanceof KubernetesError && error.status === 404 && error.reason === 'NotFound') return undefined
      throw error
    }
  }

  const checkRoom = (): void => {
    if (cache.size() >= maxVerdicts) {
      throw new StoreBusyError(
        `the ledger holds ${maxVerdicts} verdicts, its most: delete old ones (kubectl get iv)`,
        true,
      )
    }
  }

  /** Writes `next` over `base`, in as many requests as the API needs. A crash between them leaves a state that reads as "not written yet". */
  const store = async (base: Stored | undefined, next: ImageVerdict): Promise<ImageVerdict> => {
    const spec = decisionsPatch(next, verdictOf(base))
    if (base === undefined) checkRoom()
    spend(1 + (base === undefined ? 1 : 0) + (spec === undefined ? 0 : 1))
    let at = base ?? (await send('POST', VERDICTS_PATH, newVerdictObject(next.name)))
    // A person's decision, taken through Drawbridge. First, so that the phase never runs ahead of it.
    if (spec !== undefined) {
      at = await send('PATCH', `${VERDICTS_PATH}/${next.name}`, {
        metadata: { resourceVersion: at.resourceVersion },
        spec,
      })
    }
    const body = {
      ...newVerdictObject(next.name),
      metadata: { name: next.name, resourceVersion: at.resourceVersion },
      status: fitStatus(toStatus(next)),
    }
    const stored = await send('PUT', `${VERDICTS_PATH}/${next.name}/status`, body)
    if (stored.reading.kind === 'damaged')
      throw new Error(`ImageVerdict ${next.name} was stored damaged: ${stored.reading.problem}`)
    return verdictOf(stored) ?? next
  }

  /** One round of everything that waits for `name`. */
  const settle = async (name: string, batch: readonly Pending[]): Promise<void> => {
    let stored = cache.get(name)
    for (let attempt = 1; ; attempt += 1) {
      if (stored?.reading.kind === 'damaged') {
        throw new Error(`ImageVerdict ${name} is damaged and is not overwritten: ${stored.reading.problem}`)
      }
      const current = verdictOf(stored)
      const next = batch.reduce<ImageVerdict | undefined>((verdict, { update }) => update(verdict), current)
      try {
        const written = next === undefined || next === current ? next : await store(stored, next)
        if (written !== undefined) for (const { resolve } of batch) resolve(written)
        return
      } catch (error) {
        // 409: somebody else wrote, or made it first. 404: deleted meanwhile, or the CRD is missing.
        const retry = error instanceof KubernetesError && (error.status === 409 || error.status === 404)
        if (!retry || attempt >= MAX_ATTEMPTS) throw error
        if (error.status === 404 && stored === undefined) {
          throw new KubernetesError(
            404,
            error.reason,
            'the ImageVerdict CRD is not installed: kubectl apply -f manifests/crds',
          )
        }
        await delay(random() * 10 * attempt)
        stored = await readLive(name)
      }
    }
  }

  const work = async (name: string): Promise<void> => {
    for (;;) {
      const batch = queues.get(name) ?? []
      if (batch.length === 0) {
        queues.delete(name)
        return
      }
      queues.set(name, [])
      state.pending -= batch.length
      try {
        await settle(name, batch)
      } catch (error) {
        // One update that throws must not fail the others' alerts.
        if (batch.length === 1 || error instanceof StoreBusyError || error instanceof KubernetesError) {
          for (const { reject } of batch) reject(error)
          continue
        }
        for (const one of batch) await settle(name, [one]).catch(one.reject)
      } finally {
        // What no answer has explained by now somebody else wrote.
        if ((unexplained.get(name)?.size ?? 0) > 0) state.otherWroteAt = options.now()
        unexplained.delete(name)
      }
    }
  }

  /** Deletes the object in the state in which `mayRemove` agreed to it; a change meanwhile asks again. */
  const remove = async (name: string, mayRemove: (current: ImageVerdict) => boolean): Promise<boolean> => {
    let stored = cache.get(name)
    for (let attempt = 1; ; attempt += 1) {
      const current = verdictOf(stored)
      // What is damaged, or made and not yet written, is nobody's to delete.
      if (stored === undefined || current === undefined || !mayRemove(current)) return false
      const { resourceVersion } = stored
      spend(1)
      removing.add(name)
      try {
        const body = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { resourceVersion } }
        await client.request('DELETE', `${VERDICTS_PATH}/${name}`, { body, timeoutMs: 10_000 })
        // Its room is free now, not when the watch says so.
        cache.forget(name, resourceVersion)
        return true
      } catch (error) {
        const retry = error instanceof KubernetesError && (error.status === 409 || error.status === 404)
        if (!retry || attempt >= MAX_ATTEMPTS) throw error
        stored = await readLive(name)
      } finally {
        removing.delete(name)
      }
    }
  }

  return {
    load: async (take) => {
      await cache.synced(options.loadTimeoutMs ?? 30_000).catch((error: unknown) => {
        if (error instanceof KubernetesError && error.status === 404) {
          throw new KubernetesError(
            404,
            'NotFound',
            'the ImageVerdict CRD is not installed: kubectl apply -f manifests/crds',
          )
        }
        throw error
      })
      const all = [...cache.values()]
      await take(all.flatMap((stored) => verdictOf(stored) ?? []))
      return all.flatMap(({ name, reading }) =>
        reading.kind === 'damaged' ? [`ImageVerdict ${name} is damaged and ignored: ${reading.problem}`] : [],
      )
    },
    get: (name) => verdictOf(cache.get(name)),
    write: (name, update) =>
      new Promise((resolve, reject) => {
        if (state.closed) return reject(new Error('the ledger is closed'))
        if (state.pending >= MAX_PENDING) return reject(new StoreBusyError('too many updates wait for the ledger'))
        state.pending += 1
        const queue = queues.get(name)
        if (queue !== undefined) return void queue.push({ update, resolve, reject })
        queues.set(name, [{ update, resolve, reject }])
        const job: Promise<void> = work(name).finally(() => working.delete(job))
        working.add(job)
      }),
    remove: async (name, mayRemove) => {
      if (state.closed) throw new Error('the ledger is closed')
      return remove(name, mayRemove)
    },
    uidOf: (name) => cache.get(name)?.uid,
    watch: (onChange) => {
      listeners.add(onChange)
      return () => void listeners.delete(onChange)
    },
    close: async () => {
      state.closed = true
      await Promise.all(working)
      await cache.stop()
      listeners.clear()
    },
  }
}
