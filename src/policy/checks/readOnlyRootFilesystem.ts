import { inContainers, isWindowsPod, NOT_SET } from '../checkHelpers.ts'
import type { ProfileCheck } from '../profileCheck.ts'

/*
 * No container may write to its root file system: a dropped executable has nowhere to go but volumes.
 *
 * Restricted fields: spec.{containers,initContainers,ephemeralContainers}[*].securityContext.readOnlyRootFilesystem
 * Allowed values: true; Windows pods need not set it (Windows cannot do it)
 *
 * Source: Drawbridge's own (AdmissionProfile).
 */

const ID = 'readOnlyRootFilesystem'
const RULE = {
  check: ID,
  reason: 'readOnlyRootFilesystem != true',
  required: 'true',
  fix: 'set it to true; write to an emptyDir',
}

export const readOnlyRootFilesystem: ProfileCheck = {
  id: ID,
  create: ({ readOnlyRootFilesystem: asked }) =>
    asked === true
      ? (_metadata, spec) =>
          isWindowsPod(spec)
            ? []
            : inContainers(RULE, spec, (container, path) => {
                const value = container.securityContext?.readOnlyRootFilesystem
                return value === true
                  ? undefined
                  : {
                      path: `${path}.securityContext.readOnlyRootFilesystem`,
                      found: value === false ? 'false' : NOT_SET,
                    }
              })
      : undefined,
}
