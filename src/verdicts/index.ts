/** What admission looks images up in: in memory, one lookup per image, fed by the changes that the correlator reports. */
import type { FindFlagged } from '../policy/types.ts'
import type { ImageReference, ParseReference } from './name.ts'
import { isFlagged } from './phase.ts'
import { denialText } from './text.ts'
import type { ImageVerdict, VerdictChange } from './types.ts'

export interface VerdictIndex {
  /** Adds, replaces or removes one verdict. */
  apply(change: VerdictChange): void
  /**
   * The verdict that speaks of this image at `now` (milliseconds): denying before warning. `undefined`: none does.
   * A digest in the reference decides alone; without one the tag's name does. Constant time.
   */
  find(image: ImageReference, now: number): (ImageVerdict & { readonly phase: 'warning' | 'denying' }) | undefined
  /** All verdicts, whatever their phase. */
  list(): readonly ImageVerdict[]
  get(name: string): ImageVerdict | undefined
  /** The verdict that holds this digest, whatever its phase; of several the one with the smallest name, on every replica. */
  findByDigest(digest: string): ImageVerdict | undefined
  /** The verdicts that hold this normalised reference, whatever their phase. */
  findByReference(normalized: string): readonly ImageVerdict[]
}

/** An empty index, or one over `verdicts`. */
export function createVerdictIndex(verdicts: readonly ImageVerdict[] = []): VerdictIndex {
  const byName = new Map<string, ImageVerdict>()
  const byDigest = new Map<string, Set<string>>()
  const byReference = new Map<string, Set<string>>()

  const apply = ({ name, verdict }: VerdictChange): void => {
    const old = byName.get(name)
    for (const digest of old?.digests ?? []) unlink(byDigest, digest, name)
    for (const reference of old?.references ?? []) unlink(byReference, reference, name)
    if (verdict === undefined) {
      byName.delete(name)
      return
    }
    byName.set(name, verdict)
    for (const digest of verdict.digests) link(byDigest, digest, name)
    for (const reference of verdict.references) link(byReference, reference, name)
  }
  for (const verdict of verdicts) apply({ name: verdict.name, verdict })

  return {
    apply,
    list: () => [...byName.values()],
    get: (name) => byName.get(name),
    findByDigest: (digest) => {
      const [name] = [...(byDigest.get(digest) ?? [])].sort()
      return name === undefined ? undefined : byName.get(name)
    },
    findByReference: (normalized) => [...(byReference.get(normalized) ?? [])].flatMap((name) => byName.get(name) ?? []),
    find: (image, now) => {
      const names = image.digest === undefined ? byReference.get(image.normalized) : byDigest.get(image.digest)
      let found: (ImageVerdict & { readonly phase: 'warning' | 'denying' }) | undefined
      for (const name of names ?? []) {
        const verdict = byName.get(name)
        if (verdict === undefined || !isFlagged(verdict, now)) continue
        if (verdict.phase === 'denying') return verdict
        found ??= verdict
      }
      return found
    },
  }
}

/**
 * The function that the judge of pods is given. `clock` in milliseconds since the epoch. An image that cannot be parsed is not flagged: the API
 * server refuses it, or the kubelet does.
 */
export function findFlagged(
  index: VerdictIndex,
  parseReference: ParseReference,
  clock: () => number,
  commandSuffix = '',
): FindFlagged {
  return (image, namespace) => {
    const reference = parseReference(image)
    const verdict = reference === undefined ? undefined : index.find(reference, clock())
    if (reference === undefined || verdict === undefined) return undefined
    return {
      verdict: verdict.name,
      phase: verdict.phase,
      text: denialText({ image, reference, verdict, namespace, commandSuffix }),
    }
  }
}

function link(map: Map<string, Set<string>>, key: string, name: string): void {
  const names = map.get(key)
  if (names === undefined) map.set(key, new Set([name]))
  else names.add(name)
}

function unlink(map: Map<string, Set<string>>, key: string, name: string): void {
  const names = map.get(key)
  names?.delete(name)
  if (names?.size === 0) map.delete(key)
}
