import { inContainers, inPod, isWindowsPod, NOT_SET } from './checkHelpers.ts'
import type { NumberRange } from './profile.ts'
import { describeRanges, isInRanges } from './ranges.ts'
import type { CheckFunction } from './types.ts'

/** Wants the effective `field` of every container in the ranges. What a container inherits is reported once, at the pod. */
export const idsInRanges = (
  check: string,
  field: 'runAsUser' | 'runAsGroup',
  ranges: readonly NumberRange[],
): CheckFunction => {
  const rule = { check, reason: field, required: describeRanges(ranges), fix: `set ${field} to one of these` }
  return (_metadata, spec) => {
    const inherited = spec.securityContext?.[field]
    const mustBeSet = inherited == null && !isWindowsPod(spec)
    return [
      ...inPod(
        rule,
        inherited == null || isInRanges(inherited, ranges)
          ? []
          : [{ path: `spec.securityContext.${field}`, found: String(inherited) }],
      ),
      ...inContainers(rule, spec, (container, path) => {
        const own = container.securityContext?.[field]
        const isFine = own == null ? !mustBeSet : isInRanges(own, ranges)
        return isFine
          ? undefined
          : { path: `${path}.securityContext.${field}`, found: own == null ? NOT_SET : String(own) }
      }),
    ]
  }
}
