import { podImages } from '../kube/containers.ts'
import type { PodSpec } from '../kube/types.ts'
import type { Finding, Rule } from './checkHelpers.ts'
import type { AdmissionProfileSpec } from './profile.ts'
import type { CheckFunction, Violation } from './types.ts'

/** A check that runs only where an AdmissionProfile asks for it. It only adds violations; no version of Kubernetes changes it. */
export interface ProfileCheck {
  readonly id: string
  /** The check with the profile's settings; undefined where the profile does not ask for it. */
  readonly create: (spec: AdmissionProfileSpec) => CheckFunction | undefined
  /** IDs of the level's checks that it takes the place of. */
  readonly replaces?: readonly string[] | undefined
}

/** One violation for each image (image volumes too) that `find` objects to. An image volume is the pod's, not a container's. */
export const inImages = (
  rule: Rule,
  spec: PodSpec,
  find: (image: string) => Partial<Finding> | undefined,
): readonly Violation[] =>
  podImages(spec).flatMap(({ image, path, container }) => {
    const finding = find(image)
    return finding
      ? [{ ...rule, path, found: image, ...finding, ...(container === undefined ? {} : { container }) }]
      : []
  })
