/** Whether a person's decision takes an alert's weight away (rule 19). A few look-ups per alert, however many verdicts there are. */
import { muteOfImage } from '../verdicts/decisions.ts'
import type { Ledger } from './ledger.ts'
import type { ImageVerdict, Muted } from '../verdicts/types.ts'
import type { ImageIdentity } from './attribute.ts'

/**
 * Why an act in this image is silent at `now`; undefined: it is not. An image is silent with the verdict that its alerts are filed under (`known`), with any that holds
 * one of its digests, and with any false positive of its repository.
 */
export function silencedBy(
  ledger: Pick<Ledger, 'nameByDigest' | 'get' | 'findMute'>,
  image: Pick<ImageIdentity, 'digests' | 'references'>,
  known: ImageVerdict | undefined,
  act: Muted['acts'][number],
  now: number,
): string | undefined {
  const ofImage = known === undefined ? undefined : muteOfImage(known, act, now)
  if (ofImage !== undefined) return ofImage
  for (const digest of image.digests) {
    const name = ledger.nameByDigest(digest)
    // Nearly always it is the one that was looked at.
    const verdict = name === undefined || name === known?.name ? undefined : ledger.get(name)
    const why = verdict === undefined ? undefined : muteOfImage(verdict, act, now)
    if (why !== undefined) return why
  }
  for (const reference of image.references) {
    const verdict = ledger.findMute(reference, act, now)
    if (verdict !== undefined) return `a person called it a false positive in this repository (${verdict.name})`
  }
  return undefined
}
