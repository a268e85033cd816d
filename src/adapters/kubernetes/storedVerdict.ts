/** One ImageVerdict object as a replica keeps it, and what of a changed verdict goes into its spec. */
import { isDeepStrictEqual } from 'node:util'

import type { ImageVerdict } from '../../verdicts/types.ts'
import { readVerdictObject, toDecision, toRelease } from './verdictObject.ts'
import type { VerdictReading } from './verdictObject.ts'

/** One object as it was last seen. */
export interface Stored {
  readonly name: string
  readonly uid: string | undefined
  readonly resourceVersion: string
  readonly reading: VerdictReading
}

/** Undefined: it is no object of the API. `time`: now, milliseconds since the epoch. */
export function toStored(object: unknown, time: number): Stored | undefined {
  const { metadata } = (object ?? {}) as {
    readonly metadata?: { readonly name?: unknown; readonly uid?: unknown; readonly resourceVersion?: unknown }
  }
  if (typeof metadata?.name !== 'string' || typeof metadata.resourceVersion !== 'string') return undefined
  const { name, uid, resourceVersion } = metadata
  return {
    name,
    uid: typeof uid === 'string' ? uid : undefined,
    resourceVersion,
    reading: readVerdictObject(object, time),
  }
}

/** Undefined: there is none, or it is damaged. */
export const verdictOf = (stored: Stored | undefined): ImageVerdict | undefined =>
  stored?.reading.kind === 'verdict' ? stored.reading.verdict : undefined

/** People's decisions that `next` has and the stored value has not, as a merge patch of `spec`; undefined: none. */
export function decisionsPatch(
  next: ImageVerdict,
  stored: ImageVerdict | undefined,
): Readonly<Record<string, unknown>> | undefined {
  const patch = {
    ...(isDeepStrictEqual(next.release, stored?.release)
      ? {}
      : { release: next.release === undefined ? null : toRelease(next.release) }),
    ...(isDeepStrictEqual(next.confirm, stored?.confirm)
      ? {}
      : { confirm: next.confirm === undefined ? null : toDecision(next.confirm) }),
  }
  return Object.keys(patch).length === 0 ? undefined : patch
}
