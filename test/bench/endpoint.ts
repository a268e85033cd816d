/** What one review costs over TLS, against the floor: throughput at 16 connections, latency at one. */
import { compare, Generator, joinMeasured, median, ratioOf, warm } from './paired.ts'
import type { Measured, Plan, Round, Target } from './paired.ts'
import { LARGE, reviewOf, TYPICAL } from './reviews.ts'
import type { PodOptions } from './reviews.ts'
import { NAMESPACE, reviewTarget, startDrawbridge, startFloor } from './servers.ts'
import type { Effort, Figure, Measurement } from './types.ts'

export interface Work {
  readonly what: string
  readonly path: string
  readonly options: PodOptions
}

export const WORKS: readonly Work[] = [
  { what: 'validate', path: '/validate', options: TYPICAL },
  { what: 'mutate', path: '/mutate', options: { ...TYPICAL, seccomp: false } },
  { what: 'validate, 100 KB pod', path: '/validate', options: LARGE },
]

/** How much is measured. Slices are short, so that a neighbour's burst hits both of a pair. */
export type Extent = Pick<Plan, 'rounds' | 'milliseconds'>

export const extentOf = (scale: number): Extent => ({
  milliseconds: 250,
  rounds: Math.max(8, Math.round(40 * scale)),
})

/** Both servers and the generator. */
export interface Pair {
  readonly generator: Generator
  readonly drawbridge: { readonly url: string; readonly pid: number | undefined }
  readonly floor: { readonly url: string; readonly pid: number | undefined }
  readonly ca: string
  /** Drawbridge's data folder. */
  readonly path: string
  stop(): Promise<void>
}

export async function startPair(): Promise<Pair> {
  const drawbridge = await startDrawbridge()
  const floor = await startFloor(drawbridge.path)
  const generator = new Generator()
  const { webhook, ca } = drawbridge.server.file
  return {
    generator,
    drawbridge: { url: webhook, pid: drawbridge.server.child.pid },
    floor,
    ca,
    path: drawbridge.path,
    async stop() {
      generator.stop()
      floor.stop()
      await drawbridge.stop()
    },
  }
}

/** Drawbridge's and the floor's. */
function targetsOf({ drawbridge, floor, ca }: Pair, { what, path, options }: Work): readonly Target[] {
  const review = reviewOf(NAMESPACE, options)
  return [
    reviewTarget(`drawbridge ${what}`, drawbridge, path, review, ca),
    reviewTarget(`floor ${what}`, floor, path, review, ca),
  ]
}

/** `warm` with every kind of review, since a server has seen more than one. */
export function warmUp(pair: Pair, milliseconds?: number): Promise<void> {
  return warm(
    pair.generator,
    WORKS.flatMap((work) => targetsOf(pair, work)),
    milliseconds,
  )
}

/** What one kind of review gave, at 16 connections and at one. */
export type Readings = Readonly<Record<'busy' | 'busyFloor' | 'alone' | 'aloneFloor', Measured>>

export async function measureWork(pair: Pair, work: Work, extent: Extent): Promise<Readings> {
  const targets = targetsOf(pair, work)
  const [busy, busyFloor] = await compare(pair.generator, targets, { ...extent, connections: 16, awake: true })
  const [alone, aloneFloor] = await compare(pair.generator, targets, { ...extent, connections: 1 })
  return { busy: busy!, busyFloor: busyFloor!, alone: alone!, aloneFloor: aloneFloor! }
}

const rate = ({ rate: value }: Round): number => value

/** All figures of one kind of review. @param starts what each start of both servers gave */
export function workFigures({ what, options }: Work, starts: readonly Readings[]): readonly Figure[] {
  const join = (key: keyof Readings): Measured => joinMeasured(starts.map((readings) => readings[key]))
  const [busy, busyFloor] = [join('busy'), join('busyFloor')]
  const [alone, aloneFloor] = [join('alone'), join('aloneFloor')]
  const ofFloor = ratioOf(busy, busyFloor, rate)
  const rates = (measured: Measured): number => Math.round(median(measured.rounds.map(rate)))
  const byStart = starts.map((one) => ratioOf(one.busy, one.busyFloor, rate).toFixed(2)).join(', ')
  const cpu = (measured: Measured): number => median(measured.rounds.map((round) => round.cpu))
  const bytes = JSON.stringify(reviewOf(NAMESPACE, options)).length
  return [
    {
      what: `${what}: requests at 16 connections, of the floor`,
      value: ofFloor,
      unit: 'x',
      goal: { atLeast: 0.8 },
      note: `${bytes} bytes; ${rates(busy)}/s and ${rates(busyFloor)}/s; by start ${byStart}`,
    },
    {
      what: `${what}: CPU of the server for a request, of the floor`,
      value: ratioOf(busy, busyFloor, (round) => round.cpu),
      unit: 'x',
      note: `${cpu(busy).toFixed(0)} and ${cpu(busyFloor).toFixed(0)} us`,
    },
    {
      what: `${what}: p50 at one connection, of the floor`,
      value: ratioOf(alone, aloneFloor, (round) => round.p50),
      unit: 'x',
      goal: { atMost: 1.15 },
      note: `${alone.p50.toFixed(3)} and ${aloneFloor.p50.toFixed(3)} ms; ${alone.times.length} and ${aloneFloor.times.length} requests`,
    },
    {
      what: `${what}: p99 at one connection, of the floor`,
      value: ratioOf(alone, aloneFloor, (round) => round.p99),
      unit: 'x',
      goal: { atMost: 1.3 },
      note: `over all rounds ${alone.p99.toFixed(3)} and ${aloneFloor.p99.toFixed(3)} ms`,
    },
  ]
}

/** The same program is up to a tenth faster or slower from one start to the next, for as long as it runs. */
const STARTS = 3

async function run({ scale, report }: Effort): Promise<readonly Figure[]> {
  const { milliseconds, rounds } = extentOf(scale)
  const extent = { milliseconds, rounds: Math.ceil(rounds / STARTS) }
  const starts = WORKS.map((): Readings[] => [])
  for (let start = 1; start <= STARTS; start++) {
    const pair = await startPair()
    try {
      await warmUp(pair)
      for (const [index, work] of WORKS.entries()) starts[index]!.push(await measureWork(pair, work, extent))
    } finally {
      await pair.stop()
    }
    report(`start ${start} of ${STARTS} measured`)
  }
  return WORKS.flatMap((work, index) => workFigures(work, starts[index]!))
}

export const endpoint: Measurement = { name: 'endpoint', run }
