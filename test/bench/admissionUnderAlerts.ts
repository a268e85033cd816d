/** What a flood of alerts costs admission: latency of reviews at one connection, idle and while alerts arrive at a fixed rate. */
import { fork } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { Agent } from 'node:https'

import { podReview } from '../process/server.ts'
import type { RunningProgram, ServerFile } from '../process/server.ts'
import { percentile, post, startForLoad } from './load.ts'
import type { Effort, Figure, Measurement } from './types.ts'

const RATE = 20_000
/** A little more than what is asked for, since what is under way at the end is not answered. */
const OFFERED = 1.01 * RATE

async function reviews(
  server: RunningProgram,
  milliseconds: number,
): Promise<{ times: readonly number[]; failed: number }> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const ca = readFileSync(server.file.ca)
  const url = new URL(`${server.file.webhook}/validate`)
  const body = JSON.stringify(podReview('registry.example/shop/web-1:1.4.2', { namespace: 'tenant-1' }))
  const times: number[] = []
  let failed = 0
  const end = performance.now() + milliseconds
  while (performance.now() < end) {
    const before = performance.now()
    const status = await post(url, agent, ca, { 'Content-Type': 'application/json' }, body).catch(() => 0)
    times.push(performance.now() - before)
    if (status !== 200 || performance.now() - before > 5000) failed++
    // A steady stream, not a second flood: about 200 reviews a second.
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  agent.destroy()
  return { times: times.sort((left, right) => left - right), failed }
}

/** What the sender reports when it is told to stop. */
export interface FloodResult {
  readonly sent: number
  readonly seconds: number
  readonly statuses: Readonly<Record<string, number>>
}

export interface FloodOrder {
  readonly file: ServerFile
  readonly rate: number
}

async function run({ scale, report }: Effort): Promise<readonly Figure[]> {
  const milliseconds = Math.max(5000, Math.round(60_000 * scale))
  const { data, server } = await startForLoad()
  try {
    await reviews(server, 2000)
    const idle = await reviews(server, milliseconds)
    report('idle measured')
    const sender = fork(new URL('./flood.js', import.meta.url), { stdio: 'inherit' })
    const result = new Promise<FloodResult>((resolve, reject) => {
      sender.once('message', (message) => resolve(message as FloodResult))
      sender.once('error', reject)
      sender.once('exit', (code) => reject(new Error(`the sender ended with ${code}`)))
    })
    sender.send({ file: server.file, rate: OFFERED } satisfies FloodOrder)
    const loaded = await reviews(server, milliseconds)
    sender.send('stop')
    const flood = await result
    const p99 = percentile(loaded.times, 0.99) / percentile(idle.times, 0.99)
    const statuses = Object.entries(flood.statuses)
      .map(([status, count]) => `${status}: ${count}`)
      .join(', ')
    return [
      {
        what: 'review, p50, idle',
        value: percentile(idle.times, 0.5),
        unit: 'ms',
        note: `${idle.times.length} reviews`,
      },
      { what: 'review, p99, idle', value: percentile(idle.times, 0.99), unit: 'ms' },
      {
        what: 'review, p50, under alerts',
        value: percentile(loaded.times, 0.5),
        unit: 'ms',
        note: `${loaded.times.length} reviews`,
      },
      { what: 'review, p99, under alerts', value: percentile(loaded.times, 0.99), unit: 'ms' },
      { what: 'review, p99, under alerts against idle', value: p99, unit: 'x', goal: { atMost: 2 } },
      {
        what: 'reviews that failed or took over 5 s',
        value: idle.failed + loaded.failed,
        unit: '',
        goal: { atMost: 0 },
      },
      {
        what: 'alerts answered meanwhile',
        value: flood.sent / flood.seconds,
        unit: '/s',
        goal: { atLeast: RATE },
        note: `offered ${OFFERED}/s in batches of 200; requests ${statuses}`,
      },
    ]
  } finally {
    await server.stop()
    data.remove()
  }
}

export const admissionUnderAlerts: Measurement = { name: 'admission-under-alerts', run }
