/** A list of one is nearly every list of a verdict, and a list needs 56 bytes: with 100,000 verdicts in two threads 17 MB. */

/** The one of a list that has just one, else the list. `Item` itself is no array. */
export type OneOrMany<Item> = Item | readonly Item[]

export function oneOrMany<Item>(list: readonly Item[]): OneOrMany<Item> {
  return list.length === 1 ? list[0]! : list
}

export function listOf<Item>(items: OneOrMany<Item>): readonly Item[] {
  return Array.isArray(items) ? (items as readonly Item[]) : [items as Item]
}
