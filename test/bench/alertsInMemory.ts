/**
 * How fast alerts become contributions when nothing has to be written: bytes -> decoded -> attributed -> contributed, on one core; and beside it, in turn,
 * what parsing their JSON alone takes, so that a figure says what was slow, the code or the machine.
 */
import { splitBody } from '../../src/alerts/body.ts'
import { falco } from '../../src/alerts/sources/falco.ts'
import type { RuntimeAlert } from '../../src/alerts/types.ts'
import { createCorrelator } from '../../src/correlator/correlator.ts'
import type { AlertDecision } from '../../src/correlator/types.ts'
import { parseReference } from '../../src/kube/reference.ts'
import { createMemoryStore } from '../../src/verdicts/memoryStore.ts'
import { alertWriter, eventTimes } from './load.ts'
import { placeOf } from '../cluster/kubelet.ts'
import { median } from './paired.ts'
import { directoryOf } from './pods.ts'
import type { Effort, Figure, Measurement } from './types.ts'

const IMAGES = 1000
const BATCH = 100
/** Alerts of one round. */
const ROUND = 5000
/** The first rounds compile the functions, and every image's first alert is in them. */
const WARMING = 4

/** Seconds. */
async function timed(work: () => unknown): Promise<number> {
  const started = performance.now()
  await work()
  return (performance.now() - started) / 1000
}

function parseOnly(bodies: readonly Buffer[]): void {
  for (const body of bodies) for (const line of body.toString().split('\n')) JSON.parse(line)
}

async function run({ scale }: Effort): Promise<readonly Figure[]> {
  const rounds = Math.max(6, Math.round((200_000 * scale) / ROUND))
  const correlator = createCorrelator({
    store: createMemoryStore(),
    directory: directoryOf(IMAGES),
    parseReference,
    clock: () => Date.now(),
  })
  await correlator.start()
  const write = alertWriter('pod.drop_and_execute.jsonl')
  const time = eventTimes()
  const bodiesOfRound = (): readonly Buffer[] =>
    Array.from({ length: ROUND / BATCH }, (_, batch) => {
      const lines = Array.from({ length: BATCH }, (__, offset) =>
        write({ ...placeOf((batch * BATCH + offset) % IMAGES), nanoseconds: time() }),
      )
      return Buffer.from(lines.join('\n'))
    })

  const decisions = new Map<AlertDecision, number>()
  const correlate = async (bodies: readonly Buffer[]): Promise<void> => {
    for (const body of bodies) {
      const found: RuntimeAlert[] = []
      for (const item of splitBody(body).items) {
        const decoded = 'item' in item ? falco.decode(item.item) : undefined
        if (decoded?.kind === 'finding') found.push(decoded.alert)
      }
      for (const { decision } of await correlator.handle(found)) {
        decisions.set(decision, (decisions.get(decision) ?? 0) + 1)
      }
    }
  }

  const found: { readonly rate: number; readonly ratio: number; readonly cpu: number }[] = []
  for (let round = 0; round < WARMING + rounds; round++) {
    const bodies = bodiesOfRound()
    const before = process.cpuUsage()
    const seconds = await timed(() => correlate(bodies))
    const { user, system } = process.cpuUsage(before)
    const parsing = await timed(() => parseOnly(bodies))
    if (round >= WARMING) found.push({ rate: ROUND / seconds, ratio: seconds / parsing, cpu: (user + system) / ROUND })
  }
  await correlator.stop()
  const rates = found.map(({ rate }) => Math.round(rate)).sort((left, right) => left - right)
  return [
    {
      what: 'alerts decoded to contribution, in memory, one core',
      value: median(rates),
      unit: '/s',
      note: `median of ${rounds} rounds of ${ROUND} alerts of ${IMAGES} images, ${rates[0]} to ${rates.at(-1)}/s; ${[...decisions].map(([name, count]) => `${name} ${count}`).join(', ')}`,
      goal: { atLeast: 30_000 },
    },
    { what: 'time of one alert, of parsing its JSON', value: median(found.map(({ ratio }) => ratio)), unit: 'x' },
    { what: 'CPU for one alert, in memory', value: median(found.map(({ cpu }) => cpu)), unit: 'us' },
  ]
}

export const alertsInMemory: Measurement = { name: 'alerts-in-memory', run }
