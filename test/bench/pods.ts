/** A container directory full of pods, in memory. */
import { createContainerDirectory } from '../../src/adapters/kubernetes/containerDirectory.ts'
import type { FedContainerDirectory } from '../../src/adapters/kubernetes/containerDirectory.ts'
import { readPodContainers } from '../../src/adapters/kubernetes/podContainers.ts'
import { parseReference } from '../../src/kube/reference.ts'
import { podObject } from '../cluster/kubelet.ts'

/** A directory that has seen so many pods, each read from the JSON that a list request would give. */
export function directoryOf(count: number): FedContainerDirectory {
  const directory = createContainerDirectory({ now: () => Date.now() })
  for (let index = 0; index < count; index++) {
    const object: unknown = JSON.parse(JSON.stringify(podObject(index)))
    const seen = readPodContainers(object, (reference) => parseReference(reference)?.normalized)
    if (seen === undefined || seen.containers.length !== 1) throw new Error('the made pod cannot be read')
    directory.update(seen)
  }
  return directory
}
