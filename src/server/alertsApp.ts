/** The alert listener: `POST /alerts/<source>`, with a credential that is checked before the body is read. */
import type { RequestHandler } from 'express'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { createAlertGate } from './alertGate.ts'
import type { Admitted, AlertGateOptions, Sender } from './alertGate.ts'
import { answerError, bodyOf, errorAnswers, newApp, notFound, readBody, requireJson, sendReply } from './reply.ts'
import type { Reply } from './reply.ts'
import { announcedJson, readWhole } from './usualBody.ts'

/** Takes one request's bytes for a source. Resolves when every effect is durable; `alerts`: how many there were, for the sender's rate limit. */
export type AlertHandler = (
  source: string,
  body: Buffer,
  sender: Sender,
) => Promise<Reply & { readonly alerts?: number | undefined }>

export interface AlertsAppOptions extends AlertGateOptions {
  readonly handle: AlertHandler
  readonly onError: (status: number, error: Error) => void
}

/**
 * Builds the listener. What sensors really send (a known path, JSON, an announced length, not packed) is answered before express, as reviews are; everything else
 * is express's, through the same gate.
 */
export function alertsApp(options: AlertsAppOptions): RequestListener {
  const gate = createAlertGate(options)
  const onError = (status: number, error: Error): void => {
    if (status < 500) options.onRefused('unknown', 'bad-request')
    options.onError(status, error)
  }
  const answer = async (
    source: string,
    body: Buffer,
    { sender, limit }: Admitted,
    response: ServerResponse,
  ): Promise<void> => {
    const { alerts = 1, ...reply } = await options.handle(source, body, sender)
    // The request itself was one.
    limit?.charge(Math.max(0, alerts - 1))
    sendReply(response, reply)
  }

  const byPath = new Map(options.sources.map((source) => [`/alerts/${source.name}`, source]))
  const otherwise = expressApp(options, gate, answer, onError)
  return (request, response) => {
    const source = request.method === 'POST' ? byPath.get(request.url ?? '') : undefined
    if (source === undefined || announcedJson(request, source.maxBytes) === undefined) {
      otherwise(request, response)
      return
    }
    const failed = (error: unknown): void => answerError(response, error, onError)
    gate(request, response, source.name)
      .then((admitted) => {
        if (admitted === undefined) return
        readWhole(request, response, {
          take: (body) => void answer(source.name, body, admitted, response).catch(failed),
          brokenOff: failed,
        })
      })
      .catch(failed)
  }
}

function expressApp(
  { sources }: AlertsAppOptions,
  gate: ReturnType<typeof createAlertGate>,
  answer: (source: string, body: Buffer, admitted: Admitted, response: ServerResponse) => Promise<void>,
  onError: (status: number, error: Error) => void,
): (request: IncomingMessage, response: ServerResponse) => void {
  const app = newApp()
  const readers = new Map(sources.map(({ name, maxBytes }) => [name, readBody(maxBytes)]))
  const authorize: RequestHandler = async (request, response, next) => {
    const admitted = await gate(request, response, String(request.params['source']))
    if (admitted === undefined) return
    Object.assign(response.locals, admitted)
    next()
  }
  const readAlerts: RequestHandler = (request, response, next) =>
    void readers.get(String(request.params['source']))?.(request, response, next)
  app.post('/alerts/:source', authorize, requireJson, readAlerts, (request, response) =>
    answer(String(request.params['source']), bodyOf(request), response.locals as Admitted, response),
  )
  app.use(notFound)
  app.use(errorAnswers(onError))
  return app
}
