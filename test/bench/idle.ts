/** What a server costs that does nothing, and how long it takes to be ready. */
import { setTimeout as delay } from 'node:timers/promises'

import { residentMebibytes } from './load.ts'
import { median } from './paired.ts'
import { startAsImage, startDrawbridge } from './servers.ts'
import type { Effort, Figure, Measurement } from './types.ts'

/** Long enough for what is only needed at the start to be collected. */
const IDLE_MILLISECONDS = 5000

async function run({ scale }: Effort): Promise<readonly Figure[]> {
  const before = performance.now()
  const first = await startDrawbridge()
  const firstStart = (performance.now() - before) / 1000
  try {
    await first.server.stop()
    const starts: number[] = []
    const resident: number[] = []
    const count = Math.max(3, Math.round(10 * scale))
    for (let index = 0; index < count; index++) {
      const started = performance.now()
      const server = await startAsImage(first.path)
      starts.push((performance.now() - started) / 1000)
      if (index < 3) {
        await delay(IDLE_MILLISECONDS)
        resident.push(residentMebibytes(server.child.pid!))
      }
      await server.stop()
    }
    return [
      { what: 'idle RSS', value: median(resident), unit: 'MiB', goal: { atMost: 90 }, note: 'standalone, after 5 s' },
      {
        what: 'cold start to ready',
        value: median(starts),
        unit: 's',
        goal: { atMost: 0.8 },
        note: `bundled, standalone, median of ${count}`,
      },
      { what: 'first start ever, with making certificates', value: firstStart, unit: 's' },
    ]
  } finally {
    await first.stop()
  }
}

export const idle: Measurement = { name: 'idle', run }
