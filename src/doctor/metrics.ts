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
/** Ours are shorter by far; reading a line takes a time that grows with the square of its length. */
const MAX_LINE = 1024
/** What values of our labels look like. Whoever can run a pod can write others, and they are printed. */
const PLAIN = /^[\w.:+-]{0,64}$/

/** Lines that are none of the format, or none that we write, are left out: too long, with free text in a label, with a number that is none. */
export function parseMetrics(text: string): Metrics {
  const metrics = new Map<string, Sample[]>()
  for (const line of text.split('\n', MAX_LINES)) {
    const match = line.length > MAX_LINE ? null : LINE.exec(line)
    if (match === null) continue
    const [, name = '', labels = '', number] = match
    const pairs = [...labels.matchAll(LABEL)].map(([, key = '', said = '']) => [key, said])
    const value = Number(number)
    if (!(Math.abs(value) <= Number.MAX_SAFE_INTEGER) || !pairs.every(([, said = '']) => PLAIN.test(said))) continue
    const samples = metrics.get(name) ?? []
    samples.push({ labels: Object.fromEntries(pairs) as Record<string, string>, value })
    metrics.set(name, samples)
  }
  return metrics
}

/** The sum of a metric's samples whose labels say this; 0 where there are none. */
export const sumOf = (metrics: Metrics, name: string, labels: Readonly<Record<string, string>> = {}): number =>
  (metrics.get(name) ?? [])
    .filter((sample) => Object.entries(labels).every(([key, value]) => sample.labels[key] === value))
    .reduce((sum, { value }) => sum + value, 0)
