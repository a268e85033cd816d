/** `POST /validate`: judges pods and workload templates against the namespace's profiles and against the verdicts. */
import { judge } from '../src/policy/judge.ts'
import type { ReviewHandler } from '../src/server/webhookApp.ts'
import { answerReview } from './context.ts'
import type { AdmissionContext, Decide } from './context.ts'

const decideValidation: Decide = (request, policy, context) => {
  const judgement = judge({ request, policy, findFlagged: context.findFlagged })
  const { allowed, warnings, auditAnnotations } = judgement
  return {
    response: {
      allowed,
      ...(allowed ? {} : { status: { code: judgement.code, reason: 'Forbidden', message: judgement.message } }),
      ...(warnings.length === 0 ? {} : { warnings }),
      ...(Object.keys(auditAnnotations).length === 0 ? {} : { auditAnnotations }),
    },
    outcome: allowed ? 'allowed' : 'denied',
    reasons: allowed ? [] : judgement.reasons,
  }
}

/** Creates the endpoint. */
export function createValidate(context: AdmissionContext): ReviewHandler {
  return (body, timeoutMilliseconds) => answerReview('validate', body, timeoutMilliseconds, decideValidation, context)
}
