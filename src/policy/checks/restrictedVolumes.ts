import type { Check, CheckFunction } from '../types.ts'
import { inPod } from '../checkHelpers.ts'

/*
 * Only volume types that cannot reach the node or foreign storage are allowed.
 *
 * Restricted fields: spec.volumes[*].<type>
 * Allowed values: configMap, csi, downwardAPI, emptyDir, ephemeral, image, persistentVolumeClaim, projected, secret
 *
 * A volume of no known type, or with a forbidden type beside an allowed one, is forbidden too.
 *
 * Source: kubernetes/pod-security-admission:policy/check_restrictedVolumes.go
 */

const ALLOWED: ReadonlySet<string> = new Set([
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'image',
  'persistentVolumeClaim',
  'projected',
  'secret',
])

const RULE = {
  check: 'restrictedVolumes',
  reason: 'restricted volume types',
  required: 'an allowed type',
  fix: 'use for example configMap, emptyDir or persistentVolumeClaim',
}

const restrictedVolumes_1_0: CheckFunction = (_metadata, spec) =>
  inPod(
    RULE,
    (spec.volumes ?? []).flatMap((volume, index) => {
      const types = Object.keys(volume).filter((key) => key !== 'name' && volume[key] != null)
      const forbidden = types.find((type) => !ALLOWED.has(type))
      if (forbidden !== undefined) return [{ path: `spec.volumes[${index}].${forbidden}`, found: forbidden }]
      return types.length === 0 ? [{ path: `spec.volumes[${index}]`, found: 'of no known type' }] : []
    }),
  )

export const restrictedVolumes: Check = {
  id: 'restrictedVolumes',
  profiles: ['restricted'],
  versions: [{ since: 0, check: restrictedVolumes_1_0 }],
  replaces: ['hostPathVolumes'],
}
