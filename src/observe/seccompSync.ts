/** What can happen while a node's seccomp profiles are kept: the log only, nobody scrapes a DaemonSet that listens to nothing. */
import { errorText } from './logger.ts'
import type { Logger } from './logger.ts'

export interface SeccompSyncObserver {
  /** Files were written or removed. */
  synced(written: readonly string[], removed: readonly string[]): void
  /** Profiles that cannot be installed; said when they change. Empty: there are none any more. */
  problems(problems: readonly string[]): void
  /** A look failed. Said when it is another failure than the last one. */
  failed(error: unknown): void
}

export function createSeccompSyncObserver(logger: Logger): SeccompSyncObserver {
  const last = { problems: '', failure: '' }
  return {
    synced(written, removed) {
      last.failure = ''
      logger.info({ written, removed }, 'seccomp profiles synced')
    },
    problems(problems) {
      const text = problems.join('; ')
      if (text !== last.problems && problems.length > 0) logger.warn({ problems }, 'seccomp profiles not installed')
      last.problems = text
    },
    failed(error) {
      const text = errorText(error)
      if (text !== last.failure) logger.error({ error: text }, 'seccomp profiles could not be synced')
      last.failure = text
    },
  }
}
