/** Names that pods show for a verdict's image: they join it, and leave it when they have long been another image's (rule 15). */
import { noFacts } from '../verdicts/merge.ts'
import { isFlagged } from '../verdicts/phase.ts'
import type { ImageVerdict, VerdictFacts } from '../verdicts/types.ts'
import { isSameImage } from './attribute.ts'
import { withoutReference } from './decide.ts'
import type { Ledger } from './ledger.ts'
import { isPinned, type Tags } from './tags.ts'
import type { ContainerDirectory, ContainerRecord } from './types.ts'
import type { Change, Written } from './writer.ts'

export interface NamesOptions {
  readonly ledger: Ledger
  readonly tags: Tags
  readonly directory: Pick<ContainerDirectory, 'ranAs'> | undefined
  readonly submit: (name: string, change: Change) => Promise<Written>
  /** `current` with facts merged in and its phase decided. */
  readonly extend: (current: ImageVerdict, facts: VerdictFacts) => ImageVerdict
  /** A flagged image runs under a name that its verdict did not have: the next pod of that name is denied. */
  readonly onJoined: (verdict: ImageVerdict, reference: string) => void
  /** Milliseconds since the epoch. */
  readonly clock: () => number
}

export interface Names {
  /** Names join a verdict with the digests they ran, and tags leave whose verdict's image was not seen under them for 24 h. */
  update(record: ContainerRecord): Promise<void>
  /** Tags that have been another image's for 24 h leave, though no new container says so. */
  sweep(): Promise<void>
}

/** Tags are looked at so often: nobody can tell the difference after 24 h. */
const SWEEP_MS = 10 * 60_000

export function createNames({ ledger, tags, submit, extend, onJoined, directory, clock }: NamesOptions): Names {
  let sweptAt = clock()

  const join = async (verdict: ImageVerdict, reference: string, facts: VerdictFacts): Promise<void> => {
    // A step, not facts: names alone make no verdict if it was deleted meanwhile.
    const step = (current: ImageVerdict): ImageVerdict => extend(current, facts)
    if (step(verdict) === verdict) return
    const written = await submit(verdict.name, { step })
    const joined = !verdict.references.includes(reference) && written.verdict.references.includes(reference)
    if (joined && isFlagged(written.verdict, clock())) onJoined(written.verdict, reference)
  }

  /** A tag is denied as long as one of the images that were seen under it in 24 h is flagged: somebody may still be served that one. */
  const hasLeft = (verdict: ImageVerdict, reference: string): boolean =>
    !isPinned(reference) && tags.namesOther(reference, verdict) && directory?.ranAs(verdict.digests, reference) !== true

  const leave = (verdict: ImageVerdict, reference: string): Promise<Written> =>
    submit(verdict.name, { step: (current) => withoutReference(current, reference) })

  return {
    update: async (record) => {
      const { reference, digests } = record
      tags.observe(record)
      const work: Promise<unknown>[] = []
      const touched = new Set<string>()
      for (const digest of digests) {
        const verdict = ledger.findByDigest(digest)
        if (verdict === undefined || touched.has(verdict.name)) continue
        touched.add(verdict.name)
        work.push(join(verdict, reference, { ...noFacts, digests, references: [reference] }))
      }
      for (const verdict of ledger.findByReference(reference)) {
        // A name that has a verdict of its own for want of room (ownVerdicts) is the image's as long as the image has a verdict.
        if (isSameImage(verdict, record) || (verdict.digests.length === 0 && touched.size > 0)) continue
        if (hasLeft(verdict, reference)) work.push(leave(verdict, reference))
      }
      await Promise.all(work)
    },
    sweep: async () => {
      if (directory === undefined || clock() - sweptAt < SWEEP_MS) return
      sweptAt = clock()
      for (const verdict of ledger.verdicts()) {
        // One without digests is a name of another verdict's image: what it names is not known here.
        if (verdict.digests.length === 0) continue
        for (const reference of verdict.references) if (hasLeft(verdict, reference)) await leave(verdict, reference)
      }
    },
  }
}
