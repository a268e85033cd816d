/** `POST /mutate` and below it, a path for each webhook entry: injects what the namespace asks for into pods that are created. Never templates, never on UPDATE. */
import { isNodeRequest, patchResponse } from '../src/kube/review.ts'
import { mutatePod } from '../src/mutation/index.ts'
import { installedSeccomp } from '../src/mutation/installedSeccomp.ts'
import { findExemption } from '../src/policy/exemptions.ts'
import type { ReviewHandler } from '../src/server/reviewHandler.ts'
import { allowUnchanged, createReviewHandler } from './context.ts'
import type { AdmissionContext, CalledEntry, Decide } from './context.ts'

const decideMutation: Decide = (request, policy, { exemptions, seccompNodes, observer }) => {
  const { uid, resource, subResource, operation } = request
  const isPod = resource.group === '' && resource.resource === 'pods' && subResource === undefined
  if (!isPod || operation !== 'CREATE' || findExemption(exemptions, request) !== undefined) return allowUnchanged(uid)
  // What is not a readable pod gets no patch here; `/validate` denies it with a reason.
  const { hardening } = policy
  const { setting, warning } = installedSeccomp(request.object, policy.seccomp, seccompNodes?.())
  const patch = mutatePod(request.object, { seccomp: setting, hardening, requesterIsNode: isNodeRequest(request) })
  const warnings = warning === undefined || patch.length === 0 ? [] : [warning]
  for (const text of warnings) observer.seccompFellBack(request.namespace, text)
  return {
    response: patchResponse(uid, patch, warnings),
    outcome: patch.length === 0 ? 'allowed' : 'mutated',
    reasons: [],
  }
}

/** Creates the endpoint of a webhook entry, or the one for calls by hand. */
export function createMutate(context: AdmissionContext, entry?: CalledEntry): ReviewHandler {
  return createReviewHandler('mutate', decideMutation, context, entry)
}
