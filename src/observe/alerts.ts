/** What can happen on the alert thread: one function each, which writes the log line and moves the metric together. */
import { Counter, Gauge, Histogram } from 'prom-client'
import type { Registry } from 'prom-client'
import { errorText } from './logger.ts'
import type { Logger } from './logger.ts'

/** Numbers of one answered alert request. */
export interface AlertRequest {
  readonly source: string
  readonly findings: number
  readonly telemetry: number
  /** Codes of refused items; at most a few are logged. */
  readonly refused: readonly { readonly code: string; readonly message: string }[]
  readonly replacedBytes: boolean
}

export interface AlertObserver {
  alertsDecoded(request: AlertRequest): void
  alertRequestRefused(source: string, reason: string): void
  /** A request with a valid credential was answered or given up. */
  alertRequestAnswered(request: { readonly source: string; readonly seconds: number }): void
  /** Requests under way, and the bytes that their bodies are counted as. */
  alertRequestsInFlight(requests: number, bytes: number): void
  /** What waits in the correlator: alerts for their container, changes and evidence for the ledger. */
  waitingCounted(waiting: { readonly alerts: number; readonly changes: number; readonly evidence: number }): void
  /** A request with a valid credential; `name` is one of the configured ones. */
  credentialUsed(name: string, result: string): void
  /** A token could not be verified, because the API server could not be asked. */
  tokenReviewFailed(error: unknown): void
  /** One alert was decided; `decision` is an enum, the rest is for the log. */
  /** Counted each time. Logged each time where it contributed, else at most so often in a second. */
  alertDecided(
    decision: string,
    alert: { readonly rule: string; readonly verdict?: string | undefined; readonly reason?: string | undefined },
  ): void
  verdictChanged(name: string, from: string, to: string, reason: string): void
  /** A verdict that warns or denies ends within 72 h; `at` in milliseconds since the epoch. */
  verdictExpiresSoon(name: string, at: number): void
  /** A flagged image runs under a name that its verdict did not have. */
  verdictNameJoined(name: string, reference: string): void
  verdictsCounted(byPhase: ReadonlyMap<string, number>): void
  /** A workload was to be rolled back without a person; `result` is an enum. */
  rollbackDone(workload: string, revision: number, verdict: string, result: string, error?: unknown): void
  /** Kubernetes Events about verdicts that were not written: there were too many. */
  eventsDropped(events: number): void
  storeFailed(error: unknown): void
  storeProblem(problem: string): void
  /** A write that no sender waits for failed; it is tried again. */
  backgroundFailed(task: string, error: unknown): void
  httpError(status: number, error: Error): void
}

/** Lines a second about alerts that changed nothing, for each decision: whoever can make a sensor report chooses how many there are. */
const DECISION_LINES = 20

/**
 * Creates the functions and registers their metrics.
 *
 * @param clock milliseconds since the epoch
 */
