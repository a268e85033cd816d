/** How fast alerts are acknowledged durably over HTTPS when the ledger is SQLite: one alert a request as Falco posts, and many as a shipper does. */
import { alertWriter, describeStatuses, eventTimes, percentile, readCounter, sendAlerts, startForLoad } from './load.ts'
import { placeOf } from '../cluster/kubelet.ts'
import type { Effort, Figure, Goal, Measurement } from './types.ts'

const CONNECTIONS = 16

async function measure(images: number, alerts: number, batch: number, goal?: Goal): Promise<readonly Figure[]> {
  const { data, server } = await startForLoad()
  try {
    const write = alertWriter('pod.drop_and_execute.jsonl')
    const time = eventTimes()
    const bodies = Array.from({ length: Math.ceil(alerts / batch) }, (_, request) =>
      Array.from({ length: batch }, (__, offset) =>
        write({ ...placeOf((request * batch + offset) % images), nanoseconds: time() }),
      ).join('\n'),
    )
    const { seconds, statuses, times } = await sendAlerts(server, CONNECTIONS, bodies)
    const decisions = await readCounter(server, 'drawbridge_alert_decisions_total', 'decision')
    const how = `${batch === 1 ? 'one alert a request' : `${batch} alerts a request`}, ${images} images`
    const note = `${CONNECTIONS} connections; ${describeStatuses(statuses)}; ${[...decisions].map(([name, count]) => `${name} ${count}`).join(', ')}`
    return [
      {
        what: `acknowledged over HTTPS, SQLite: ${how}`,
        value: ((statuses.get(200) ?? 0) * batch) / seconds,
        unit: '/s',
        note,
        goal,
      },
      { what: `time to a 200, p99: ${how}`, value: percentile(times, 0.99), unit: 'ms' },
    ]
  } finally {
    await server.stop()
    data.remove()
  }
}

async function run({ scale }: Effort): Promise<readonly Figure[]> {
  const alerts = Math.max(2000, Math.round(20_000 * scale))
  return [
    ...(await measure(100, alerts, 1, { atLeast: 5000 })),
    ...(await measure(100, alerts * 5, 100)),
    // Every alert is the first of its image: every one needs a write.
    ...(await measure(4000, 4000, 1)),
  ]
}

export const alertsDurable: Measurement = { name: 'alerts-durable', run }
