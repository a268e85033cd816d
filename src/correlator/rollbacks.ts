/**
 * When a verdict begins to deny: which workloads it stops, and what each could go back to. In the background, one workload after the other; nothing
 * waits for it, and what is too much is left out (a denial says it anyway).
 */
import { revisedOwner } from '../kube/revisions.ts'
import type { ReadHistory, RevisedWorkload } from '../kube/revisions.ts'
import { answerIn } from '../verdicts/reach.ts'
import type { UsesOf } from '../verdicts/reach.ts'
import { findRollback } from '../verdicts/rollback.ts'
import type { Rollback } from '../verdicts/rollback.ts'
import type { ImageVerdict } from '../verdicts/types.ts'

export interface RollbacksOptions {
  readonly readHistory: ReadHistory
  readonly findFlagged: Parameters<typeof findRollback>[2]
  /** Who ran the image in the last 24 h. */
  readonly usesOf: UsesOf
  /** This workload is denied new pods, and has somewhere to go. */
  readonly onRollback: (rollback: Rollback, verdict: ImageVerdict) => void
}

export interface Rollbacks {
  /** A verdict began to deny. Only puts into a queue. */
  add(verdict: ImageVerdict): void
  /** Resolves when what is queued was looked at. */
  idle(): Promise<void>
}

/** Workloads told of one verdict: more than ten of them wait for a person anyway. */
const MAX_WORKLOADS = 20
const MAX_QUEUED = 200

/** Starts nothing until there is something to look at. */
export function createRollbacks({ readHistory, findFlagged, usesOf, onRollback }: RollbacksOptions): Rollbacks {
  const queue: { readonly verdict: ImageVerdict; readonly workload: RevisedWorkload }[] = []
  const state: { working: Promise<void> | undefined } = { working: undefined }

  const work = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const { verdict, workload } = next
      const history = await readHistory(workload)
      const rollback = history && findRollback(workload, history, findFlagged)
      if (rollback !== undefined) onRollback(rollback, verdict)
    }
    state.working = undefined
  }

  return {
    add: (verdict) => {
      const room = Math.max(0, MAX_QUEUED - queue.length)
      for (const workload of stoppedBy(verdict, usesOf).slice(0, room)) queue.push({ verdict, workload })
      if (queue.length > 0) state.working ??= work()
    },
    idle: async () => state.working,
  }
}

/** Workloads that keep revisions and are denied the image where they are: those of the evidence first. */
function stoppedBy(verdict: ImageVerdict, usesOf: UsesOf): readonly RevisedWorkload[] {
  const owners = new Set([...Object.values(verdict.contributions), ...usesOf(verdict)].map(({ owner }) => owner))
  return [...owners]
    .flatMap((owner) => revisedOwner(owner) ?? [])
    .filter(({ namespace }) => answerIn(verdict, namespace) === 'denying')
    .slice(0, MAX_WORKLOADS)
}
