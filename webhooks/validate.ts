/** `POST /validate` and below it, a path for each webhook entry: judges pods and workload templates against the namespace's profiles and against the verdicts. */
import { decisionResponse } from '../src/kube/review.ts'
import { workloadOfRequest } from '../src/kube/revisions.ts'
import type { ReadHistory, RevisedWorkload, RevisionHistory } from '../src/kube/revisions.ts'
import type { AdmissionRequest, Pod } from '../src/kube/types.ts'
import { asCreated } from '../src/mutation/index.ts'
import { deniesNewPods } from '../src/policy/flaggedImages.ts'
import { judge } from '../src/policy/judge.ts'
import type { Judgement } from '../src/policy/judge.ts'
import type { ReviewHandler } from '../src/server/reviewHandler.ts'
import { findRollback, rollbackLine } from '../src/verdicts/rollback.ts'
import { createReviewHandler } from './context.ts'
import type { AdmissionContext, CalledEntry, Decide, Decision } from './context.ts'

/** Longest wait for the revisions of a workload: they are in a denial only where they are known by then, and the next one says them. */
const ROLLBACK_MILLISECONDS = 200

const decideValidation: Decide = (request, policy, context, spareMilliseconds) => {
  const { findFlagged, findException, exemptions, readHistory } = context
  const now = context.clock()
  const input = { request, policy, findFlagged, exceptions: findException, now, exemptions, asCreated }
  const judgement = judge(input)
  const workload =
    readHistory !== undefined && deniesNewPods(judgement.flagged, policy) ? workloadOfRequest(request, now) : undefined
  if (readHistory === undefined || workload === undefined) return conclude(request, judgement, context)
  return readInTime(readHistory, workload, Math.min(ROLLBACK_MILLISECONDS, spareMilliseconds)).then((history) => {
    const found = history && findRollback(workload, history, findFlagged)
    const rollback = found && rollbackLine(found)
    return conclude(request, rollback === undefined ? judgement : judge({ ...input, rollback }), context)
  })
}

function conclude(request: AdmissionRequest, judgement: Judgement, context: AdmissionContext): Decision {
  // Only what really happens counts. The judge has read the pod: its metadata has the right shape.
  if (judgement.exceptionsUsed.length > 0 && request.dryRun !== true) {
    const { metadata } = request.object as Pod
    const name = metadata.name || request.name || metadata.generateName
    context.exceptionsUsed(judgement.exceptionsUsed, { ...metadata, name, namespace: request.namespace })
  }
  return {
    response: decisionResponse(request.uid, judgement),
    outcome: judgement.allowed ? 'allowed' : 'denied',
    reasons: judgement.allowed
      ? []
      : [...new Set([...judgement.violations.map(({ check }) => check), ...judgement.flagged.map(() => 'verdict')])],
  }
}

/** Undefined: not known, or not in time. Never rejects. */
async function readInTime(
  read: ReadHistory,
  workload: RevisedWorkload,
  milliseconds: number,
): Promise<RevisionHistory | undefined> {
  let timer: NodeJS.Timeout | undefined
  const tooLate = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), milliseconds)
  })
  try {
    return await Promise.race([read(workload), tooLate])
  } finally {
    clearTimeout(timer)
  }
}

/** Creates the endpoint of a webhook entry, or the one for calls by hand. */
export function createValidate(context: AdmissionContext, entry?: CalledEntry): ReviewHandler {
  return createReviewHandler('validate', decideValidation, context, entry)
}
