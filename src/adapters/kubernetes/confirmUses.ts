/**
 * Uses of exceptions, counted only when the API server confirms them (rule 20).
 *
 * Whoever reaches the webhook port can send a review. What a review says was used is therefore only a claim: a moment later the pod is read by the
 * name and uid that the API server has given it before it asks validating webhooks (tried: also with `generateName`). It counts when it is there, was
 * changed just now, and refers to the exception: once for each pod and exception, for the workload that the live pod names. Pods that another
 * webhook or a quota refused after us are never counted either.
 *
 * Reads are bounded, whoever sends how much: at most 20 a second and 1,000 waiting. What is beyond is dropped, and said.
 */
import { isObject } from '../../kube/shape.ts'
import type { ObjectMeta } from '../../kube/types.ts'
import { requestedExceptions } from '../../policy/exceptions.ts'
import { KubernetesError } from './client.ts'
import type { KubernetesClient } from './client.ts'
import { ownerWorkload } from '../../kube/owner.ts'

/** Why a claimed use was not counted. */
export type UnconfirmedReason = 'no-such-pod' | 'not-referred' | 'not-recent' | 'too-many' | 'error'

export interface ConfirmUsesOptions {
  readonly client: Pick<KubernetesClient, 'request'>
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** The live pod of this workload (`namespace/Kind/name`) used these exceptions, each for the first time. */
  readonly onConfirmed: (names: readonly string[], by: string) => void
  /** Uses that are not counted. */
  readonly onUnconfirmed: (reason: UnconfirmedReason, uses: number) => void
  /** One line for people: the API server cannot be asked. */
  readonly onProblem?: ((message: string) => void) | undefined
  /** Between two rounds of reads, in milliseconds. Default 1,000. */
  readonly roundMs?: number | undefined
}

export interface ConfirmUses {
  /** A review claims that `pod` was admitted because of these exceptions. Cheap: asks later. */
  claim(names: readonly string[], pod: ObjectMeta): void
  /** Asks for what waits, at most one round, and ends. */
  stop(): Promise<void>
}

interface Claim {
  readonly names: readonly string[]
  readonly path: string
  readonly uid: string
  /** Rounds to wait before each read that is left. */
  readonly waits: readonly number[]
}

const DEFAULT_ROUND_MS = 1000
const READS_PER_ROUND = 20
const MAX_WAITING = 1000
/** Another webhook of the same request may take its time: a pod that is not there yet is asked for again. */
const WAITS = [1, 5, 15]
/** The longest way through the queue, with room for two clocks that disagree. */
const RECENT_MS = 5 * 60_000
/** Pods and exceptions that are remembered as counted. */
const MAX_COUNTED = 10_000

