/**
 * The alert thread: its own listener, decoding, correlation and ledger. One of the three composition roots (see ARCHITECTURE.md).
 * It runs in a worker because node:sqlite is synchronous and because a flood of alerts must never slow admission.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { Registry } from 'prom-client'
import { openLedger } from './alertLedger.ts'
import { BODY_LIMITS } from './alerts/body.ts'
import { createInPieces, restThread } from './alerts/inPieces.ts'
import { sources } from './alerts/sources/index.ts'
import type { Config } from './config/config.ts'
import { createCorrelator } from './correlator/correlator.ts'
import { readDecision, readReleaseKind } from './correlator/decisionRequest.ts'
import { correlationOptions } from './correlator/settings.ts'
import { createRollbacks } from './correlator/rollbacks.ts'
import { parseReference } from './kube/reference.ts'
import { alertBodiesBytes, collectGarbage, memoryLimit } from './memory.ts'
import { createAlertObserver } from './observe/alerts.ts'
import { createLogger } from './observe/logger.ts'
import { observeThread } from './observe/process.ts'
import { createRollBack } from './responses/rollBack.ts'
import { alertsApp } from './server/alertsApp.ts'
import { clientCertificates } from './server/clientCertificate.ts'
import { createAuthenticator } from './server/credentials.ts'
import type { Credential } from './server/credentials.ts'
import { startListener } from './server/listener.ts'
import type { Listener } from './server/listener.ts'
import { createTokenReviews } from './server/tokenReviews.ts'
import { connectThreads } from './threads.ts'
import { flaggedChange, type FlaggedChange } from './verdicts/flagged.ts'
import { findFlagged } from './verdicts/index.ts'
import { rollbackKey } from './verdicts/rollback.ts'
import type { Decision, VerdictChange } from './verdicts/types.ts'
import { createAlerts } from '../webhooks/alerts.ts'

/** What the admission thread hands over at the start. Everything in it can be cloned. */
export interface AlertThreadOptions {
  readonly config: Config
  /** What holds now, which may be another than the configured one. */
  readonly logLevel: string
  readonly dataDirectory: string
  /** Undefined: standalone, with a SQLite ledger. */
  readonly kubernetes?: { readonly kubeconfig?: string | undefined } | undefined
  readonly host: string
  readonly port: number
  readonly certificate: string
  readonly key: string
  readonly credentials: readonly Credential[]
  /** PEM; undefined: clients are not asked for certificates. */
  readonly clientCa?: string | undefined
}

/** What the admission thread can ask of this one. */
export interface AlertThreadApi {
  [method: string]: (parameters: never) => unknown
  /** Starts the listener; resolves when alerts are accepted and every known verdict was handed over. */
  start(parameters: undefined): Promise<{ readonly port: number }>
  listVerdicts(parameters: undefined): readonly unknown[]
  getVerdict(parameters: { readonly name: string }): unknown
  release(parameters: { readonly name: string; readonly decision: unknown }): Promise<unknown>
  confirm(parameters: { readonly name: string; readonly decision: unknown }): Promise<unknown>
  metrics(parameters: undefined): Promise<unknown>
  /** Answers: the thread is not stuck. */
  ping(parameters: undefined): void
  setLogLevel(parameters: { readonly level: string }): void
  refuseKeepAlive(parameters: undefined): void
  setCertificate(parameters: { readonly certificate: string; readonly key: string }): void
  setCredentials(parameters: Pick<AlertThreadOptions, 'credentials' | 'clientCa'>): void
  stop(parameters: { readonly graceMilliseconds: number }): Promise<void>
}

/** What this thread asks of the admission thread. */
export interface AdmissionThreadApi {
  [method: string]: (parameters: never) => unknown
  /** Resolves when the next request will be judged with these verdicts. */
  applyVerdicts(parameters: { readonly changes: readonly FlaggedChange[] }): void
  /** Whether a new pod with one of these images would be denied in the namespace now, by a verdict. */
  denies(parameters: { readonly namespace: string; readonly images: readonly string[] }): boolean
}

/** How often expiry, waiting alerts and waiting evidence are looked at. */
const SWEEP_MILLISECONDS = 5_000

