/** Labels of namespaces from the Namespace objects among others. */
import type { Labels } from '../kube/types.ts'
import { UnusableError } from './io.ts'
import { readObjects } from './objects.ts'
import type { FoundObject } from './objects.ts'

/**
 * Namespace name -> labels, for every Namespace object. Throws UnusableError for one whose name or labels are not text, and for two of one name
 * with different labels: whichever of them counted, half of the readers would have expected the other.
 */
export function namespaceLabels(objects: readonly FoundObject[]): Map<string, Labels> {
  const found = new Map<string, Labels>()
  const files = new Map<string, string>()
  for (const { file, object } of objects) {
    if (object.kind !== 'Namespace') continue
    const metadata = object['metadata'] as { name?: unknown; labels?: unknown } | null | undefined
    const labels = metadata?.labels ?? {}
    if (typeof metadata?.name !== 'string') throw new UnusableError(`${file}: a Namespace has no metadata.name`)
    if (typeof labels !== 'object' || Object.values(labels).some((value) => typeof value !== 'string')) {
      throw new UnusableError(
        `${file}: namespace ${metadata.name}: labels must be text (quote numbers and true or false)`,
      )
    }
    const other = found.get(metadata.name)
    if (other !== undefined && !sameLabels(other, labels as Labels)) {
      throw new UnusableError(
        `${file}: namespace ${metadata.name} has other labels in ${files.get(metadata.name)}: which ones count?`,
      )
    }
    found.set(metadata.name, labels as Labels)
    files.set(metadata.name, file)
  }
  return found
}

const sameLabels = (a: Labels, b: Labels): boolean => {
  const keys = Object.keys(a)
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && a[key] === b[key])
}

/** Reads a file or folder of Namespace objects. */
export async function readNamespaceLabels(path: string): Promise<Map<string, Labels>> {
  return namespaceLabels(
    await readObjects([path], { readStdin: () => Promise.reject(new UnusableError('standard input is not a file')) }),
  )
}
