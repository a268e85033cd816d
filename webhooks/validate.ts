/** `POST /validate` and below it, a path for each webhook entry: judges pods and workload templates against the namespace's profiles and against the verdicts. */
import { decisionResponse } from '../src/kube/review.ts'
import type { Pod } from '../src/kube/types.ts'
import { asCreated } from '../src/mutation/index.ts'
import { judge } from '../src/policy/judge.ts'
import type { ReviewHandler } from '../src/server/webhookApp.ts'
import { handleReview } from './context.ts'
import type { AdmissionContext, CalledEntry, Decide } from './context.ts'

const decideValidation: Decide = (request, policy, context) => {
  const { findFlagged, findException, exemptions } = context
  const now = context.clock()
  const judgement = judge({ request, policy, findFlagged, exceptions: findException, now, exemptions, asCreated })
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

/** Creates the endpoint of a webhook entry, or the one for calls by hand. */
export function createValidate(context: AdmissionContext, entry?: CalledEntry): ReviewHandler {
  return (body, timeoutMilliseconds) =>
    handleReview('validate', body, timeoutMilliseconds, decideValidation, context, entry)
}