if (parentPort === null) throw new Error('alertThread runs as a worker of the server')
const options = workerData as AlertThreadOptions
const { config } = options
const registry = new Registry()
const logger = createLogger({ level: options.logLevel, thread: 'alerts' })
observeThread('alerts', registry)
const observer = createAlertObserver(logger, registry)

const ledger = await openLedger({
  dataDirectory: options.dataDirectory,
  kubernetes: options.kubernetes,
  namespace: config.namespace,
  onProblem: (problem) => observer.storeProblem(problem),
  onEventsDropped: (events) => observer.eventsDropped(events),
})
const reviewToken =
  ledger.reviewToken === undefined
    ? undefined
    : createTokenReviews({
        review: ledger.reviewToken,
        now: () => performance.now(),
        onFailed: (error) => observer.tokenReviewFailed(error),
      })
/** By what is known of credentials now. */
let authenticate = createAuthenticator(options.credentials, reviewToken)
let { clientCa } = options
const verdictsPerHour = new Map(
  config.alerts.credentials.map((credential) => [credential.name, credential.verdictsPerHour]),
)
let listener: Listener | undefined
let sweeper: NodeJS.Timeout | undefined
/** Changes that the admission thread has been told of but has not confirmed. */
let applying: Promise<unknown> = Promise.resolve()
/** Changes that it has not been told of yet. */
const untold: FlaggedChange[] = []

const correlator = createCorrelator({
  store: ledger.store,
  parking: ledger.parking,
  directory: ledger.directory,
  parseReference,
  clock: () => Date.now(),
  ...correlationOptions(config),
  onLoaded: admissionKnows,
  verdictsPerHour: (credential) => verdictsPerHour.get(credential) ?? config.alerts.limits.verdictsPerHour,
  observe: {
    alertDecided: ({ decision, alert, verdict, reason }) =>
      observer.alertDecided(decision, { rule: alert.rule, verdict, reason }),
    phaseChanged: (verdict, from) => {
      observer.verdictChanged(verdict.name, from ?? 'none', verdict.phase, verdict.reason)
      ledger.events?.phaseChanged(verdict, from)
      if (verdict.phase === 'denying') rollbacks?.add(verdict)
    },
    expiresSoon: (verdict) => {
      observer.verdictExpiresSoon(verdict.name, verdict.expiresAt)
      ledger.events?.expiresSoon(verdict)
    },
    nameJoined: (verdict, reference) => {
      observer.verdictNameJoined(verdict.name, reference)
      ledger.events?.namesJoined(verdict, [reference])
    },
    backgroundFailed: (task, error) => observer.backgroundFailed(task, error),
  },
})

const { readHistory, directory, undoRollout } = ledger
const rollBack =
  undoRollout && config.quarantine.rollback === 'automatic'
    ? createRollBack({
        denies: (namespace, images) => remote.denies({ namespace, images }),
        undo: undoRollout,
        onResult(rollback, verdict, result, error) {
          observer.rollbackDone(rollbackKey(rollback), rollback.revision, verdict, result, error)
          if (result === 'rolled-back') ledger.events?.rolledBack(rollback, verdict)
        },
        clock: () => Date.now(),
      })
    : undefined
const rollbacks =
  readHistory &&
  directory &&
  createRollbacks({
    readHistory,
    findFlagged: findFlagged(correlator, parseReference, () => Date.now()),
    usesOf: ({ digests }) => directory.usesOf(digests),
    onRollback: (rollback, verdict) => {
      ledger.events?.rollbackFound(rollback, verdict)
      rollBack?.add(rollback, verdict.name)
    },
  })

// Only now: calls that arrived before wait in the port until somebody listens.
const { remote } = connectThreads<AdmissionThreadApi>(parentPort, {
  start,
  listVerdicts: () => correlator.list(),
  getVerdict: ({ name }: { readonly name: string }) => correlator.get(name),
  release,
  confirm,
  metrics: async () => {
    observer.verdictsCounted(countByPhase())
    observer.waitingCounted(correlator.waiting())
    return registry.getMetricsAsJSON()
  },
  setCertificate: ({ certificate, key }: { readonly certificate: string; readonly key: string }) =>
    listener?.setCertificate(certificate, key),
  setCredentials,
  ping: () => undefined,
  setLogLevel: ({ level }: { readonly level: string }) => void (logger.level = level),
  refuseKeepAlive: () => listener?.refuseKeepAlive(),
  stop,
} satisfies AlertThreadApi)

