import type { AppArmorProfile } from '../../kube/types.ts'
import type { Check, CheckFunction } from '../types.ts'
import { inContainers, inPod, NOT_SET } from '../checkHelpers.ts'

/*
 * The runtime's AppArmor profile may not be switched off or replaced by an unknown one.
 *
 * Restricted fields: metadata.annotations["container.apparmor.security.beta.kubernetes.io/*"]
 * Allowed values: runtime/default, localhost/*; empty, undefined
 *
 * Restricted fields: spec.securityContext.appArmorProfile.type,
 * spec.{containers,initContainers,ephemeralContainers}[*].securityContext.appArmorProfile.type
 * Allowed values: RuntimeDefault, Localhost; undefined profile
 *
 * Source: kubernetes/pod-security-admission:policy/check_appArmorProfile.go
 */

const ANNOTATION_PREFIX = 'container.apparmor.security.beta.kubernetes.io/'

const SHARED = { check: 'appArmorProfile', reason: 'forbidden AppArmor profile' }
const FIELD = { ...SHARED, required: 'RuntimeDefault or Localhost', fix: 'remove appArmorProfile' }
const ANNOTATION = { ...SHARED, required: 'runtime/default or localhost/*', fix: 'remove the annotation' }

const isAllowed = (profile: AppArmorProfile | null | undefined): boolean =>
  profile == null || profile.type === 'RuntimeDefault' || profile.type === 'Localhost'

const isAllowedAnnotation = (value: string): boolean =>
  value === '' || value === 'runtime/default' || value.startsWith('localhost/')

const appArmorProfile_1_0: CheckFunction = (metadata, spec) => {
  const podProfile = spec.securityContext?.appArmorProfile
  const inAnnotations = Object.entries(metadata.annotations ?? {})
    .filter(([key, value]) => key.startsWith(ANNOTATION_PREFIX) && !isAllowedAnnotation(value ?? ''))
    .map(([key, value]) => ({ path: `metadata.annotations["${key}"]`, found: value }))
  return [
    ...inPod(FIELD, isAllowed(podProfile) ? [] : [finding('spec', podProfile)]),
    ...inContainers(FIELD, spec, (container, path) => {
      const profile = container.securityContext?.appArmorProfile
      return isAllowed(profile) ? undefined : finding(path, profile)
    }),
    ...inPod(ANNOTATION, inAnnotations),
  ]
}

const finding = (path: string, profile: AppArmorProfile | undefined) => ({
  path: `${path}.securityContext.appArmorProfile.type`,
  found: profile?.type || NOT_SET,
})

export const appArmorProfile: Check = {
  id: 'appArmorProfile',
  profiles: ['baseline', 'standard', 'restricted'],
  versions: [{ since: 0, check: appArmorProfile_1_0 }],
}
