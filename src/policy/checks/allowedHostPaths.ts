import { inContainers, inPod } from '../checkHelpers.ts'
import { isWithin, pathComponents } from '../hostPath.ts'
import type { ProfileCheck } from '../profileCheck.ts'
import { describeList } from '../ranges.ts'

/*
 * Volumes may mount paths of the node only at or below the profile's prefixes, by whole components, and only read-only where it says so.
 * Takes the place of hostPathVolumes.
 *
 * Restricted fields: spec.volumes[*].hostPath.path,
 * spec.{containers,initContainers,ephemeralContainers}[*].volumeMounts[*].readOnly
 * Allowed values: absolute paths without `..` at or below an entry of `allowedHostPathPrefixes`; readOnly must be true for volumes that are
 * covered only by entries with `readOnly: true`; recursiveReadOnly is not asked for: pods with it do not start on every node
 *
 * Source: Drawbridge's own (AdmissionProfile).
 */

const ID = 'allowedHostPaths'

interface Prefix {
  readonly components: readonly string[]
  readonly readOnly: boolean
}

/** Whether a path may be mounted, and how. An entry that may be written wins: it would allow the same through another volume. */
const accessTo = (path: string, prefixes: readonly Prefix[]): 'none' | 'read' | 'write' => {
  const inner = pathComponents(path)
  const covering = inner === undefined ? [] : prefixes.filter(({ components }) => isWithin(inner, components))
  if (covering.length === 0) return 'none'
  return covering.some(({ readOnly }) => !readOnly) ? 'write' : 'read'
}

export const allowedHostPaths: ProfileCheck = {
  id: ID,
  replaces: ['hostPathVolumes'],
  create: ({ allowedHostPathPrefixes: allowed }) => {
    if (allowed === undefined) return undefined
    const prefixes = allowed.flatMap(({ path, readOnly }) => {
      const components = pathComponents(path)
      return components === undefined ? [] : [{ components, readOnly: readOnly === true }]
    })
    const paths = {
      check: ID,
      reason: 'hostPath volumes',
      required: `in ${describeList(allowed.map(({ path }) => path))}`,
      fix: 'use such a path or another volume type',
    }
    const mounts = { check: ID, reason: 'hostPath volumes', required: 'true', fix: 'mount it with readOnly: true' }
    return (_metadata, spec) => {
      const volumes = (spec.volumes ?? []).flatMap(({ name, hostPath }, index) =>
        hostPath == null
          ? []
          : [{ name, path: hostPath.path ?? '', index, access: accessTo(hostPath.path ?? '', prefixes) }],
      )
      const readOnly = new Set(volumes.filter(({ access }) => access === 'read').map(({ name }) => name))
      return [
        ...inPod(
          paths,
          volumes.flatMap(({ index, path, access }) =>
            access === 'none' ? [{ path: `spec.volumes[${index}].hostPath`, found: path || 'a hostPath' }] : [],
          ),
        ),
        ...inContainers(mounts, spec, (container, path) => {
          const first = (container.volumeMounts ?? []).findIndex(
            (mount) => readOnly.has(mount.name ?? '') && mount.readOnly !== true,
          )
          return first === -1 ? undefined : { path: `${path}.volumeMounts[${first}].readOnly`, found: 'not true' }
        }),
      ]
    }
  },
}
