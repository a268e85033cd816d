/** What the endpoints and the express apps agree on: bytes in, a reply out. Keeps express out of webhooks/ and policy out of server/. */
import type { ServerResponse } from 'node:http'
import type { ErrorRequestHandler, Request, RequestHandler } from 'express'
import express from 'express'

/** An HTTP answer. `body` is sent as it is. */
export interface Reply {
  readonly status: number
  readonly contentType: string
  readonly body: string
  readonly headers?: Readonly<Record<string, string>> | undefined
}

const JSON_TYPE = 'application/json; charset=utf-8'

/** A JSON answer. Ends its line, for people who send it with curl. */
export function jsonReply(status: number, value: unknown): Reply {
  return { status, contentType: JSON_TYPE, body: `${JSON.stringify(value)}\n` }
}

/** An error as one clear line, in the shape of every error of every listener: `{"error": "..."}`. */
export function errorReply(status: number, message: string): Reply {
  return jsonReply(status, { error: message })
}

/** Sends a reply. */
export function sendReply(response: ServerResponse, { status, contentType, body, headers }: Reply): void {
  response.writeHead(status, {
    ...headers,
    'Content-Type': contentType,
    'Content-Length': Buffer.byteLength(body),
  })
  response.end(body)
}

/** Refuses what is not JSON before the body is read; `errorAnswers` answers and counts it. Parameters such as `charset` are ignored; CloudEvents' `+json` is JSON. */
export const requireJson: RequestHandler = (request, _response, next) => {
  const type = request.headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase() ?? ''
  if (type === 'application/json' || type.endsWith('+json') || type === 'application/x-ndjson') next()
  else {
    const message = `Content-Type is ${type === '' ? 'missing' : `"${type.slice(0, 100)}"`}, wanted application/json`
    next(Object.assign(new Error(message), { status: 415 }))
  }
}

/**
 * Reads the whole body as bytes, at most `limit` of them after decompression. Of encodings it reads gzip, which is what shippers send; every other
 * is refused with 415, and with `inflate: false` gzip too.
 */
export function readBody(limit: number, { inflate = true } = {}): RequestHandler {
  const read = express.raw({ type: () => true, limit, inflate })
  return (request, response, next) => {
    const encoding = request.headers['content-encoding']?.trim().toLowerCase() ?? 'identity'
    if (encoding === 'identity' || encoding === 'gzip') read(request, response, next)
    else {
      const message = `Content-Encoding is "${encoding.slice(0, 100)}", wanted ${inflate ? 'gzip or none' : 'none'}`
      next(Object.assign(new Error(message), { status: 415 }))
    }
  }
}

/** The bytes that `readBody` left; empty when there was no body. */
export function bodyOf(request: Request): Buffer {
  return Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
}

/** What the body reader and the router throw, beside errors of ours. */
type HttpError = Error & { readonly status?: number; readonly type?: string; readonly limit?: number }

/** Counts and logs a request that ended in an error. */
export type OnError = (status: number, error: Error) => void

/** In place of the router's own error, which repeats the path: somebody may have put a token there, and errors are logged. */
const BAD_PATH: HttpError = Object.freeze(
  Object.assign(new URIError('the path is not percent-encoded as it should be'), { status: 400 }),
)

/** Answers with one clear line for what the body reader or a handler threw, and ends the connection. */
export function answerError(response: ServerResponse, thrown: unknown, onError: OnError): void {
  const error: HttpError =
    thrown instanceof URIError ? BAD_PATH : thrown instanceof Error ? thrown : new Error(String(thrown))
  const status = typeof error.status === 'number' && error.status >= 400 && error.status < 600 ? error.status : 500
  onError(status, error)
  if (response.headersSent) {
    response.destroy()
    return
  }
  // After a refused body the rest of it is still arriving: the connection cannot be used again.
  response.setHeader('Connection', 'close')
  const message =
    error.type === 'entity.too.large'
      ? `the body is larger than ${error.limit} bytes`
      : status === 500
        ? 'internal error; see the log'
        : error.message
  sendReply(response, errorReply(status, message))
}

/** `answerError` for an express app. */
export function errorAnswers(onError: OnError): ErrorRequestHandler {
  // Express knows an error handler by its four parameters.
  // oxlint-disable-next-line no-unused-vars
  return (thrown: unknown, _request, response, _next) => answerError(response, thrown, onError)
}

/** Answers what no route took, without the path: somebody may have put a token there. */
export const notFound: RequestHandler = (request, response) => {
  sendReply(response, errorReply(404, `no such path for ${request.method}`))
}

/** An express app with the same safe settings for every listener. */
export function newApp(): express.Express {
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  app.set('query parser', 'simple')
  app.set('env', 'production')
  return app
}
