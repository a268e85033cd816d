/**
 * Compares servers side by side: short slices of load in turn, forwards and then backwards, and the median of the ratios of each round. What else runs on
 * the machine then hits all of them alike, so that ratios hold where absolute figures do not.
 */
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

import { percentile } from './load.ts'

/** Where a server listens and which process it is. */
export interface Server {
  readonly url: string
  /** PEM. */
  readonly ca: string
  /** The process whose CPU is counted. */
  readonly pid?: number | undefined
}

/** One server and the one request that it is sent. */
export interface Target extends Server {
  /** Tells connections apart: one target, one set of kept connections. */
  readonly name: string
  readonly body: string
  readonly headers?: Readonly<Record<string, string>>
  /** PEM, of a client certificate. */
  readonly cert?: string | undefined
  readonly key?: string | undefined
  /** Every answer must have this status and contain this text. */
  readonly status: number
  readonly contains: string
  /** More of the same: every server gets the same number of connections, as replicas behind a Service do. */
  readonly replicas?: readonly Server[] | undefined
}

/** All servers of a target. */
export const serversOf = (target: Target): readonly Server[] => [target, ...(target.replicas ?? [])]

/** What the generator is told. */
export interface Order {
  readonly target: Target
  readonly connections: number
  readonly milliseconds: number
  /** Whether it never sleeps: for throughput, which is not to be the client's (generator.ts). Without it a client waits for an answer as any client does. */
  readonly awake?: boolean | undefined
}

/** What it found. Times of single requests in milliseconds. */
export interface Slice {
  readonly seconds: number
  readonly times: readonly number[]
}

/** One slice, digested. Times in milliseconds. */
export interface Round {
  /** Requests per second. */
  readonly rate: number
  /** CPU of the servers' processes for one request, in microseconds; NaN where it is not known. */
  readonly cpu: number
  readonly p50: number
  readonly p99: number
}

/** Of one target: the rounds, and percentiles over all of them. */
export interface Measured {
  readonly rounds: readonly Round[]
  /** Of single requests, sorted. */
  readonly times: readonly number[]
  readonly p50: number
  readonly p99: number
}

export function median(values: readonly number[]): number {
  return percentile(
    [...values].sort((left, right) => left - right),
    0.5,
  )
}

/** Median over the rounds of `read(one) / read(other)`: each pair was measured right after one another. */
export function ratioOf(one: Measured, other: Measured, read: (round: Round) => number): number {
  return median(one.rounds.map((round, index) => read(round) / read(other.rounds[index]!)))
}

/** CPU that all servers of a target have used, in nanoseconds. */
const cpuOfAll = (target: Target): number => serversOf(target).reduce((sum, { pid }) => sum + cpuOf(pid), 0)

/** CPU that a process has used, all its threads, in nanoseconds (Linux; elsewhere NaN). */
function cpuOf(pid: number | undefined): number {
  if (pid === undefined) return Number.NaN
  try {
    const tasks = `/proc/${pid}/task`
    return readdirSync(tasks)
      .map((task) => Number(readFileSync(`${tasks}/${task}/schedstat`, 'utf8').split(' ', 1)[0]))
      .reduce((sum, value) => sum + value, 0)
  } catch {
    return Number.NaN
  }
}

/** The generator's process. */
export class Generator {
  readonly #child: ChildProcess

  constructor() {
    this.#child = fork(new URL('./generator.js', import.meta.url), { stdio: 'inherit', serialization: 'advanced' })
  }

  /** Loads one target for so long. Rejects with the first answer that is not what it should be. */
  run(order: Order): Promise<Slice> {
    return new Promise((resolve, reject) => {
      const ended = (): void => reject(new Error('the load generator ended'))
      this.#child.once('exit', ended)
      this.#child.once('message', (message: Slice | { readonly error: string }) => {
        this.#child.removeListener('exit', ended)
        if ('error' in message) reject(new Error(message.error))
        else resolve(message)
      })
      this.#child.send(order)
    })
  }

  stop(): void {
    this.#child.disconnect()
  }
}

/** What two servers need until they are as fast as they will be. */
const WARM_MILLISECONDS = 40_000
const WARM_SLICE_MILLISECONDS = 250

/**
 * Loads all targets in turn, at 16 connections, for so long altogether, before anything counts. A server is not at its speed before some 50,000 reviews:
 * its functions are compiled in several steps, each after thousands of calls, on the cores that answer meanwhile (measured: 190 us of CPU for a review in
 * its first two seconds of load and 36 us of compiling, after eight seconds 90 us and 1 us).
 */
export async function warm(
  generator: Generator,
  targets: readonly Target[],
  milliseconds = WARM_MILLISECONDS,
): Promise<void> {
  for (let left = milliseconds; left > 0;)
    for (const target of targets) {
      await generator.run({ target, connections: 16, milliseconds: WARM_SLICE_MILLISECONDS })
      left -= WARM_SLICE_MILLISECONDS
    }
}

/** How long and how often. */
export interface Plan {
  readonly connections: number
  /** Of one slice. */
  readonly milliseconds: number
  readonly rounds: number
  readonly awake?: boolean
}

/** Measures all targets in turn. The first fifth of the rounds, at least two, warms up and is not counted. */
export async function compare(
  generator: Generator,
  targets: readonly Target[],
  { connections, milliseconds, rounds, awake }: Plan,
): Promise<readonly Measured[]> {
  const warming = Math.max(2, Math.round(rounds / 5))
  const found = targets.map(() => ({ rounds: [] as Round[], times: [] as number[] }))
  for (let round = 0; round < warming + rounds; round++) {
    const order = targets.map((_, index) => index)
    if (round % 2 === 1) order.reverse()
    for (const index of order) {
      const target = targets[index]!
      const before = cpuOfAll(target)
      const { seconds, times } = await generator.run({ target, connections, milliseconds, awake })
      const used = cpuOfAll(target) - before
      if (round < warming) continue
      const sorted = [...times].sort((left, right) => left - right)
      found[index]!.times.push(...sorted)
      found[index]!.rounds.push({
        rate: times.length / seconds,
        cpu: used / 1000 / times.length,
        p50: percentile(sorted, 0.5),
        p99: percentile(sorted, 0.99),
      })
    }
  }
  return found.map((one) => joinMeasured([one]))
}

/** What was measured of one target in several goes, as one. */
export function joinMeasured(parts: readonly Pick<Measured, 'rounds' | 'times'>[]): Measured {
  const times = parts.flatMap((part) => part.times).sort((left, right) => left - right)
  return {
    rounds: parts.flatMap(({ rounds }) => rounds),
    times,
    p50: percentile(times, 0.5),
    p99: percentile(times, 0.99),
  }
}