const UID = /^[0-9A-Za-z-]{1,64}$/u
/** A name that cannot exist is not asked for: it could otherwise walk the API's paths. */
const NAME = /^[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?$/u

/** Starts without asking anything. */
export function confirmUses(options: ConfirmUsesOptions): ConfirmUses {
  const { client, now, onConfirmed, onUnconfirmed, onProblem, roundMs = DEFAULT_ROUND_MS } = options
  const waiting = new Map<string, Claim>()
  const counted = new Set<string>()
  const state: { timer: NodeJS.Timeout | undefined; round: Promise<void>; stopped: boolean } = {
    timer: undefined,
    round: Promise.resolve(),
    stopped: false,
  }

  const remember = (key: string): void => {
    const [oldest] = counted.size < MAX_COUNTED ? [] : counted
    if (oldest !== undefined) counted.delete(oldest)
    counted.add(key)
  }

  const judge = ({ names, uid }: Claim, object: unknown): void => {
    const pod = readPod(object)
    if (pod?.metadata.uid !== uid) return onUnconfirmed('no-such-pod', names.length)
    if (Math.abs(now() - pod.changedAt) > RECENT_MS) return onUnconfirmed('not-recent', names.length)
    const referred = new Set(requestedExceptions(pod.metadata).names)
    const used = names.filter((name) => referred.has(name))
    if (used.length < names.length) onUnconfirmed('not-referred', names.length - used.length)
    const fresh = used.filter((name) => !counted.has(`${uid}/${name}`))
    for (const name of fresh) remember(`${uid}/${name}`)
    if (fresh.length > 0) onConfirmed(fresh, ownerWorkload(pod.metadata, pod.createdAt))
  }

  const ask = async (claim: Claim, isLast: boolean): Promise<void> => {
    try {
      judge(claim, await client.request('GET', claim.path, { timeoutMs: 5000 }))
    } catch (error) {
      const missing = error instanceof KubernetesError && error.status === 404
      if (!missing) onProblem?.(`uses of exceptions cannot be confirmed: ${(error as Error).message}`)
      if (claim.waits.length > 0 && !isLast) waiting.set(keyOf(claim), claim)
      else onUnconfirmed(missing ? 'no-such-pod' : 'error', claim.names.length)
    }
  }

  /** Reads what is due, oldest first; the others come one round nearer. */
  const runRound = async (isLast: boolean): Promise<void> => {
    const due: Claim[] = []
    for (const [key, claim] of waiting) {
      const [wait = 0, ...later] = claim.waits
      if ((wait <= 1 || isLast) && due.length < READS_PER_ROUND) {
        waiting.delete(key)
        due.push({ ...claim, waits: later })
      } else waiting.set(key, { ...claim, waits: [Math.max(1, wait - 1), ...later] })
    }
    await Promise.all(due.map((claim) => ask(claim, isLast)))
  }

  const schedule = (): void => {
    if (state.timer !== undefined || state.stopped || waiting.size === 0) return
    state.timer = setTimeout(() => {
      state.round = runRound(false).finally(() => {
        state.timer = undefined
        schedule()
      })
    }, roundMs)
    state.timer.unref()
  }

  return {
    claim: (names, { namespace = '', name = '', uid = '' }) => {
      if (state.stopped) return
      if (![namespace, name].every((one) => NAME.test(one)) || !UID.test(uid))
        return onUnconfirmed('no-such-pod', names.length)
      const path = `/api/v1/namespaces/${namespace}/pods/${name}`
      const claim = { names, path, uid, waits: WAITS }
      if (waiting.has(keyOf(claim))) return
      if (waiting.size >= MAX_WAITING) return onUnconfirmed('too-many', names.length)
      waiting.set(keyOf(claim), claim)
      schedule()
    },
    stop: async () => {
      state.stopped = true
      clearTimeout(state.timer)
      await state.round
      await runRound(true)
    },
  }
}

/** The same claim twice waits once. */
const keyOf = ({ path, uid, names }: Claim): string => `${path} ${uid} ${names.join()}`

interface LivePod {
  readonly metadata: ObjectMeta
  /** Milliseconds since the epoch. */
  readonly createdAt: number
  /** When it was created, or somebody changed it beside its status. */
  readonly changedAt: number
}

/** What the API server answers; undefined where that is no pod with metadata. */
function readPod(object: unknown): LivePod | undefined {
  const metadata = isObject(object) ? object['metadata'] : undefined
  if (!isObject(metadata)) return undefined
  const createdAt = timeOf(metadata['creationTimestamp'])
  const fields = Array.isArray(metadata['managedFields']) ? (metadata['managedFields'] as readonly unknown[]) : []
  const changes = fields.flatMap((entry) =>
    isObject(entry) && entry['subresource'] !== 'status' ? [timeOf(entry['time'])] : [],
  )
  return { metadata, createdAt, changedAt: Math.max(createdAt, ...changes) }
}

function timeOf(text: unknown): number {
  const time = typeof text === 'string' ? Date.parse(text) : Number.NaN
  return Number.isNaN(time) ? 0 : time
}
