import { parseReference } from '../../kube/reference.ts'
import { inImages, type ProfileCheck } from '../profileCheck.ts'

/*
 * No image may be named by the tag `latest`, which means another image tomorrow.
 *
 * Restricted fields: spec.{containers,initContainers,ephemeralContainers}[*].image, spec.volumes[*].image.reference
 * Allowed values: references with a digest, or with a tag other than `latest`. Without either, `latest` is meant.
 *
 * Source: Drawbridge's own (AdmissionProfile).
 */

const ID = 'latestTag'
const RULE = { check: ID, reason: 'latest tag', required: 'a tag other than latest', fix: 'name a version or a digest' }

export const latestTag: ProfileCheck = {
  id: ID,
  create: ({ forbidLatestTag }) =>
    forbidLatestTag === true
      ? (_metadata, spec) =>
          inImages(RULE, spec, (image) => {
            const parsed = parseReference(image)
            if (parsed === undefined) return {}
            return parsed.digest === undefined && parsed.tag === 'latest' ? {} : undefined
          })
      : undefined,
}
