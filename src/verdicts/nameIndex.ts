/** Finds things by the names of images: digests and normalised references. In memory, constant time, small: there may be 100,000. */

import { DIGEST, spelledDigest, spellingOf, type ImageReference } from './name.ts'
import { listOf, oneOrMany, type OneOrMany } from './oneOrMany.ts'
import type { ImageVerdict } from './types.ts'

/** Something that stands for an image and is found by its names. */
export interface Named {
  /** A verdict's. */
  readonly name: string
  /** Whether the digest that `name` spells is the image's. It is not kept a second time: with 100,000 verdicts that is an eighth of an index. */
  readonly spellsDigest: boolean
  /** The image's other digests, then its normalised references. */
  readonly otherNames: OneOrMany<string>
}

const isDigest = (text: string): boolean => DIGEST.test(text)

/** What a verdict is found by. */
export function namedAs({ name, digests, references }: Pick<ImageVerdict, 'name' | 'digests' | 'references'>): Named {
  const spelled = spelledDigest(name)
  const spellsDigest = spelled !== undefined && digests.includes(spelled)
  const others = spellsDigest ? digests.filter((digest) => digest !== spelled) : digests
  // A store may hold anything: what reads like a digest among the references must not be found as one.
  const named = references.some(isDigest) ? references.filter((reference) => !isDigest(reference)) : references
  return { name, spellsDigest, otherNames: oneOrMany(others.concat(named)) }
}

/** All digests and normalised references. */
export function imageNames({ name, spellsDigest, otherNames }: Named): readonly string[] {
  const others = listOf(otherNames)
  return spellsDigest ? [spelledDigest(name)!, ...others] : others
}

export interface NameIndex<Entry extends Named> {
  /** Adds, or replaces what has the same name. */
  set(entry: Entry): void
  delete(name: string): void
  get(name: string): Entry | undefined
  /** By digest or normalised reference: no text is both. The entry whose name spells it comes first. */
  withName(imageName: string): readonly Entry[]
  /** Of an image: by the digest that it is pinned to, then by its name. */
  ofImage(image: Pick<ImageReference, 'digest' | 'normalized'>): readonly Entry[]
  size(): number
  values(): Iterable<Entry>
}

export function createNameIndex<Entry extends Named>(): NameIndex<Entry> {
  const byName = new Map<string, Entry>()
  const byOtherName: Multimap<Entry> = new Map()

  const unlinkNames = (name: string): void => {
    const old = byName.get(name)
    for (const other of listOf(old?.otherNames ?? NONE)) unlink(byOtherName, other, old!)
  }

  const withName = (imageName: string): readonly Entry[] => {
    const others = valuesAt(byOtherName, imageName)
    const spelling = spellingOf(imageName)
    const spelled = spelling === undefined ? undefined : byName.get(spelling)
    return spelled?.spellsDigest === true ? [spelled, ...others] : others
  }

  return {
    set: (entry) => {
      unlinkNames(entry.name)
      // In its old place: whoever is going through all of them must not meet it again.
      byName.set(entry.name, entry)
      for (const other of listOf(entry.otherNames)) link(byOtherName, other, entry)
    },
    delete: (name) => {
      unlinkNames(name)
      byName.delete(name)
    },
    get: (name) => byName.get(name),
    withName,
    ofImage: ({ digest, normalized }) => {
      // A pinned name can be known for the image although its own digest is of another kind (platform, index, config id).
      const named = withName(normalized)
      const pinned = digest === undefined ? NONE : withName(digest)
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
