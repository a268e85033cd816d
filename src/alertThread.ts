/**
 * The alert thread: its own listener, decoding, correlation and ledger. One of the three composition roots (see ARCHITECTURE.md).
 * It runs in a worker because node:sqlite is synchronous and because a flood of alerts must never slow admission.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { Registry } from 'prom-client'
import { sources } from './alerts/sources/index.ts'
import type { Config } from './config/config.ts'
import { createCorrelator } from './correlator/correlator.ts'
import type { ContainerDirectory } from './correlator/types.ts'
import { parseReference } from './kube/reference.ts'
import { createAlertObserver } from './observe/alerts.ts'
import { createLogger } from './observe/logger.ts'
import { alertsApp } from './server/alertsApp.ts'
import type { Credential } from './server/credentials.ts'
import { startListener } from './server/listener.ts'
import { connectThreads } from './threads.ts'
import type { Release, VerdictChange, VerdictStore } from './verdicts/types.ts'
import { createAlerts } from '../webhooks/alerts.ts'

/** What the admission thread hands over at the start. Everything in it can be cloned. */
export interface AlertThreadOptions {
  readonly config: Config
  readonly dataDirectory: string
  /** Undefined: standalone, with a SQLite ledger. */
  readonly kubernetes?: { readonly kubeconfig?: string | undefined } | undefined
  readonly host: string
  readonly port: number
  readonly certificate: string
  readonly key: string
  readonly credentials: readonly Credential[]
}

/** What the admission thread can ask of this one. */
export interface AlertThreadApi {
  [method: string]: (parameters: never) => unknown
  /** Starts the listener; resolves when alerts are accepted and every known verdict was handed over. */
  start(parameters: undefined): Promise<{ readonly port: number }>
  listVerdicts(parameters: undefined): Promise<readonly unknown[]>
  getVerdict(parameters: { readonly name: string }): Promise<unknown>
  release(parameters: { readonly name: string; readonly decision: Omit<Release, 'at'> }): Promise<unknown>
  metrics(parameters: undefined): Promise<unknown>
  setCertificate(parameters: { readonly certificate: string; readonly key: string }): Promise<void>
  stop(parameters: { readonly graceMilliseconds: number }): Promise<void>
}

/** What this thread asks of the admission thread. */
export interface AdmissionThreadApi {
  [method: string]: (parameters: never) => unknown
  /** Resolves when the next request will be judged with these verdicts. */
  applyVerdicts(parameters: { readonly changes: readonly VerdictChange[] }): void
}

const SWEEP_MILLISECONDS = 5_000

if (parentPort === null) throw new Error('alertThread runs as a worker of the server')
const port = parentPort
const options = workerData as AlertThreadOptions
const { config } = options
const registry = new Registry()
const logger = createLogger({ level: config.log.level, thread: 'alerts' })
const observer = createAlertObserver(logger, registry)

async function openLedger(): Promise<{
  readonly store: VerdictStore
  readonly parking: import('./correlator/parking.ts').ParkingLot
  readonly directory?: ContainerDirectory
  readonly close: () => Promise<void>
}> {
  // Loaded on demand: the Kubernetes client costs memory and time that a standalone server does not need.
  const { openSqlite } = await import('./adapters/sqlite.ts')
  const sqlite = await openSqlite(options.dataDirectory)
  return { store: sqlite.verdicts, parking: sqlite.parking, close: () => sqlite.close() }
}
void [
  openLedger,
  createCorrelator,
  parseReference,
  createAlerts,
  alertsApp,
  startListener,
  connectThreads,
  sources,
  observer,
  port,
  SWEEP_MILLISECONDS,
]
