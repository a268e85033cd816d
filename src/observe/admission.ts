/** What can happen on the admission thread: one function each, which writes the log line and moves the metric together. */
import { Counter, Gauge, Histogram } from 'prom-client'
import type { Registry } from 'prom-client'
import { boundedText, errorText } from './logger.ts'
import type { Logger } from './logger.ts'

export type AdmissionOutcome = 'allowed' | 'mutated' | 'denied' | 'failed'

/** Which of the webhook listener's endpoints. */
export type AdmissionEndpoint = 'mutate' | 'validate' | 'profiles' | 'namespaces'

/** One answered review. Names are for the log only: a metric label never carries a pod name. */
export interface AnsweredReview {
  readonly webhook: AdmissionEndpoint
  readonly outcome: AdmissionOutcome
  readonly seconds: number
  readonly namespace?: string | undefined
  readonly kind: string
  readonly name?: string | undefined
  /** IDs of the checks that failed, and `verdict` for a flagged image. */
  readonly reasons: readonly string[]
  readonly dryRun: boolean
}

const NET_PARTS = ['images', 'exceptions', 'profiles'] as const

/** Of each part of the safety net's parameters, how many are in and how many found no room. */
export type SafetyNetCounts = Readonly<
  Record<(typeof NET_PARTS)[number] | `${(typeof NET_PARTS)[number]}LeftOut`, number>
>

export interface AdmissionObserver {
  reviewAnswered(review: AnsweredReview): void
  /** A request that is not a review that could be answered as one. */
  reviewRefused(webhook: AdmissionEndpoint, reason: string): void
  /** A pod of this workload (`namespace/Kind/name`) was admitted because of these exceptions. */
  exceptionsUsed(names: readonly string[], by: string): void
  /** Reviews claimed uses that the API server did not confirm; `reason` is one of a few words. */
  exceptionUsesUnconfirmed(reason: string, uses: number): void
  /** Exceptions that grant nothing because they cannot be read. */
  exceptionMalformed(name: string, problem: string): void
  /** Counted each time, and logged at most once a second: whoever can send reviews chooses how many fail. */
  namespaceLookupFailed(namespace: string, error: unknown): void
  /** RuntimeDefault was injected in place of a profile that nodes lack. Counted each time, logged at most once a second. */
  seccompFellBack(namespace: string | undefined, warning: string): void
  httpError(listener: string, status: number, error: Error): void
  connectionError(listener: string, error: Error): void
  alertThreadEnded(reason: string): void
  verdictsIndexed(images: number): void
  /** Tokens or the client CA were read again and are in use. */
  secretsLoaded(): void
  /** A file of a secret cannot be used; what was read before stays in use. */
  secretProblem(problem: string): void
  /** What verdicts may do now; `problem`: what the brake is set to cannot be read, so verdicts are enforced. */
  brakeChanged(mode: 'enforce' | 'warn' | 'off', problem: string | undefined): void
  /** What the parameters of the safety net should hold, and what finds no room in them. */
  safetyNetMade(counts: SafetyNetCounts): void
  /** They say what they should. */
  safetyNetInStep(): void
  /** A watch was lost or a read failed; it is being repaired. */
  clusterProblem(message: string): void
}

const LOOKUP_LOG_MILLISECONDS = 1000

/** Reviews that wait to be counted at most. */
const UNCOUNTED_REVIEWS = 100

/**
 * Creates the functions and registers their metrics.
 *
 * @param now monotonic milliseconds
 */
