/** Finds things by the names of images: digests and normalised references. In memory, constant time, small: there may be 100,000. */

import type { ImageReference } from './name.ts'

/** Something with a name of its own that stands for an image. */
export interface Named {
  readonly name: string
  readonly digests: readonly string[]
  readonly references: readonly string[]
}

export interface NameIndex<Entry extends Named> {
  /** Adds, or replaces what has the same name. */
  set(entry: Entry): void
  delete(name: string): void
  get(name: string): Entry | undefined
  withDigest(digest: string): readonly Entry[]
  /** By normalised reference. */
  withReference(reference: string): readonly Entry[]
  /** Of an image: by the digest that it is pinned to, then by its name. */
  ofImage(image: Pick<ImageReference, 'digest' | 'normalized'>): readonly Entry[]
  size(): number
  values(): Iterable<Entry>
}

export function createNameIndex<Entry extends Named>(): NameIndex<Entry> {
  const byName = new Map<string, Entry>()
  const byDigest: Multimap<Entry> = new Map()
  const byReference: Multimap<Entry> = new Map()

  const unlinkNames = (name: string): void => {
    const old = byName.get(name)
    for (const digest of old?.digests ?? []) unlink(byDigest, digest, old!)
    for (const reference of old?.references ?? []) unlink(byReference, reference, old!)
  }

  return {
    set: (entry) => {
      unlinkNames(entry.name)
      // In its old place: whoever is going through all of them must not meet it again.
      byName.set(entry.name, entry)
      for (const digest of entry.digests) link(byDigest, digest, entry)
      for (const reference of entry.references) link(byReference, reference, entry)
    },
    delete: (name) => {
      unlinkNames(name)
      byName.delete(name)
    },
    get: (name) => byName.get(name),
    withDigest: (digest) => valuesAt(byDigest, digest),
    withReference: (reference) => valuesAt(byReference, reference),
    ofImage: ({ digest, normalized }) => {
      // A pinned name can be known for the image although its own digest is of another kind (platform, index, config id).
      const named = valuesAt(byReference, normalized)
      const pinned = digest === undefined ? NONE : valuesAt(byDigest, digest)
      return pinned.length === 0 ? named : [...pinned, ...named]
    },
    size: () => byName.size,
    values: () => byName.values(),
  }
}

/** Nearly every key has one value only, and 100,000 sets of one need more memory than what is in them. */
export type Multimap<Value extends object> = Map<string, Value | Set<Value>>

const NONE: readonly never[] = []

export function valuesAt<Value extends object>(map: Multimap<Value>, key: string): readonly Value[] {
  const found = map.get(key)
  return found === undefined ? NONE : found instanceof Set ? [...found] : [found]
}

export function link<Value extends object>(map: Multimap<Value>, key: string, value: Value): void {
  const found = map.get(key)
  if (found === undefined) map.set(key, value)
  else if (found instanceof Set) found.add(value)
  else if (found !== value) map.set(key, new Set([found, value]))
}

export function unlink<Value extends object>(map: Multimap<Value>, key: string, value: Value): void {
  const found = map.get(key)
  if (found instanceof Set) found.delete(value)
  if (found === value || (found instanceof Set && found.size === 0)) map.delete(key)
}
