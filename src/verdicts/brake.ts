/** The brake (rule 19): one setting for everything that verdicts do, stronger than any namespace's label. */
import { cutBytes } from '../alerts/text.ts'
import type { FindFlagged, QuarantineMode } from '../policy/types.ts'

/** As `denialText`: what a namespace is told of an image. */
const MAX_BYTES = 1024

/** A value of the brake as people write it; undefined: it is none of `enforce`, `warn`, `off`. */
export function readMode(value: unknown): QuarantineMode | undefined {
  // Files end with a line break, and who pulls a brake is in a hurry.
  const text = typeof value === 'string' ? value.trim().toLowerCase() : undefined
  return text === 'enforce' || text === 'warn' || text === 'off' ? text : undefined
}

/**
 * `find` under the brake, which is asked at each call. `warn`: what would be denied is a warning that says so; `off`: no image is flagged. An image that
 * does not deny suspends no exceptions either, as in a namespace whose label says `warn` or `off`.
 */
export function withBrake(find: FindFlagged, mode: () => QuarantineMode): FindFlagged {
  return (image, namespace) => {
    const now = mode()
    if (now === 'off') return undefined
    const flagged = find(image, namespace)
    if (flagged === undefined || now === 'enforce' || flagged.phase !== 'denying') return flagged
    const text = cutBytes(`allowed while the brake is on (quarantine: warn): ${flagged.text}`, MAX_BYTES)
    return { ...flagged, phase: 'warning', text }
  }
}
