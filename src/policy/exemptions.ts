import { findPodTemplate } from '../kube/podTemplate.ts'
import { isObject } from '../kube/shape.ts'
import type { AdmissionRequest } from '../kube/types.ts'

/** Why a request is exempt: upstream's words for its audit annotation `exempt`. */
export type Exemption = 'namespace' | 'user' | 'runtimeClass'

/** Exact names that an administrator wrote into drawbridge.yaml. Labels and annotations never exempt. */
export interface Exemptions {
  readonly users: ReadonlySet<string>
  readonly namespaces: ReadonlySet<string>
  readonly runtimeClasses: ReadonlySet<string>
}

/** Exemptions from lists of names, compared exactly: no patterns, no case folding. */
export const createExemptions = (
  lists: Readonly<Record<'users' | 'namespaces' | 'runtimeClasses', readonly string[]>>,
): Exemptions => ({
  users: new Set(lists.users),
  namespaces: new Set(lists.namespaces),
  runtimeClasses: new Set(lists.runtimeClasses),
})

/**
 * Why no check is for this request, asked in upstream's order: namespace, user, then the RuntimeClass of the pod or template
 * (kubernetes/pod-security-admission:admission/admission.go). Undefined: it is not exempt. Never throws, whatever the object is.
 */
export const findExemption = (
  { users, namespaces, runtimeClasses }: Exemptions,
  {
    namespace,
    userInfo,
    kind,
    resource,
    object,
  }: Pick<AdmissionRequest, 'namespace' | 'userInfo' | 'kind' | 'resource' | 'object'>,
): Exemption | undefined => {
  if (namespace !== undefined && namespaces.has(namespace)) return 'namespace'
  if (userInfo?.username !== undefined && users.has(userInfo.username)) return 'user'
  if (runtimeClasses.size === 0) return undefined
  const isPod = resource.group === '' && resource.resource === 'pods'
  const spec = findPodTemplate(isPod ? { group: '', kind: 'Pod' } : kind, object)?.spec
  const runtimeClass = isObject(spec) ? spec['runtimeClassName'] : undefined
  return typeof runtimeClass === 'string' && runtimeClasses.has(runtimeClass) ? 'runtimeClass' : undefined
}
