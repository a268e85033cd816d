/** What one review costs over TLS, against the floor: throughput at 16 connections, latency at one. */
import { compare, Generator, median, ratioOf } from './paired.ts'
import type { Plan } from './paired.ts'
import { LARGE, reviewOf, TYPICAL } from './reviews.ts'
import type { PodOptions } from './reviews.ts'
import { NAMESPACE, reviewTarget, startDrawbridge, startFloor } from './servers.ts'
import type { Effort, Figure, Measurement } from './types.ts'

interface Work {
  readonly what: string
  readonly path: string
  readonly options: PodOptions
}

const WORKS: readonly Work[] = [
  { what: 'validate', path: '/validate', options: TYPICAL },
  { what: 'mutate', path: '/mutate', options: { ...TYPICAL, seccomp: false } },
  { what: 'validate, 100 KB pod', path: '/validate', options: LARGE },
]

/** Slices are short, so that a neighbour's burst hits both of a pair. */
export const plans = (scale: number): { readonly many: Plan; readonly one: Plan } => ({
  many: { connections: 16, milliseconds: 250, rounds: Math.max(8, Math.round(40 * scale)) },
  one: { connections: 1, milliseconds: 250, rounds: Math.max(8, Math.round(60 * scale)) },
})

/** All figures of one kind of review. */
async function measure(
  generator: Generator,
  { what, path, options }: Work,
  servers: {
    readonly drawbridge: Parameters<typeof reviewTarget>[1]
    readonly floor: Parameters<typeof reviewTarget>[1]
  },
  ca: string,
  scale: number,
): Promise<readonly Figure[]> {
  const review = reviewOf(NAMESPACE, options)
  const targets = [
    reviewTarget(`drawbridge ${what}`, servers.drawbridge, path, review, ca),
    reviewTarget(`floor ${what}`, servers.floor, path, review, ca),
  ]
  const bytes = targets[0]!.body.length
  const { many, one } = plans(scale)
  const [busy, busyFloor] = (await compare(generator, targets, many)) as [never, never]
  const [alone, aloneFloor] = (await compare(generator, targets, one)) as [never, never]
  return figuresOf(what, bytes, { busy, busyFloor, alone, aloneFloor })
}

function figuresOf(
  what: string,
  bytes: number,
  {
    busy,
    busyFloor,
    alone,
    aloneFloor,
  }: Readonly<Record<'busy' | 'busyFloor' | 'alone' | 'aloneFloor', Awaited<ReturnType<typeof compare>>[number]>>,
): readonly Figure[] {
  const rate = (measured: typeof busy): number => median(measured.rounds.map((round) => round.rate))
  const cpu = (measured: typeof busy): number => median(measured.rounds.map((round) => round.cpu))
  return [
    {
      what: `${what}: requests at 16 connections, of the floor`,
      value: ratioOf(busy, busyFloor, (round) => round.rate),
      unit: 'x',
      goal: { atLeast: 0.8 },
      note: `${bytes} bytes; ${Math.round(rate(busy))}/s and ${Math.round(rate(busyFloor))}/s; CPU of the server ${cpu(busy).toFixed(0)} and ${cpu(busyFloor).toFixed(0)} us a request`,
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
    {
      what: `${what}: CPU of the server for a request, of the floor`,
      value: ratioOf(busy, busyFloor, (round) => round.cpu),
      unit: 'x',
    },
  ]
}

async function run({ scale, report }: Effort): Promise<readonly Figure[]> {
  const drawbridge = await startDrawbridge()
  const floor = await startFloor(drawbridge.path)
  const generator = new Generator()
  const { webhook, ca } = drawbridge.server.file
  const servers = { drawbridge: { url: webhook, pid: drawbridge.server.child.pid }, floor }
  try {
    const figures: Figure[] = []
    for (const work of WORKS) {
      figures.push(...(await measure(generator, work, servers, ca, scale)))
      report(`${work.what} measured`)
    }
    return figures
  } finally {
    generator.stop()
    floor.stop()
    await drawbridge.stop()
  }
}

export const endpoint: Measurement = { name: 'endpoint', run }
