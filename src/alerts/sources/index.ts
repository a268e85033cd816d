import type { SensorSource } from '../types.ts'
import { falco } from './falco.ts'
import { falcosidekick } from './falcosidekick.ts'
import { k8sAudit } from './k8sAudit.ts'
import { kubearmor } from './kubearmor.ts'
import { tetragon } from './tetragon.ts'
import { tracee } from './tracee.ts'

/** Every sensor that is understood. A new one: one file here, one fixture folder, one line. */
export const sources: readonly SensorSource[] = [falco, falcosidekick, k8sAudit, tracee, tetragon, kubearmor]

/** The source behind `POST /alerts/<name>`. */
export function findSource(name: string): SensorSource | undefined {
  return sources.find((source) => source.name === name)
}
