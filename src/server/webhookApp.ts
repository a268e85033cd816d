/** The webhook listener: `POST` to the paths it is given, and nothing else. */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { RequestHandler } from 'express'
import { createBodyBound } from './bodyBound.ts'
import { bodyOf, errorAnswers, errorReply, newApp, notFound, readBody, requireJson, sendReply } from './reply.ts'
import type { OnError } from './reply.ts'
import { timeoutMilliseconds } from './reviewHandler.ts'
import type { ReviewHandler } from './reviewHandler.ts'
import { usualReviews } from './usualReviews.ts'

/** etcd's objects are at most 1.5 MiB; a review carries two of them, and JSON escapes can more than double them. */
export const REVIEW_LIMIT_BYTES = 8 * 1024 * 1024

/** Bodies under way, all together. */
const IN_FLIGHT_LIMIT_BYTES = 64 * 1024 * 1024

/** How long a refusal may take to leave. */
const LAST_WORD_MILLISECONDS = 1000

/** Builds the app; it does not listen. */
export function webhookApp(options: {
  /** By path. */
  readonly routes: Readonly<Record<string, ReviewHandler>>
  readonly onError: OnError
}): RequestListener {
  const { routes, onError } = options
  const app = newApp()
  const bound = createBodyBound(IN_FLIGHT_LIMIT_BYTES)
  const refuse = (response: ServerResponse): void => {
    onError(503, new Error('too many reviews under way'))
    response.setHeader('Connection', 'close')
    sendReply(response, errorReply(503, 'too many reviews under way; try again'))
  }
  /** The rest of the body is not waited for, and what is here of it does not stay. Called while another request comes in, which an error would hit. */
  const giveWay = (request: IncomingMessage, response: ServerResponse): void => {
    // It was refused before it was here, and its answer waits behind one that the client does not read.
    if (response.headersSent) {
      request.destroy()
      return
    }
    // Behind another answer of its connection, or to a client that reads none, the 503 may never leave.
    const isStuck = response.socket === null || response.socket.writableLength > 0
    refuse(response)
    if (isStuck) {
      request.destroy()
      return
    }
    const late = setTimeout(() => request.destroy(), LAST_WORD_MILLISECONDS)
    response.once('finish', () => request.destroy())
    response.once('close', () => clearTimeout(late))
  }
  const admit: RequestHandler = (request, response, next) => {
    // The API server always says how long its review is; who does not say is counted as the longest.
    const length = Math.min(Number(request.headers['content-length'] ?? REVIEW_LIMIT_BYTES) || 0, REVIEW_LIMIT_BYTES)
    const held = bound.admit(length, () => giveWay(request, response))
    if (held === undefined) return refuse(response)
    request.once('end', () => held.arrived())
    response.once('close', () => held.release())
    next()
  }
  for (const [path, handler] of Object.entries(routes)) {
    app.post(path, requireJson, admit, readBody(REVIEW_LIMIT_BYTES, { inflate: false }), async (request, response) => {
      // Its last byte came after it had given way.
      if (response.headersSent) return
      sendReply(response, await handler(bodyOf(request), timeoutMilliseconds(request.query['timeout'])))
    })
  }
  app.use(notFound)
  app.use(errorAnswers(onError))
  return usualReviews({
    routes: new Map(Object.entries(routes)),
    bound,
    limit: REVIEW_LIMIT_BYTES,
    refuse,
    giveWay,
    onError,
    otherwise: app,
  })
}
