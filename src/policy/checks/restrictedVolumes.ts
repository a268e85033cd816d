import type { Check, CheckFunction } from '../types.ts'
import { inPod } from '../checkHelpers.ts'

/*
 * Only volume types that cannot reach the node or foreign storage are allowed.
 *
 * Restricted fields: spec.volumes[*].<type>
 * Allowed values: configMap, csi, downwardAPI, emptyDir, ephemeral, image, persistentVolumeClaim, projected, secret
 *
 * A type that nobody knows, or a forbidden type beside an allowed one, is forbidden too. A volume without a type is an emptyDir:
 * the API server fills that in, a file has not met it yet.
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
      const forbidden = Object.keys(volume).find((key) => key !== 'name' && volume[key] != null && !ALLOWED.has(key))
      return forbidden === undefined ? [] : [{ path: `spec.volumes[${index}].${forbidden}`, found: forbidden }]
    }),
  )

export const restrictedVolumes: Check = {
  id: 'restrictedVolumes',
  profiles: ['restricted'],
  versions: [{ since: 0, check: restrictedVolumes_1_0 }],
  replaces: ['hostPathVolumes'],
}
