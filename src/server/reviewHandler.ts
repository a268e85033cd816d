/** What the webhook listener's routes are. */
import type { Reply } from './reply.ts'

/**
 * Takes the bytes of an AdmissionReview, what is left of the time that the API server gave, and how long all of it has been here (nothing: not at all). Both in
 * milliseconds.
 */
export type ReviewHandler = (body: Buffer, timeoutMilliseconds: number, waited?: number) => Reply | Promise<Reply>

/** The API server's own bounds: 1 to 30 s, 10 s when it does not say. */
const DEFAULT_TIMEOUT_SECONDS = 10
const MAXIMUM_TIMEOUT_SECONDS = 30

/** Reads `?timeout=`: Go durations such as `10s`, `500ms`, `1m`. Anything else counts as absent. */
export function timeoutMilliseconds(value: unknown): number {
  const match = typeof value === 'string' ? /^(\d{1,6}(?:\.\d{1,9})?)(ms|s|m)$/.exec(value) : null
  const unit = { ms: 1, s: 1000, m: 60_000 }[match?.[2] ?? 's'] ?? 1000
  const wanted = match === null ? DEFAULT_TIMEOUT_SECONDS * 1000 : Number(match[1]) * unit
  return Math.max(1, Math.min(wanted, MAXIMUM_TIMEOUT_SECONDS * 1000))
}
