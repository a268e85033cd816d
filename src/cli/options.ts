/** Options that several commands have. */
import { InvalidArgumentError, Option } from 'commander'

/** A port, or a message that says what was wanted. */
export function portNumber(text: string): number {
  const value = Number(text)
  if (!/^\d{1,5}$/.test(text) || value > 65535)
    throw new InvalidArgumentError('wanted a port from 0 to 65535 (0 = any free one)')
  return value
}

/** An option that can be repeated. */
export const collect = (value: string, previous: readonly string[] | undefined): readonly string[] => [
  ...(previous ?? []),
  value,
]

export const dataOption = (): Option =>
  new Option('--data <dir>', 'data folder: ledger, certificates, tokens, server.json').default('data')
export const kubeconfigOption = (objects: string): Option =>
  new Option(
    '--kubeconfig <file>',
    `read ${objects} objects of this cluster instead of asking a local server (default: $KUBECONFIG where none runs with this data folder)`,
  )
export const outputOption = (kinds: readonly string[]): Option =>
  new Option('-o, --output <format>', 'how to print').choices(kinds).default(kinds[0])

/** Where verdicts deny, named as in the chart; `opted-in` is what `namespaces` was called before. */
export function scopeName(text: string): 'namespaces' | 'cluster' {
  if (text === 'cluster') return text
  if (text === 'namespaces' || text === 'opted-in') return 'namespaces'
  throw new InvalidArgumentError('Allowed choices are namespaces, cluster.')
}

/** RFC 3339 (`2026-12-31`, `2026-12-31T08:00:00Z`) -> milliseconds since the epoch. */
export function isoTime(text: string): number {
  const time = /^\d{4}-\d\d-\d\d(T|$)/.test(text) ? Date.parse(text) : Number.NaN
  if (!Number.isFinite(time)) throw new InvalidArgumentError('wanted a time such as 2026-12-31 or 2026-12-31T08:00:00Z')
  return time
}
