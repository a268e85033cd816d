/** Reads the text format of Prometheus, as far as our own metrics need it: https://prometheus.io/docs/instrumenting/exposition_formats/ */

export interface Sample {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** By name. */
export type Metrics = ReadonlyMap<string, readonly Sample[]>

const LINE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"/g
const MAX_LINES = 20_000

/** Lines that are none of the format are left out. */
export function parseMetrics(text: string): Metrics {
  const metrics = new Map<string, Sample[]>()
  for (const line of text.split('\n', MAX_LINES)) {
    const match = LINE.exec(line)
    if (match === null) continue
    const [, name = '', labels = '', number] = match
    const pairs = [...labels.matchAll(LABEL)].map(([, key = '', value = '']) => [key, value.replaceAll(/\\(.)/g, '$1')])
    const samples = metrics.get(name) ?? []
    samples.push({ labels: Object.fromEntries(pairs) as Record<string, string>, value: Number(number) })
    metrics.set(name, samples)
  }
  return metrics
}

/** The sum of a metric's samples whose labels say this; 0 where there are none. */
export const sumOf = (metrics: Metrics, name: string, labels: Readonly<Record<string, string>> = {}): number =>
  (metrics.get(name) ?? [])
    .filter((sample) => Object.entries(labels).every(([key, value]) => sample.labels[key] === value))
    .reduce((sum, { value }) => sum + value, 0)
