/** Notices a thread that runs and answers nothing: an endless loop, which no error and no exit ever reports. */

/**
 * Asks every so often, one question at a time. Calls `onStuck` once, when the answer to a question is missing for too long; then it asks no more.
 *
 * @param options.ask must not reject for a thread that has ended: that is not this one's to report
 * @returns a function that stops
 */
export function watchAnswers(options: {
  readonly ask: () => Promise<unknown>
  readonly everyMilliseconds: number
  readonly withinMilliseconds: number
  readonly onStuck: () => void
}): () => void {
  let timer: NodeJS.Timeout
  let stopped = false
  const stop = (): void => {
    stopped = true
    clearTimeout(timer)
  }
  const round = (): void => {
    timer = setTimeout(() => {
      stop()
      options.onStuck()
    }, options.withinMilliseconds)
    timer.unref()
    options.ask().then(next, stop)
  }
  const next = (): void => {
    if (stopped) return
    clearTimeout(timer)
    timer = setTimeout(round, options.everyMilliseconds)
    timer.unref()
  }
  next()
  return stop
}
