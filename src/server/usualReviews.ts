/**
 * The requests that an API server really sends, answered before express: routing, its request and response objects and its body reader cost about as
 * much as everything else together (docs/performance.md). What is in any way unusual is express's, which answers it as it always did.
 */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { BodyBound } from './bodyBound.ts'
import { answerError, sendReply } from './reply.ts'
import type { OnError, Reply } from './reply.ts'
import { timeoutMilliseconds } from './reviewHandler.ts'
import type { ReviewHandler } from './reviewHandler.ts'
import { createTogether } from './together.ts'
import type { Send } from './together.ts'
import { announcedJson, readWhole } from './usualBody.ts'

export interface UsualReviews {
  /** By path. */
  readonly routes: ReadonlyMap<string, ReviewHandler>
  /** Shared with express's routes. */
  readonly bound: BodyBound
  /** Bytes of one body. */
  readonly limit: number
  /** Answers a request that the bound refuses. */
  readonly refuse: (response: ServerResponse) => void
  /** The same for one that was let in and has to make room again: its body is not waited for. */
  readonly giveWay: (request: IncomingMessage, response: ServerResponse) => void
  readonly onError: OnError
  /** Answers every other request. */
  readonly otherwise: RequestListener
}

const TIMEOUT = /^timeout=([0-9a-z.]{1,32})$/

interface Route {
  readonly handler: ReviewHandler
  /** Milliseconds. */
  readonly timeout: number
}

/** URLs remembered at most: an API server has one for each webhook entry. */
const REMEMBERED_URLS = 256

/** Finds the route of a usual URL: a known path, with nothing behind it but `?timeout=`. Undefined for every other. */
function routeFinder(routes: UsualReviews['routes']): (url: string) => Route | undefined {
  const find = (url: string): Route | undefined => {
    const mark = url.indexOf('?')
    const handler = routes.get(mark === -1 ? url : url.slice(0, mark))
    if (handler === undefined) return undefined
    if (mark === -1) return { handler, timeout: timeoutMilliseconds(undefined) }
    const text = TIMEOUT.exec(url.slice(mark + 1))?.[1]
    return text === undefined ? undefined : { handler, timeout: timeoutMilliseconds(text) }
  }
  const remembered = new Map<string, Route>()
  return (url) => {
    const known = remembered.get(url)
    if (known !== undefined) return known
    const route = find(url)
    // Strangers may send ever new deadlines: then all are found anew.
    if (remembered.size >= REMEMBERED_URLS) remembered.clear()
    if (route !== undefined) remembered.set(url, route)
    return route
  }
}

/** Builds the request listener. */
export function usualReviews({
  routes,
  bound,
  limit,
  refuse,
  giveWay,
  onError,
  otherwise,
}: UsualReviews): RequestListener {
  const routeOf = routeFinder(routes)
  const together = createTogether({ now: () => performance.now(), soon: setImmediate })
  return (request, response) => {
    const route = request.method === 'POST' ? routeOf(request.url ?? '') : undefined
    const length = route === undefined ? undefined : announcedJson(request, limit)
    if (route === undefined || length === undefined) {
      otherwise(request, response)
      return
    }
    const held = bound.admit(length, () => giveWay(request, response))
    if (held === undefined) {
      refuse(response)
      return
    }
    const failed = (error: unknown): void => answerError(response, error, onError)
    const send = (reply: Reply): void => {
      try {
        sendReply(response, reply)
      } catch (error) {
        failed(error)
      }
    }
    const decide = (body: Buffer, waited: number): Send | undefined => {
      // Its last byte came after it had given way.
      if (response.headersSent) return undefined
      try {
        const reply = route.handler(body, Math.max(1, route.timeout - waited), waited)
        if (!(reply instanceof Promise)) return () => send(reply)
        reply.then(send, failed)
      } catch (error) {
        failed(error)
      }
      return undefined
    }
    readWhole(request, response, {
      take(body) {
        held.arrived()
        together(response.socket, body.length, (waited) => decide(body, waited))
      },
      brokenOff: failed,
      over: () => held.release(),
    })
  }
}
