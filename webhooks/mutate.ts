/** `POST /mutate` and below it, a path for each webhook entry: injects what the namespace asks for into pods that are created. Never templates, never on UPDATE. */
import { isNodeRequest, patchResponse } from '../src/kube/review.ts'
import { mutatePod } from '../src/mutation/index.ts'
import { findExemption } from '../src/policy/exemptions.ts'
import type { ReviewHandler } from '../src/server/reviewHandler.ts'
import { allowUnchanged, handleReview } from './context.ts'
import type { AdmissionContext, CalledEntry, Decide } from './context.ts'

const decideMutation: Decide = (request, policy, { exemptions }) => {
  const { uid, resource, subResource, operation } = request
  const isPod = resource.group === '' && resource.resource === 'pods' && subResource === undefined
  if (!isPod || operation !== 'CREATE' || findExemption(exemptions, request) !== undefined) return allowUnchanged(uid)
  // What is not a readable pod gets no patch here; `/validate` denies it with a reason.
  const { seccomp, hardening } = policy
  const patch = mutatePod(request.object, { seccomp, hardening, requesterIsNode: isNodeRequest(request) })
  return { response: patchResponse(uid, patch), outcome: patch.length === 0 ? 'allowed' : 'mutated', reasons: [] }
}

/** Creates the endpoint of a webhook entry, or the one for calls by hand. */
export function createMutate(context: AdmissionContext, entry?: CalledEntry): ReviewHandler {
  return (body, timeoutMilliseconds) =>
    handleReview('mutate', body, timeoutMilliseconds, decideMutation, context, entry)
}
