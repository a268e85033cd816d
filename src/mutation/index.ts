import { MIRROR_POD_ANNOTATION } from '../kube/names.ts'
import { checkPodShape } from '../kube/podShape.ts'
import { findPodTemplate } from '../kube/podTemplate.ts'
import type { PodSpec, PodTemplate } from '../kube/types.ts'
import { injectAllowPrivilegeEscalation } from './allowPrivilegeEscalation.ts'
import { injectDropAllCapabilities } from './dropAllCapabilities.ts'
import { patchOf, withAdditions } from './patch.ts'
import { injectReadOnlyRootFilesystem } from './readOnlyRootFilesystem.ts'
import { injectRunAsNonRoot } from './runAsNonRoot.ts'
import { injectSeccomp } from './seccomp.ts'
import type { Addition, Injected, MutationSettings, PatchOperation } from './types.ts'

/**
 * The patch for a pod that is being created (rule 1): minimal, idempotent, always applicable, never over an explicit value. The caller calls
 * this for pods on CREATE only, never for templates or updates.
 *
 * Empty if there is nothing to do, for mirror pods and Windows pods, and for an object that is no readable pod: refusing it is the
 * validating webhook's work. Pure; never throws, whatever `pod` is.
 */
export const mutatePod = (pod: unknown, settings: MutationSettings): readonly PatchOperation[] =>
  patchOf(pod, additionsToPod(pod, settings))

/** The pod that `mutatePod`'s patch makes of `pod`; the same object if there is nothing to do. Pure; never throws, whatever `pod` is. */
export const podAsCreated = (pod: unknown, settings: MutationSettings): unknown =>
  withAdditions(pod, additionsToPod(pod, settings))

const additionsToPod = (pod: unknown, settings: MutationSettings): readonly Addition[] => {
  const found = findPodTemplate({ group: '', kind: 'Pod' }, pod)
  if (!found || checkPodShape(found.metadata, found.spec, found.path) !== undefined) return []
  const { metadata, spec } = found as PodTemplate
  if (settings.requesterIsNode && Object.hasOwn(metadata.annotations ?? {}, MIRROR_POD_ANNOTATION)) return []
  return additionsTo(spec, settings)
}

/**
 * The template of a workload as its pods will be once `mutatePod` has had them: what templates are judged as, although nobody ever patches
 * them (rule 1). The same template if there is nothing to add. Expects one that passed `checkPodShape`; pure and linear.
 */
export const asCreated = (template: PodTemplate, injected: Injected): PodTemplate =>
  withAdditions(template, additionsTo(template.spec, injected))

const additionsTo = (spec: PodSpec, { seccomp, hardening }: Injected): readonly Addition[] =>
  // The API server refuses all of these on a pod that says it is for Windows.
  spec.os?.name === 'windows'
    ? []
    : [
        ...injectSeccomp(spec, seccomp),
        ...(hardening?.allowPrivilegeEscalation === false ? injectAllowPrivilegeEscalation(spec) : []),
        ...(hardening?.dropAllCapabilities === true ? injectDropAllCapabilities(spec) : []),
        ...(hardening?.runAsNonRoot === true ? injectRunAsNonRoot(spec) : []),
        ...(hardening?.readOnlyRootFilesystem === true ? injectReadOnlyRootFilesystem(spec) : []),
      ]
