import { inImages, type ProfileCheck } from '../profileCheck.ts'
import { describeList } from '../ranges.ts'
import { isAllowedImage } from '../registryPrefix.ts'

/*
 * Every image must come from one of the profile's registries, by whole path components: `registry.example/team` allows neither
 * `registry.example/team-evil/web` nor `registry.example.evil.org/team/web`.
 *
 * Restricted fields: spec.{containers,initContainers,ephemeralContainers}[*].image, spec.volumes[*].image.reference
 * Allowed values: references at or below an entry of `allowedRegistries`. What is no reference is not allowed, nor is a bare image id.
 *
 * Source: Drawbridge's own (AdmissionProfile).
 */

const ID = 'allowedRegistries'

export const allowedRegistries: ProfileCheck = {
  id: ID,
  create: ({ allowedRegistries: allowed }) => {
    if (allowed === undefined) return undefined
    const rule = {
      check: ID,
      reason: 'registry',
      required: `from ${describeList(allowed)}`,
      fix: 'use an image of these registries',
    }
    return (_metadata, spec) => inImages(rule, spec, (image) => (isAllowedImage(image, allowed) ? undefined : {}))
  },
}
