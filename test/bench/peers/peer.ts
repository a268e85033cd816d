/** A webhook of another project that Drawbridge is measured beside: what the measurement must know of it, and what all of them share. */
import { spawn, spawnSync } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import type { Cluster } from '../../cluster/harness.ts'
import { call, root, until } from '../../process/server.ts'

const SCRIPT = join(root, 'test/bench/peerServers.sh')
const START_MILLISECONDS = 120_000
const STOP_MILLISECONDS = 15_000

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
  /** A second one like it, of a peer whose process decides on one core only. */
  readonly replica?: Omit<PeerServer, 'stop' | 'replica'>
  stop(): Promise<void>
}

export interface Peer {
  /** With its version; figures and charts have it. */
  readonly name: string
  /** How many times its requests per second Drawbridge should answer. */
  readonly times: number
  /** Where it validates pods. */
  readonly validatePath: string
  /** What answers, for people: `one process`. */
  readonly runs: string
  /** How long it needs to be asked until it is as fast as it will be; 0 where it is compiled before. */
  readonly warmMilliseconds: number
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

/** Whether a URL answers 200. @param ca path of the certificates to trust; the URL is of plain HTTP without it */
export function answers(url: string, ca?: string): Promise<boolean> {
  return (ca === undefined ? fetch(url) : call(url, { ca, method: 'GET' })).then(
    ({ status }) => status === 200,
    () => false,
  )
}

/** How a process is started. */
export interface Command {
  readonly program: string
  readonly args: readonly string[]
  /** Beside those of this process. */
  readonly env?: Readonly<Record<string, string>>
  /** What it writes to stderr goes here. */
  readonly log: string
  /** Asked until it is so. */
  readonly isReady: () => Promise<boolean>
}

/** Starts a process and waits until it is ready, for at most two minutes. It ends with this process, whatever happens. Rejects with the end of its log. */
export async function startProcess(command: Command): Promise<Pick<PeerServer, 'pid' | 'stop'>> {
  const { program, args, env, log, isReady } = command
  // A file and no pipe: some log every request, and to read that would take of the cores that are measured. What they write to stdout is kept by nobody.
  const file = openSync(log, 'a')
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', file], env: { ...process.env, ...env } })
  closeSync(file)
  const killNow = (): void => void child.kill('SIGKILL')
  process.once('exit', killNow)
  const state: { over?: string } = {}
  const ended = new Promise<void>((resolve) => {
    const end = (why: string): void => {
      state.over ??= why
      process.removeListener('exit', killNow)
      resolve()
    }
    child.once('error', (error) => end(error.message))
    child.once('exit', (code, signal) => end(`ended with ${code ?? signal}`))
  })
  const stop = async (): Promise<void> => {
    child.kill()
    const late = setTimeout(killNow, STOP_MILLISECONDS)
    await ended
    clearTimeout(late)
  }
  try {
    await until(
      `${program} to be ready`,
      () => {
        if (state.over !== undefined) throw new Error(`${program}: ${state.over}`)
        return isReady()
      },
      START_MILLISECONDS,
    )
  } catch (error) {
    await stop()
    const reason = error instanceof Error ? error.message : String(error)
    throw new Error(`${reason}; its log ends: ${readFileSync(log, 'utf8').slice(-2000)}`, { cause: error })
  }
  return { pid: child.pid!, stop }
}
