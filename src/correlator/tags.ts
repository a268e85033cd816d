/** Which image a tag names now: that of the container that was first seen last (rule 15). */
import { LRUCache } from 'lru-cache'
import { isSameImage, type ImageIdentity } from './attribute.ts'
import type { ContainerRecord } from './types.ts'

export interface Tags {
  /** Notes a container. `false`: its tag names a newer image already, so it says nothing about the name. */
  observe(record: Pick<ContainerRecord, 'reference' | 'digests' | 'firstSeen'>): boolean
  /** `image` without the names that now belong to another image. */
  withCurrentNames(image: ImageIdentity): ImageIdentity
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
      if (isPinned(reference)) return true
      const known = newest.get(reference)
      if (known !== undefined && !isSameImage(known, { digests }) && known.firstSeen >= firstSeen) return false
      newest.set(reference, { digests, firstSeen: Math.max(firstSeen, known?.firstSeen ?? firstSeen) })
      return true
    },
    withCurrentNames: (image) => {
      const references = image.references.filter((reference) => {
        const known = newest.get(reference)
        return known === undefined || isSameImage(known, image)
      })
      return references.length === image.references.length ? image : { ...image, references }
    },
  }
}
