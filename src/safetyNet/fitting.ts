/** What of a list fits into a part of the parameter object. Pure. */

/** Bytes of one entry as JSON. */
export const bytesOf = (key: string, value: unknown): number =>
  Buffer.byteLength(key) + Buffer.byteLength(JSON.stringify(value)) + 4

/** As many entries, in their order, as fit; keys sorted, so that equal contents are equal texts. */
export const fitting = <T>(
  entries: readonly (readonly [string, T])[],
  maxBytes: number,
  maxEntries = Number.POSITIVE_INFINITY,
  sizeOf: (key: string, value: T) => number = bytesOf,
): { readonly map: Readonly<Record<string, T>>; readonly left: number } => {
  const kept: (readonly [string, T])[] = []
  let bytes = 0
  for (const entry of entries) {
    const size = sizeOf(...entry)
    if (kept.length >= maxEntries || bytes + size > maxBytes) continue
    bytes += size
    kept.push(entry)
  }
  return { map: Object.fromEntries(kept.sort(([a], [b]) => (a < b ? -1 : 1))), left: entries.length - kept.length }
}

export const byName = <T extends { readonly name: string }>(items: readonly T[]): readonly T[] =>
  [...items].sort((a, b) => (a.name < b.name ? -1 : 1))
