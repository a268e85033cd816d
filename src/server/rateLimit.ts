/** A limit of one sender: so many in a second, with a burst. */
export interface RateLimit {
  /** Takes one. 0: taken; otherwise nothing was taken, and so many whole seconds later there is one. */
  take(): number
  /** Takes more than was known at first; the debt is paid before the next one is given. */
  charge(more: number): void
}

/** Seconds' worth that may come at once: a restarted node sends what it has kept. */
const BURST_SECONDS = 2

/**
 * @param perSecond what comes back each second
 * @param now milliseconds, of any clock; one that goes backwards refills nothing
 */
export function rateLimit(perSecond: number, now: () => number): RateLimit {
  const burst = Math.max(1, perSecond * BURST_SECONDS)
  let left = burst
  let at = now()
  return {
    take() {
      const time = now()
      left = Math.min(burst, left + (Math.max(0, time - at) / 1000) * perSecond)
      at = time
      if (left < 1) return Math.max(1, Math.ceil((1 - left) / perSecond))
      left -= 1
      return 0
    },
    charge: (more) => void (left -= more),
  }
}
