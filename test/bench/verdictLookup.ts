/** What 100,000 verdicts cost a server: time of a request, start, memory. */
import { chartMemory, enterContainer } from './container.ts'
import type { Container } from './container.ts'
import { residentMebibytes } from './load.ts'
import { compare, Generator, ratioOf, warm } from './paired.ts'
import { reviewOf } from './reviews.ts'
import { extentOf } from './endpoint.ts'
import { NAMESPACE, reviewTarget, startDrawbridge } from './servers.ts'
import type { Contender } from './servers.ts'
import type { Effort, Figure, Measurement } from './types.ts'
import { fillLedger } from './verdicts.ts'

const VERDICTS = 100_000

/** Starts a server as in a pod of the chart. `seconds` until it was ready, without `prepare`. */
async function startContained(prepare?: (path: string) => Promise<void>): Promise<{
  readonly contender: Contender
  readonly container: Container | undefined
  readonly seconds: number
}> {
  let started = 0
  let container: Container | undefined
  const contender = await startDrawbridge(async (path) => {
    await prepare?.(path)
    container = enterContainer(chartMemory())
    started = performance.now()
  })
  const seconds = (performance.now() - started) / 1000
  container?.leave()
  return { contender, container, seconds }
}

async function run({ scale, report }: Effort): Promise<readonly Figure[]> {
  // Far fewer would not be the row of the table; a smaller scale only measures for less time.
  const emptyStart = await startContained()
  const fullStart = await startContained(async (path) => {
    const began = performance.now()
    await fillLedger(path, VERDICTS)
    report(`ledger filled in ${((performance.now() - began) / 1000).toFixed(1)} s`)
  })
  const starts = [emptyStart, fullStart]
  const [empty, full] = [emptyStart.contender, fullStart.contender]
  const where =
    fullStart.container === undefined ? 'no limit of memory' : `in ${chartMemory()} MiB, as the chart has it`
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
        value: fullStart.seconds,
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
    for (const { contender, container } of starts) {
      await contender.stop()
      container?.remove()
    }
  }
}

export const verdictLookup: Measurement = { name: 'verdict-lookup', run }
