/** Who may send alerts, and how many at once: decided from the head of a request, before its body is read. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { ClientCertificate } from './clientCertificate.ts'
import type { Authentication, Presented } from './credentials.ts'
import { rateLimit } from './rateLimit.ts'
import type { RateLimit } from './rateLimit.ts'
import { errorReply, sendReply } from './reply.ts'
import type { Reply } from './reply.ts'

/** Whose credential it was, and the only node whose containers it may accuse. */
export interface Sender {
  readonly name: string
  readonly node?: string | undefined
}

/** A path below `/alerts/`, and how many bytes a body may have there when it is unpacked. */
export interface AlertEndpoint {
  readonly name: string
  readonly maxBytes: number
}

/** Why a request never reached a decoder. */
export type RefusedRequest =
  'unauthorized' | 'wrong-source' | 'busy' | 'unknown-source' | 'bad-request' | 'rate-limited' | 'unverifiable'

export interface AlertGateOptions {
  readonly sources: readonly AlertEndpoint[]
  readonly authenticate: (presented: Presented) => Promise<Authentication>
  /** The verified client certificate of a connection. */
  readonly certificateOf?: ((socket: Socket) => ClientCertificate | undefined) | undefined
  /** Milliseconds of a steady clock, for rate limits and durations. */
  readonly now: () => number
  /**
   * Bodies under way, all together, each counted as what it may become: its length where that is said and nothing is unpacked, else the limit of its
   * source. More are answered 503 before they are read, so that no sender can fill the memory, which admission shares.
   */
  readonly bodiesBytes: number
  /** Counts requests that were let in. */
  readonly onAnswered?: (request: { readonly source: string; readonly seconds: number }) => void
  /** Tells of requests under way and the bytes they are counted as. */
  readonly onInFlight?: (requests: number, bytes: number) => void
  /** Counts requests that never reached a decoder. */
  readonly onRefused: (source: string, reason: RefusedRequest) => void
  /** Counts requests by the name of their credential. */
  readonly onCredential: (name: string, result: 'accepted' | 'wrong-source' | 'rate-limited') => void
}

/** A request that was let in. */
export interface Admitted {
  readonly sender: Sender
  readonly limit: RateLimit | undefined
}

/** Lets a request for a source in, or answers it and gives undefined; so it does when its connection is gone by then. Never rejects, unless `authenticate` does. */
export type AlertGate = (
  request: IncomingMessage,
  response: ServerResponse,
  source: string,
) => Promise<Admitted | undefined>

/** Requests under way at once; more are answered 503. */
const MAXIMUM_IN_FLIGHT = 256

export function createAlertGate(options: AlertGateOptions): AlertGate {
  // By the name of the credential, of which the configuration has a few.
  const limits = new Map<string, RateLimit>()
  const limitsOfSources = new Map(options.sources.map(({ name, maxBytes }) => [name, maxBytes]))
  const names = [...limitsOfSources.keys()].join(', ')
  let inFlight = 0
  let inFlightBytes = 0

  const limitOf = (name: string, perSecond: number): RateLimit => {
    const limit = limits.get(name) ?? rateLimit(perSecond, options.now)
    limits.set(name, limit)
    return limit
  }

  return async (request, response, asked) => {
    const maxBytes = limitsOfSources.get(asked)
    // The source of a request that failed is a metric label: only known names may become one.
    const source = maxBytes === undefined ? 'unknown' : asked
    const refuse = (reply: Reply): undefined => {
      sendReply(response, reply)
      return undefined
    }
    const later = (status: number, message: string, seconds: number): undefined =>
      refuse({ ...errorReply(status, message), headers: { 'Retry-After': String(seconds) } })
    const result = await options.authenticate({
      authorization: request.headers.authorization,
      certificate: options.certificateOf?.(request.socket),
    })
    if (result.kind === 'refused') {
      options.onRefused(source, 'unauthorized')
      response.setHeader('Connection', 'close')
      const challenge = { 'WWW-Authenticate': 'Bearer realm="drawbridge", Basic realm="drawbridge"' }
      return refuse({ ...errorReply(401, result.message), headers: challenge })
    }
    if (result.kind === 'unavailable') {
      options.onRefused(source, 'unverifiable')
      return later(503, result.message, 1)
    }
    const { name, sources, alertsPerSecond } = result.credential
    if (maxBytes === undefined) {
      options.onRefused(source, 'unknown-source')
      return refuse(errorReply(404, `unknown source; known are: ${names}`))
    }
    if (sources !== undefined && !sources.includes(source)) {
      options.onRefused(source, 'wrong-source')
      options.onCredential(name, 'wrong-source')
      return refuse(errorReply(403, `this credential may not send alerts as ${source}`))
    }
    const said = request.headers['content-encoding'] === undefined ? request.headers['content-length'] : undefined
    const bytes = Math.min(Number(said ?? maxBytes) || 0, maxBytes)
    if (inFlight >= MAXIMUM_IN_FLIGHT || inFlightBytes + bytes > options.bodiesBytes) {
      options.onRefused(source, 'busy')
      return later(503, 'too many alert requests at once; try again', 1)
    }
    const limit = alertsPerSecond === undefined ? undefined : limitOf(name, alertsPerSecond)
    const wait = limit?.take() ?? 0
    if (wait > 0) {
      options.onRefused(source, 'rate-limited')
      options.onCredential(name, 'rate-limited')
      return later(429, `this credential may send ${alertsPerSecond} alerts a second; try again`, wait)
    }
    // Whoever hung up while it was asked who they are is never told of again: counted as under way, the request would be so for good.
    if (response.destroyed) return undefined
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
    return { sender: { name, node: result.node }, limit }
  }
}
