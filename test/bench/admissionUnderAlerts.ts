/** What a flood of alerts costs admission: latency of reviews at one connection, idle and while alerts arrive at a fixed rate. */
import { fork } from 'node:child_process'
import { readFileSync } from 'node:fs'

import { podReview } from '../process/server.ts'
import type { RunningProgram, ServerFile } from '../process/server.ts'
import { headOf, openSender } from './connection.ts'
import { percentile, readCounter, startForLoad } from './load.ts'
import type { Effort, Figure, Measurement } from './types.ts'

const RATE = 20_000
/** A little more than what is asked for, since what is under way at the end is not answered. */
const OFFERED = 1.01 * RATE

/** Some 50,000 reviews. */
const WARM_MILLISECONDS = 15_000

/** Sends one review after another on a connection that is kept. */
interface Client {
  /** For so long. Times in milliseconds, sorted; `failed`: not answered with 200, or only after 5 s. */
  reviews(
    milliseconds: number,
    pauseMilliseconds?: number,
  ): Promise<{ readonly times: readonly number[]; readonly failed: number }>
  close(): void
}

async function openClient({ file }: RunningProgram): Promise<Client> {
  const url = `${file.webhook}/validate`
  const body = JSON.stringify(podReview('registry.example/shop/web-1:1.4.2', { namespace: 'tenant-1' }))
  const request = Buffer.from(`${headOf(url, Buffer.byteLength(body), {})}${body}`)
  const connection = await openSender(url, { ca: readFileSync(file.ca, 'utf8') })
  return {
    async reviews(milliseconds, pauseMilliseconds = PAUSE_MILLISECONDS) {
      const times: number[] = []
      let failed = 0
      for (const end = performance.now() + milliseconds; performance.now() < end;) {
        const before = performance.now()
        const status = await connection.send(request)
        const time = performance.now() - before
        times.push(time)
        if (status !== 200 || time > 5000) failed++
        if (pauseMilliseconds > 0) await new Promise((resolve) => setTimeout(resolve, pauseMilliseconds))
      }
      return { times: times.sort((left, right) => left - right), failed }
    },
    close: () => connection.close(),
  }
}

/** Between an answer and the next review: a steady stream, not a second flood. */
const PAUSE_MILLISECONDS = 5

/** What alerts leave to do, waiting evidence and garbage, is no part of idle. */
const SETTLE_MILLISECONDS = 10_000

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
  const client = await openClient(server)
  try {
    // Until its functions are compiled: a server at 200 reviews a second would be cold for minutes.
    const { failed } = await client.reviews(WARM_MILLISECONDS, 0)
    if (failed > 0) throw new Error(`${failed} reviews failed before anything was measured`)
    const before = await client.reviews(milliseconds / 2)
    report('idle measured')
    const sender = fork(new URL('./flood.js', import.meta.url), { stdio: 'inherit' })
    const result = new Promise<FloodResult>((resolve, reject) => {
      sender.once('message', (message) => resolve(message as FloodResult))
      sender.once('error', reject)
      sender.once('exit', (code) => reject(new Error(`the sender ended with ${code}`)))
    })
    sender.send({ file: server.file, rate: OFFERED } satisfies FloodOrder)
    const during = await client.reviews(milliseconds)
    sender.send('stop')
    const flood = await result
    const decisions = await readCounter(server, 'drawbridge_alert_decisions_total', 'decision')
    await client.reviews(SETTLE_MILLISECONDS)
    // Before and behind it: a machine that changes its speed meanwhile must not pass for what alerts do.
    const behind = await client.reviews(milliseconds / 2)
    const idle = [...before.times, ...behind.times].sort((left, right) => left - right)
    const loaded = during.times
    const p99 = percentile(loaded, 0.99) / percentile(idle, 0.99)
    const statuses = Object.entries(flood.statuses)
      .map(([status, count]) => `${status}: ${count}`)
      .join(', ')
    return [
      {
        what: 'review, p50, idle',
        value: percentile(idle, 0.5),
        unit: 'ms',
        note: `${idle.length} reviews`,
      },
      {
        what: 'review, p99, idle',
        value: percentile(idle, 0.99),
        unit: 'ms',
        note: `before the alerts ${percentile(before.times, 0.99).toFixed(2)}, behind them ${percentile(behind.times, 0.99).toFixed(2)}`,
      },
      {
        what: 'review, p50, under alerts',
        value: percentile(loaded, 0.5),
        unit: 'ms',
        note: `${loaded.length} reviews`,
      },
      { what: 'review, p99, under alerts', value: percentile(loaded, 0.99), unit: 'ms' },
      { what: 'review, p99, under alerts against idle', value: p99, unit: 'x', goal: { atMost: 2 } },
      {
        what: 'reviews that failed or took over 5 s',
        value: before.failed + during.failed + behind.failed,
        unit: '',
        goal: { atMost: 0 },
      },
      {
        what: 'alerts answered meanwhile',
        value: flood.sent / flood.seconds,
        unit: '/s',
        goal: { atLeast: RATE },
        note: `offered ${OFFERED}/s in batches of 200; requests ${statuses}; ${[...decisions].map(([decision, count]) => `${decision} ${count}`).join(', ')}`,
      },
    ]
  } finally {
    client.close()
    await server.stop()
    data.remove()
  }
}

export const admissionUnderAlerts: Measurement = { name: 'admission-under-alerts', run }
