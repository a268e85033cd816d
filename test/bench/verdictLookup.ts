/** What 100,000 verdicts cost a server: time of a request, start, memory. */
import type { RunningProgram } from '../process/server.ts'
import { chartMemory, enterContainer } from './container.ts'
import type { Container } from './container.ts'
import { residentMebibytes } from './load.ts'
import { compare, Generator, ratioOf, warm } from './paired.ts'
import { reviewOf } from './reviews.ts'
import { extentOf } from './endpoint.ts'
import { NAMESPACE, reviewTarget, startDrawbridge } from './servers.ts'
import type { Effort, Figure, Measurement } from './types.ts'
import { fillLedger } from './verdicts.ts'

const VERDICTS = 100_000

/** A server as in a pod of the chart. */
interface Contained {
  readonly server: RunningProgram
  /** Until it was ready, without `prepare`. */
  readonly seconds: number
  readonly isLimited: boolean
  stop(): Promise<void>
}

async function startContained(prepare?: (path: string) => Promise<void>): Promise<Contained> {
  let started = 0
  let container: Container | undefined
  try {
    const contender = await startDrawbridge(async (path) => {
      await prepare?.(path)
      container = enterContainer(chartMemory())
      started = performance.now()
    })
    const seconds = (performance.now() - started) / 1000
    return {
      server: contender.server,
      seconds,
      isLimited: container !== undefined,
      stop: () => contender.stop().finally(() => container?.remove()),
    }
  } finally {
    container?.leave()
  }
}

async function run({ scale, report }: Effort): Promise<readonly Figure[]> {
  const empty = await startContained()
  // Far fewer would not be the row of the table; a smaller scale only measures for less time.
  const full = await startContained(async (path) => {
    const began = performance.now()
    await fillLedger(path, VERDICTS)
    report(`ledger filled in ${((performance.now() - began) / 1000).toFixed(1)} s`)
  }).catch((error: unknown) => empty.stop().then(() => Promise.reject(error as Error)))
  const where = full.isLimited ? `in ${chartMemory()} MiB, as the chart has it` : 'no limit of memory'
  const generator = new Generator()
  try {
    const review = reviewOf(NAMESPACE)
    const targets = [full, empty].map(({ server }, index) =>
      reviewTarget(
        `lookup ${index}`,
        { url: server.file.webhook, pid: server.child.pid },
        '/validate',
        review,
        server.file.ca,
      ),
    )
    const resident = residentMebibytes(full.server.child.pid!)
    await warm(generator, targets)
    const [with_, without] = await compare(generator, targets, {
      ...extentOf(scale),
      connections: 1,
    })
    const { text } = await full.server.admin('/metrics')
    const indexed = Number(/^drawbridge_indexed_verdicts (\d+)$/m.exec(text)?.[1] ?? 0)
    if (indexed !== VERDICTS) throw new Error(`admission knows ${indexed} verdicts`)
    return [
      {
        what: 'time of a request with 100,000 verdicts, of that without',
        value: ratioOf(with_!, without!, (round) => round.p50),
        unit: 'x',
        goal: { atMost: 1.03 },
        note: `p50 at one connection, ${with_!.p50.toFixed(3)} and ${without!.p50.toFixed(3)} ms; ${with_!.times.length} and ${without!.times.length} requests`,
      },
      {
        what: 'start with 100,000 verdicts',
        value: full.seconds,
        unit: 's',
        goal: { atMost: 5 },
        note: `process to ready, ${where}`,
      },
      {
        what: 'RSS with 100,000 verdicts',
        value: resident,
        unit: 'MiB',
        goal: { atMost: 250 },
        note: `ready, before any request; ${where}`,
      },
      {
        what: 'RSS with 100,000 verdicts, after the load',
        value: residentMebibytes(full.server.child.pid!),
        unit: 'MiB',
        goal: { atMost: 250 },
        note: `20 s at 16 connections, then what was compared; ${where}`,
      },
    ]
  } finally {
    generator.stop()
    await Promise.allSettled([empty.stop(), full.stop()])
  }
}

export const verdictLookup: Measurement = { name: 'verdict-lookup', run }
