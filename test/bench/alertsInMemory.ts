/** How fast alerts become contributions when nothing has to be written: bytes -> decoded -> attributed -> contributed, on one core. */
import { splitBody } from '../../src/alerts/body.ts'
import { falco } from '../../src/alerts/sources/falco.ts'
import type { RuntimeAlert } from '../../src/alerts/types.ts'
import { createCorrelator } from '../../src/correlator/correlator.ts'
import type { AlertDecision } from '../../src/correlator/types.ts'
import { parseReference } from '../../src/kube/reference.ts'
import { createMemoryStore } from '../../src/verdicts/memoryStore.ts'
import { alertWriter, eventTimes } from './load.ts'
import { placeOf } from '../cluster/kubelet.ts'
import { directoryOf } from './pods.ts'
import type { Effort, Figure, Measurement } from './types.ts'

const IMAGES = 1000
const BATCH = 100

async function run({ scale }: Effort): Promise<readonly Figure[]> {
  const alerts = Math.max(5 * IMAGES, Math.round(200_000 * scale))
  const correlator = createCorrelator({
    store: createMemoryStore(),
    directory: directoryOf(IMAGES),
    parseReference,
    clock: () => Date.now(),
  })
  await correlator.start()
  const write = alertWriter('pod.drop_and_execute.jsonl')
  const time = eventTimes()
  const bodies: Buffer[] = []
  for (let first = 0; first < alerts; first += BATCH) {
    const lines = Array.from({ length: BATCH }, (_, offset) =>
      write({ ...placeOf((first + offset) % IMAGES), nanoseconds: time() }),
    )
    bodies.push(Buffer.from(lines.join('\n')))
  }

  const decisions = new Map<AlertDecision, number>()
  const before = process.cpuUsage()
  const started = performance.now()
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
  const seconds = (performance.now() - started) / 1000
  const { user, system } = process.cpuUsage(before)
  await correlator.stop()
  const note = `${alerts} alerts of ${IMAGES} images: ${[...decisions].map(([name, count]) => `${name} ${count}`).join(', ')}`
  return [
    {
      what: 'alerts decoded to contribution, in memory, one core',
      value: alerts / seconds,
      unit: '/s',
      note,
      goal: { atLeast: 30_000 },
    },
    { what: 'CPU for one alert, in memory', value: (user + system) / alerts, unit: 'us' },
  ]
}

export const alertsInMemory: Measurement = { name: 'alerts-in-memory', run }
