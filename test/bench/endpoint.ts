/** What one review costs over TLS, against the floor: throughput at 16 connections, latency at one. */
import { compare, Generator, median, ratioOf } from './paired.ts'
import type { Measured, Plan, Target } from './paired.ts'
import { PEERS } from './peers.ts'
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

/**
 * Every kind of review to both servers before anything counts: functions are compiled in several steps, the last of them after thousands of calls, and a
 * server has seen more than one kind.
 */
export async function warmUp(pair: Pair, millisecondsEach: number): Promise<void> {
  for (const work of WORKS)
    for (const target of targetsOf(pair, work))
      await pair.generator.run({ target, connections: 16, milliseconds: millisecondsEach })
}

/** All figures of one kind of review. */
export async function measureWork(pair: Pair, work: Work, extent: Extent): Promise<readonly Figure[]> {
  const targets = targetsOf(pair, work)
  const { generator } = pair
  const { what } = work
  const [busy, busyFloor] = await compare(generator, targets, { ...extent, connections: 16 })
  const [alone, aloneFloor] = await compare(generator, targets, { ...extent, connections: 1 })
  const figures = figuresOf(what, targets[0]!.body.length, {
    busy: busy!,
    busyFloor: busyFloor!,
    alone: alone!,
    aloneFloor: aloneFloor!,
  })
  return what === COMPARED ? [...figures, ...besideOthers(ratioOf(busy!, busyFloor!, (round) => round.rate))] : figures
}

/** What the figures of other webhooks are of. */
const COMPARED = 'validate'

/** @param ofFloor requests per second of those of the floor */
function besideOthers(ofFloor: number): readonly Figure[] {
  return PEERS.flatMap(({ name, ofFloor: theirs, times }) =>
    times === undefined
      ? []
      : [
          {
            what: `${COMPARED}: requests at 16 connections, of ${name}`,
            value: ofFloor / theirs,
            unit: 'x',
            goal: { atLeast: times },
            note: `by the ratios of both to the floor, ${ofFloor.toFixed(2)} and ${theirs.toFixed(2)}`,
          },
        ],
  )
}

function figuresOf(
  what: string,
  bytes: number,
  { busy, busyFloor, alone, aloneFloor }: Readonly<Record<'busy' | 'busyFloor' | 'alone' | 'aloneFloor', Measured>>,
): readonly Figure[] {
  const rate = (measured: Measured): number => median(measured.rounds.map((round) => round.rate))
  const cpu = (measured: Measured): number => median(measured.rounds.map((round) => round.cpu))
  return [
    {
      what: `${what}: requests at 16 connections, of the floor`,
      value: ratioOf(busy, busyFloor, (round) => round.rate),
      unit: 'x',
      goal: { atLeast: 0.8 },
      note: `${bytes} bytes; ${Math.round(rate(busy))}/s and ${Math.round(rate(busyFloor))}/s`,
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
      note: `${alone.p50.toFixed(3)} and ${aloneFloor.p50.toFixed(3)} ms; ${alone.requests} and ${aloneFloor.requests} requests`,
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

async function run({ scale, report }: Effort): Promise<readonly Figure[]> {
  const pair = await startPair()
  try {
    const figures: Figure[] = []
    await warmUp(pair, Math.max(2000, 8000 * scale))
    for (const work of WORKS) {
      figures.push(...(await measureWork(pair, work, extentOf(scale))))
      report(`${work.what} measured`)
    }
    return figures
  } finally {
    await pair.stop()
  }
}

export const endpoint: Measurement = { name: 'endpoint', run }
