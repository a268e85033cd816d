/** The admin listener: `/livez`, `/readyz`, `/metrics` for everybody; `/api/v1/...` with the admin token. */
import type { Express, Request, RequestHandler } from 'express'
import { credentialChecker } from './credentials.ts'
import { healthReply } from './health.ts'
import type { HealthCheck } from './health.ts'
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

/** What the log says and until when; values are passed on as JSON. */
export interface LogLevelApi {
  get(): unknown
  /** Rejects with an error named `InvalidError` for a request that makes no sense. */
  set(wanted: unknown): Promise<unknown>
}

const ADMIN_LIMIT_BYTES = 64 * 1024

/** Builds the app; it does not listen. */
export function adminApp(options: {
  /** Each of them is accepted; asked at every request, because their file may have changed. */
  readonly adminTokens: () => readonly string[]
  /** What `/livez` asks: a failure that lasts has the kubelet start the process again. */
  readonly liveness: readonly HealthCheck[]
  /** What `/readyz` asks: a failure keeps requests away. */
  readonly readiness: readonly HealthCheck[]
  readonly metrics: () => Promise<{ readonly contentType: string; readonly text: string }>
  readonly verdicts: VerdictApi
  /** The exceptions with their uses; passed on as JSON. */
  readonly exceptions: () => readonly unknown[]
  readonly logLevel: LogLevelApi
  readonly onError: (status: number, error: Error) => void
}): Express {
  const app = newApp()

  for (const [endpoint, checks] of [
    ['livez', options.liveness],
    ['readyz', options.readiness],
  ] as const) {
    app.get(`/${endpoint}`, (request, response) => {
      sendReply(response, healthReply(endpoint, checks, request.query['verbose'] !== undefined))
    })
  }
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
  /** A request with a JSON body; errors that are the caller's answer 400 or 404. */
  const change =
    (wanted: string, act: (body: unknown, request: Request) => Promise<unknown>): RequestHandler =>
    async (request, response) => {
      let body: unknown
      try {
        body = JSON.parse(bodyOf(request).toString('utf8'))
      } catch {
        sendReply(response, errorReply(400, `the body is not JSON; wanted ${wanted}`))
        return
      }
      try {
        sendReply(response, jsonReply(200, await act(body, request)))
      } catch (error) {
        const { name, message } = error as Error
        if (name === 'NotFoundError') sendReply(response, errorReply(404, message))
        else if (name === 'InvalidError') sendReply(response, errorReply(400, message))
        else throw error
      }
    }
  for (const [what, wanted] of [
    ['release', '{"by": ..., "reason": ..., "as": ...}'],
    ['confirm', '{"by": ..., "reason": ...}'],
  ] as const) {
    app.post(
      `/api/v1/verdicts/:name/${what}`,
      requireJson,
      readBody(ADMIN_LIMIT_BYTES),
      change(wanted, (decision, request) => options.verdicts[what](String(request.params['name']), decision)),
    )
  }
  app.get('/api/v1/log-level', (_request, response) => {
    sendReply(response, jsonReply(200, options.logLevel.get()))
  })
  app.put(
    '/api/v1/log-level',
    requireJson,
    readBody(ADMIN_LIMIT_BYTES),
    change('{"level": "debug", "for": "10m"}', (wanted) => options.logLevel.set(wanted)),
  )
  app.get('/api/v1/exceptions', (_request, response) => {
    sendReply(response, jsonReply(200, { items: options.exceptions() }))
  })
  app.use(notFound)
  app.use(errorAnswers(options.onError))
  return app
}
