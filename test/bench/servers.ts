/** The servers that are compared: the bundled program and the floor, each a process of its own. */
import { fork } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { root, RunningProgram, temporaryFolder } from '../process/server.ts'
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

/** How the image starts Node: speed and memory depend on it. */
export function imageEnvironment(): NodeJS.ProcessEnv {
  const dockerfile = readFileSync(join(root, 'Dockerfile'), 'utf8')
  const [, entrypoint] = /^ENTRYPOINT (.+)$/m.exec(dockerfile) ?? []
  const [, arenas] = /^ENV MALLOC_ARENA_MAX=(\d+)$/m.exec(dockerfile) ?? []
  if (entrypoint === undefined || arenas === undefined)
    throw new Error('the Dockerfile does not say how Node is started')
  const flags = (JSON.parse(entrypoint) as readonly string[]).filter((word) => word.startsWith('--'))
  return { NODE_OPTIONS: flags.join(' '), MALLOC_ARENA_MAX: arenas }
}

/** As RunningProgram.start, with the Node settings of the image. */
export function startAsImage(data: string, mode: readonly string[] = ['--standalone']): Promise<RunningProgram> {
  return RunningProgram.start(data, [], mode, imageEnvironment())
}

/** Starts a standalone Drawbridge. `prepare` may fill the data folder first. */
export async function startDrawbridge(prepare?: (path: string) => Promise<void>): Promise<Contender> {
  const data = temporaryFolder()
  writeFileSync(join(data.path, 'drawbridge.yaml'), CONFIG)
  await prepare?.(data.path)
  const server = await startAsImage(data.path)
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
