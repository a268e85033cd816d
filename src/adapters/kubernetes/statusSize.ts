/** Keeps what the machine writes of one verdict small enough for an object of 8 KiB in etcd (rule 10), whatever the texts are. */
import type { VerdictStatus } from './verdictObject.ts'

/** The rest of 8 KiB is for metadata (about 1 KiB, the records of who wrote what among it) and for a person's decision. */
export const MAX_STATUS_BYTES = 6500

/** Bytes of a value in etcd: JSON as Go writes it, where `<`, `>`, `&` and two line separators take six bytes each. */
export function storedBytes(value: unknown): number {
  const text = JSON.stringify(value) ?? ''
  return (
    Buffer.byteLength(text) + 5 * (text.match(/[<>&]/g)?.length ?? 0) + 3 * (text.match(/[\u2028\u2029]/g)?.length ?? 0)
  )
}

const listOf = (status: VerdictStatus, field: string): readonly unknown[] => {
  const list = status[field]
  return Array.isArray(list) ? list : []
}
const indexes = (from: number, to: number): readonly number[] =>
  Array.from({ length: Math.max(0, to - from) }, (_, index) => to - 1 - index)

/**
 * The status within its bound. What goes, in this order: evidence (which is only shown), names that were observed, and contributions, the lightest first;
 * never the names that alerts came with.
 */
export function fitStatus(status: VerdictStatus): VerdictStatus {
  let excess = storedBytes(status) - MAX_STATUS_BYTES
  if (excess <= 0) return status
  const alerted = (status['alerted'] ?? {}) as { readonly digests?: number; readonly references?: number }
  const contributions = listOf(status, 'contributions') as readonly { readonly weight: number }[]
  const lightest = indexes(0, contributions.length).toSorted(
    (left, right) => contributions[left]!.weight - contributions[right]!.weight,
  )
  const order = [
    ['evidence', indexes(0, listOf(status, 'evidence').length)],
    ['references', indexes(alerted.references ?? 0, listOf(status, 'references').length)],
    ['digests', indexes(alerted.digests ?? 0, listOf(status, 'digests').length)],
    ['contributions', lightest],
  ] as const
  const next: Record<string, unknown> = { ...status }
  for (const [field, candidates] of order) {
    const list = listOf(status, field)
    const dropped = new Set<number>()
    for (const index of candidates) {
      if (excess <= 0) break
      dropped.add(index)
      // The last one of a list takes no comma with it.
      excess -= storedBytes(list[index]) + (dropped.size < list.length ? 1 : 0)
    }
    if (dropped.size > 0) next[field] = list.filter((_, index) => !dropped.has(index))
  }
  return next
}
