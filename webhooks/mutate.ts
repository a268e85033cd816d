/** `POST /mutate`: injects what the namespace asks for into pods that are created. Never templates, never on UPDATE. */
import { findPodTemplate } from '../src/kube/podTemplate.ts'
import { isMirrorPod } from '../src/kube/mirror.ts'
import { checkPodShape } from '../src/kube/podShape.ts'
import type { Pod } from '../src/kube/types.ts'
import { decisionResponse, patchResponse } from '../src/kube/review.ts'
import { mutatePod } from '../src/mutation/index.ts'
import type { ReviewHandler } from '../src/server/webhookApp.ts'
import { allowUnchanged, handleReview } from './context.ts'
import type { AdmissionContext, Decide } from './context.ts'

const decideMutation: Decide = (request, policy) => {
  const { uid, resource, subResource, operation } = request
  const isPod = resource.group === '' && resource.resource === 'pods' && subResource === undefined
  if (!isPod || operation !== 'CREATE') return allowUnchanged(uid)
  const found = findPodTemplate({ group: '', kind: 'Pod' }, request.object)
  const problem = checkPodShape(found?.metadata, found?.spec, '')
  if (problem !== undefined) {
    const response = decisionResponse(uid, { allowed: false, code: 400, message: `drawbridge: not a pod: ${problem}` })
    return { response, outcome: 'denied', reasons: ['malformed'] }
  }
  const pod = found as Pod
  const patch = isMirrorPod(pod.metadata, request) ? [] : mutatePod(pod, policy)
  return { response: patchResponse(uid, patch), outcome: patch.length === 0 ? 'allowed' : 'mutated', reasons: [] }
}

/** Creates the endpoint. */
export function createMutate(context: AdmissionContext): ReviewHandler {
  return (body, timeoutMilliseconds) => handleReview('mutate', body, timeoutMilliseconds, decideMutation, context)
}
