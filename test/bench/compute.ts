/** What deciding costs, without the network and without parsing: from a parsed review to the answer as an object, once to mutate and once to validate. */
import { parseReference } from '../../src/kube/reference.ts'
import { decisionResponse, patchResponse, readAdmissionReview } from '../../src/kube/review.ts'
import type { AdmissionRequest } from '../../src/kube/types.ts'
import { asCreated, mutatePod } from '../../src/mutation/index.ts'
import { createExemptions } from '../../src/policy/exemptions.ts'
import { judge } from '../../src/policy/judge.ts'
import { resolveNamespace } from '../../src/policy/namespace.ts'
import { createVerdictIndex, findFlagged } from '../../src/verdicts/index.ts'
import { percentile } from './load.ts'
import { median } from './paired.ts'
import { reviewOf } from './reviews.ts'
import { NAMESPACE } from './servers.ts'
import type { Effort, Figure, Measurement } from './types.ts'
import { verdictsOf } from './verdicts.ts'

const VERDICTS = 10_000
const CONTAINERS = [1, 10, 100, 1000] as const

/** A pod as its author sent it, and as the API server has patched it when it is validated. As JSON. */
interface Reviews {
  readonly created: string
  readonly patched: string
}

const reviewsOf = (containers: number, firstContainer = 0): Reviews => ({
  created: JSON.stringify(reviewOf(NAMESPACE, { containers, firstContainer, seccomp: false })),
  patched: JSON.stringify(reviewOf(NAMESPACE, { containers, firstContainer })),
})

/** Both answers for one pod, as the endpoints decide them. Takes the parsed reviews. */
type Decide = (created: object, patched: object) => void

export function decider(verdicts: number): Decide {
  const policy = resolveNamespace({ 'drawbridge.dev/enforce': 'restricted' }, { podSecurityLabels: false })
  const exemptions = createExemptions({ users: [], namespaces: [], runtimeClasses: [] })
  const flagged = findFlagged(createVerdictIndex(verdictsOf(verdicts)), parseReference, () => Date.now())
  const exceptions = (): undefined => undefined
  const read = (review: object): AdmissionRequest => {
    const { request, error } = readAdmissionReview(review)
    if (request === undefined) throw new Error(error)
    return request
  }
  return (created, patched) => {
    const { uid, object } = read(created)
    const patch = mutatePod(object, { seccomp: policy.seccomp, requesterIsNode: false })
    patchResponse(uid, patch)
    const request = read(patched)
    const now = Date.now()
    const judgement = judge({ request, policy, findFlagged: flagged, exceptions, now, exemptions, asCreated })
    decisionResponse(request.uid, judgement)
    if (patch.length !== 1 || !judgement.allowed) throw new Error('decided otherwise than expected')
  }
}

/** Times of single decisions in microseconds, sorted. Each review is parsed anew, as in the server. */
function timesOf(decide: Decide, { created, patched }: Reviews, count: number): readonly number[] {
  const times: number[] = []
  for (let index = 0; index < count; index++) {
    const reviews = [JSON.parse(created) as object, JSON.parse(patched) as object] as const
    const before = performance.now()
    decide(...reviews)
    times.push((performance.now() - before) * 1000)
  }
  return times.sort((left, right) => left - right)
}

/** So many containers are decided at a time, the same ones in pods of every size. */
const TOGETHER = 1000
const REPEATS = 5

const podsOf = (containers: number): readonly Reviews[] =>
  Array.from({ length: TOGETHER / containers }, (_, index) => reviewsOf(containers, index * containers))

/** Time for a container in microseconds: the shortest of some repeats, since what collecting garbage and neighbours add is no part of how the work grows. */
function timeForContainer(decide: Decide, pods: readonly Reviews[]): number {
  const times = Array.from({ length: REPEATS }, () => {
    const reviews = pods.map(({ created, patched }) => [JSON.parse(created), JSON.parse(patched)] as [object, object])
    const before = performance.now()
    for (const [create, patch] of reviews) decide(create, patch)
    return performance.now() - before
  })
  return (Math.min(...times) * 1000) / TOGETHER
}

/**
 * How time grows with the containers of a pod: each size in turn, and the median of the ratios. The same thousand containers are parsed beforehand whatever the
 * size, in one pod or in ten: else a small review would be read from the core's caches and a large one not, by any program.
 */
export function growth(decide: Decide, rounds: number): Figure {
  const sizes = CONTAINERS.map(podsOf)
  const found = CONTAINERS.map(() => [] as number[])
  for (let round = 0; round < rounds; round++)
    for (const [index, pods] of sizes.entries()) found[index]!.push(timeForContainer(decide, pods))
  const [hundred, thousand] = [found[2]!, found[3]!]
  const how = CONTAINERS.map((containers, index) => `${containers}: ${median(found[index]!).toFixed(2)}`).join(', ')
  return {
    what: 'time for a container, in one pod of 1,000 against in ten of 100',
    value: median(thousand.map((time, round) => time / hundred[round]!)),
    unit: 'x',
    goal: { atMost: 1.25 },
    note: `us for a container, by containers of the pod, the same 1,000 in all: ${how}`,
  }
}

function run({ scale }: Effort): Promise<readonly Figure[]> {
  const decide = decider(VERDICTS)
  const reviews = reviewsOf(2)
  const count = Math.max(2000, Math.round(20_000 * scale))
  // As a server that has run for a minute: V8 compiles the last of it after some ten thousand calls.
  timesOf(decide, reviews, 40_000)
  const times = timesOf(decide, reviews, count)
  return Promise.resolve([
    {
      what: 'mutate and validate, compute only, p50',
      value: percentile(times, 0.5),
      unit: 'us',
      goal: { atMost: 15 },
      note: `${reviews.patched.length} bytes, 2 containers, restricted, ${VERDICTS} verdicts; ${count} reviews`,
    },
    { what: 'mutate and validate, compute only, p99', value: percentile(times, 0.99), unit: 'us' },
    growth(decide, Math.max(10, Math.round(40 * scale))),
  ])
}

export const compute: Measurement = { name: 'compute', run }
