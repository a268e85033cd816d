/** The alert listener: `POST /alerts/<source>`, with a credential that is checked before the body is read. */
import type { Express, RequestHandler } from 'express'
import type { Credential } from './credentials.ts'
import { credentialChecker } from './credentials.ts'
import { bodyOf, errorAnswers, errorReply, newApp, notFound, readBody, requireJson, sendReply } from './reply.ts'
import type { Reply } from './reply.ts'

/** Takes one request's bytes for a source. Resolves when every effect is durable. */
export type AlertHandler = (source: string, body: Buffer) => Promise<Reply>

/** kube-apiserver's audit batches are the largest: 10 MiB, plus one event. */
export const ALERT_LIMIT_BYTES = 16 * 1024 * 1024

/** Requests under way at once; more are answered 503 so that a flood cannot fill the memory with bodies. */
const MAXIMUM_IN_FLIGHT = 256

/** Builds the app; it does not listen. `onRefused` counts requests that never reached a decoder. */
export function alertsApp(options: {
  readonly sources: readonly string[]
  readonly credentials: readonly Credential[]
  readonly handle: AlertHandler
  readonly onRefused: (
    source: string,
    reason: 'unauthorized' | 'wrong-source' | 'busy' | 'unknown-source' | 'bad-request',
  ) => void
  readonly onError: (status: number, error: Error) => void
}): Express {
  const app = newApp()
  const findCredential = credentialChecker(options.credentials)
  let inFlight = 0

  // The source of a request that failed is a metric label: only known names may become one.
  const labelOf = (source: unknown): string => options.sources.find((known) => known === source) ?? 'unknown'

  const authorize: RequestHandler = (request, response, next) => {
    const source = labelOf(request.params['source'])
    const credential = findCredential(request.headers.authorization)
    if (credential === undefined) {
      options.onRefused(source, 'unauthorized')
      response.set('Connection', 'close')
      const challenge = { 'WWW-Authenticate': 'Bearer realm="drawbridge", Basic realm="drawbridge"' }
      sendReply(response, {
        ...errorReply(401, 'no valid credential: send the alert token as Bearer token or as Basic password'),
        headers: challenge,
      })
    } else if (source === 'unknown') {
      options.onRefused(source, 'unknown-source')
      sendReply(response, errorReply(404, `unknown source; known are: ${options.sources.join(', ')}`))
    } else if (credential.sources !== undefined && !credential.sources.includes(source)) {
      options.onRefused(source, 'wrong-source')
      sendReply(response, errorReply(403, `this credential may not send alerts as ${source}`))
    } else if (inFlight >= MAXIMUM_IN_FLIGHT) {
      options.onRefused(source, 'busy')
      sendReply(response, {
        ...errorReply(503, 'too many alert requests at once; try again'),
        headers: { 'Retry-After': '1' },
      })
    } else {
      inFlight++
      response.once('close', () => inFlight--)
      next()
    }
  }

  app.post('/alerts/:source', authorize, requireJson, readBody(ALERT_LIMIT_BYTES), async (request, response) => {
    sendReply(response, await options.handle(String(request.params['source']), bodyOf(request)))
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
