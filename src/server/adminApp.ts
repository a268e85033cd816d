/** The admin listener: `/livez`, `/readyz`, `/metrics` for everybody; `/api/v1/...` with the admin token. */
import type { Express, RequestHandler } from 'express'
import { credentialChecker } from './credentials.ts'
import {
  bodyOf,
  errorAnswers,
  errorReply,
  jsonReply,
  newApp,
  notFound,
  readBody,
  requireJson,
  sendReply,
} from './reply.ts'

/** What the admin API needs of the ledger. Values are passed on as JSON: the server knows no verdicts. */
export interface VerdictApi {
  list(): Promise<readonly unknown[]>
  get(name: string): Promise<unknown>
  /** Rejects with an error named `NotFoundError` or `InvalidError` for what the caller did wrong. */
  release(name: string, decision: unknown): Promise<unknown>
  /** As release. */
  confirm(name: string, decision: unknown): Promise<unknown>
}

/** Why the server is not ready: named reasons; empty when it is. */
export type ReadinessReasons = () => readonly string[]

const ADMIN_LIMIT_BYTES = 64 * 1024

/** Builds the app; it does not listen. */
export function adminApp(options: {
  /** Each of them is accepted; asked at every request, because their file may have changed. */
  readonly adminTokens: () => readonly string[]
  readonly notReady: ReadinessReasons
  readonly metrics: () => Promise<{ readonly contentType: string; readonly text: string }>
  readonly verdicts: VerdictApi
  /** The exceptions with their uses; passed on as JSON. */
  readonly exceptions: () => readonly unknown[]
  readonly onError: (status: number, error: Error) => void
}): Express {
  const app = newApp()

  app.get('/livez', (_request, response) => {
    sendReply(response, { status: 200, contentType: 'text/plain; charset=utf-8', body: 'ok\n' })
  })
  app.get('/readyz', (_request, response) => {
    const reasons = options.notReady()
    const body = reasons.length === 0 ? 'ok\n' : reasons.map((reason) => `not ready: ${reason}\n`).join('')
    sendReply(response, { status: reasons.length === 0 ? 200 : 503, contentType: 'text/plain; charset=utf-8', body })
  })
  app.get('/metrics', async (_request, response) => {
    const { contentType, text } = await options.metrics()
    sendReply(response, { status: 200, contentType, body: text })
  })

  const authorize: RequestHandler = (request, response, next) => {
    const find = credentialChecker([{ tokens: options.adminTokens() }])
    if (find(request.headers.authorization) !== undefined) next()
    else
      sendReply(response, {
        ...errorReply(401, 'the admin token is needed as Bearer token'),
        headers: { 'WWW-Authenticate': 'Bearer realm="drawbridge admin"' },
      })
  }
  app.use('/api', authorize)
  app.get('/api/v1/verdicts', async (_request, response) => {
    sendReply(response, jsonReply(200, { items: await options.verdicts.list() }))
  })
  app.get('/api/v1/verdicts/:name', async (request, response) => {
    const verdict = await options.verdicts.get(request.params.name)
    sendReply(
      response,
      verdict === undefined
        ? errorReply(404, `no verdict ${request.params.name.slice(0, 100)}`)
        : jsonReply(200, verdict),
    )
  })
  for (const [what, wanted] of [
    ['release', '{"by": ..., "reason": ..., "as": ...}'],
    ['confirm', '{"by": ..., "reason": ...}'],
  ] as const) {
    const path = `/api/v1/verdicts/:name/${what}`
    app.post(path, requireJson, readBody(ADMIN_LIMIT_BYTES), async (request, response) => {
      let decision: unknown
      try {
        decision = JSON.parse(bodyOf(request).toString('utf8'))
      } catch {
        sendReply(response, errorReply(400, `the body is not JSON; wanted ${wanted}`))
        return
      }
      try {
        sendReply(response, jsonReply(200, await options.verdicts[what](String(request.params['name']), decision)))
      } catch (error) {
        const { name, message } = error as Error
        if (name === 'NotFoundError') sendReply(response, errorReply(404, message))
        else if (name === 'InvalidError') sendReply(response, errorReply(400, message))
        else throw error
      }
    })
  }
  app.get('/api/v1/exceptions', (_request, response) => {
    sendReply(response, jsonReply(200, { items: options.exceptions() }))
  })
  app.use(notFound)
  app.use(errorAnswers(options.onError))
  return app
}
