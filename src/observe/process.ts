/** What a thread and the process are made of and use: the numbers that somebody on call looks at first. */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { getHeapStatistics } from 'node:v8'
import { Counter, Gauge } from 'prom-client'
import type { Registry } from 'prom-client'

/** How often the event loop is asked; a delay is what comes on top. */
const RESOLUTION_MILLISECONDS = 20
const NANOSECONDS = 1e9

/** Registers what each thread has of its own. Both threads register the same names, and differ by the label `thread`. */
export function observeThread(thread: 'admission' | 'alerts', registry: Registry): void {
  // Registered by hand: an instance that nobody holds would look like a mistake.
  const registers: Registry[] = []
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MILLISECONDS })
  delay.enable()
  const seconds = (nanoseconds: number): number =>
    Math.max(0, nanoseconds / NANOSECONDS - RESOLUTION_MILLISECONDS / 1000) || 0
  registry.registerMetric(
    new Gauge({
      name: 'drawbridge_event_loop_delay_seconds',
      help: 'How long a thread left its work waiting since the last reading: 0.5, 0.99 of all times, and the longest (1).',
      labelNames: ['thread', 'quantile'],
      registers,
      collect() {
        this.set({ thread, quantile: '0.5' }, seconds(delay.percentile(50)))
        this.set({ thread, quantile: '0.99' }, seconds(delay.percentile(99)))
        this.set({ thread, quantile: '1' }, seconds(delay.max))
        delay.reset()
      },
    }),
  )
  registry.registerMetric(
    new Gauge({
      name: 'drawbridge_heap_used_bytes',
      help: 'Heap of a thread, garbage included.',
      labelNames: ['thread'],
      registers,
      collect() {
        this.set({ thread }, getHeapStatistics().used_heap_size)
      },
    }),
  )
  registry.registerMetric(
    new Gauge({
      name: 'drawbridge_heap_limit_bytes',
      help: 'Heap at which a thread ends: the alert thread alone and starts again, the admission thread with the process.',
      labelNames: ['thread'],
      registers,
      collect() {
        this.set({ thread }, getHeapStatistics().heap_size_limit)
      },
    }),
  )
}

/** Registers what the process has once, under the names that every Prometheus client uses. */
export function observeProcess(version: string, registry: Registry): void {
  const registers: Registry[] = []
  registry.registerMetric(
    new Gauge({
      name: 'drawbridge_build_info',
      help: '1; which version runs, and on which Node.',
      labelNames: ['version', 'node'],
      registers,
      collect() {
        this.set({ version, node: process.versions.node }, 1)
      },
    }),
  )
  const started = Math.round(Date.now() / 1000 - process.uptime())
  registry.registerMetric(
    new Gauge({
      name: 'process_start_time_seconds',
      help: 'When the process started, in seconds since the epoch.',
      registers,
      collect() {
        this.set(started)
      },
    }),
  )
  registry.registerMetric(
    new Gauge({
      name: 'process_resident_memory_bytes',
      help: 'Memory of the whole process, both threads, as the kernel counts it.',
      registers,
      collect() {
        this.set(process.memoryUsage.rss())
      },
    }),
  )
  let counted = 0
  registry.registerMetric(
    new Counter({
      name: 'process_cpu_seconds_total',
      help: 'Processor time of the whole process, in seconds.',
      registers,
      collect() {
        const { user, system } = process.cpuUsage()
        const total = (user + system) / 1e6
        this.inc(Math.max(0, total - counted))
        counted = total
      },
    }),
  )
}
