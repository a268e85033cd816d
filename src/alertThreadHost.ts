/** The admission thread's side of the alert thread: starts it, starts it again when it ends, passes calls on. */
import { Worker } from 'node:worker_threads'
import type { AdmissionThreadApi, AlertThreadApi, AlertThreadOptions } from './alertThread.ts'
import type { VerdictApi } from './server/adminApp.ts'
import type { VerdictChange } from './verdicts/types.ts'
import { connectThreads } from './threads.ts'
import type { Remote } from './threads.ts'

export interface AlertThread {
  readonly verdicts: VerdictApi
  port(): number
  /** The thread's metrics as prom-client's JSON; empty while it is not running. */
  metrics(): Promise<unknown>
  setCertificate(certificate: string, key: string): Promise<void>
  setCredentials(next: Pick<AlertThreadOptions, 'credentials' | 'clientCa'>): Promise<void>
  stop(graceMilliseconds: number): Promise<void>
}

/** Waits between two starts: doubling, so that a thread that cannot start does not burn a core. */
const FIRST_RESTART_MILLISECONDS = 500
const LAST_RESTART_MILLISECONDS = 30_000

/**
 * Starts the thread and resolves when it accepts alerts and has handed over every known verdict.
 * Rejects when the first start fails; a later end is reported and repaired, while admission goes on with the verdicts it has.
 */
export async function startAlertThread(host: {
  readonly options: AlertThreadOptions
  readonly applyVerdicts: (changes: readonly VerdictChange[]) => void
  readonly onEnded: (reason: string) => void
  readonly onStarted: () => void
}): Promise<AlertThread> {
  let options = host.options
  let current: { readonly worker: Worker; readonly remote: Remote<AlertThreadApi> } | undefined
  let stopping = false
  let restartAfter = FIRST_RESTART_MILLISECONDS

  async function start(): Promise<void> {
    const worker = new Worker(new URL('./alertThread.js', import.meta.url), { workerData: options })
    const applyVerdicts = ({ changes }: { readonly changes: readonly VerdictChange[] }): void =>
      host.applyVerdicts(changes)
    const { remote: calls, close } = connectThreads<AlertThreadApi>(worker, {
      applyVerdicts,
    } satisfies AdmissionThreadApi)
    let reason = 'it stopped'
    worker.on('error', (error: Error) => (reason = error.message))
    worker.on('exit', () => {
      close(reason)
      if (current?.worker !== worker || stopping) return
      current = undefined
      host.onEnded(reason)
      restart()
    })
    try {
      const { port } = await calls.start(undefined)
      // A restarted thread takes the same port: sensors know it.
      options = { ...options, port }
      current = { worker, remote: calls }
      restartAfter = FIRST_RESTART_MILLISECONDS
    } catch (error) {
      await worker.terminate()
      throw error
    }
  }

  function restart(): void {
    setTimeout(() => {
      if (stopping) return
      start().then(host.onStarted, (error: unknown) => {
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
    verdicts: {
      list: async () => remote().listVerdicts(undefined),
      get: async (name) => remote().getVerdict({ name }),
      release: async (name, decision) => remote().release({ name, decision }),
      confirm: async (name, decision) => remote().confirm({ name, decision }),
    },
    metrics: async () => (current === undefined ? [] : current.remote.metrics(undefined)),
    async setCertificate(certificate, key) {
      options = { ...options, certificate, key }
      await current?.remote.setCertificate({ certificate, key })
    },
    async setCredentials({ credentials, clientCa }) {
      options = { ...options, credentials, clientCa }
      await current?.remote.setCredentials({ credentials, clientCa })
    },
    async stop(graceMilliseconds) {
      stopping = true
      if (current === undefined) return
      await current.remote.stop({ graceMilliseconds })
      await current.worker.terminate()
    },
  }
}
