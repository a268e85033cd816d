/** A webhook of another project that Drawbridge is measured beside: what the measurement must know of it, and what all of them share. */
import { spawn, spawnSync } from 'node:child_process'
import { join } from 'node:path'

import type { Cluster } from '../../cluster/harness.ts'
import { call, root, until } from '../../process/server.ts'

const SCRIPT = join(root, 'test/bench/peerServers.sh')
const START_MILLISECONDS = 120_000

/** What a peer may use. */
export interface Place {
  /** What `build` gave. */
  readonly folder: string
  /** Data folder of the Drawbridge beside it, whose certificate (below `tls/`) a peer may have and which is removed afterwards. */
  readonly data: string
  /** For this peer alone. */
  readonly cluster: Cluster
}

/** A peer that runs. */
export interface PeerServer {
  readonly url: string
  /** The process that answers. */
  readonly pid: number
  /** Path of the certificates (PEM) to trust. */
  readonly ca: string
  stop(): Promise<void>
}

export interface Peer {
  /** With its version; figures and charts have it. */
  readonly name: string
  /** How many times its requests per second Drawbridge should answer. */
  readonly times: number
  /** Where it validates pods. */
  readonly validatePath: string
  /** Builds it unless that was done before, which is said on stderr. Returns the folder of what is needed to run it. Throws where it cannot be built here. */
  build(): string
  /** Resolves when it answers; it may learn its policies a little later. Rejects, with nothing left running, where it does not start. */
  start(place: Place): Promise<PeerServer>
}

/** `Peer.build`, by the name that peerServers.sh knows. */
export function buildPeer(name: string): string {
  const build = spawnSync('bash', [SCRIPT, name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
  if (build.status !== 0) throw new Error(`test/bench/peerServers.sh ${name} failed; its reason stands above`)
  return build.stdout.trim()
}

/** Flags as Go programs take them. */
export function flagsOf(flags: Readonly<Record<string, string | number | boolean>>): readonly string[] {
  return Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`)
}

/** How a process is started. */
export interface Command {
  readonly name: string
  readonly program: string
  readonly args: readonly string[]
  /** Beside those of this process. */
  readonly env?: Readonly<Record<string, string>>
  /** Answers 200 as soon as the process is ready. */
  readonly ready: string
  /** Path of the certificates to trust there; the file may come later. Absent: the URL is of plain HTTP. */
  readonly ca?: string
}

/** Starts a process of a peer and waits until it is ready. It ends with this process, whatever happens. */
export async function startProcess(command: Command): Promise<Pick<PeerServer, 'pid' | 'stop'>> {
  const { name, program, args, env, ready, ca } = command
  // What it logs is written as it is where it is deployed, but stdout is read by nobody: that would cost some of the cores that are measured.
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, ...env } })
  const killNow = (): void => void child.kill('SIGKILL')
  process.once('exit', killNow)
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => (said = `${said}${chunk.toString()}`.slice(-2000)))
  let isOver = false
  const ended = new Promise<void>((resolve) => {
    const end = (): void => {
      isOver = true
      process.removeListener('exit', killNow)
      resolve()
    }
    child.once('error', (error) => {
      said = error.message
      end()
    })
    child.once('close', end)
  })
  const stop = async (): Promise<void> => {
    child.kill()
    await ended
  }
  const isReady = (): Promise<boolean> =>
    (ca === undefined ? fetch(ready) : call(ready, { ca, method: 'GET' })).then(
      ({ status }) => status === 200,
      () => false,
    )
  try {
    await until(
      `an answer of ${name}`,
      () => {
        if (isOver) throw new Error(`${name} ended`)
        return isReady()
      },
      START_MILLISECONDS,
    )
  } catch (error) {
    await stop()
    throw new Error(`${error instanceof Error ? error.message : String(error)}; it said: ${said}`, { cause: error })
  }
  return { pid: child.pid!, stop }
}
