import type { Container, PodSpec } from '../kube/types.ts'
import { inSecurityContexts } from './containers.ts'
import type { Addition } from './types.ts'

const isSilent = ({ securityContext }: Container): boolean => securityContext?.runAsNonRoot == null

/**
 * Adds `runAsNonRoot: true` for the pod where it says nothing: containers inherit it, ephemeral ones that come later too.
 *
 * A container that says `runAsUser: 0` and nothing of `runAsNonRoot` has chosen, and would no longer start: then the other containers get it
 * one by one, and that one is left to the checks. Expects a spec that passed `checkPodShape`.
 */
export const injectRunAsNonRoot = (spec: PodSpec): readonly Addition[] => {
  if (spec.securityContext?.runAsNonRoot != null) return []
  const user = ({ securityContext }: Container): number | undefined =>
    securityContext?.runAsUser ?? spec.securityContext?.runAsUser
  const choseRoot = [...(spec.initContainers ?? []), ...spec.containers].some(
    (container) => isSilent(container) && user(container) === 0,
  )
  return choseRoot
    ? inSecurityContexts(spec, ['runAsNonRoot'], true, (container) => isSilent(container) && user(container) !== 0)
    : [{ path: ['spec', 'securityContext', 'runAsNonRoot'], value: true }]
}
