/** Whether a peer does the work that it is measured at: a webhook without its policies would be a very quick one. */
import { call, until } from '../../process/server.ts'
import { reviewOf, TYPICAL } from '../reviews.ts'
import { NAMESPACE } from '../servers.ts'
import type { Peer, PeerServer } from './peer.ts'

const DEADLINE_MILLISECONDS = 60_000

/** Part of a review that `reviewOf` makes. */
interface Review {
  readonly request: {
    readonly object: {
      readonly spec: {
        readonly securityContext: object
        readonly containers: readonly { securityContext: Readonly<Record<string, unknown>> }[]
      }
    }
  }
}

/** The measured review whose second container has this in its security context; `undefined` takes a field away, there and from the pod. */
function reviewWith(changes: Readonly<Record<string, unknown>>): object {
  const review = structuredClone(reviewOf(NAMESPACE, TYPICAL)) as Review
  const { spec } = review.request.object
  const container = spec.containers[1]!
  container.securityContext = { ...container.securityContext, ...changes }
  const removed = Object.keys(changes).filter((field) => changes[field] === undefined)
  for (const field of removed) Reflect.deleteProperty(spec.securityContext, field)
  return review
}

/** What must be decided, by what a failure calls it: the review that is measured is allowed, each rule denies. */
const CASES: Readonly<Record<string, { readonly review: object; readonly allowed: boolean }>> = {
  'the measured pod': { review: reviewOf(NAMESPACE, TYPICAL), allowed: true },
  'a privileged container': { review: reviewWith({ privileged: true }), allowed: false },
  'a container with SYS_ADMIN': { review: reviewWith({ capabilities: { add: ['SYS_ADMIN'] } }), allowed: false },
  'a container that may run as root': {
    review: reviewWith({ runAsNonRoot: undefined, runAsUser: undefined }),
    allowed: false,
  },
}

/** Waits until a peer decides every case as it must. Rejects after a minute, with the last answer that was wrong. */
export async function untilItDecides(
  { name, validatePath }: Peer,
  { url, ca }: Pick<PeerServer, 'url' | 'ca'>,
): Promise<void> {
  let wrong = ''
  const decides = async (): Promise<boolean> => {
    for (const [what, { review, allowed }] of Object.entries(CASES)) {
      const answer = await call(`${url}${validatePath}?timeout=10s`, {
        ca,
        body: JSON.stringify(review),
        headers: { 'Content-Type': 'application/json' },
      })
      wrong = `${what}: ${answer.status} ${answer.text.slice(0, 500)}`
      if (answer.status !== 200 || answer.body?.response?.allowed !== allowed) return false
    }
    return true
  }
  await until(`${name} to decide`, decides, DEADLINE_MILLISECONDS).catch((error: unknown) => {
    throw new Error(`${error instanceof Error ? error.message : String(error)}; last was ${wrong || 'nothing'}`, {
      cause: error,
    })
  })
}
