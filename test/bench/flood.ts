/** A process of its own that offers alerts at a fixed rate until it is told to stop: its work must not slow the measuring of reviews. */
import { readFileSync } from 'node:fs'
import { Agent } from 'node:https'

import type { FloodOrder, FloodResult } from './admissionUnderAlerts.ts'
import { alertWriter, eventTimes, post } from './load.ts'
import { placeOf } from '../cluster/kubelet.ts'

const BATCH = 200
const IMAGES = 1000
/** Requests under way at once; a server that falls behind is then offered less, and the figure says so. */
const MAXIMUM_UNDER_WAY = 16

process.on('message', (message) => {
  if (message === 'stop') state.stopped = true
  else void flood(message as FloodOrder)
})

const state = { stopped: false }

async function flood({ file, rate }: FloodOrder): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: MAXIMUM_UNDER_WAY })
  const ca = readFileSync(file.ca)
  const url = new URL(`${file.alerts}/alerts/falco`)
  const headers = { 'Content-Type': 'application/json', Authorization: `Bearer ${file.alertToken}` }
  const write = alertWriter('pod.drop_and_execute.jsonl')
  const time = eventTimes()
  const statuses: Record<string, number> = {}
  const underWay = new Set<Promise<void>>()
  const started = performance.now()
  let offered = 0
  let sent = 0
  while (!state.stopped) {
    const due = ((performance.now() - started) / 1000) * rate
    if (offered + BATCH > due || underWay.size >= MAXIMUM_UNDER_WAY) {
      await new Promise((resolve) => setTimeout(resolve, 2))
      continue
    }
    const body = Array.from({ length: BATCH }, (_, offset) =>
      write({ ...placeOf((offered + offset) % IMAGES), nanoseconds: time() }),
    ).join('\n')
    offered += BATCH
    const one = post(url, agent, ca, headers, body)
      .catch(() => 0)
      .then((status) => {
        statuses[status] = (statuses[status] ?? 0) + 1
        if (status === 200) sent += BATCH
        underWay.delete(one)
      })
    underWay.add(one)
  }
  await Promise.all(underWay)
  const result: FloodResult = { sent, seconds: (performance.now() - started) / 1000, statuses }
  process.send?.(result, () => process.exit(0))
}
