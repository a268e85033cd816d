import type { Check, CheckFunction } from '../types.ts'
import { describeSeccomp, inContainers, inPod, isConfined } from '../checkHelpers.ts'

/*
 * Where a seccomp profile is named, it must be one that filters.
 *
 * v1.0 to v1.18
 * Restricted fields: metadata.annotations["seccomp.security.alpha.kubernetes.io/pod"],
 * metadata.annotations["container.seccomp.security.alpha.kubernetes.io/*"]
 * Allowed values: runtime/default, docker/default, localhost/*; undefined
 *
 * v1.19 and newer
 * Restricted fields: spec.securityContext.seccompProfile.type,
 * spec.{containers,initContainers,ephemeralContainers}[*].securityContext.seccompProfile.type
 * Allowed values: RuntimeDefault, Localhost (with a localhostProfile: CVE-2023-2431); undefined profile
 *
 * Source: kubernetes/pod-security-admission:policy/check_seccompProfile_baseline.go
 */

const POD_ANNOTATION = 'seccomp.security.alpha.kubernetes.io/pod'
const CONTAINER_ANNOTATION_PREFIX = 'container.seccomp.security.alpha.kubernetes.io/'

const isAllowedAnnotation = (value: string): boolean =>
  value === 'runtime/default' || value === 'docker/default' || value.startsWith('localhost/')

/** The annotations of the versions before the field existed. */
export const seccompAnnotations =
  (check: string): CheckFunction =>
  (metadata, spec) => {
    const rule = {
      check,
      reason: 'seccompProfile',
      required: 'runtime/default or localhost/*',
      fix: 'remove the annotation',
    }
    const annotations = metadata.annotations ?? {}
    const find = (key: string) => {
      const value = Object.hasOwn(annotations, key) ? (annotations[key] ?? '') : undefined
      return value === undefined || isAllowedAnnotation(value)
        ? undefined
        : { path: `metadata.annotations["${key}"]`, found: value || 'an empty text' }
    }
    const podFinding = find(POD_ANNOTATION)
    return [
      ...inPod(rule, podFinding ? [podFinding] : []),
      ...inContainers(rule, spec, (container) => find(`${CONTAINER_ANNOTATION_PREFIX}${container.name}`)),
    ]
  }

/** Every profile that is written must filter; none need be written. */
export const writtenSeccompMustFilter =
  (check: string): CheckFunction =>
  (_metadata, spec) => {
    const rule = {
      check,
      reason: 'seccompProfile',
      required: 'RuntimeDefault or a named Localhost',
      fix: 'set RuntimeDefault',
    }
    const podProfile = spec.securityContext?.seccompProfile
    return [
      ...inPod(
        rule,
        podProfile == null || isConfined(podProfile)
          ? []
          : [{ path: 'spec.securityContext.seccompProfile.type', found: describeSeccomp(podProfile) }],
      ),
      ...inContainers(rule, spec, (container, path) => {
        const profile = container.securityContext?.seccompProfile
        return profile == null || isConfined(profile)
          ? undefined
          : { path: `${path}.securityContext.seccompProfile.type`, found: describeSeccomp(profile) }
      }),
    ]
  }

const ID = 'seccompProfile_baseline'

export const seccompProfile_baseline: Check = {
  id: ID,
  profiles: ['baseline', 'standard', 'restricted'],
  versions: [
    { since: 0, check: seccompAnnotations(ID) },
    { since: 19, check: writtenSeccompMustFilter(ID) },
  ],
}
