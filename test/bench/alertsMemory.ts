/** Whether memory stays flat: a million alerts over ten thousand images through the server. */
import {
  alertWriter,
  describeStatuses,
  eventTimes,
  joinSent,
  readCounter,
  residentMebibytes,
  sendAlerts,
  startForLoad,
} from './load.ts'
import type { Sent } from './load.ts'
import { placeOf } from '../cluster/kubelet.ts'
import type { Effort, Figure, Measurement } from './types.ts'

const IMAGES = 10_000
const BATCH = 500
const PARTS = 10

async function run({ scale, report }: Effort): Promise<readonly Figure[]> {
  const alerts = Math.max(20_000, Math.round(1_000_000 * scale))
  const { data, server } = await startForLoad()
  try {
    const idle = residentMebibytes(server.child.pid!)
    // A third denies at once, a third only weighs a little, a third weighs nothing.
    const captures = ['pod.drop_and_execute.jsonl', 'pod.read_sensitive_file.jsonl', 'pod.terminal_shell.jsonl']
    const writers = captures.map(alertWriter)
    const time = eventTimes()
    let next = 0
    function* bodies(count: number): Generator<string> {
      for (let sent = 0; sent < count; sent += BATCH) {
        yield Array.from({ length: BATCH }, () => {
          const index = next++ % IMAGES
          return writers[index % writers.length]!({ ...placeOf(index), nanoseconds: time() })
        }).join('\n')
      }
    }
    const resident: number[] = []
    const parts: Sent[] = []
    for (let part = 0; part < PARTS; part++) {
      parts.push(await sendAlerts(server, 4, bodies(alerts / PARTS)))
      resident.push(residentMebibytes(server.child.pid!))
      report(`${next} alerts, ${resident.at(-1)!.toFixed(0)} MiB`)
    }
    const { seconds, statuses } = joinSent(parts)
    const decisions = await readCounter(server, 'drawbridge_alert_decisions_total', 'decision')
    const half = Math.max(...resident.slice(0, PARTS / 2))
    const end = Math.max(...resident.slice(PARTS / 2))
    const note = `${next} alerts in ${seconds.toFixed(0)} s; requests ${describeStatuses(statuses)}; ${[...decisions].map(([name, count]) => `${name} ${count}`).join(', ')}`
    return [
      { what: 'RSS idle', value: idle, unit: 'MiB' },
      { what: `RSS, most in the first half of ${next} alerts over ${IMAGES} images`, value: half, unit: 'MiB', note },
      { what: 'RSS, most in the second half', value: end, unit: 'MiB' },
      { what: 'growth of RSS in the second half', value: end / half, unit: 'x' },
    ]
  } finally {
    await server.stop()
    data.remove()
  }
}

export const alertsMemory: Measurement = { name: 'alerts-memory', run }
