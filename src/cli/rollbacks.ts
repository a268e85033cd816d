/** Where workloads could go back to, for `verdicts blocked` and `verdicts impact`. */
import { revisedOwner } from '../kube/revisions.ts'
import type { FindFlagged } from '../policy/types.ts'
import { findRollback, rollbackCommand } from '../verdicts/rollback.ts'
import { clean } from './io.ts'
import type { CliIo } from './io.ts'
import type { WorkloadAccess } from './workloadAccess.ts'

/** As JSON shows it. */
export interface WayBack {
  readonly revision: number
  readonly images: readonly string[]
  readonly command: string
}

/** Workloads whose revisions are read, two requests each. */
const MAX_HISTORIES = 50

/**
 * The last good revisions of these owners (`namespace/Kind/name`), where there are any. What cannot be read, or is too much, is said on stderr and left out.
 *
 * @param findFlagged what denies the image that each of them runs
 */
export async function findWaysBack(
  owners: readonly string[],
  findFlagged: FindFlagged,
  access: Pick<WorkloadAccess, 'history'>,
  io: CliIo,
): Promise<ReadonlyMap<string, WayBack>> {
  const found = new Map<string, WayBack>()
  const revised = [...new Set(owners)].flatMap((owner) => {
    const workload = revisedOwner(owner)
    return workload === undefined ? [] : [{ owner, workload }]
  })
  if (revised.length > MAX_HISTORIES)
    io.err(`drawbridge: the revisions of the first ${MAX_HISTORIES} workloads were read, not those of the others\n`)
  for (const { owner, workload } of revised.slice(0, MAX_HISTORIES)) {
    try {
      const history = await access.history(workload)
      const rollback = history && findRollback(workload, history, findFlagged)
      if (rollback === undefined) continue
      const { revision, images } = rollback
      found.set(owner, { revision, images, command: rollbackCommand(rollback) })
    } catch (error) {
      io.err(`drawbridge: revisions cannot be read: ${clean((error as Error).message)}\n`)
      break
    }
  }
  return found
}

/** The commands below a table; '' where there are none. */
export function waysBackText(ways: ReadonlyMap<string, WayBack>): string {
  const commands = [...ways.values()].map(({ command }) => command)
  return commands.length === 0 ? '' : `\nBack to the last good revision:\n${commands.join('\n')}\n`
}
