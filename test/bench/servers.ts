/** The servers that are compared: the bundled program and the floor, each a process of its own. */
import { fork } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { RunningProgram, temporaryFolder } from '../process/server.ts'
import type { Target } from './paired.ts'

/** Namespace of the reviews, which Drawbridge holds to `restricted`. */
export const NAMESPACE = 'shop'

const CONFIG = 'standalone: { namespaceLabels: { drawbridge.dev/enforce: restricted } }\n'

/** A server with its data folder. */
export interface Contender {
  readonly server: RunningProgram
  /** Of its data folder. */
  readonly path: string
  stop(): Promise<void>
}

/** Starts a standalone Drawbridge. `prepare` may fill the data folder first. */
export async function startDrawbridge(prepare?: (path: string) => Promise<void>): Promise<Contender> {
  const data = temporaryFolder()
  writeFileSync(join(data.path, 'drawbridge.yaml'), CONFIG)
  await prepare?.(data.path)
  const server = await RunningProgram.start(data.path)
  return {
    server,
    path: data.path,
    async stop() {
      await server.stop()
      data.remove()
    },
  }
}

/** Starts the floor with the certificate of a Drawbridge. */
export async function startFloor(data: string): Promise<{ readonly url: string; readonly pid: number; stop(): void }> {
  const child = fork(new URL('./floor.js', import.meta.url), [join(data, 'tls/tls.crt'), join(data, 'tls/tls.key')])
  const port = await new Promise<number>((resolve, reject) => {
    child.once('message', (message) => resolve(message as number))
    child.once('exit', (code) => reject(new Error(`the floor ended with ${code}`)))
  })
  return { url: `https://127.0.0.1:${port}`, pid: child.pid!, stop: () => child.disconnect() }
}

/** A review to a path of a server; the answer must allow it. */
export function reviewTarget(
  name: string,
  server: { readonly url: string; readonly pid: number | undefined },
  path: string,
  review: object,
  ca: string,
): Target {
  return {
    name,
    url: `${server.url}${path}?timeout=10s`,
    body: JSON.stringify(review),
    ca: readFileSync(ca, 'utf8'),
    status: 200,
    contains: '"allowed":true',
    pid: server.pid,
  }
}