/** What one turn of the event loop changed goes to admission in one message. */
function tellAdmission(change: VerdictChange): void {
  if (untold.push(flaggedChange(change)) === 1) queueMicrotask(() => void admissionKnows())
}

/** Resolves when admission judges by every change until now. */
async function admissionKnows(): Promise<unknown> {
  if (untold.length > 0) {
    const changes = untold.splice(0)
    const before = applying
    applying = remote.applyVerdicts({ changes }).then(() => before)
  }
  return applying
}

function countByPhase(): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const { phase } of correlator.entries()) counts.set(phase, (counts.get(phase) ?? 0) + 1)
  return counts
}

function setCredentials(next: Pick<AlertThreadOptions, 'credentials' | 'clientCa'>): void {
  authenticate = createAuthenticator(next.credentials, reviewToken)
  if (next.clientCa === undefined || next.clientCa === clientCa) return
  clientCa = next.clientCa
  listener?.setClientCa(clientCa)
}

async function start(): Promise<{ readonly port: number }> {
  correlator.onChange(tellAdmission)
  for (const problem of [...ledger.problems, ...(await correlator.start())]) observer.storeProblem(problem)
  ledger.onRecord?.((record) => void correlator.observeContainer(record))
  await admissionKnows()
  collectGarbage()

  const handleAlerts = createAlerts({
    sources,
    observer,
    inPieces: createInPieces({ now: () => performance.now(), rest: restThread }),
    correlator: {
      async handle(alerts) {
        const outcomes = await correlator.handle(alerts)
        // The sender may deploy the image right after our 200: admission must know by then.
        await admissionKnows()
        return outcomes
      },
    },
  })
  listener = await startListener({
    name: 'alert listener',
    portOption: '--alerts-port (make run: ALERTS_PORT=)',
    host: options.host,
    port: options.port,
    certificate: options.certificate,
    key: options.key,
    clientCa,
    handler: alertsApp({
      sources: sources.map(({ name, bodyLimits }) => ({
        name,
        maxBytes: bodyLimits?.maxBytes ?? BODY_LIMITS.maxBytes,
      })),
      authenticate: (presented) => authenticate(presented),
      certificateOf: clientCertificates(() => Date.now()),
      handle: handleAlerts,
      now: () => performance.now(),
      bodiesBytes: alertBodiesBytes(memoryLimit()),
      onAnswered: (request) => observer.alertRequestAnswered(request),
      onInFlight: (requests, bytes) => observer.alertRequestsInFlight(requests, bytes),
      onRefused: (source, reason) => observer.alertRequestRefused(source, reason),
      onCredential: (name, result) => observer.credentialUsed(name, result),
      onError: (status, error) => observer.httpError(status, error),
    }),
  })
  sweeper = setInterval(() => void correlator.sweep(), SWEEP_MILLISECONDS)
  return { port: listener.port }
}

async function release({ name, decision }: { readonly name: string; readonly decision: unknown }): Promise<unknown> {
  const said = checkDecision(name, decision)
  const released = await correlator.release(name, { ...said, as: readReleaseKind(decision) })
  await admissionKnows()
  return released
}

async function confirm({ name, decision }: { readonly name: string; readonly decision: unknown }): Promise<unknown> {
  const confirmed = await correlator.confirm(name, checkDecision(name, decision))
  await admissionKnows()
  return confirmed
}

/** Errors are named so that the admin listener answers 400 or 404. */
function checkDecision(name: string, decision: unknown): Omit<Decision, 'at'> {
  const said = readDecision(decision, Date.now())
  if (correlator.get(name) === undefined)
    throw Object.assign(new Error(`no verdict ${name.slice(0, 100)}`), { name: 'NotFoundError' })
  return said
}

async function stop({ graceMilliseconds }: { readonly graceMilliseconds: number }): Promise<void> {
  clearInterval(sweeper)
  await listener?.drain(graceMilliseconds)
  await correlator.stop()
  await ledger.close()
}
