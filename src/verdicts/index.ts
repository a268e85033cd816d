/** What admission looks images up in: in memory, one lookup per image, fed by the changes that the correlator reports. */
import { printable } from '../alerts/text.ts'
import type { FindFlagged, FlaggedImage } from '../policy/types.ts'
import type { ImageReference, ParseReference } from './name.ts'
import { mutesActs } from './decisions.ts'
import { isFlagged } from './phase.ts'
import { answerIn } from './reach.ts'
import { denialText } from './text.ts'
import type { Answer, ImageVerdict, Muted, VerdictChange } from './types.ts'

/** A verdict and what it means where it was asked for. */
export interface FoundVerdict {
  readonly verdict: ImageVerdict
  readonly answer: Exclude<Answer, 'none'>
}

export interface VerdictIndex {
  /** Adds, replaces or removes one verdict. */
  apply(change: VerdictChange): void
  /**
   * The verdict that speaks of this image at `now` (milliseconds) in this namespace (undefined: in none in particular): denying before warning.
   * `undefined`: none does. A digest in the reference decides alone; without one the tag's name does. Constant time.
   */
  find(image: ImageReference, now: number, namespace: string | undefined): FoundVerdict | undefined
  /** How many verdicts, whatever their phase. */
  size(): number
  /** All verdicts, whatever their phase. */
  list(): readonly ImageVerdict[]
  get(name: string): ImageVerdict | undefined
  /** The verdict that holds this digest, whatever its phase; of several the one with the smallest name, on every replica. */
  findByDigest(digest: string): ImageVerdict | undefined
  /** The verdicts that hold this normalised reference, whatever their phase. */
  findByReference(normalized: string): readonly ImageVerdict[]
  /** A verdict whose release as false positive silences this act at `now` in every image of the repository. */
  findMute(repository: string, act: Muted['acts'][number], now: number): ImageVerdict | undefined
}

/** An empty index, or one over `verdicts`. */
export function createVerdictIndex(verdicts: readonly ImageVerdict[] = []): VerdictIndex {
  const byName = new Map<string, ImageVerdict>()
  const byDigest: Names = new Map()
  const byReference: Names = new Map()
  const byMuted: Names = new Map()

  const apply = ({ name, verdict }: VerdictChange): void => {
    const old = byName.get(name)
    for (const digest of old?.digests ?? []) unlink(byDigest, digest, name)
    for (const reference of old?.references ?? []) unlink(byReference, reference, name)
    for (const key of mutedKeys(old?.muted)) unlink(byMuted, key, name)
    if (verdict === undefined) {
      byName.delete(name)
      return
    }
    byName.set(name, verdict)
    for (const digest of verdict.digests) link(byDigest, digest, name)
    for (const reference of verdict.references) link(byReference, reference, name)
    for (const key of mutedKeys(verdict.muted)) link(byMuted, key, name)
  }
  for (const verdict of verdicts) apply({ name: verdict.name, verdict })

  return {
    apply,
    size: () => byName.size,
    list: () => [...byName.values()],
    get: (name) => byName.get(name),
    findByDigest: (digest) => {
      const [name] = [...namesAt(byDigest, digest)].sort()
      return name === undefined ? undefined : byName.get(name)
    },
    findByReference: (normalized) => [...namesAt(byReference, normalized)].flatMap((name) => byName.get(name) ?? []),
    findMute: (repository, act, now) => {
      for (const name of namesAt(byMuted, mutedKey(repository, act))) {
        const verdict = byName.get(name)
        if (verdict !== undefined && mutesActs(verdict, act, now)) return verdict
      }
      return undefined
    },
    find: (image, now, namespace) => {
      // A pinned name can be known for the image although its own digest is of another kind (platform, index, config id).
      const named = namesAt(byReference, image.normalized)
      const names = image.digest === undefined ? named : [...namesAt(byDigest, image.digest), ...named]
      let found: FoundVerdict | undefined
      for (const name of names) {
        const verdict = byName.get(name)
        if (verdict === undefined || !isFlagged(verdict, now)) continue
        const answer = answerIn(verdict, namespace)
        if (answer === 'denying') return { verdict, answer }
        if (answer === 'warning') found ??= { verdict, answer }
      }
      return found
    },
  }
}

/** JSON, so that no text can pass for two. */
function mutedKey(repository: string, act: Muted['acts'][number]): string {
  return JSON.stringify([repository, act.class, act.target])
}

function mutedKeys(muted: Muted | undefined): readonly string[] {
  return (muted?.repositories ?? []).flatMap((repository) => muted?.acts.map((act) => mutedKey(repository, act)) ?? [])
}

/** What is said of an image that no verdict can be looked up for. */
function unreadable(image: string): FlaggedImage {
  const text = `image "${printable(image, 120)}" is denied: it is no complete image reference, so no verdict can be looked up for it; fix: write registry/repository:tag or registry/repository@sha256:<digest>`
  return { verdict: 'unreadable-image', phase: 'denying', text }
}

/** References kept parsed. */
const PARSED_AT_MOST = 1000

/**
 * The function that the judge of pods is given. `clock` in milliseconds since the epoch. An image that cannot be parsed is treated as flagged: nobody
 * can say what a runtime would make of it (containerd starts `sha256:3dc0` if a local image's id begins so).
 */
export function findFlagged(
  index: Pick<VerdictIndex, 'find'>,
  parseReference: ParseReference,
  clock: () => number,
  commandSuffix = '',
): FindFlagged {
  // The same few images are asked for again and again. Whoever sends ever new ones only has them parsed.
  const parsed = new Map<string, ImageReference>()
  const parse = (image: string): ImageReference | undefined => {
    const known = parsed.get(image)
    if (known !== undefined) return known
    const reference = parseReference(image)
    if (parsed.size >= PARSED_AT_MOST) parsed.clear()
    // A reference has at most some hundred characters; what is longer is none, and not worth keeping.
    if (reference !== undefined) parsed.set(image, reference)
    return reference
  }
  return (image, namespace) => {
    const reference = parse(image)
    if (reference === undefined) return unreadable(image)
    const found = index.find(reference, clock(), namespace)
    if (found === undefined) return undefined
    const { verdict, answer } = found
    return {
      verdict: verdict.name,
      phase: answer,
      text: denialText({ image, reference, verdict, answer, namespace, commandSuffix }),
    }
  }
}

/** Names by a key of theirs. Nearly every key has one name only, and 100,000 sets of one need more memory than the verdicts. */
type Names = Map<string, string | Set<string>>

const NO_NAMES: readonly string[] = []

function namesAt(map: Names, key: string): Iterable<string> {
  const names = map.get(key)
  return names === undefined ? NO_NAMES : typeof names === 'string' ? [names] : names
}

function link(map: Names, key: string, name: string): void {
  const names = map.get(key)
  if (names === undefined || names === name) map.set(key, name)
  else if (typeof names === 'string') map.set(key, new Set([names, name]))
  else names.add(name)
}

function unlink(map: Names, key: string, name: string): void {
  const names = map.get(key)
  if (typeof names === 'object') names.delete(name)
  if (names === name || (typeof names === 'object' && names.size === 0)) map.delete(key)
}
