/**
 * Kubernetes Events about verdicts, so that a tenant learns of one with `kubectl get events` (rules 15 and 17).
 *
 * One on the ImageVerdict, and one in every namespace that an alert came from, about the workload there. None says anything of another tenant: no image
 * names (they may be another's), no owners, no pods of elsewhere. Nothing waits for an Event: there is a queue with a bound, and a bounded rate.
 */
import { printable } from '../../kube/text.ts'
import { DNS_LABEL, GROUP, VERSION } from '../../kube/names.ts'
import { reasonCode } from '../../verdicts/phase.ts'
import { rollbackLine } from '../../verdicts/rollback.ts'
import type { Rollback } from '../../verdicts/rollback.ts'
import type { Contribution, ImageVerdict, Phase } from '../../verdicts/types.ts'
import type { KubernetesClient } from './client.ts'
import { tokenBucket } from './tokenBucket.ts'

export interface VerdictEventsOptions {
  readonly client: Pick<KubernetesClient, 'request'>
  /** Monotonic milliseconds. */
  readonly now: () => number
  /** The time in RFC 3339. */
  readonly wallClock: () => string
  /** Tells this replica from the others. */
  readonly instance: string
  /** Of the ImageVerdict; undefined: not known, then `kubectl describe` does not find the Event. */
  readonly uidOf: (name: string) => string | undefined
  readonly onProblem?: ((message: string) => void) | undefined
  /** So many could not be sent: the queue was full. */
  readonly onDropped?: ((events: number) => void) | undefined
}

/** Each only puts into a queue. Call them where a write of this replica won. */
export interface VerdictEvents {
  phaseChanged(verdict: ImageVerdict, from: Phase | undefined): void
  /** A flagged image was seen under names that the verdict did not know. */
  namesJoined(verdict: ImageVerdict, references: readonly string[]): void
  /** It ends in about three days unless something is reported again. */
  expiresSoon(verdict: ImageVerdict): void
  /** A workload is denied its image, and could go back. Told to that workload alone. */
  rollbackFound(rollback: Rollback, verdict: ImageVerdict): void
  /** It was rolled back without a person. `verdict`: its name. */
  rolledBack(rollback: Rollback, verdict: string): void
  /** Resolves when what is queued was sent, or given up. */
  close(): Promise<void>
}

/** Per second, for this replica; a burst of verdicts brings a few Events each. */
const PER_SECOND = 5
const BURST = 50
const MAX_QUEUED = 500
/** Namespaces told of one change. */
const MAX_NAMESPACES = 20
const MAX_MESSAGE = 1000
/** How often a queue that waits for its rate is looked at, milliseconds. */
const WAIT_MS = 200

interface News {
  readonly reason: string
  readonly type: 'Normal' | 'Warning'
  /** On the ImageVerdict. */
  readonly message: string
  /** In a namespace, before what was seen there. */
  readonly told: string
}

const PHASE_NEWS: Readonly<Partial<Record<Phase, Pick<News, 'reason' | 'type' | 'told'>>>> = {
  warning: {
    reason: 'VerdictWarning',
    type: 'Warning',
    told: 'new pods with the image of this workload are warned about',
  },
  denying: { reason: 'VerdictDenying', type: 'Warning', told: 'new pods with the image of this workload are denied' },
  pending: {
    reason: 'VerdictPending',
    type: 'Warning',
    told: 'the image of this workload is flagged, and a person must confirm it before new pods are denied',
  },
  released: { reason: 'VerdictReleased', type: 'Normal', told: 'the image of this workload was released' },
  expired: { reason: 'VerdictExpired', type: 'Normal', told: 'the verdict on the image of this workload is over' },
}

const API_VERSIONS: Readonly<Record<string, string>> = {
  Pod: 'v1',
  ReplicationController: 'v1',
  Deployment: 'apps/v1',
  ReplicaSet: 'apps/v1',
  StatefulSet: 'apps/v1',
  DaemonSet: 'apps/v1',
  Job: 'batch/v1',
  CronJob: 'batch/v1',
}

/** The heaviest contribution of each namespace. */
function byNamespace(verdict: ImageVerdict): ReadonlyMap<string, Contribution> {
  const found = new Map<string, Contribution>()
  for (const contribution of Object.values(verdict.contributions)) {
    const namespace = contribution.owner.split('/', 1)[0] ?? ''
    if (!DNS_LABEL.test(namespace)) continue
    const other = found.get(namespace)
    if (other === undefined ? found.size < MAX_NAMESPACES : other.weight < contribution.weight)
      found.set(namespace, contribution)
  }
  return found
}

/** What a sensor saw in this namespace; '' where the evidence of it was pushed out. */
function seenIn(namespace: string, verdict: ImageVerdict): string {
  const piece = verdict.evidence.find((one) => one.namespace === namespace)
  if (piece === undefined) return ''
  const pod = piece.pod === undefined ? '' : ` in pod ${printable(piece.pod, 253)}`
  return `; ${piece.detector} reported "${printable(piece.rule, 200)}"${pod}`
}

