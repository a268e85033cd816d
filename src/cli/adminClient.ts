/** Talks to the admin listener of a running server. */
import { readFile } from 'node:fs/promises'
import { request } from 'node:https'
import { join } from 'node:path'
import { UnusableError } from './io.ts'

/** Where the server is and how to be let in. */
export interface AdminConnection {
  readonly admin: string
  /** Where this was read, for messages. */
  readonly file: string
  /** Process that wrote it. */
  readonly pid: number | undefined
  /** PEM of the CA. */
  readonly authority: string
  readonly token: string
}

const TIMEOUT_MILLISECONDS = 10_000

/** Reads the connection of a server on this machine from `DATA/server.json`. Throws UnusableError with what to do. */
export async function connectionFrom(data: string): Promise<AdminConnection> {
  const path = join(data, 'server.json')
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new UnusableError(
        `${path}: no server is running with this data folder; start one with "make run", name its folder with --data, or a cluster with --kubeconfig`,
      )
    }
    throw new UnusableError(`${path}: cannot be read: ${(error as Error).message}`)
  }
  let server: { readonly admin: string; readonly ca: string; readonly adminToken: string; readonly pid?: number }
  try {
    server = JSON.parse(text) as typeof server
    if ([server.admin, server.ca, server.adminToken].some((value) => typeof value !== 'string')) throw new Error()
  } catch {
    throw new UnusableError(`${path}: damaged; the server writes it again when it is started`)
  }
  return {
    file: path,
    pid: server.pid,
    admin: server.admin,
    authority: await readFile(server.ca, 'utf8'),
    token: server.adminToken,
  }
}

/** One request to the admin API; resolves to status and parsed JSON. Throws UnusableError when there is no answer. */
export async function callAdmin(
  connection: AdminConnection,
  method: 'GET' | 'POST' | 'PUT',
  path: string,
  body?: unknown,
): Promise<{ readonly status: number; readonly body: unknown }> {
  const { status, text } = await askAdmin(connection, method, path, body)
  try {
    return { status, body: JSON.parse(text) as unknown }
  } catch {
    throw new UnusableError(`${connection.admin}: answered ${status} without JSON`)
  }
}

/** As callAdmin, for what is text: health and metrics. */
export async function askAdmin(
  connection: AdminConnection,
  method: 'GET' | 'POST' | 'PUT',
  path: string,
  body?: unknown,
): Promise<{ readonly status: number; readonly text: string }> {
  return new Promise((resolve, reject) => {
    const { admin, file, pid } = connection
    const unusable = (why: string): void => reject(new UnusableError(`${admin}: ${why}`))
    const call = request(
      new URL(path, connection.admin),
      {
        method,
        ca: connection.authority,
        timeout: TIMEOUT_MILLISECONDS,
        headers: {
          Authorization: `Bearer ${connection.token}`,
          ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
        },
      },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () => {
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') })
        })
      },
    )
    call.on('timeout', () => call.destroy(new Error(`no answer within ${TIMEOUT_MILLISECONDS / 1000} s`)))
    call.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ECONNREFUSED') unusable(error.message || 'no connection; is the server running?')
      // It was killed: a clean stop removes the file.
      else
        reject(
          new UnusableError(`the server that wrote ${file} (process ${pid}) is gone; start it again with "make run"`),
        )
    })
    call.end(body === undefined ? undefined : JSON.stringify(body))
  })
}
