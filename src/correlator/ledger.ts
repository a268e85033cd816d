/**
 * What the correlator remembers of the store: of every verdict what it is found by and when it ends, of those that were used last all of it. The others are
 * read from the store again: of 100,000 verdicts that is about half of the memory.
 */
import { LRUCache } from 'lru-cache'
import { mutesActs } from '../verdicts/decisions.ts'
import { flaggedOf } from '../verdicts/flagged.ts'
import { strictest, type FoundVerdict } from '../verdicts/index.ts'
import { repositoryOf, type ImageReference } from '../verdicts/name.ts'
import { createNameIndex, link, namedAs, unlink, valuesAt, type Multimap, type Named } from '../verdicts/nameIndex.ts'
import type { ImageVerdict, Muted, VerdictChange, VerdictStore } from '../verdicts/types.ts'

/** What is always in memory. */
export interface LedgerEntry extends Named, Pick<ImageVerdict, 'phase' | 'phaseSince' | 'expiresAt'> {
  readonly mutedKeys?: readonly string[] | undefined
}

export interface Ledger {
  /** Adds, replaces or removes one verdict. */
  apply(change: VerdictChange): void
  get(name: string): ImageVerdict | undefined
  /** What was applied last, if it is kept whole; the store is not asked, which may know more already. */
  applied(name: string): ImageVerdict | undefined
  /** Every verdict, from memory alone. */
  entries(): Iterable<LedgerEntry>
  /** Every verdict in full, each read when it is asked for. */
  verdicts(): Iterable<ImageVerdict>
  /** The verdict that holds this digest, whatever its phase; of several the one with the smallest name, on every replica. */
  findByDigest(digest: string): ImageVerdict | undefined
  /** Its name alone, which is always in memory. */
  nameByDigest(digest: string): string | undefined
  /** The verdicts that hold this normalised reference, whatever their phase. */
  findByReference(normalized: string): readonly ImageVerdict[]
  /** A verdict whose release as false positive silences this act at `now` in every image of the repository of this normalised reference. */
  findMute(reference: string, act: Muted['acts'][number], now: number): ImageVerdict | undefined
  /** The verdict that speaks of an image, as admission will find it. */
  find(image: ImageReference, now: number, namespace: string | undefined): FoundVerdict | undefined
}

/** As many as a ledger has room for where nobody raised it: then nothing is read again. */
const KEPT_WHOLE = 5000

/** `read`: a verdict as the store has it now. */
export function createLedger(read: VerdictStore['get'], keptWhole = KEPT_WHOLE): Ledger {
  const index = createNameIndex<LedgerEntry>()
  const byMuted: Multimap<LedgerEntry> = new Map()
  const whole = new LRUCache<string, ImageVerdict>({ max: keptWhole })

  const get = (name: string): ImageVerdict | undefined => {
    if (index.get(name) === undefined) return undefined
    const known = whole.get(name)
    if (known !== undefined) return known
    const verdict = read(name)
    if (verdict !== undefined) whole.set(name, verdict)
    return verdict
  }
  const present = (entries: readonly LedgerEntry[]): readonly ImageVerdict[] =>
    entries.flatMap(({ name }) => get(name) ?? [])

  const nameByDigest = (digest: string): string | undefined => {
    const [first, ...others] = index.withName(digest)
    return others.reduce((smallest, { name }) => (name < smallest! ? name : smallest), first?.name)
  }

  return {
    apply: ({ name, verdict }) => {
      const old = index.get(name)
      for (const key of old?.mutedKeys ?? []) unlink(byMuted, key, old!)
      if (verdict === undefined) {
        index.delete(name)
        whole.delete(name)
        return
      }
      const { spellsDigest, otherNames } = namedAs(verdict)
      const { phase, phaseSince, expiresAt } = verdict
      const mutedKeys = mutedKeysOf(verdict.muted)
      const entry = { name, spellsDigest, otherNames, phase, phaseSince, expiresAt, mutedKeys }
      index.set(entry)
      // While a large ledger is loaded each would push out another that nobody has asked for either.
      if (old !== undefined || whole.size < keptWhole) whole.set(name, verdict)
      for (const key of mutedKeys ?? []) link(byMuted, key, entry)
    },
    get,
    applied: (name) => whole.peek(name),
    entries: () => index.values(),
    verdicts: function* verdicts() {
      // Not through `whole`: reading all of them once must not push out those that are used.
      for (const { name } of index.values()) {
        const verdict = whole.peek(name) ?? read(name)
        if (verdict !== undefined) yield verdict
      }
    },
    nameByDigest,
    findByDigest: (digest) => {
      const name = nameByDigest(digest)
      return name === undefined ? undefined : get(name)
    },
    findByReference: (normalized) => present(index.withName(normalized)),
    findMute: (reference, act, now) =>
      // Asked for every alert, and nearly nobody ever calls one a false positive.
      byMuted.size === 0
        ? undefined
        : present(valuesAt(byMuted, mutedKey(repositoryOf(reference), act))).find((verdict) =>
            mutesActs(verdict, act, now),
          ),
    find: (image, now, namespace) => strictest(flaggedOf(present(index.ofImage(image))), now, namespace),
  }
}

/** JSON, so that no text can pass for two. */
function mutedKey(repository: string, act: Muted['acts'][number]): string {
  return JSON.stringify([repository, act.class, act.target])
}

function mutedKeysOf(muted: Muted | undefined): readonly string[] | undefined {
  return muted?.repositories.flatMap((repository) => muted.acts.map((act) => mutedKey(repository, act)))
}
