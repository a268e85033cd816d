/**
 * How fast alerts are acknowledged durably over HTTPS when the ledger is SQLite: one alert a request as Falco posts, and many as a shipper does. One alert a
 * request is measured in turn with the floor, which parses the same alert and answers.
 */
import { placeOf } from '../cluster/kubelet.ts'
import {
  alertWriter,
  describeStatuses,
  eventTimes,
  joinSent,
  percentile,
  readCounter,
  sendAlerts,
  sendBodies,
  startForLoad,
} from './load.ts'
import type { Sent } from './load.ts'
import { median } from './paired.ts'
import { startFloor } from './servers.ts'
import type { Effort, Figure, Goal, Measurement } from './types.ts'

const CONNECTIONS = 16
const ROUNDS = 10

interface Work {
  readonly images: number
  readonly alerts: number
  /** Alerts that are sent before and not counted: a server takes some 15,000 requests until its functions are compiled as well as they will be. */
  readonly before: number
  /** Alerts in a request. */
  readonly batch: number
  readonly goal?: Goal
}

async function measure({ images, alerts, before, batch, goal }: Work): Promise<readonly Figure[]> {
  const { data, server } = await startForLoad()
  const floor = batch === 1 ? await startFloor(data.path) : undefined
  try {
    const write = alertWriter('pod.drop_and_execute.jsonl')
    const time = eventTimes()
    let next = 0
    const requests = Math.ceil(alerts / batch / ROUNDS)
    const bodiesFor = (count: number): readonly string[] =>
      Array.from({ length: count }, () =>
        Array.from({ length: batch }, () => write({ ...placeOf(next++ % images), nanoseconds: time() })).join('\n'),
      )
    const ours: Sent[] = []
    const ratios: number[] = []
    const toFloor = floor && { url: floor.url, ca: server.file.ca }
    const first = bodiesFor(before / batch)
    await sendAlerts(server, CONNECTIONS, first)
    if (toFloor !== undefined) await sendBodies(toFloor, CONNECTIONS, first)
    for (let round = 0; round < ROUNDS; round++) {
      const bodies = bodiesFor(requests)
      const sent = await sendAlerts(server, CONNECTIONS, bodies)
      ours.push(sent)
      if (toFloor !== undefined) ratios.push((await sendBodies(toFloor, CONNECTIONS, bodies)).seconds / sent.seconds)
    }
    const { statuses, times } = joinSent(ours)
    const acknowledged = (statuses.get(200) ?? 0) / (ROUNDS * requests)
    const rates = ours.map(({ seconds }) => (acknowledged * requests * batch) / seconds)
    const decisions = await readCounter(server, 'drawbridge_alert_decisions_total', 'decision')
    const how = `${batch === 1 ? 'one alert a request' : `${batch} alerts a request`}, ${images} images`
    const decided = [...decisions].map(([name, count]) => `${name} ${count}`).join(', ')
    return [
      {
        what: `acknowledged over HTTPS, SQLite: ${how}`,
        value: median(rates),
        unit: '/s',
        note: `median of ${ROUNDS} rounds, ${Math.min(...rates).toFixed(0)} to ${Math.max(...rates).toFixed(0)}/s; ${CONNECTIONS} connections; ${describeStatuses(statuses)}; ${decided}`,
        goal,
      },
      ...(ratios.length === 0 ? [] : [{ what: `requests of the floor: ${how}`, value: median(ratios), unit: 'x' }]),
      { what: `time to a 200, p99: ${how}`, value: percentile(times, 0.99), unit: 'ms' },
    ]
  } finally {
    floor?.stop()
    await server.stop()
    data.remove()
  }
}

async function run({ scale }: Effort): Promise<readonly Figure[]> {
  const alerts = Math.max(2000, Math.round(20_000 * scale))
  return [
    ...(await measure({ images: 100, alerts, before: 20_000, batch: 1, goal: { atLeast: 5000 } })),
    ...(await measure({ images: 100, alerts: alerts * 5, before: 100_000, batch: 100 })),
    // Every alert is the first of its image: every one needs a write.
    ...(await measure({ images: 5000, alerts: 4000, before: 1000, batch: 1 })),
  ]
}

export const alertsDurable: Measurement = { name: 'alerts-durable', run }