export function createAdmissionObserver(
  logger: Logger,
  registry: Registry,
  now: () => number = () => performance.now(),
): AdmissionObserver {
  const registers = [registry]
  /**
   * Answered and not counted yet: many at a time cost a tenth of what one costs between two requests, where everything that counting needs has to come
   * into the caches again (measured: 5 of 101 us for a review).
   */
  const uncounted: Pick<AnsweredReview, 'webhook' | 'outcome' | 'seconds'>[] = []
  const count = (): void => {
    for (const { webhook, outcome, seconds: duration } of uncounted.splice(0)) {
      requests.inc({ webhook, outcome })
      seconds.observe({ webhook }, duration)
    }
  }
  const requests = new Counter({
    name: 'drawbridge_admission_requests_total',
    help: 'Answered admission reviews by webhook and outcome.',
    labelNames: ['webhook', 'outcome'],
    registers,
    collect: count,
  })
  const seconds = new Histogram({
    name: 'drawbridge_admission_seconds',
    help: 'Time from the last byte of a review to its answer.',
    labelNames: ['webhook'],
    // Up to the largest timeout that a webhook can have.
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1, 5, 10, 30],
    registers,
    collect: count,
  })
  const denials = new Counter({
    name: 'drawbridge_admission_denials_total',
    help: 'Denied reviews by the check that failed; "verdict" for a flagged image.',
    labelNames: ['check'],
    registers,
  })
  const refused = new Counter({
    name: 'drawbridge_admission_refused_total',
    help: 'Requests to the webhook listener that were not an AdmissionReview.',
    labelNames: ['webhook'],
    registers,
  })
  const httpErrors = new Counter({
    name: 'drawbridge_http_errors_total',
    help: 'Requests that ended in an error status before or outside a handler.',
    labelNames: ['listener', 'status'],
    registers,
  })
  const connectionErrors = new Counter({
    name: 'drawbridge_connection_errors_total',
    help: 'Connections that failed in TLS or were not HTTP.',
    labelNames: ['listener'],
    registers,
  })
  const exceptionUses = new Counter({
    name: 'drawbridge_exception_uses_total',
    help: 'Pods admitted because of an exception, once for each exception.',
    registers,
  })
  const unconfirmedUses = new Counter({
    name: 'drawbridge_exception_uses_unconfirmed_total',
    help: 'Uses of exceptions that a review claimed and that were not counted: the pod is not there, not recent, does not refer to the exception, too many wait to be confirmed, or the API server cannot be asked.',
    labelNames: ['reason'],
    registers,
  })
  const lookupFailures = new Counter({
    name: 'drawbridge_namespace_lookup_failures_total',
    help: 'Live reads of a namespace that failed; the request was denied.',
    registers,
  })
  const restarts = new Counter({
    name: 'drawbridge_alert_thread_restarts_total',
    help: 'Times that the alert thread ended unexpectedly.',
    registers,
  })
  const indexed = new Gauge({
    name: 'drawbridge_indexed_verdicts',
    help: 'Verdicts that admission knows: those that warn or deny.',
    registers,
  })
  const secretReloads = new Counter({
    name: 'drawbridge_secret_reloads_total',
    help: 'Times that tokens or the client CA had changed and were read again, and times that a file could not be used.',
    labelNames: ['result'],
    registers,
  })
  const brake = new Gauge({
    name: 'drawbridge_quarantine_mode',
    help: 'What verdicts may do: 1 for the mode that holds (enforce; warn and off: the brake is on).',
    labelNames: ['mode'],
    registers,
  })
  const brakeProblem = new Gauge({
    name: 'drawbridge_brake_unreadable',
    help: '1 while the brake is set to something that is no mode; verdicts are enforced then.',
    registers,
  })

  const netEntries = new Gauge({
    name: 'drawbridge_safety_net_entries',
    help: 'What the parameters of the safety net hold: images (digests and references), exceptions, profiles. On the replica that writes them.',
    labelNames: ['part'],
    registers,
  })
  const netLeftOut = new Gauge({
    name: 'drawbridge_safety_net_left_out',
    help: 'What found no room in the parameters of the safety net. Images are then denied by the webhook alone.',
    labelNames: ['part'],
    registers,
  })
  const netInStep = new Gauge({
    name: 'drawbridge_safety_net_in_step_timestamp_seconds',
    help: 'When the parameters of the safety net last were what they should be, in seconds since the epoch. On the replica that writes them; 0 on the others.',
    registers,
  })

  const fallbacks = new Counter({
    name: 'drawbridge_seccomp_fallbacks_total',
    help: 'Pods that were given RuntimeDefault because not every node that they may run on reports the seccomp profile that their namespace asks for.',
    registers,
  })
  const seccomp = { loggedAt: Number.NEGATIVE_INFINITY }
  const lookups = { loggedAt: Number.NEGATIVE_INFINITY, unlogged: 0 }
  const net = { missing: '0,0,0' }

  return {
    reviewAnswered(review) {
      const { outcome, webhook, seconds: duration, reasons, dryRun } = review
      // Not the review: a name in it may be as long as its body.
      if (uncounted.push({ webhook, outcome, seconds: duration }) >= UNCOUNTED_REVIEWS) count()
      if (outcome === 'denied') for (const check of reasons) denials.inc({ check })
      const denied = outcome === 'denied' || outcome === 'failed'
      if (!logger.isLevelEnabled(denied ? 'info' : 'debug')) return
      const [namespace, kind, name] = [review.namespace, review.kind, review.name].map((text) => boundedText(text))
      const fields = { webhook, outcome, namespace, kind, name, dryRun }
      if (denied) logger.info({ ...fields, reasons }, 'admission denied')
      else logger.debug(fields, 'admission answered')
    },
    reviewRefused(webhook, reason) {
      refused.inc({ webhook })
      logger.warn({ webhook, reason: boundedText(reason, 500) }, 'not an admission review')
    },
    exceptionsUsed(names, by) {
      exceptionUses.inc(names.length)
      logger.info({ exceptions: names, by }, 'exception used')
    },
    exceptionUsesUnconfirmed(reason, uses) {
      unconfirmedUses.inc({ reason }, uses)
      logger.debug({ reason, uses }, 'uses of exceptions not confirmed')
    },
    exceptionMalformed(name, problem) {
      logger.warn({ exception: name, problem }, 'exception is malformed and grants nothing')
    },
    namespaceLookupFailed(namespace, error) {
      lookupFailures.inc()
      const time = now()
      if (time - lookups.loggedAt < LOOKUP_LOG_MILLISECONDS) {
        lookups.unlogged += 1
        return
      }
      const { unlogged } = lookups
      Object.assign(lookups, { loggedAt: time, unlogged: 0 })
      logger.error(
        { namespace: boundedText(namespace), error: errorText(error), ...(unlogged > 0 && { unlogged }) },
        'namespace could not be read; denying',
      )
    },
    seccompFellBack(namespace, warning) {
      fallbacks.inc()
      const time = now()
      if (time - seccomp.loggedAt < LOOKUP_LOG_MILLISECONDS) return
      seccomp.loggedAt = time
      logger.warn(
        { namespace: boundedText(namespace), warning: boundedText(warning) },
        'seccomp profile not on every node',
      )
    },
    httpError(listener, status, error) {
      httpErrors.inc({ listener, status: String(status) })
      if (status >= 500)
        logger.error({ listener, status, error: errorText(error), stack: error.stack }, 'request failed')
      else logger.info({ listener, status, error: errorText(error) }, 'request refused')
    },
    connectionError(listener, error) {
      connectionErrors.inc({ listener })
      logger.debug({ listener, error: errorText(error) }, 'connection failed')
    },
    alertThreadEnded(reason) {
      restarts.inc()
      logger.error({ reason }, 'the alert thread ended; starting it again')
    },
    verdictsIndexed(images) {
      indexed.set(images)
    },
    secretsLoaded() {
      secretReloads.inc({ result: 'loaded' })
      logger.info('tokens or the client CA have changed; the new ones are in use')
    },
    secretProblem(problem) {
      secretReloads.inc({ result: 'failed' })
      logger.error({ problem }, 'a secret cannot be read again')
    },
    brakeChanged(mode, problem) {
      for (const each of ['enforce', 'warn', 'off']) brake.set({ mode: each }, each === mode ? 1 : 0)
      brakeProblem.set(problem === undefined ? 0 : 1)
      if (problem !== undefined) logger.error({ mode, problem }, 'the brake cannot be read')
      else if (mode === 'enforce') logger.info({ mode }, 'verdicts are enforced')
      else logger.warn({ mode }, 'the brake is on: no verdict denies')
    },
    safetyNetMade(counts) {
      for (const part of NET_PARTS) {
        netEntries.set({ part }, counts[part])
        netLeftOut.set({ part }, counts[`${part}LeftOut`])
      }
      const missing = NET_PARTS.map((part) => counts[`${part}LeftOut`]).join()
      if (missing !== net.missing && missing !== '0,0,0')
        logger.warn(counts, 'not everything fits into the parameters of the safety net')
      net.missing = missing
    },
    safetyNetInStep() {
      netInStep.setToCurrentTime()
    },
    clusterProblem(message) {
      logger.warn({ problem: message }, 'the cluster could not be followed for a moment')
    },
  }
}
