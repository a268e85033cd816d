/** The alert listener: `POST /alerts/<source>`, with a credential that is checked before the body is read. */
import type { Express, RequestHandler } from 'express'
import type { Socket } from 'node:net'
import type { ClientCertificate } from './clientCertificate.ts'
import type { Authentication, Presented } from './credentials.ts'
import type { RateLimit } from './rateLimit.ts'
import { rateLimit } from './rateLimit.ts'
import { bodyOf, errorAnswers, errorReply, newApp, notFound, readBody, requireJson, sendReply } from './reply.ts'
import type { Reply } from './reply.ts'

/** Whose credential it was, and the only node whose containers it may accuse. */
export interface Sender {
  readonly name: string
  readonly node?: string | undefined
}

/** Takes one request's bytes for a source. Resolves when every effect is durable; `alerts`: how many there were, for the sender's rate limit. */
export type AlertHandler = (
  source: string,
  body: Buffer,
  sender: Sender,
) => Promise<Reply & { readonly alerts?: number | undefined }>

/** A path below `/alerts/`, and how many bytes a body may have there when it is unpacked. */
export interface AlertEndpoint {
  readonly name: string
  readonly maxBytes: number
}

/** Why a request never reached a decoder. */
export type RefusedRequest =
  'unauthorized' | 'wrong-source' | 'busy' | 'unknown-source' | 'bad-request' | 'rate-limited' | 'unverifiable'

/** Requests under way at once; more are answered 503. */
const MAXIMUM_IN_FLIGHT = 256

/**
 * Builds the app; it does not listen.
 *
 * @param options.certificateOf the verified client certificate of a connection
 * @param options.now milliseconds of a steady clock, for rate limits and durations
 * @param options.bodiesBytes Bodies under way, all together, each counted as what it may become: its length where that is said and nothing is unpacked, else
 *   the limit of its source. More are answered 503 before they are read, so that no sender can fill the memory, which admission shares.
 * @param options.onAnswered counts requests that were let in
 * @param options.onInFlight tells of requests under way and the bytes they are counted as
 * @param options.onRefused counts requests that never reached a decoder
 * @param options.onCredential counts requests by the name of their credential
 */
export function alertsApp(options: {
  readonly sources: readonly AlertEndpoint[]
  readonly authenticate: (presented: Presented) => Promise<Authentication>
  readonly certificateOf?: ((socket: Socket) => ClientCertificate | undefined) | undefined
  readonly handle: AlertHandler
  readonly now: () => number
  readonly bodiesBytes: number
  readonly onAnswered?: (request: { readonly source: string; readonly seconds: number }) => void
  readonly onInFlight?: (requests: number, bytes: number) => void
  readonly onRefused: (source: string, reason: RefusedRequest) => void
  readonly onCredential: (name: string, result: 'accepted' | 'wrong-source' | 'rate-limited') => void
  readonly onError: (status: number, error: Error) => void
}): Express {
  const app = newApp()
  // By the name of the credential, of which the configuration has a few.
  const limits = new Map<string, RateLimit>()
  const readers = new Map(options.sources.map(({ name, maxBytes }) => [name, { maxBytes, read: readBody(maxBytes) }]))
  const names = [...readers.keys()].join(', ')
  let inFlight = 0
  let inFlightBytes = 0

  // The source of a request that failed is a metric label: only known names may become one.
  const labelOf = (source: unknown): string => (typeof source === 'string' && readers.has(source) ? source : 'unknown')

  const limitOf = (name: string, perSecond: number): RateLimit => {
    const limit = limits.get(name) ?? rateLimit(perSecond, options.now)
    limits.set(name, limit)
    return limit
  }

  const authorize: RequestHandler = async (request, response, next) => {
    const source = labelOf(request.params['source'])
    const later = (status: number, message: string, seconds: number): void =>
      sendReply(response, { ...errorReply(status, message), headers: { 'Retry-After': String(seconds) } })
    const result = await options.authenticate({
      authorization: request.headers.authorization,
      certificate: options.certificateOf?.(request.socket),
    })
    if (result.kind === 'refused') {
      options.onRefused(source, 'unauthorized')
      response.set('Connection', 'close')
      const challenge = { 'WWW-Authenticate': 'Bearer realm="drawbridge", Basic realm="drawbridge"' }
      sendReply(response, { ...errorReply(401, result.message), headers: challenge })
      return
    }
    if (result.kind === 'unavailable') {
      options.onRefused(source, 'unverifiable')
      later(503, result.message, 1)
      return
    }
    const { name, sources, alertsPerSecond } = result.credential
    const reader = readers.get(source)
    if (reader === undefined) {
      options.onRefused(source, 'unknown-source')
      sendReply(response, errorReply(404, `unknown source; known are: ${names}`))
      return
    }
    if (sources !== undefined && !sources.includes(source)) {
      options.onRefused(source, 'wrong-source')
      options.onCredential(name, 'wrong-source')
      sendReply(response, errorReply(403, `this credential may not send alerts as ${source}`))
      return
    }
    const { maxBytes } = reader
    const said = request.headers['content-encoding'] === undefined ? request.headers['content-length'] : undefined
    const bytes = Math.min(Number(said ?? maxBytes) || 0, maxBytes)
    if (inFlight >= MAXIMUM_IN_FLIGHT || inFlightBytes + bytes > options.bodiesBytes) {
      options.onRefused(source, 'busy')
      later(503, 'too many alert requests at once; try again', 1)
      return
    }
    const limit = alertsPerSecond === undefined ? undefined : limitOf(name, alertsPerSecond)
    const wait = limit?.take() ?? 0
    if (wait > 0) {
      options.onRefused(source, 'rate-limited')
      options.onCredential(name, 'rate-limited')
      later(429, `this credential may send ${alertsPerSecond} alerts a second; try again`, wait)
      return
    }
    options.onCredential(name, 'accepted')
    const started = options.now()
    const underWay = (by: 1 | -1): void => {
      inFlight += by
      inFlightBytes += by * bytes
      options.onInFlight?.(inFlight, inFlightBytes)
    }
    underWay(1)
    response.once('close', () => {
      underWay(-1)
      options.onAnswered?.({ source, seconds: (options.now() - started) / 1000 })
    })
    const sender: Sender = { name, node: result.node }
    Object.assign(response.locals, { sender, limit })
    next()
  }

  const readAlerts: RequestHandler = (request, response, next) =>
    void readers.get(String(request.params['source']))?.read(request, response, next)

  app.post('/alerts/:source', authorize, requireJson, readAlerts, async (request, response) => {
    const { sender, limit } = response.locals as { readonly sender: Sender; readonly limit?: RateLimit }
    const { alerts = 1, ...reply } = await options.handle(String(request.params['source']), bodyOf(request), sender)
    // The request itself was one.
    limit?.charge(Math.max(0, alerts - 1))
    sendReply(response, reply)
  })
  app.use(notFound)
  app.use(
    errorAnswers((status, error) => {
      if (status < 500) options.onRefused('unknown', 'bad-request')
      options.onError(status, error)
    }),
  )
  return app
}
