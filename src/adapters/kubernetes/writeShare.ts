/**
 * The cap on ledger writes, shared by all replicas (rule 10: 20 a second in the whole cluster).
 *
 * Every replica holds a Lease and follows those of the others; with N of them alive each takes an Nth. Whether a Lease is alive is seen by its being
 * renewed, on this machine's own clock: clocks that differ do not matter. A newcomer begins with next to nothing, because the others may just have spent
 * their bursts; who cannot hold a Lease, or cannot see the others', takes a fifth.
 *
 * A sensor keeps its connection, so alerts may all come to one replica. As long as none of the others writes, it has their part of the rate as well;
 * their bursts stay theirs, for the moment until it sees that they write.
 */
import { KubernetesError } from './client.ts'
import type { KubernetesClient } from './client.ts'
import { listWatch } from './listWatch.ts'
import { tokenBucket } from './tokenBucket.ts'

export interface WriteShareOptions {
  readonly client: Pick<KubernetesClient, 'request' | 'watch'>
  /** The namespace that Drawbridge runs in. */
  readonly namespace: string
  /** Tells this replica from the others; part of an object's name. */
  readonly id: string
  /** Monotonic milliseconds. */
  readonly now: () => number
  /** The time in RFC 3339, for people who look at the Lease. */
  readonly wallClock: () => string
  readonly onProblem?: ((message: string) => void) | undefined
  /** Default 10,000. */
  readonly renewMs?: number | undefined
}

export interface WriteShare {
  /** Takes so many writes if there is room for them. `alone`: nobody else writes now, as far as the caller sees. */
  take(count: number, alone?: boolean): boolean
  /** Replicas that writes are shared with now, this one included. */
  readonly replicas: () => number
  /** Gives the Lease back. */
  stop(): Promise<void>
}

/** Of the whole cluster. */
export const WRITES_PER_SECOND = 20
export const WRITE_BURST = 100
/** What newcomers begin with comes on top of the burst of those that are there, so it is kept back: two may start at once. */
const START_TOKENS = 5
const SHARED_BURST = WRITE_BURST - 2 * START_TOKENS
/** Replicas that there are taken to be where nobody can tell. */
export const ASSUMED_REPLICAS = 5
/** A Lease that was not renewed for three rounds belongs to nobody. */
const ROUNDS_ALIVE = 3
/** And is deleted by whoever sees it much later. */
const ROUNDS_KEPT = 60
const LABELS = { 'app.kubernetes.io/name': 'drawbridge', 'app.kubernetes.io/component': 'replica' } as const

interface SeenLease {
  readonly name: string
  readonly version: string
}

/** Starts at once. */
export function shareWrites(options: WriteShareOptions): WriteShare {
  const { client, namespace, id, now } = options
  const renewMs = options.renewMs ?? 10_000
  const path = `/apis/coordination.k8s.io/v1/namespaces/${encodeURIComponent(namespace)}/leases`
  const name = `drawbridge-${id}`
  /** When each Lease was last seen to change. */
  const seen = new Map<string, number>()
  const state: { heldAt: number | undefined; problem: string | undefined; stopped: boolean } = {
    heldAt: undefined,
    problem: undefined,
    stopped: false,
  }
  const bucket = tokenBucket(WRITES_PER_SECOND / ASSUMED_REPLICAS, SHARED_BURST / ASSUMED_REPLICAS, now, START_TOKENS)

  const isAlive = (at: number, rounds = ROUNDS_ALIVE): boolean => now() - at <= rounds * renewMs
  const isKnown = (): boolean => cache.isSynced() && state.heldAt !== undefined && isAlive(state.heldAt)
  const replicas = (): number => {
    const others = [...cache.values()].filter((lease) => lease.name !== name && isAlive(seen.get(lease.name) ?? now()))
    return isKnown() ? others.length + 1 : Math.max(others.length + 1, ASSUMED_REPLICAS)
  }
  const resize = (alone = false): void => {
    const share = replicas()
    bucket.resize(WRITES_PER_SECOND / (alone && isKnown() ? 1 : share), SHARED_BURST / share)
  }
  const see = (lease: SeenLease): void => {
    seen.set(lease.name, now())
    resize()
  }
  const cache = listWatch<SeenLease>({
    client,
    path,
    query: {
      labelSelector: Object.entries(LABELS)
        .map((pair) => pair.join('='))
        .join(','),
    },
    select: (object) => {
      const { metadata } = object as { readonly metadata: { readonly name: string; readonly resourceVersion: string } }
      return { name: metadata.name, version: metadata.resourceVersion }
    },
    onAdd: see,
    onUpdate: see,
    onDelete: (lease) => {
      seen.delete(lease.name)
      resize()
    },
    onSynced: () => resize(),
  })

  const lease = (): object => ({
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { name, labels: LABELS },
    spec: {
      holderIdentity: id,
      leaseDurationSeconds: Math.ceil((ROUNDS_ALIVE * renewMs) / 1000),
      renewTime: options.wallClock().replace(/(\.\d{3})Z$/, '$1000Z'),
    },
  })

  const renew = async (): Promise<void> => {
    try {
      const body = lease()
      const patch = { contentType: 'application/merge-patch+json', timeoutMs: renewMs } as const
      await client.request('PATCH', `${path}/${name}`, { ...patch, body }).catch((error: unknown) => {
        if (!(error instanceof KubernetesError) || error.status !== 404) throw error
        return client.request('POST', path, { body, timeoutMs: renewMs })
      })
      state.heldAt = now()
      state.problem = undefined
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error)
      if (problem !== state.problem)
        options.onProblem?.(
          `no Lease in namespace ${namespace} (does it exist?), so this replica takes a ${ASSUMED_REPLICAS}th of the cap on ledger writes: ${problem}`,
        )
      state.problem = problem
    }
  }

  const bury = async (): Promise<void> => {
    for (const { name: other, version } of cache.values()) {
      if (other === name || isAlive(seen.get(other) ?? now(), ROUNDS_KEPT)) continue
      const body = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { resourceVersion: version } }
      // Another replica may be faster.
      await client.request('DELETE', `${path}/${encodeURIComponent(other)}`, { body }).catch(() => undefined)
    }
  }

  const round = async (): Promise<void> => {
    await renew()
    await bury()
    resize()
  }
  let running = round()
  const timer = setInterval(() => {
    running = running.then(() => (state.stopped ? undefined : round()))
  }, renewMs)
  timer.unref()

  return {
    take: (count, alone) => {
      resize(alone)
      return bucket.take(count)
    },
    replicas,
    async stop() {
      state.stopped = true
      clearInterval(timer)
      await running
      await cache.stop()
      await client.request('DELETE', `${path}/${name}`, { timeoutMs: 2000 }).catch(() => undefined)
    },
  }
}
