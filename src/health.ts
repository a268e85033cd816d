/** What `/livez` and `/readyz` ask, and in which words they say no (rule 23). */
import type { View } from './admissionView.ts'
import type { AlertThread } from './alertThreadHost.ts'
import type { Certificates } from './certificates.ts'
import type { HealthCheck } from './server/health.ts'

/** A thread that could not be started again for so long will not be by itself; a new process has a new data folder's lock and new connections. */
const DEAD_MILLISECONDS = 5 * 60_000

/**
 * Ready: what is needed to answer as the cluster expects. Live: only what a restart cures and nothing inside of the process does; that the admission thread
 * hangs is noticed because it answers nothing.
 */
export function healthChecks(parts: {
  readonly certificates: Pick<Certificates, 'notReady'>
  readonly view: Pick<View, 'caches'>
  readonly alertThread: Pick<AlertThread, 'downSince'>
  readonly isStopping: () => boolean
  /** Monotonic milliseconds. */
  readonly now?: () => number
}): { readonly liveness: readonly HealthCheck[]; readonly readiness: readonly HealthCheck[] } {
  const { certificates, view, alertThread, isStopping, now = () => performance.now() } = parts
  const isDown = (milliseconds: number): boolean => {
    const since = alertThread.downSince()
    return since !== undefined && now() - since >= milliseconds
  }
  return {
    liveness: [
      {
        name: 'alert-thread',
        problem: () =>
          isDown(DEAD_MILLISECONDS)
            ? `it could not be started again for ${DEAD_MILLISECONDS / 60_000} minutes`
            : undefined,
      },
    ],
    readiness: [
      { name: 'tls', problem: () => certificates.notReady()[0] },
      ...Object.entries(view.caches).map(([name, { isSynced }]) => ({
        name,
        problem: () => (isSynced() ? undefined : 'not read yet'),
      })),
      // New verdicts come from that thread: without it, what is denied is as old as its end.
      { name: 'verdicts', problem: () => (isDown(0) ? 'the alert thread is starting again' : undefined) },
      { name: 'shutdown', problem: () => (isStopping() ? 'stopping' : undefined) },
    ],
  }
}
