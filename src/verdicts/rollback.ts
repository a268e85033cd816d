/** The way back: the newest revision of a workload that no verdict says anything about, and the command that goes there. Pure. */
import { printable, shorten } from '../kube/text.ts'
import type { RevisedWorkload, RevisionHistory } from '../kube/revisions.ts'
import type { FindFlagged } from '../policy/types.ts'

/** A workload whose image is denied, and the revision that it could go back to. */
export interface Rollback {
  readonly workload: RevisedWorkload
  readonly uid: string
  /** Images of its template now. */
  readonly from: readonly string[]
  readonly revision: number
  /** Of that revision: what it runs instead of the images of now first, then what it has in common with now. */
  readonly images: readonly string[]
}

/** As a warning, with the words before it. Longer than what two names of 63 characters need. */
export const MAX_ROLLBACK = 240
const SHORTEST_IMAGES = 16

/**
 * The newest revision none of whose images a verdict denies or warns about in the workload's namespace, and whose images can be read. Undefined: there is
 * none, or what the workload runs now is not denied there, so that nothing has to be undone.
 *
 * A tag may name another image by now than it did then: all that is known is that no verdict speaks of the name.
 */
export function findRollback(
  workload: RevisedWorkload,
  history: RevisionHistory,
  findFlagged: FindFlagged,
): Rollback | undefined {
  const { namespace } = workload
  if (!history.images.some((image) => findFlagged(image, namespace)?.phase === 'denying')) return undefined
  const [best] = history.revisions
    .filter(({ images }) => images.length > 0 && images.every((image) => findFlagged(image, namespace) === undefined))
    .toSorted((left, right) => right.number - left.number)
  if (best === undefined) return undefined
  const now = new Set(history.images)
  const isNew = (image: string): number => (now.has(image) ? 1 : 0)
  return {
    workload,
    uid: history.uid,
    from: history.images,
    revision: best.number,
    images: best.images.toSorted((left, right) => isNew(left) - isNew(right)),
  }
}

/** One workload, whatever it is called later. */
export const rollbackKey = ({ workload: { kind, namespace, name }, uid }: Rollback): string =>
  `${namespace}/${kind}/${name}/${uid}`

/** What a person types. Names are checked where a RevisedWorkload is made: nothing in it needs quotes. */
export const rollbackCommand = ({ workload: { kind, namespace, name }, revision }: Rollback): string =>
  `kubectl rollout undo ${kind.toLowerCase()}/${name} --to-revision=${revision} -n ${namespace}`

/**
 * The line of a denial, a warning or an Event, at most MAX_ROLLBACK characters. Images are shortened or left out, the command never is; undefined where
 * it alone is too long (a name of more than about 100 characters).
 */
export function rollbackLine(rollback: Rollback): string | undefined {
  const command = rollbackCommand(rollback)
  const [first = '', ...others] = rollback.images
  const more = others.length === 0 ? '' : ` and ${others.length} more`
  const write = (images: string): string =>
    `back to revision ${rollback.revision} (${images === '' ? '' : `${images}${more}, `}not flagged): ${command}`
  const room = MAX_ROLLBACK - write('').length - more.length - ', '.length
  const line = write(room < SHORTEST_IMAGES ? '' : shorten(printable(first, 200), room))
  return line.length <= MAX_ROLLBACK ? line : undefined
}
