/** What can happen to the running server beside its requests: one function each, which writes the log line and moves the metric together. */
import { Gauge } from 'prom-client'
import type { Registry } from 'prom-client'
import type { Logger } from './logger.ts'

export interface OperationObserver {
  /**
   * How the registered webhook configurations differ from what this version registers, one line each, at most a few; undefined: they could not be read,
   * which `problem` explains.
   */
  webhooksCompared(differences: readonly string[] | undefined, problem?: string): void
  /** Seconds since the API server last said anything about what is followed, by the name of the cache. */
  cachesAged(ages: Readonly<Record<string, number>>): void
  logLevelChanged(level: string, until: number | undefined): void
}

const MAX_DIFFERENCES = 20

/** Creates the functions and registers their metrics. */
export function createOperationObserver(logger: Logger, registry: Registry): OperationObserver {
  const registers = [registry]
  const webhookDifferences = new Gauge({
    name: 'drawbridge_webhook_differences',
    help: 'In how many places the registered webhook configurations differ from what this version registers; -1: they cannot be read, or there is no cluster.',
    registers,
  })
  webhookDifferences.set(-1)
  const cacheAge = new Gauge({
    name: 'drawbridge_cache_age_seconds',
    help: 'Seconds since the API server last said anything about what is followed; it does at least every two minutes.',
    labelNames: ['cache'],
    registers,
  })
  const compared = { differences: '', problem: '' }

  return {
    webhooksCompared(differences, problem = '') {
      webhookDifferences.set(differences?.length ?? -1)
      if (problem !== '' && problem !== compared.problem)
        logger.warn({ problem }, 'the registered webhook configurations cannot be read')
      compared.problem = problem
      if (differences === undefined) return
      const text = differences.join('\n')
      if (text === compared.differences) return
      compared.differences = text
      if (differences.length === 0) logger.info('the registered webhook configurations are those of this version')
      else
        logger.warn(
          { differences: differences.slice(0, MAX_DIFFERENCES), count: differences.length },
          'the registered webhook configurations differ from this version; drawbridge doctor says what to do',
        )
    },
    cachesAged(ages) {
      for (const [cache, age] of Object.entries(ages)) cacheAge.set({ cache }, age)
    },
    logLevelChanged(level, until) {
      // By a logger of its own, so that it is seen whatever is shown.
      logger
        .child({}, { level: 'info' })
        .info(
          { logLevel: level, ...(until !== undefined && { until: new Date(until).toISOString() }) },
          'the log level was changed',
        )
    },
  }
}