export function createAlertObserver(
  logger: Logger,
  registry: Registry,
  clock: () => number = () => Date.now(),
): AlertObserver {
  const lines = boundedLines(DECISION_LINES, clock)
  const registers = [registry]
  const items = new Counter({
    name: 'drawbridge_alerts_total',
    help: 'Alerts by source and by what the decoder made of them.',
    labelNames: ['source', 'result'],
    registers,
  })
  const lastAlert = new Gauge({
    name: 'drawbridge_last_alert_timestamp_seconds',
    help: 'When a sensor last sent something that could be decoded, in seconds since the epoch; absent: not since this thread started.',
    labelNames: ['source'],
    registers,
  })
  const requestSeconds = new Histogram({
    name: 'drawbridge_alert_request_seconds',
    help: 'Time from a credential that was let in to the answer, which comes when every effect is durable.',
    labelNames: ['source'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1, 5, 10, 30],
    registers,
  })
  const inFlight = new Gauge({
    name: 'drawbridge_alert_requests_in_flight',
    help: 'Alert requests under way.',
    registers,
  })
  const inFlightBytes = new Gauge({
    name: 'drawbridge_alert_bodies_in_flight_bytes',
    help: 'What the bodies of alert requests under way are counted as; beyond the limit requests are answered 503.',
    registers,
  })
  const waitingItems = new Gauge({
    name: 'drawbridge_alerts_waiting',
    help: 'What waits: alerts for their container to be known, changes of verdicts for the ledger, evidence for its next write.',
    labelNames: ['what'],
    registers,
  })
  const refusedItems = new Counter({
    name: 'drawbridge_alerts_refused_total',
    help: 'Alerts that could not be decoded, by source and code.',
    labelNames: ['source', 'code'],
    registers,
  })
  const replaced = new Counter({
    name: 'drawbridge_alert_requests_not_utf8_total',
    help: 'Alert requests with bytes that are not UTF-8; the bytes were replaced and the alerts used.',
    labelNames: ['source'],
    registers,
  })
  const refusedRequests = new Counter({
    name: 'drawbridge_alert_requests_refused_total',
    help: 'Alert requests refused before decoding: no credential, wrong source, too many at once.',
    labelNames: ['source', 'reason'],
    registers,
  })
  const credentials = new Counter({
    name: 'drawbridge_alert_credential_requests_total',
    help: 'Alert requests with a valid credential, by its name and by whether they were let in.',
    labelNames: ['credential', 'result'],
    registers,
  })
  const reviewFailures = new Counter({
    name: 'drawbridge_token_review_failures_total',
    help: 'Service account tokens that the API server could not be asked about; the alerts were answered 503.',
    registers,
  })
  const decisions = new Counter({
    name: 'drawbridge_alert_decisions_total',
    help: 'What was decided for each alert.',
    labelNames: ['decision'],
    registers,
  })
  const transitions = new Counter({
    name: 'drawbridge_verdict_transitions_total',
    help: 'Verdicts that entered a phase, and why.',
    labelNames: ['phase', 'reason'],
    registers,
  })
  const expiring = new Counter({
    name: 'drawbridge_verdicts_expiring_total',
    help: 'Verdicts that warned or denied and came within 72 h of their end.',
    registers,
  })
  const joined = new Counter({
    name: 'drawbridge_verdict_names_joined_total',
    help: 'Flagged images that were seen running under a new name.',
    registers,
  })
  const verdicts = new Gauge({
    name: 'drawbridge_verdicts',
    help: 'Verdicts by phase.',
    labelNames: ['phase'],
    registers,
  })
  const rollbacksDone = new Counter({
    name: 'drawbridge_rollbacks_total',
    help: 'Workloads that quarantine.rollback: automatic was to roll back, by what became of it: rolled-back, changed (by somebody else meanwhile), not-denied, too-many (10 an hour), failed.',
    labelNames: ['result'],
    registers,
  })
  const droppedEvents = new Counter({
    name: 'drawbridge_events_dropped_total',
    help: 'Kubernetes Events about verdicts that were not written because there were too many.',
    registers,
  })
  const storeFailures = new Counter({
    name: 'drawbridge_ledger_failures_total',
    help: 'Ledger writes that failed; the alerts were answered 503.',
    registers,
  })

  const storeProblems = new Counter({
    name: 'drawbridge_ledger_problems_total',
    help: 'Problems of the ledger that lose no alert: damage that was set aside, a watch that was lost.',
    registers,
  })

  return {
    alertsDecoded({ source, findings, telemetry, refused, replacedBytes }) {
      if (findings > 0) items.inc({ source, result: 'finding' }, findings)
      if (telemetry > 0) items.inc({ source, result: 'telemetry' }, telemetry)
      if (refused.length > 0) items.inc({ source, result: 'refused' }, refused.length)
      if (findings + telemetry > 0) lastAlert.set({ source }, Math.floor(clock() / 1000))
      for (const { code } of refused) refusedItems.inc({ source, code })
      const [first] = refused
      if (first !== undefined)
        logger.warn({ source, refused: refused.length, code: first.code, first: first.message }, 'alerts refused')
      if (replacedBytes) {
        replaced.inc({ source })
        logger.warn({ source }, 'an alert was not UTF-8; the bytes in question were replaced')
      }
    },
    alertRequestRefused(source, reason) {
      refusedRequests.inc({ source, reason })
      logger.warn({ source, reason }, 'alert request refused')
    },
    alertRequestAnswered({ source, seconds }) {
      requestSeconds.observe({ source }, seconds)
    },
    alertRequestsInFlight(requests, bytes) {
      inFlight.set(requests)
      inFlightBytes.set(bytes)
    },
    waitingCounted(waiting) {
      for (const [what, count] of Object.entries(waiting)) waitingItems.set({ what }, count)
    },
    credentialUsed(credential, result) {
      credentials.inc({ credential, result })
      if (result !== 'accepted') logger.warn({ credential, result }, 'a credential was not let in')
    },
    tokenReviewFailed(error) {
      reviewFailures.inc()
      logger.error({ error: errorText(error) }, 'a token could not be verified; the alert was not acknowledged')
    },
    alertDecided(decision, { rule, verdict, reason }) {
      decisions.inc({ decision })
      const unlogged = decision === 'contributed' ? 0 : lines.take(decision)
      if (unlogged === undefined) return
      logger.info({ decision, rule, verdict, reason, ...(unlogged > 0 && { unlogged }) }, 'alert decided')
    },
    verdictChanged(name, from, to, reason) {
      // The code before the colon is one of a few; the text after it is not for a label.
      transitions.inc({ phase: to, reason: reason.split(':', 1)[0] ?? '' })
      logger.warn({ verdict: name, from, to, reason }, 'verdict changed')
    },
    verdictExpiresSoon(name, at) {
      expiring.inc()
      logger.warn({ verdict: name, expiresAt: new Date(at).toISOString() }, 'verdict ends within 72 h')
    },
    verdictNameJoined(name, reference) {
      joined.inc()
      logger.warn({ verdict: name, reference }, 'a flagged image runs under a new name')
    },
    verdictsCounted(byPhase) {
      verdicts.reset()
      for (const [phase, count] of byPhase) verdicts.set({ phase }, count)
    },
    eventsDropped(events) {
      droppedEvents.inc(events)
    },
    rollbackDone(workload, revision, verdict, result, error) {
      rollbacksDone.inc({ result })
      const about = { workload, revision, verdict, result, ...(error === undefined ? {} : { error: errorText(error) }) }
      if (result === 'failed') logger.error(about, 'a workload could not be rolled back')
      else logger.warn(about, 'a workload was to be rolled back')
    },
    storeFailed(error) {
      storeFailures.inc()
      logger.error({ error: errorText(error) }, 'the ledger could not be written; the alert was not acknowledged')
    },
    storeProblem(problem) {
      storeProblems.inc()
      logger.error({ problem }, 'the ledger has a problem')
    },
    backgroundFailed(task, error) {
      storeFailures.inc()
      logger.error({ task, error: errorText(error) }, 'background work on the ledger failed; it is tried again')
    },
    httpError(status, error) {
      if (status >= 500) logger.error({ status, error: errorText(error), stack: error.stack }, 'alert request failed')
      else logger.info({ status, error: errorText(error) }, 'alert request refused')
    },
  }
}

/** Bounds lines by kind. `take` gives how many of the kind were not written since its last line; undefined: neither is this one. */
function boundedLines(perSecond: number, clock: () => number): { take(kind: string): number | undefined } {
  const kinds = new Map<string, { second: number; lines: number; unlogged: number }>()
  return {
    take(kind) {
      const known = kinds.get(kind) ?? { second: 0, lines: 0, unlogged: 0 }
      kinds.set(kind, known)
      const second = Math.floor(clock() / 1000)
      if (second !== known.second) Object.assign(known, { second, lines: 0 })
      if (known.lines >= perSecond) {
        known.unlogged += 1
        return undefined
      }
      const { unlogged } = known
      known.lines += 1
      known.unlogged = 0
      return unlogged
    },
  }
}
