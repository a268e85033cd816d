/** `POST /validate`: judges pods and workload templates against the namespace's profiles and against the verdicts. */
import { decisionResponse } from '../src/kube/review.ts'
import { judge } from '../src/policy/judge.ts'
import type { ReviewHandler } from '../src/server/webhookApp.ts'
import { handleReview } from './context.ts'
import type { AdmissionContext, Decide } from './context.ts'

const decideValidation: Decide = (request, policy, context) => {
  const judgement = judge({ request, policy, findFlagged: context.findFlagged, exemptions: context.exemptions })
  return {
    response: decisionResponse(request.uid, judgement),
    outcome: judgement.allowed ? 'allowed' : 'denied',
    reasons: judgement.allowed
      ? []
      : [...new Set([...judgement.violations.map(({ check }) => check), ...judgement.flagged.map(() => 'verdict')])],
  }
}

/** Creates the endpoint. */
export function createValidate(context: AdmissionContext): ReviewHandler {
  return (body, timeoutMilliseconds) => handleReview('validate', body, timeoutMilliseconds, decideValidation, context)
}
