/** A token bucket: `burst` at once, `perSecond` sustained. */
export interface TokenBucket {
  /** Takes `count` tokens (default 1) if there are so many. */
  take(count?: number): boolean
  /** Other limits from now on; tokens above the new burst are lost. */
  resize(perSecond: number, burst: number): void
}

/**
 * @param perSecond tokens that come back each second
 * @param burst most tokens at once
 * @param now milliseconds, of any clock; one that goes backwards refills nothing
 * @param start tokens at the start; default `burst`
 */
export function tokenBucket(perSecond: number, burst: number, now: () => number, start = burst): TokenBucket {
  const state = { perSecond, burst, tokens: Math.min(start, burst), at: now() }
  const refill = (): void => {
    const time = now()
    state.tokens = Math.min(state.burst, state.tokens + (Math.max(0, time - state.at) / 1000) * state.perSecond)
    state.at = time
  }
  return {
    take: (count = 1) => {
      refill()
      if (state.tokens < count) return false
      state.tokens -= count
      return true
    },
    resize: (nextPerSecond, nextBurst) => {
      refill()
      state.perSecond = nextPerSecond
      state.burst = nextBurst
      state.tokens = Math.min(state.tokens, nextBurst)
    },
  }
}
