/**
 * The parameter object of the safety net: written when what admission knows has changed, and put back when somebody else has written or deleted it; by one
 * replica at a time, at most once a second.
 */
import { GROUP, VERSION } from '../../kube/names.ts'
import { SAFETY_NET, SAFETY_NET_KIND, SAFETY_NETS, type SafetyNetSpec } from '../../kube/safetyNet.ts'
import { KubernetesError } from './client.ts'
import type { KubernetesClient } from './client.ts'
import { holdLease } from './leader.ts'
import { listWatch } from './listWatch.ts'

export interface SafetyNetOptions {
  readonly client: Pick<KubernetesClient, 'request' | 'watch'>
  /** The namespace that Drawbridge runs in. */
  readonly namespace: string
  /** Tells this replica from the others. */
  readonly id: string
  /** What the object should say now. Asked while this replica is the one that writes. */
  readonly content: () => SafetyNetSpec
  /** Monotonic milliseconds. */
  readonly now: () => number
  readonly wallClock: () => string
  /** The object says what it should: after a write, and after each look that found it so. */
  readonly onInStep: () => void
  /** One line for people; the object is not what it should be. */
  readonly onProblem: (message: string) => void
}

export interface SafetyNetKeeper {
  /** Something that the content is made of may have changed. Cheap. */
  changed(): void
  stop(): Promise<void>
}

export const SAFETY_NETS_PATH = `/apis/${GROUP}/${VERSION}/${SAFETY_NETS}`
const LEASE = 'drawbridge-safety-net'
/** Between two looks, and so between two writes. */
const PAUSE_MS = 1000
/** Times pass without a change, and writes may have failed. */
const LOOK_MS = 10_000
const WRITE_MS = 5000

/** An object as it is now; equal generations of one object say the same. */
interface Live {
  readonly uid: string
  readonly generation: number
  readonly version: string
}

const readLive = (object: unknown): Live | undefined => {
  const { metadata } = object as {
    readonly metadata: Readonly<Record<'uid' | 'name' | 'resourceVersion', string>> & { readonly generation?: number }
  }
  return metadata.name === SAFETY_NET
    ? { uid: metadata.uid, generation: metadata.generation ?? 0, version: metadata.resourceVersion }
    : undefined
}

/** Starts at once. */
export function keepSafetyNet(options: SafetyNetOptions): SafetyNetKeeper {
  const { client, now } = options
  const state: {
    written: (Live & { readonly text: string }) | undefined
    problem: string | undefined
    lookedAt: number
    timer: NodeJS.Timeout | undefined
    looking: Promise<void>
    again: boolean
    stopped: boolean
  } = {
    written: undefined,
    problem: undefined,
    lookedAt: Number.NEGATIVE_INFINITY,
    timer: undefined,
    looking: Promise.resolve(),
    again: false,
    stopped: false,
  }
  const report = (error: unknown): void => {
    const message = error instanceof Error ? error.message : String(error)
    const isMissing = error instanceof KubernetesError && error.status === 404
    const problem = isMissing ? 'the SafetyNet CRD is not installed: kubectl apply -f manifests/crds' : message
    if (problem !== state.problem) options.onProblem(`the parameters of the safety net cannot be kept: ${problem}`)
    state.problem = problem
  }

  const write = async (text: string): Promise<void> => {
    const live = cache.get(SAFETY_NET)
    const body = {
      apiVersion: `${GROUP}/${VERSION}`,
      kind: SAFETY_NET_KIND,
      metadata: {
        name: SAFETY_NET,
        labels: { 'app.kubernetes.io/name': 'drawbridge' },
        ...(live && { resourceVersion: live.version }),
      },
      spec: JSON.parse(text) as unknown,
    }
    const answer = await (live === undefined
      ? client.request('POST', SAFETY_NETS_PATH, { body, timeoutMs: WRITE_MS })
      : client.request('PUT', `${SAFETY_NETS_PATH}/${SAFETY_NET}`, { body, timeoutMs: WRITE_MS }))
    const answered = readLive(answer)
    state.written = answered && { ...answered, text }
    cache.inject(answer)
  }

  const look = async (): Promise<void> => {
    state.lookedAt = now()
    state.again = false
    if (state.stopped || !leader.isLeading() || !cache.isSynced()) return
    try {
      const text = JSON.stringify(options.content())
      const live = cache.get(SAFETY_NET)
      const { written } = state
      const isInStep =
        live !== undefined &&
        written?.uid === live.uid &&
        written.generation === live.generation &&
        written.text === text
      if (!isInStep) await write(text)
      state.problem = undefined
      options.onInStep()
    } catch (error) {
      // Somebody else wrote at the same time: what it is now is on its way here, and is looked at then.
      if (error instanceof KubernetesError && error.status === 409) return
      report(error)
    }
  }

  const schedule = (delay: number): void => {
    if (state.stopped || state.timer !== undefined) return
    state.timer = setTimeout(() => {
      state.looking = look().finally(() => {
        state.timer = undefined
        if (state.again) changed()
      })
    }, delay)
    state.timer.unref()
  }
  const changed = (): void => {
    state.again = true
    schedule(Math.max(0, state.lookedAt + PAUSE_MS - now()))
  }

  const cache = listWatch<Live>({
    client,
    path: SAFETY_NETS_PATH,
    query: { fieldSelector: `metadata.name=${SAFETY_NET}` },
    select: readLive,
    onUpdate: () => changed(),
    onDelete: () => changed(),
    onSynced: () => changed(),
    onProblem: (message) => report(new Error(message)),
  })
  const leader = holdLease({
    ...options,
    name: LEASE,
    onLeading: () => changed(),
    onProblem: (message) => report(new Error(message)),
  })
  const timer = setInterval(() => changed(), LOOK_MS)
  timer.unref()

  return {
    changed,
    async stop() {
      state.stopped = true
      clearInterval(timer)
      clearTimeout(state.timer)
      await state.looking
      await Promise.all([cache.stop(), leader.stop()])
    },
  }
}
