/** Asks the API server about tokens: each rarely, all of them together at a bounded rate. */
import { createHash } from 'node:crypto'
import type { TokenAnswer } from './credentials.ts'
import { rateLimit } from './rateLimit.ts'

/** One question. Resolves to undefined when the token is not valid; rejects when that cannot be told. */
export type ReviewToken = (
  token: string,
) => Promise<{ readonly username: string; readonly node?: string | undefined } | undefined>

/** How long an answer holds, milliseconds: a token that was revoked (its pod is gone) is accepted for so long. */
export const VALID_MILLISECONDS = 60_000
export const INVALID_MILLISECONDS = 10_000

/** Answers kept of each kind. A flood of invented tokens never pushes out those of sensors. */
const MAXIMUM_KEPT = 10_000

/** Questions a second about tokens that were never valid. Others have a rate of their own, so that strangers cannot use it up. */
const QUESTIONS_PER_SECOND = 10
const KNOWN_QUESTIONS_PER_SECOND = 200

/** Questions under way; more tokens have to come again. */
const MAXIMUM_WAITING = 64

/**
 * @param options.now milliseconds of a steady clock
 * @param options.onFailed the API server could not be asked; called for each question that failed
 */
export function createTokenReviews(options: {
  readonly review: ReviewToken
  readonly now: () => number
  readonly onFailed: (error: unknown) => void
}): (token: string) => Promise<TokenAnswer> {
  const { now } = options
  // By hash: no token is kept.
  const valid = new Map<string, { readonly answer: TokenAnswer; readonly until: number }>()
  const invalid = new Map<string, { readonly answer: TokenAnswer; readonly until: number }>()
  const waiting = new Map<string, Promise<TokenAnswer>>()
  const strangers = rateLimit(QUESTIONS_PER_SECOND, now)
  const known = rateLimit(KNOWN_QUESTIONS_PER_SECOND, now)

  const ask = async (token: string, key: string): Promise<TokenAnswer> => {
    try {
      const user = await options.review(token)
      const answer: TokenAnswer = user === undefined ? { kind: 'invalid' } : { kind: 'valid', ...user }
      const [kept, other] = user === undefined ? [invalid, valid] : [valid, invalid]
      other.delete(key)
      kept.delete(key)
      kept.set(key, { answer, until: now() + (user === undefined ? INVALID_MILLISECONDS : VALID_MILLISECONDS) })
      if (kept.size > MAXIMUM_KEPT) kept.delete(kept.keys().next().value!)
      return answer
    } catch (error) {
      options.onFailed(error)
      return { kind: 'unavailable' }
    } finally {
      waiting.delete(key)
    }
  }

  return async (token) => {
    const key = createHash('sha256').update(token, 'utf8').digest('base64')
    const kept = valid.get(key) ?? invalid.get(key)
    if (kept !== undefined && now() < kept.until) return kept.answer
    const underWay = waiting.get(key)
    if (underWay !== undefined) return underWay
    if (waiting.size >= MAXIMUM_WAITING || (valid.has(key) ? known : strangers).take() > 0)
      return { kind: 'unavailable' }
    const question = ask(token, key)
    waiting.set(key, question)
    return question
  }
}
