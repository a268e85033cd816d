/** `POST /mutate`: injects what the namespace asks for into pods that are created. Never templates, never on UPDATE. */
import { isMirrorPod } from '../src/kube/mirror.ts'
import { checkPodShape } from '../src/kube/podShape.ts'
import type { Pod } from '../src/kube/types.ts'
import { mutatePod } from '../src/mutation/index.ts'
import type { ReviewHandler } from '../src/server/webhookApp.ts'
import { answerReview } from './context.ts'
import type { AdmissionContext, Decide, Decision } from './context.ts'

const unchanged: Decision = { response: { allowed: true }, outcome: 'allowed', reasons: [] }

const decideMutation: Decide = (request, policy) => {
  const { resource, subResource, operation } = request
  const isPod = resource.group === '' && resource.resource === 'pods'
  if (!isPod || (subResource ?? '') !== '' || operation !== 'CREATE') return unchanged
  const problem = checkPodShape(request.object)
  if (problem !== undefined) {
    return {
      response: { allowed: false, status: { code: 400, reason: 'BadRequest', message: `drawbridge: ${problem}` } },
      outcome: 'denied',
      reasons: ['malformed'],
    }
  }
  const pod = request.object as Pod
  if (isMirrorPod(pod.metadata, request.userInfo)) return unchanged
  const patch = mutatePod(pod, policy)
  if (patch.length === 0) return unchanged
  return {
    response: { allowed: true, patchType: 'JSONPatch', patch: Buffer.from(JSON.stringify(patch)).toString('base64') },
    outcome: 'mutated',
    reasons: [],
  }
}

/** Creates the endpoint. */
export function createMutate(context: AdmissionContext): ReviewHandler {
  return (body, timeoutMilliseconds) => answerReview('mutate', body, timeoutMilliseconds, decideMutation, context)
}
