/**
 * A kept TLS connection that sends prepared bytes and reads no more of an answer than it must (HTTP/1.1, as the API server speaks to webhooks):
 * `node:https` costs a client as much as the server that is measured.
 */
import { connect } from 'node:tls'
import type { TLSSocket } from 'node:tls'

const HEAD_END = '\r\n\r\n'
const LAST_CHUNK = '\r\n0\r\n\r\n'
const SILENT_MILLISECONDS = 30_000

/** At most one request is under way. */
export interface Connection {
  /** Resolves to the whole answer, head and body; rejects when the connection ends before that, or has ended, and after 30 s. */
  exchange(request: Buffer | string): Promise<Buffer>
  close(): void
}

/** PEM; `cert` and `key` are of a client certificate. */
export interface Trust {
  readonly ca: string
  readonly cert?: string | undefined
  readonly key?: string | undefined
}

/** A POST request up to its body. */
export function headOf(url: string, length: number, headers: Readonly<Record<string, string>>): string {
  const { pathname, search, host } = new URL(url)
  const lines = [
    `POST ${pathname}${search} HTTP/1.1`,
    `Host: ${host}`,
    'Accept: application/json',
    'Content-Type: application/json',
    `Content-Length: ${length}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ]
  return `${lines.join('\r\n')}${HEAD_END}`
}

/** Of an answer; NaN: that is no answer. */
export function statusOf(answer: Buffer): number {
  return Number(/^HTTP\/1\.1 (\d{3}) /.exec(answer.toString('latin1', 0, 13))?.[1] ?? Number.NaN)
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

/** Opens a connection to the server of this URL. */
export async function openConnection(url: string, { ca, cert, key }: Trust): Promise<Connection> {
  const { hostname, port } = new URL(url)
  const socket = await new Promise<TLSSocket>((resolve, reject) => {
    const opened = connect(
      { host: hostname, port: Number(port), ca, ALPNProtocols: ['http/1.1'], ...(cert && key && { cert, key }) },
      () => resolve(opened),
    )
    opened.once('error', reject)
  })
  socket.setNoDelay(true)
  /** `resolve` is there while an answer is waited for. */
  const waiting: {
    resolve?: ((answer: Buffer) => void) | undefined
    reject?: (error: Error) => void
    answer?: Buffer | undefined
  } = {}
  socket.on('data', (chunk: Buffer) => {
    const answer = waiting.answer === undefined ? chunk : Buffer.concat([waiting.answer, chunk])
    const isDone = isWhole(answer)
    waiting.answer = isDone ? undefined : answer
    if (!isDone) return
    waiting.resolve?.(answer)
    waiting.resolve = undefined
  })
  socket.setTimeout(SILENT_MILLISECONDS, () => {
    if (waiting.resolve !== undefined) socket.destroy(new Error(`${url}: no answer`))
  })
  const failed = (error?: Error): void => waiting.reject?.(error ?? new Error(`${url}: connection closed`))
  socket.on('error', failed)
  socket.on('close', () => failed())
  return {
    exchange: (request) =>
      new Promise((resolve, reject) => {
        waiting.resolve = resolve
        waiting.reject = reject
        if (socket.destroyed) reject(new Error(`${url}: connection closed`))
        else socket.write(request)
      }),
    close: () => void socket.destroy(),
  }
}

/** Sends requests of which any may fail. */
export interface Sender {
  /** The status of the answer, 0: there was none. After anything but 200 the next request has a new connection. */
  send(request: Buffer): Promise<number>
  close(): void
}

export async function openSender(url: string, trust: Trust): Promise<Sender> {
  let connection = await openConnection(url, trust)
  return {
    async send(request) {
      const status = await connection.exchange(request).then(statusOf, () => 0)
      if (status !== 200) {
        connection.close()
        connection = await openConnection(url, trust)
      }
      return status
    },
    close: () => connection.close(),
  }
}
