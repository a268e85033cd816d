import type { Check, CheckFunction } from '../types.ts'
import { inPod } from '../checkHelpers.ts'

/*
 * Volumes must not mount paths of the node.
 *
 * Restricted fields: spec.volumes[*].hostPath
 * Allowed values: undefined
 *
 * Source: kubernetes/pod-security-admission:policy/check_hostPathVolumes.go
 */

const RULE = {
  check: 'hostPathVolumes',
  reason: 'hostPath volumes',
  required: 'not set',
  fix: 'use another volume type, for example emptyDir',
}

const hostPathVolumes_1_0: CheckFunction = (_metadata, spec) =>
  inPod(
    RULE,
    (spec.volumes ?? []).flatMap((volume, index) =>
      volume.hostPath == null
        ? []
        : [{ path: `spec.volumes[${index}].hostPath`, found: volume.hostPath.path || 'a hostPath' }],
    ),
  )

export const hostPathVolumes: Check = {
  id: 'hostPathVolumes',
  profiles: ['baseline', 'standard', 'restricted'],
  versions: [{ since: 0, check: hostPathVolumes_1_0 }],
}