/** Starts nothing until there is something to say. */
export function createVerdictEvents(options: VerdictEventsOptions): VerdictEvents {
  const { client } = options
  const bucket = tokenBucket(PER_SECOND, BURST, options.now)
  const queue: { readonly namespace: string; readonly body: object }[] = []
  const state: { sending: Promise<void> | undefined; closed: boolean; failing: boolean } = {
    sending: undefined,
    closed: false,
    failing: false,
  }

  const send = async (namespace: string, body: object): Promise<void> => {
    try {
      await client.request('POST', `/api/v1/namespaces/${namespace}/events`, { body, timeoutMs: 5000 })
      state.failing = false
    } catch (error) {
      // One line until it works again: the verdict itself is what counts.
      if (!state.failing) options.onProblem?.(`an Event could not be written: ${(error as Error).message}`)
      state.failing = true
    }
  }

  const drain = async (): Promise<void> => {
    while (queue.length > 0) {
      if (!bucket.take()) {
        if (state.closed) break
        await new Promise((resolve) => setTimeout(resolve, WAIT_MS).unref())
        continue
      }
      const { namespace, body } = queue.shift()!
      await send(namespace, body)
    }
    if (queue.length > 0) options.onDropped?.(queue.splice(0).length)
    state.sending = undefined
  }

  const add = (
    namespace: string,
    regarding: object,
    { reason, type }: Pick<News, 'reason' | 'type'>,
    message: string,
  ): void => {
    if (state.closed || queue.length >= MAX_QUEUED) return options.onDropped?.(1)
    const time = options.wallClock()
    const body = {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { generateName: 'drawbridge-', namespace },
      involvedObject: regarding,
      reason,
      type,
      message: message.slice(0, MAX_MESSAGE),
      source: { component: 'drawbridge' },
      reportingComponent: 'drawbridge',
      reportingInstance: options.instance,
      firstTimestamp: time.replace(/\.\d+Z$/, 'Z'),
      lastTimestamp: time.replace(/\.\d+Z$/, 'Z'),
      count: 1,
    }
    queue.push({ namespace, body })
    state.sending ??= drain()
  }

  const report = (verdict: ImageVerdict, news: News): void => {
    const { name } = verdict
    const uid = options.uidOf(name)
    const itself = {
      apiVersion: `${GROUP}/${VERSION}`,
      kind: 'ImageVerdict',
      name,
      ...(uid === undefined ? {} : { uid }),
    }
    // Events about what has no namespace are in `default`.
    add('default', itself, news, news.message)
    for (const [namespace, { owner }] of byNamespace(verdict)) {
      const [, kind = '', ...rest] = owner.split('/')
      const apiVersion = Object.hasOwn(API_VERSIONS, kind) ? API_VERSIONS[kind] : undefined
      const regarding = { apiVersion, kind, namespace, name: rest.join('/') }
      add(namespace, regarding, news, `${news.told}${seenIn(namespace, verdict)}; verdict ${name}`)
    }
  }

  return {
    phaseChanged: (verdict, from) => {
      const known = Object.hasOwn(PHASE_NEWS, verdict.phase) ? PHASE_NEWS[verdict.phase] : undefined
      if (known === undefined) return
      report(verdict, { ...known, message: `${from ?? 'new'} -> ${verdict.phase} (${reasonCode(verdict)})` })
    },
    namesJoined: (verdict, references) => {
      const what = references.length === 1 ? 'another name' : `${references.length} other names`
      report(verdict, {
        reason: 'VerdictNameJoined',
        type: 'Warning',
        message: `the image was seen under ${what}, which the verdict holds for from now on`,
        told: `the flagged image of this workload was seen under ${what}, which the verdict holds for from now on`,
      })
    },
    expiresSoon: (verdict) => {
      const until = `unless something is reported again, until ${new Date(verdict.expiresAt).toISOString()}`
      report(verdict, {
        reason: 'VerdictExpiresSoon',
        type: 'Warning',
        message: `${verdict.phase} only ${until}`,
        told: `the verdict on the image of this workload holds, ${until}`,
      })
    },
    rollbackFound: (rollback, { name: verdict }) => {
      const line = rollbackLine(rollback)
      if (line === undefined) return
      const { workload, uid } = rollback
      add(
        workload.namespace,
        // With the uid, `kubectl describe` of the workload shows it.
        { apiVersion: API_VERSIONS[workload.kind], ...workload, uid },
        { reason: 'VerdictRollback', type: 'Warning' },
        `the image of this workload is denied; ${line}; verdict ${verdict}`,
      )
    },
    rolledBack: ({ workload, uid, revision }, verdict) =>
      add(
        workload.namespace,
        { apiVersion: API_VERSIONS[workload.kind], ...workload, uid },
        { reason: 'VerdictRolledBack', type: 'Warning' },
        `the image of this workload is denied; Drawbridge rolled it back to revision ${revision} (quarantine.rollback: automatic), once for this verdict; verdict ${verdict}`,
      ),
    close: async () => {
      state.closed = true
      await state.sending
    },
  }
}
