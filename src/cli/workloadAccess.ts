/** What `verdicts blocked` and `verdicts impact` need of a cluster. */
import type { Workload } from '../kube/workload.ts'
import type { FindFlagged, QuarantineMode } from '../policy/types.ts'
import type { ImageVerdict } from '../verdicts/types.ts'
import type { ScanAccess } from './scan.ts'

export interface WorkloadAccess extends Pick<ScanAccess, 'namespaces' | 'pods' | 'resolvePolicy' | 'notes' | 'close'> {
  /** Everything that wants pods, in pages. */
  workloads(): AsyncIterable<readonly Workload[]>
  readonly verdicts: readonly ImageVerdict[]
  /** What verdicts say of an image, the brake left out. */
  readonly findFlagged: FindFlagged
  /** What the brake lets verdicts do. */
  readonly brake: QuarantineMode
}

export type OpenWorkloads = (options: { readonly kubeconfig?: string | undefined }) => Promise<WorkloadAccess>
