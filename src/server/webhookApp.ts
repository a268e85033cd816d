/** The webhook listener: `POST` to the paths it is given, and nothing else. */
import type { Express, RequestHandler } from 'express'
import { bodyOf, errorAnswers, errorReply, newApp, notFound, readBody, requireJson, sendReply } from './reply.ts'
import type { Reply } from './reply.ts'

/** Takes the bytes of an AdmissionReview and the deadline that the API server gave, in milliseconds. */
export type ReviewHandler = (body: Buffer, timeoutMilliseconds: number) => Promise<Reply>

/** etcd's objects are at most 1.5 MiB; a review carries two of them, and JSON escapes can more than double them. */
export const REVIEW_LIMIT_BYTES = 8 * 1024 * 1024

/** Bodies under way, all together: beyond it requests are refused before they are read, so that nobody can fill the memory. */
const IN_FLIGHT_LIMIT_BYTES = 64 * 1024 * 1024

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

/** Builds the app; it does not listen. */
export function webhookApp(options: {
  /** By path. */
  readonly routes: Readonly<Record<string, ReviewHandler>>
  readonly onError: (status: number, error: Error) => void
}): Express {
  const app = newApp()
  let inFlight = 0
  const bound: RequestHandler = (request, response, next) => {
    // The API server always says how long its review is; who does not say is counted as the longest.
    const length = Math.min(Number(request.headers['content-length'] ?? REVIEW_LIMIT_BYTES) || 0, REVIEW_LIMIT_BYTES)
    if (inFlight + length > IN_FLIGHT_LIMIT_BYTES) {
      options.onError(503, new Error('too many reviews under way'))
      response.set('Connection', 'close')
      sendReply(response, errorReply(503, 'too many reviews under way; try again'))
      return
    }
    inFlight += length
    response.once('close', () => (inFlight -= length))
    next()
  }
  for (const [path, handler] of Object.entries(options.routes)) {
    app.post(path, requireJson, bound, readBody(REVIEW_LIMIT_BYTES, { inflate: false }), async (request, response) => {
      sendReply(response, await handler(bodyOf(request), timeoutMilliseconds(request.query['timeout'])))
    })
  }
  app.use(notFound)
  app.use(errorAnswers(options.onError))
  return app
}
