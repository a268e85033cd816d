/** One TLS listener: starts, swaps its certificate and the client CA without a restart, drains. Knows nothing of what it serves. */
import { createServer } from 'node:https'
import type { Server } from 'node:https'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { createConnectionBound } from './connectionBound.ts'
import { UnderWay } from './underWay.ts'

export interface ListenerOptions {
  readonly name: string
  /** How its port is chosen, for the message when it is taken: `--port`. */
  readonly portOption: string
  readonly host: string
  /** 0 = any free port. */
  readonly port: number
  readonly certificate: string
  readonly key: string
  readonly handler: RequestListener
  /**
   * PEM. Clients are then asked for a certificate; without one, or with one of another CA, they are served all the same: `authorized` of
   * the socket says which it was. Undefined: nobody is asked.
   */
  readonly clientCa?: string | undefined
  /** Called for errors of single connections: port scanners, clients that do not trust the CA. */
  readonly onConnectionError?: ((error: Error) => void) | undefined
  /** Connections at a time. Default 4096: an API server opens few, this only bounds what strangers can hold. */
  readonly maximumConnections?: number | undefined
  /** How long a connection may take until it is encrypted. Default 10 s. */
  readonly handshakeMilliseconds?: number | undefined
}

export interface Listener {
  readonly name: string
  readonly port: number
  setCertificate(certificate: string, key: string): void
  /** Trusts this CA from now on. Connections whose certificate was verified by the one before are closed after what is under way on them. */
  setClientCa(clientCa: string): void
  /** Goes on as before, but every answer from now on ends its connection: clients that keep connections move to another replica. */
  refuseKeepAlive(): void
  /** Stops accepting, answers what is under way with `Connection: close`, and resolves when the last one is answered or after the grace time. */
  drain(graceMilliseconds: number): Promise<void>
}

/** The API server keeps idle connections; Node's default of 5 s loses races with it. */
const KEEP_ALIVE_MILLISECONDS = 120_000
const REQUEST_MILLISECONDS = 30_000
const HANDSHAKE_MILLISECONDS = 10_000
const MAXIMUM_CONNECTIONS = 4096

/** Starts listening; rejects with a message that says which option to change when the port is taken. */
export async function startListener(options: ListenerOptions): Promise<Listener> {
  let draining = false
  const underWay = new UnderWay<ServerResponse>()
  const refuseKeepAlive = (): void => {
    draining = true
    for (const response of underWay) if (!response.headersSent) response.setHeader('Connection', 'close')
  }
  let secure = { cert: options.certificate, key: options.key, ca: options.clientCa }
  // Which client CA a connection was verified by: the first, the second, ...
  let authority = 0
  const verifiedBy = new WeakMap<Socket, number>()
  const server: Server = createServer(
    {
      ...secure,
      minVersion: 'TLSv1.2',
      keepAlive: true,
      noDelay: true,
      requestCert: options.clientCa !== undefined,
      rejectUnauthorized: false,
      handshakeTimeout: options.handshakeMilliseconds ?? HANDSHAKE_MILLISECONDS,
    },
    (request: IncomingMessage, response: ServerResponse) => {
      response.on('close', underWay.add(response))
      if (draining) response.setHeader('Connection', 'close')
      if (options.clientCa !== undefined) {
        response.once('finish', () => {
          if (verifiedBy.get(request.socket) !== authority) request.socket.end()
        })
      }
      options.handler(request, response)
    },
  )
  server.keepAliveTimeout = KEEP_ALIVE_MILLISECONDS
  server.headersTimeout = REQUEST_MILLISECONDS
  server.requestTimeout = REQUEST_MILLISECONDS
  server.on('connection', createConnectionBound(options.maximumConnections ?? MAXIMUM_CONNECTIONS))
  server.on('secureConnection', (socket) => verifiedBy.set(socket, authority))
  // Of a failed handshake too. Without this listener Node answers malformed HTTP itself; with it the socket must be closed here.
  server.on('clientError', (error: Error, socket: Socket) => {
    options.onConnectionError?.(error)
    // Before it is encrypted nothing can be said: what is written would wait for a handshake that may never end, and the connection with it.
    if (!socket.writable || !verifiedBy.has(socket)) socket.destroy()
    else
      socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n', () => socket.destroy())
  })

  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const where = `${options.host}:${options.port}`
      reject(
        error.code === 'EADDRINUSE'
          ? new Error(
              `${options.name}: ${where} is in use by another program; choose another port with ${options.portOption}, 0 for any free one`,
            )
          : new Error(`${options.name}: cannot listen on ${where}: ${error.message}`),
      )
    })
    server.listen(options.port, options.host, resolve)
  })
  const { port } = server.address() as AddressInfo

  return {
    name: options.name,
    port,
    setCertificate(certificate, key) {
      secure = { ...secure, cert: certificate, key }
      server.setSecureContext({ ...secure, minVersion: 'TLSv1.2' })
    },
    setClientCa(clientCa) {
      secure = { ...secure, ca: clientCa }
      // A new context has new keys for session tickets: no session of the CA before is resumed.
      server.setSecureContext({ ...secure, minVersion: 'TLSv1.2' })
      authority++
      server.closeIdleConnections()
    },
    refuseKeepAlive,
    async drain(graceMilliseconds) {
      refuseKeepAlive()
      await new Promise<void>((resolve) => {
        const force = setTimeout(() => server.closeAllConnections(), graceMilliseconds)
        // Requests that began before the drain carry no `Connection: close`: their connections become idle when they are answered.
        const idle = setInterval(() => server.closeIdleConnections(), 50)
        server.close(() => {
          clearTimeout(force)
          clearInterval(idle)
          resolve()
        })
        server.closeIdleConnections()
      })
    },
  }
}
