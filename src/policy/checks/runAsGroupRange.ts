import { inPod } from '../checkHelpers.ts'
import { idsInRanges } from '../idRange.ts'
import type { ProfileCheck } from '../profileCheck.ts'
import { describeRanges, isInRanges } from '../ranges.ts'

/*
 * Every container must run as a group of the profile's ranges, and say so; groups that the pod adds must be of them too.
 *
 * Restricted fields: spec.securityContext.{runAsGroup,fsGroup,supplementalGroups[*]},
 * spec.{containers,initContainers,ephemeralContainers}[*].securityContext.runAsGroup
 * Allowed values: those in `runAsGroup` of the profile; undefined for runAsGroup in a container if the pod's is in them, and for
 * fsGroup and supplementalGroups; Windows pods need not set one. Groups of the image are not seen (supplementalGroupsPolicy is not asked
 * for: not every node can)
 *
 * Source: Drawbridge's own (AdmissionProfile).
 */

const ID = 'runAsGroupRange'

export const runAsGroupRange: ProfileCheck = {
  id: ID,
  create: ({ runAsGroup }) => {
    if (runAsGroup === undefined) return undefined
    const main = idsInRanges(ID, 'runAsGroup', runAsGroup)
    const rule = { check: ID, reason: 'group', required: describeRanges(runAsGroup), fix: 'choose another group' }
    return (metadata, spec) => {
      const { fsGroup, supplementalGroups } = spec.securityContext ?? {}
      const written = [
        { path: 'spec.securityContext.fsGroup', group: fsGroup },
        ...(supplementalGroups ?? []).map((group, index) => ({
          path: `spec.securityContext.supplementalGroups[${index}]`,
          group,
        })),
      ]
      return [
        ...main(metadata, spec),
        ...inPod(
          rule,
          written.flatMap(({ path, group }) =>
            group == null || isInRanges(group, runAsGroup) ? [] : [{ path, found: String(group) }],
          ),
        ),
      ]
    }
  },
}
