/** Facts as JSON text: their order and their size. */

/** The first items that fit, at most `maxItems`; an item too long for what is left is passed over, not the end. */
export function takeBytes<Item>(items: readonly Item[], maxItems: number, maxBytes: number): Item[] {
  const taken: Item[] = []
  let left = maxBytes - 2
  for (const item of items) {
    if (taken.length === maxItems) break
    const bytes = jsonBytes(item) + 1
    if (bytes > left) continue
    left -= bytes
    taken.push(item)
  }
  return taken
}

/** Independent of the order in which keys were set. */
export function canonicalJson(value: object): string {
  return JSON.stringify(Object.entries(value).sort(([a], [b]) => compareText(a, b)))
}

/** By UTF-16 code unit, the same on every machine (`localeCompare` is not). */
export function compareText(left: string, right: string): number {
  if (left === right) return 0
  return left < right ? -1 : 1
}

/** Never less than the bytes of these texts as JSON: no character needs more than six (`\\u001f`). */
export function atMostBytes(texts: readonly string[]): number {
  let characters = 0
  for (const { length } of texts) characters += length
  return 2 + 3 * texts.length + 6 * characters
}

export function jsonBytes(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value))
}
