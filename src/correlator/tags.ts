/** Which image a tag names now: that of the container that was first seen last (rule 15). */
import { LRUCache } from 'lru-cache'
import { isSameImage } from './attribute.ts'
import type { ContainerRecord } from './types.ts'

export interface Tags {
  /** Notes a container. */
  observe(record: Pick<ContainerRecord, 'reference' | 'digests' | 'firstSeen'>): void
  /** Whether the newest image seen under this name is surely another one. */
  namesOther(reference: string, image: Pick<ContainerRecord, 'digests'>): boolean
  /** Digests of the newest image seen under this name; of a pinned name its own. */
  digestsOf(reference: string): readonly string[]
}

/** Whether a normalised reference holds a digest: then it names one image for ever. */
export function isPinned(reference: string): boolean {
  return reference.includes('@')
}

/** Remembers at most `max` tags; one that is forgotten is taken for current. */
export function createTags(max: number): Tags {
  const newest = new LRUCache<string, Pick<ContainerRecord, 'digests' | 'firstSeen'>>({ max })
  return {
    observe: ({ reference, digests, firstSeen }) => {
      if (isPinned(reference)) return
      const known = newest.get(reference)
      if (known !== undefined && !isSameImage(known, { digests }) && known.firstSeen >= firstSeen) return
      newest.set(reference, { digests, firstSeen: Math.max(firstSeen, known?.firstSeen ?? firstSeen) })
    },
    namesOther: (reference, image) => {
      const known = newest.peek(reference)
      return known !== undefined && !isSameImage(known, image)
    },
    digestsOf: (reference) =>
      isPinned(reference) ? [reference.slice(reference.indexOf('@') + 1)] : (newest.peek(reference)?.digests ?? []),
  }
}
