/** The admission thread's side of the alert thread: starts it, starts it again when it ends or answers nothing, passes calls on. */
import { Worker } from 'node:worker_threads'
import type { AdmissionThreadApi, AlertThreadApi, AlertThreadOptions } from './alertThread.ts'
import { alertHeapMegabytes, memoryLimit } from './memory.ts'
import { lowerOtherThreads } from './priority.ts'
import type { VerdictApi } from './server/adminApp.ts'
import type { FlaggedChange } from './verdicts/flagged.ts'
import { connectThreads } from './threads.ts'
import type { Remote } from './threads.ts'
import { watchAnswers } from './watchdog.ts'

export interface AlertThread {
  readonly verdicts: VerdictApi
  port(): number
  /** Since when it does not run, monotonic milliseconds; undefined: it runs. */
  downSince(): number | undefined
  /** The thread's metrics as prom-client's JSON; empty while it is not running or does not answer. */
  metrics(): Promise<unknown>
  setCertificate(certificate: string, key: string): Promise<void>
  setCredentials(next: Pick<AlertThreadOptions, 'credentials' | 'clientCa'>): Promise<void>
  setLogLevel(level: string): Promise<void>
  /** Has every answer end its connection from now on. */
  refuseKeepAlive(): Promise<void>
  stop(graceMilliseconds: number): Promise<void>
}

/** Waits between two starts: doubling, so that a thread that cannot start does not burn a core. */
const FIRST_RESTART_MILLISECONDS = 500
const LAST_RESTART_MILLISECONDS = 30_000
/** The longest that a thread at work leaves a question waiting is seconds: a batch of the audit log, a slow disk. */
const QUESTION_MILLISECONDS = 5_000
const STUCK_MILLISECONDS = 60_000
const METRICS_MILLISECONDS = 5_000

const within = <T>(milliseconds: number, work: Promise<T>, instead: T): Promise<T> => {
  let timer: NodeJS.Timeout
  const late = new Promise<T>((resolve) => (timer = setTimeout(() => resolve(instead), milliseconds)))
  return Promise.race([work, late]).finally(() => clearTimeout(timer))
}

/**
 * Starts the thread and resolves when it accepts alerts and has handed over every known verdict.
 * Rejects when the first start fails; a later end is reported and repaired, while admission goes on with the verdicts it has.
 */
export async function startAlertThread(host: {
  readonly options: AlertThreadOptions
  readonly applyVerdicts: (changes: readonly FlaggedChange[]) => void
  /** As AdmissionThreadApi. Default: nothing is denied. */
  readonly denies?: ((namespace: string, images: readonly string[]) => boolean) | undefined
  readonly onEnded: (reason: string) => void
  /** The program of the thread. Default: `alertThread.js` beside this file. */
  readonly program?: URL | undefined
  /** How long it may leave a question unanswered, in milliseconds, before it is ended and started again. */
  readonly stuckMilliseconds?: number | undefined
}): Promise<AlertThread> {
  const program = host.program ?? new URL('./alertThread.js', import.meta.url)
  const stuckMilliseconds = host.stuckMilliseconds ?? STUCK_MILLISECONDS
  let options = host.options
  let current: { readonly worker: Worker; readonly remote: Remote<AlertThreadApi> } | undefined
  let stopping = false
  let restartAfter = FIRST_RESTART_MILLISECONDS
  let downSince: number | undefined

  async function start(): Promise<void> {
    const worker = new Worker(program, {
      workerData: options,
      // Whoever fills its heap ends this thread, not the process (src/memory.ts).
      resourceLimits: { maxOldGenerationSizeMb: alertHeapMegabytes(memoryLimit()) },
    })
    lowerOtherThreads()
    const applyVerdicts = ({ changes }: { readonly changes: readonly FlaggedChange[] }): void =>
      host.applyVerdicts(changes)
    const { remote: calls, close } = connectThreads<AlertThreadApi>(worker, {
      applyVerdicts,
      denies: ({ namespace, images }: { readonly namespace: string; readonly images: readonly string[] }) =>
        host.denies?.(namespace, images) ?? false,
    } satisfies AdmissionThreadApi)
    let reason = 'it stopped'
    let stopWatching: (() => void) | undefined
    worker.on('error', (error: Error) => (reason = error.message))
    worker.on('exit', () => {
      close(reason)
      stopWatching?.()
      if (current?.worker !== worker || stopping) return
      current = undefined
      downSince = performance.now()
      host.onEnded(reason)
      restart()
    })
    try {
      const { port } = await calls.start(undefined)
      // A restarted thread takes the same port: sensors know it.
      options = { ...options, port }
      current = { worker, remote: calls }
      restartAfter = FIRST_RESTART_MILLISECONDS
      downSince = undefined
      stopWatching = watchAnswers({
        ask: () => calls.ping(undefined),
        everyMilliseconds: Math.min(QUESTION_MILLISECONDS, stuckMilliseconds),
        withinMilliseconds: stuckMilliseconds,
        onStuck() {
          reason = `it answered nothing for ${stuckMilliseconds / 1000} s`
          void worker.terminate()
        },
      })
    } catch (error) {
      await worker.terminate()
      throw error
    }
  }

  function restart(): void {
    setTimeout(() => {
      if (stopping) return
      start().catch((error: unknown) => {
        host.onEnded(error instanceof Error ? error.message : String(error))
        restart()
      })
    }, restartAfter).unref()
    restartAfter = Math.min(restartAfter * 2, LAST_RESTART_MILLISECONDS)
  }

  function remote(): Remote<AlertThreadApi> {
    if (current === undefined) throw new Error('the alert thread is starting again; try again')
    return current.remote
  }

  await start()
  return {
    port: () => options.port,
    downSince: () => downSince,
    verdicts: {
      list: async () => remote().listVerdicts(undefined),
      get: async (name) => remote().getVerdict({ name }),
      release: async (name, decision) => remote().release({ name, decision }),
      confirm: async (name, decision) => remote().confirm({ name, decision }),
    },
    // Metrics must answer above all when something else does not.
    metrics: async () =>
      current === undefined
        ? []
        : within<unknown>(METRICS_MILLISECONDS, current.remote.metrics(undefined), []).catch(() => []),
    async setCertificate(certificate, key) {
      options = { ...options, certificate, key }
      await current?.remote.setCertificate({ certificate, key })
    },
    async setCredentials({ credentials, clientCa }) {
      options = { ...options, credentials, clientCa }
      await current?.remote.setCredentials({ credentials, clientCa })
    },
    async setLogLevel(logLevel) {
      options = { ...options, logLevel }
      await current?.remote.setLogLevel({ level: logLevel })
    },
    async refuseKeepAlive() {
      await current?.remote.refuseKeepAlive(undefined)
    },
    async stop(graceMilliseconds) {
      stopping = true
      if (current === undefined) return
      await current.remote.stop({ graceMilliseconds })
      await current.worker.terminate()
    },
  }
}
