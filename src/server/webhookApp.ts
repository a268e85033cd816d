/** The webhook listener: `POST` to the paths it is given, and nothing else. */
import type { Express, RequestHandler, Response } from 'express'
import { bodyOf, errorAnswers, errorReply, newApp, notFound, readBody, requireJson, sendReply } from './reply.ts'
import type { Reply } from './reply.ts'

/** Takes the bytes of an AdmissionReview and the deadline that the API server gave, in milliseconds. */
export type ReviewHandler = (body: Buffer, timeoutMilliseconds: number) => Promise<Reply>

/** etcd's objects are at most 1.5 MiB; a review carries two of them, and JSON escapes can more than double them. */
export const REVIEW_LIMIT_BYTES = 8 * 1024 * 1024

/**
 * Bodies under way, all together, counted as what they say they will be: nobody can fill the memory. Beyond it one that is still arriving and is
 * at least as large as the new one gives way, else the new one is refused before it is read. Otherwise eight connections that announce
 * 8 MiB and send nothing would keep every review out for as long as they like; the API server's own arrive in one go.
 */
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

/** A body that is not here yet. */
interface Arriving {
  /** Bytes that it is counted as. */
  readonly length: number
  readonly giveWay: () => void
}

/** Of several the oldest: sets keep the order of insertion. */
function largest(arriving: Iterable<Arriving>): Arriving | undefined {
  let found: Arriving | undefined
  for (const one of arriving) if (found === undefined || one.length > found.length) found = one
  return found
}

/** Builds the app; it does not listen. */
export function webhookApp(options: {
  /** By path. */
  readonly routes: Readonly<Record<string, ReviewHandler>>
  readonly onError: (status: number, error: Error) => void
}): Express {
  const app = newApp()
  let inFlight = 0
  const arriving = new Set<Arriving>()
  const refuse = (response: Response): void => {
    options.onError(503, new Error('too many reviews under way'))
    response.set('Connection', 'close')
    sendReply(response, errorReply(503, 'too many reviews under way; try again'))
  }
  const bound: RequestHandler = (request, response, next) => {
    // The API server always says how long its review is; who does not say is counted as the longest.
    const length = Math.min(Number(request.headers['content-length'] ?? REVIEW_LIMIT_BYTES) || 0, REVIEW_LIMIT_BYTES)
    if (inFlight + length > IN_FLIGHT_LIMIT_BYTES) {
      const other = largest(arriving)
      if (other === undefined || other.length < length) return refuse(response)
      other.giveWay()
    }
    inFlight += length
    let counted = length
    const release = (): void => {
      inFlight -= counted
      counted = 0
      arriving.delete(one)
    }
    const one: Arriving = {
      length,
      giveWay() {
        release()
        response.once('finish', () => request.destroy())
        refuse(response)
      },
    }
    arriving.add(one)
    request.once('end', () => arriving.delete(one))
    response.once('close', release)
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
