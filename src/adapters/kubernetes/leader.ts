/**
 * One Lease that one replica at a time holds, for what only one should write.
 *
 * Whether it is alive is seen by its being renewed, on this machine's own clock: clocks that differ do not matter. It is no lock: a replica that hung may
 * write once more, so what is written must bear that.
 */
import { KubernetesError } from './client.ts'
import type { KubernetesClient } from './client.ts'
import { listWatch } from './listWatch.ts'

export interface LeaderOptions {
  readonly client: Pick<KubernetesClient, 'request' | 'watch'>
  /** The namespace that Drawbridge runs in. */
  readonly namespace: string
  readonly name: string
  /** Tells this replica from the others. */
  readonly id: string
  /** Monotonic milliseconds. */
  readonly now: () => number
  /** The time in RFC 3339, for people who look at the Lease. */
  readonly wallClock: () => string
  /** This replica has become the one. */
  readonly onLeading: () => void
  readonly onProblem?: ((message: string) => void) | undefined
  /** Default 2,000. */
  readonly renewMs?: number | undefined
}

export interface Leader {
  /** Also where the Lease cannot be had at all, for want of rights or of its namespace: who is alone must still write. */
  readonly isLeading: () => boolean
  /** Gives the Lease back. */
  stop(): Promise<void>
}

/** A Lease that was not renewed for so many rounds belongs to nobody. */
const ROUNDS_ALIVE = 3
/** Its holder stops sooner. */
const ROUNDS_HELD = 2

interface SeenLease {
  readonly version: string
  readonly holder: string
}

/** Starts at once. */
export function holdLease(options: LeaderOptions): Leader {
  const { client, namespace, name, id, now } = options
  const renewMs = options.renewMs ?? 2000
  const path = `/apis/coordination.k8s.io/v1/namespaces/${encodeURIComponent(namespace)}/leases`
  const state: { heldAt: number; seenAt: number; problem: string | undefined; stopped: boolean } = {
    heldAt: Number.NEGATIVE_INFINITY,
    seenAt: now(),
    problem: undefined,
    stopped: false,
  }
  const see = (): void => {
    state.seenAt = now()
  }
  const cache = listWatch<SeenLease>({
    client,
    path,
    query: { fieldSelector: `metadata.name=${name}` },
    select: (object) => {
      const { metadata, spec } = object as {
        readonly metadata: { readonly resourceVersion: string }
        readonly spec?: { readonly holderIdentity?: string } | null
      }
      return { version: metadata.resourceVersion, holder: spec?.holderIdentity ?? '' }
    },
    onAdd: see,
    onUpdate: see,
  })
  const seen = (): SeenLease | undefined => cache.get(`${namespace}/${name}`)
  const isHeld = (): boolean => now() - state.heldAt <= ROUNDS_HELD * renewMs
  const isLeading = (): boolean => !state.stopped && (isHeld() || state.problem !== undefined)

  const write = async (lease: SeenLease | undefined): Promise<void> => {
    const at = now()
    const body = {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: {
        name,
        labels: { 'app.kubernetes.io/name': 'drawbridge' },
        ...(lease && { resourceVersion: lease.version }),
      },
      spec: {
        holderIdentity: id,
        leaseDurationSeconds: Math.ceil((ROUNDS_ALIVE * renewMs) / 1000),
        renewTime: options.wallClock().replace(/(\.\d{3})Z$/, '$1000Z'),
      },
    }
    const answer =
      lease === undefined
        ? await client.request('POST', path, { body, timeoutMs: renewMs })
        : await client.request('PATCH', `${path}/${name}`, {
            contentType: 'application/merge-patch+json',
            timeoutMs: renewMs,
            body,
          })
    state.heldAt = at
    cache.inject(answer)
  }

  const round = async (): Promise<void> => {
    const before = isLeading()
    const lease = seen()
    const isTaken = lease !== undefined && lease.holder !== id && now() - state.seenAt <= ROUNDS_ALIVE * renewMs
    if (!isTaken)
      try {
        await write(lease)
        state.problem = undefined
      } catch (error) {
        // Another replica was faster: its Lease is on its way here.
        const isLost = error instanceof KubernetesError && error.status === 409
        const problem = error instanceof Error ? error.message : String(error)
        if (!isLost && problem !== state.problem)
          options.onProblem?.(`no Lease ${name} in namespace ${namespace} (does it exist?): ${problem}`)
        state.problem = isLost ? undefined : problem
      }
    else state.problem = undefined
    if (!before && isLeading()) options.onLeading()
  }
  let running = cache
    .synced(renewMs)
    .catch(() => undefined)
    .then(round)
  const timer = setInterval(() => {
    running = running.then(() => (state.stopped ? undefined : round()))
  }, renewMs)
  timer.unref()

  return {
    isLeading,
    async stop() {
      const held = isHeld()
      state.stopped = true
      clearInterval(timer)
      await running
      await cache.stop()
      if (held) await client.request('DELETE', `${path}/${name}`, { timeoutMs: 2000 }).catch(() => undefined)
    },
  }
}
