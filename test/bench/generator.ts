/**
 * The load generator: a process of its own, since whatever it costs would otherwise be taken from the server. It writes one prepared request on
 * kept TLS connections (HTTP/1.1, as the API server speaks to webhooks), the next one as soon as the answer is there, and reads no more of an answer
 * than it must: `node:https` costs the client as much as the server.
 */
import { connect } from 'node:tls'
import type { TLSSocket } from 'node:tls'

import type { Order, Slice, Target } from './paired.ts'

const HEAD_END = '\r\n\r\n'
const LAST_CHUNK = '\r\n0\r\n\r\n'

/** One kept connection with at most one request under way. */
interface Connection {
  exchange(): Promise<void>
}

function requestOf({ url, body, headers }: Target): Buffer {
  const { pathname, search, host } = new URL(url)
  const lines = [
    `POST ${pathname}${search} HTTP/1.1`,
    `Host: ${host}`,
    'Accept: application/json',
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...Object.entries(headers ?? {}).map(([name, value]) => `${name}: ${value}`),
  ]
  return Buffer.from(`${lines.join('\r\n')}${HEAD_END}${body}`)
}

/** Whether an answer is whole; its length is announced, or it comes in chunks and nothing follows the last one. */
function isWhole(answer: Buffer): boolean {
  const end = answer.indexOf(HEAD_END)
  if (end === -1) return false
  const length = /content-length: (\d+)/i.exec(answer.toString('latin1', 0, end))?.[1]
  return length === undefined
    ? answer.subarray(-LAST_CHUNK.length).toString('latin1') === LAST_CHUNK
    : answer.length >= end + HEAD_END.length + Number(length)
}

async function open(target: Target, request: Buffer): Promise<Connection> {
  const { hostname, port } = new URL(target.url)
  const { ca, cert, key, status, contains } = target
  const socket = await new Promise<TLSSocket>((resolve, reject) => {
    const opened = connect(
      { host: hostname, port: Number(port), ca, ALPNProtocols: ['http/1.1'], ...(cert && key && { cert, key }) },
      () => resolve(opened),
    )
    opened.once('error', reject)
  })
  socket.setNoDelay(true)
  const waiting: { settle?: (error?: Error) => void; answer?: Buffer | undefined } = {}
  const wanted = `HTTP/1.1 ${status} `
  socket.on('data', (chunk: Buffer) => {
    const answer = waiting.answer === undefined ? chunk : Buffer.concat([waiting.answer, chunk])
    if (!isWhole(answer)) {
      waiting.answer = answer
      return
    }
    waiting.answer = undefined
    const isRight = answer.toString('latin1', 0, wanted.length) === wanted && answer.includes(contains)
    waiting.settle?.(isRight ? undefined : new Error(`${target.url}: ${answer.toString('utf8').slice(0, 1000)}`))
  })
  const failed = (error?: Error): void => waiting.settle?.(error ?? new Error(`${target.url}: connection closed`))
  socket.on('error', failed)
  socket.on('close', () => failed())
  return {
    exchange: () =>
      new Promise((resolve, reject) => {
        waiting.settle = (error) => (error === undefined ? resolve() : reject(error))
        socket.write(request)
      }),
  }
}

const pools = new Map<string, { readonly request: Buffer; readonly connections: Promise<Connection>[] }>()

async function run({ target, connections, milliseconds }: Order): Promise<Slice> {
  let pool = pools.get(target.name)
  if (pool === undefined) {
    pool = { request: requestOf(target), connections: [] }
    pools.set(target.name, pool)
  }
  const { request, connections: open_ } = pool
  while (open_.length < connections) open_.push(open(target, request))
  const opened = await Promise.all(open_.slice(0, connections))
  const times: number[] = []
  const started = performance.now()
  const end = started + milliseconds
  await Promise.all(
    opened.map(async (connection) => {
      for (let before = performance.now(); before < end;) {
        await connection.exchange()
        const after = performance.now()
        times.push(after - before)
        before = after
      }
    }),
  )
  return { seconds: (performance.now() - started) / 1000, times }
}

process.on('message', (order: Order) => {
  run(order).then(
    (slice) => process.send?.(slice),
    (error: unknown) => process.send?.({ error: error instanceof Error ? error.message : String(error) }),
  )
})
process.on('disconnect', () => process.exit(0))
