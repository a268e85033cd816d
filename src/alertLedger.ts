/** Where the alert thread keeps verdicts and waiting alerts. */
import { join } from 'node:path'
import type { ContainerDirectory, ContainerRecord, ParkingLot } from './correlator/types.ts'
import type { ReadHistory } from './kube/revisions.ts'
import type { UndoRollout } from './responses/rollBack.ts'
import type { ReviewToken } from './server/tokenReviews.ts'
import type { Rollback } from './verdicts/rollback.ts'
import type { ImageVerdict, Phase, VerdictStore } from './verdicts/types.ts'

export interface Ledger {
  readonly store: VerdictStore
  readonly parking: ParkingLot
  /** Undefined: standalone. */
  readonly directory?: ContainerDirectory | undefined
  /** Undefined: standalone. */
  readonly reviewToken?: ReviewToken | undefined
  /** Tells people of verdicts where they look anyway. Undefined: standalone. */
  readonly events?:
    | {
        phaseChanged(verdict: ImageVerdict, from: Phase | undefined): void
        namesJoined(verdict: ImageVerdict, references: readonly string[]): void
        expiresSoon(verdict: ImageVerdict): void
        rollbackFound(rollback: Rollback, verdict: ImageVerdict): void
        rolledBack(rollback: Rollback, verdict: string): void
      }
    | undefined
  /** Undefined: standalone. */
  readonly readHistory?: ReadHistory | undefined
  /** Undefined: standalone. */
  readonly undoRollout?: UndoRollout | undefined
  /** Where the cluster's containers are reported. */
  onRecord?(listener: (record: ContainerRecord) => void): void
  /** What was found damaged, one line each. */
  readonly problems: readonly string[]
  close(): Promise<void>
}

interface LedgerOptions {
  readonly dataDirectory: string
  /** Undefined: standalone. */
  readonly kubernetes?: { readonly kubeconfig?: string | undefined } | undefined
  /** Drawbridge's own. */
  readonly namespace: string
  /** One line for people. */
  readonly onProblem: (problem: string) => void
  /** So many Events found no room. */
  readonly onEventsDropped: (events: number) => void
}

/** Opens it: the API server's with `kubernetes`, else the one file in the data folder. Rejects with one clear line. */
export async function openLedger(options: LedgerOptions): Promise<Ledger> {
  // Loaded on demand: the Kubernetes client costs memory and time that a standalone server does not need.
  const { openSqliteLedger } = await import('./adapters/sqlite.ts')
  const sqlite = await openSqliteLedger({ file: join(options.dataDirectory, 'ledger.sqlite'), clock: () => Date.now() })
  // Its own problems come with the verdicts that the correlator loads.
  if (options.kubernetes === undefined) return { ...sqlite, problems: [] }
  const { watchForAlerts } = await import('./adapters/kubernetes/cluster.ts')
  try {
    const cluster = await watchForAlerts(
      options.kubernetes.kubeconfig,
      options.namespace,
      options.onProblem,
      options.onEventsDropped,
    )
    return {
      ...cluster,
      // Alerts that wait for their container survive this process in the data folder.
      parking: sqlite.parking,
      problems: sqlite.problems,
      async close() {
        await cluster.close()
        await sqlite.close()
      },
    }
  } catch (error) {
    await sqlite.close()
    throw error
  }
}
