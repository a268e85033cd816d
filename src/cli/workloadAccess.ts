/** What `verdicts blocked` and `verdicts impact` need of a cluster. */
import type { RevisedWorkload, RevisionHistory } from '../kube/revisions.ts'
import type { Workload } from '../kube/workload.ts'
import type { FindFlagged, QuarantineMode } from '../policy/types.ts'
import type { ImageVerdict } from '../verdicts/types.ts'
import type { ScanAccess } from './scan.ts'

export interface WorkloadAccess extends Pick<ScanAccess, 'namespaces' | 'pods' | 'resolvePolicy' | 'notes' | 'close'> {
  /** Everything that wants pods, in pages. */
  workloads(): AsyncIterable<readonly Workload[]>
  /** The revisions of one of them; undefined: none that are known. Rejects where they may not be read. */
  history(workload: RevisedWorkload): Promise<RevisionHistory | undefined>
  readonly verdicts: readonly ImageVerdict[]
  /** What verdicts say of an image, the brake left out. */
  readonly findFlagged: FindFlagged
  /** What the brake lets verdicts do. */
  readonly brake: QuarantineMode
}

export type OpenWorkloads = (options: { readonly kubeconfig?: string | undefined }) => Promise<WorkloadAccess>
