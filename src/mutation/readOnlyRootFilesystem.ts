import type { PodSpec } from '../kube/types.ts'
import { inSecurityContexts } from './containers.ts'
import type { Addition } from './types.ts'

/** Adds `readOnlyRootFilesystem: true` to containers that say nothing. Expects a spec that passed `checkPodShape`. */
export const injectReadOnlyRootFilesystem = (spec: PodSpec): readonly Addition[] =>
  inSecurityContexts(
    spec,
    ['readOnlyRootFilesystem'],
    true,
    ({ securityContext }) => securityContext?.readOnlyRootFilesystem == null,
  )
