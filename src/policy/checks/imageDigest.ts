import { parseReference } from '../../kube/reference.ts'
import { inImages, type ProfileCheck } from '../profileCheck.ts'

/*
 * Every image must be named by its digest, so that what was looked at is what runs.
 *
 * Restricted fields: spec.{containers,initContainers,ephemeralContainers}[*].image, spec.volumes[*].image.reference
 * Allowed values: references with `@sha256:<64 hex>` (or sha384, sha512)
 *
 * Source: Drawbridge's own (AdmissionProfile).
 */

const ID = 'imageDigest'
const RULE = { check: ID, reason: 'image digest', required: 'named by @sha256:...', fix: 'add the digest' }

export const imageDigest: ProfileCheck = {
  id: ID,
  create: ({ requireDigest }) =>
    requireDigest === true
      ? (_metadata, spec) =>
          inImages(RULE, spec, (image) => (parseReference(image)?.digest === undefined ? {} : undefined))
      : undefined,
}
