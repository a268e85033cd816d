/** What admission looks images up in: in memory, one lookup per image, fed by the changes that the correlator reports. */
import { printable } from '../alerts/text.ts'
import type { FindFlagged, FlaggedImage } from '../policy/types.ts'
import { flaggedOf, type FlaggedChange, type FlaggedVerdict, type ShownEvidence } from './flagged.ts'
import type { ImageReference, ParseReference } from './name.ts'
import { createNameIndex } from './nameIndex.ts'
import { listOf, oneOrMany } from './oneOrMany.ts'
import { answerIn } from './reach.ts'
import { denialText } from './text.ts'
import type { Answer, ImageVerdict } from './types.ts'

/** A verdict and what it means where it was asked for. */
export interface FoundVerdict {
  readonly verdict: FlaggedVerdict
  readonly answer: Exclude<Answer, 'none'>
}

export interface VerdictIndex {
  /** Adds, replaces or removes one verdict. */
  apply(change: FlaggedChange): void
  /**
   * The verdict that speaks of this image at `now` (milliseconds) in this namespace (undefined: in none in particular): denying before warning.
   * `undefined`: none does. A digest in the reference decides alone; without one the tag's name does. Constant time.
   */
  find(image: ImageReference, now: number, namespace: string | undefined): FoundVerdict | undefined
  size(): number
  list(): readonly FlaggedVerdict[]
}

/** An empty index, or one over those of `verdicts` that warn or deny. */
export function createVerdictIndex(verdicts: readonly ImageVerdict[] = []): VerdictIndex {
  const index = createNameIndex<FlaggedVerdict>()
  const share = sharedTexts()
  for (const verdict of flaggedOf(verdicts)) index.set(verdict)
  return {
    apply: ({ name, verdict }) => (verdict === undefined ? index.delete(name) : index.set(withShared(verdict, share))),
    size: () => index.size(),
    list: () => [...index.values()],
    find: (image, now, namespace) => strictest(index.ofImage(image), now, namespace),
  }
}

/** Texts that many verdicts have: each message from the alert thread brings them anew. */
const SHARED_AT_MOST = 1000

/** One and the same string for equal texts, of those that came last. */
type Share = <Text extends string>(text: Text) => Text

function sharedTexts(): Share {
  const known = new Map<string, string>()
  return <Text extends string>(text: Text): Text => {
    const same = known.get(text)
    if (same !== undefined) return same as Text
    if (known.size >= SHARED_AT_MOST) known.clear()
    known.set(text, text)
    return text
  }
}

/** Each field is named: a spread leaves objects with room for more, which with 100,000 verdicts is a tenth of the index. */
const withShared = (verdict: FlaggedVerdict, share: Share): FlaggedVerdict => ({
  name: verdict.name,
  spellsDigest: verdict.spellsDigest,
  otherNames: verdict.otherNames,
  phase: share(verdict.phase),
  reason: share(verdict.reason),
  reach: verdict.reach,
  phaseSince: verdict.phaseSince,
  expiresAt: verdict.expiresAt,
  until: verdict.until,
  confirmed: verdict.confirmed,
  score: verdict.score,
  evidence: oneOrMany(listOf(verdict.evidence).map((piece) => withSharedTexts(piece, share))),
})

const withSharedTexts = (
  { detector, rule, time, namespace, pod, target, own }: ShownEvidence,
  share: Share,
): ShownEvidence => ({
  detector: share(detector),
  rule: share(rule),
  time,
  namespace: namespace && share(namespace),
  pod,
  target: target && share(target),
  own,
})

/** What these verdicts say at `now` in a namespace. Of two that say the same the first. */
export function strictest(
  verdicts: readonly FlaggedVerdict[],
  now: number,
  namespace: string | undefined,
): FoundVerdict | undefined {
  let found: FoundVerdict | undefined
  for (const verdict of verdicts) {
    if (now > verdict.until) continue
    const answer = answerIn(verdict, namespace)
    if (answer === 'denying') return { verdict, answer }
    if (answer === 'warning') found ??= { verdict, answer }
  }
  return found
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
