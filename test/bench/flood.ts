/**
 * A process of its own that offers alerts at a fixed rate until it is told to stop. It has the cores of what is measured: so its requests are written
 * once, and only the times of the events are new in each.
 */
import { readFileSync } from 'node:fs'

import type { FloodOrder, FloodResult } from './admissionUnderAlerts.ts'
import { headOf, openSender } from './connection.ts'
import { alertWriter, eventTimes, falcoTime } from './load.ts'
import { placeOf } from '../cluster/kubelet.ts'

const BATCH = 200
const IMAGES = 1000
/** Requests under way at once; a server that falls behind is then offered less, and the figure says so. */
const CONNECTIONS = 16

process.on('message', (message) => {
  if (message === 'stop') state.stopped = true
  else void flood(message as FloodOrder)
})

const state = { stopped: false }

/** A request whose event times can be written anew. */
interface Prepared {
  readonly bytes: Buffer
  /** Where each time begins. */
  readonly times: readonly number[]
}

/** Requests for all images, `BATCH` alerts each. */
function prepare(url: string, headers: Readonly<Record<string, string>>): readonly Prepared[] {
  const write = alertWriter('pod.drop_and_execute.jsonl')
  const never = falcoTime(0n)
  return Array.from({ length: IMAGES / BATCH }, (_, part) => {
    const alerts = Array.from({ length: BATCH }, (__, offset) =>
      write({ ...placeOf(part * BATCH + offset), nanoseconds: 0n }),
    )
    const body = alerts.join('\n')
    const bytes = Buffer.from(`${headOf(url, Buffer.byteLength(body), headers)}${body}`)
    const times: number[] = []
    for (let at = bytes.indexOf(never); at !== -1; at = bytes.indexOf(never, at + 1)) times.push(at)
    return { bytes, times }
  })
}

async function flood({ file, rate }: FloodOrder): Promise<void> {
  const ca = readFileSync(file.ca, 'utf8')
  const url = `${file.alerts}/alerts/falco`
  const prepared = prepare(url, { Authorization: `Bearer ${file.alertToken}` })
  const time = eventTimes()
  const statuses: Record<string, number> = {}
  const started = performance.now()
  let offered = 0
  let sent = 0

  const sender = async (): Promise<void> => {
    // Of its own: what is on its way must not change.
    const requests = prepared.map(({ bytes, times }) => ({ bytes: Buffer.from(bytes), times }))
    const connection = await openSender(url, { ca })
    while (!state.stopped) {
      if (offered + BATCH > ((performance.now() - started) / 1000) * rate) {
        await new Promise((resolve) => setTimeout(resolve, 2))
        continue
      }
      const { bytes, times } = requests[(offered / BATCH) % requests.length]!
      offered += BATCH
      for (const at of times) bytes.write(falcoTime(time()), at, 'latin1')
      const status = await connection.send(bytes)
      statuses[status] = (statuses[status] ?? 0) + 1
      if (status === 200) sent += BATCH
    }
    connection.close()
  }
  await Promise.all(Array.from({ length: CONNECTIONS }, sender))
  const result: FloodResult = { sent, seconds: (performance.now() - started) / 1000, statuses }
  process.send?.(result, () => process.exit(0))
}
