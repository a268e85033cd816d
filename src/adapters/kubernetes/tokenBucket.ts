/** A token bucket: `burst` at once, `perSecond` sustained. */
export interface TokenBucket {
  /** Takes one token if there is one. */
  take(): boolean
}

/**
 * @param perSecond tokens that come back each second
 * @param burst most tokens at once, and the number at the start
 * @param now milliseconds, of any clock; one that goes backwards refills nothing
 */
export function tokenBucket(perSecond: number, burst: number, now: () => number): TokenBucket {
  const state = { tokens: burst, at: now() }
  return {
    take: () => {
      const time = now()
      state.tokens = Math.min(burst, state.tokens + (Math.max(0, time - state.at) / 1000) * perSecond)
      state.at = time
      if (state.tokens < 1) return false
      state.tokens -= 1
      return true
    },
  }
}
