/** Whether what the API server sends is what this version answers: compares the registered webhook configurations with the code, at the start and every few minutes. */
import { differenceText, webhookDifferences } from '../manifests/differences.ts'
import type { ComparedWith, LiveConfigurations } from '../manifests/differences.ts'
import type { OperationObserver } from './observe/operation.ts'

/** They change when somebody installs or edits: rarely, and by hand. */
const EVERY_MILLISECONDS = 3 * 60_000

/**
 * Looks now and then every three minutes. Never rejects: a warning is all that it is about.
 *
 * @param options.read both configurations
 * @returns a function that stops
 */
export function followRegistration(options: {
  readonly read: () => Promise<LiveConfigurations>
  readonly comparedWith: ComparedWith
  readonly observer: Pick<OperationObserver, 'webhooksCompared'>
  readonly everyMilliseconds?: number | undefined
}): () => Promise<void> {
  const { observer, comparedWith } = options
  const look = async (): Promise<void> => {
    try {
      observer.webhooksCompared(webhookDifferences(await options.read(), comparedWith).map(differenceText))
    } catch (error) {
      observer.webhooksCompared(undefined, error instanceof Error ? error.message : String(error))
    }
  }
  let looking = look()
  const timer = setInterval(() => {
    looking = looking.then(look)
  }, options.everyMilliseconds ?? EVERY_MILLISECONDS)
  timer.unref()
  return async () => {
    clearInterval(timer)
    await looking
  }
}
