import type { Container, PodSpec } from '../kube/types.ts'
import type { Addition } from './types.ts'

/**
 * One addition in the security context of each init and normal container for which `wants` says so. A pod that is being
 * created has no ephemeral containers: the API server refuses them.
 */
export const inSecurityContexts = (
  spec: PodSpec,
  steps: readonly string[],
  value: unknown,
  wants: (container: Container) => boolean,
): readonly Addition[] =>
  (['initContainers', 'containers'] as const).flatMap((field) =>
    (spec[field] ?? []).flatMap((container, index) =>
      wants(container) ? [{ path: ['spec', field, index, 'securityContext', ...steps], value }] : [],
    ),
  )
