/** What the admission endpoints share: from bytes to a request with its namespace's policy, under a deadline that always answers. */
import type { AdmissionRequest, AdmissionResponse, Labels, ObjectMeta } from '../src/kube/types.ts'
import { matchesLabels } from '../src/kube/labelSelector.ts'
import { decodeWithoutManagedFields } from '../src/kube/managedFields.ts'
import { LABEL } from '../src/kube/names.ts'
import type { KnownNode } from '../src/kube/nodes.ts'
import { carriesPodTemplate } from '../src/kube/podTemplate.ts'
import { answerReview, decisionResponse, readAdmissionReview } from '../src/kube/review.ts'
import { printable } from '../src/kube/text.ts'
import type { WebhookEntry } from '../src/kube/webhookEntries.ts'
import type { AdmissionEndpoint, AdmissionObserver, AdmissionOutcome } from '../src/observe/admission.ts'
import type { Exemptions } from '../src/policy/exemptions.ts'
import { isOptedIn } from '../src/policy/namespace.ts'
import type { ReadHistory } from '../src/kube/revisions.ts'
import type { FindException } from '../src/policy/exceptions.ts'
import type { FindFlagged, NamespacePolicy } from '../src/policy/types.ts'
import { errorReply, jsonReply } from '../src/server/reply.ts'
import type { Reply } from '../src/server/reply.ts'
import type { ReviewHandler } from '../src/server/reviewHandler.ts'

/** Labels of namespaces: from memory first, from the API server when memory does not fit the request. */
export interface NamespaceSource {
  cached(name: string): Labels | undefined
  /** Undefined: there is no such namespace. Rejects when the API server cannot be asked. */
  live(name: string): Promise<Labels | undefined>
}

export interface AdmissionContext {
  readonly namespaces: NamespaceSource
  readonly resolvePolicy: (labels: Labels) => NamespacePolicy
  /** Reads a profile that labels ask for and memory does not know; never rejects. Absent: profiles cannot appear while the server runs. */
  readonly readProfile?: ((name: string) => Promise<void>) | undefined
  readonly findFlagged: FindFlagged
  readonly findException: FindException
  /** The revisions of a workload whose image is denied. Nobody waits long for it. Absent: there is no cluster to ask. */
  readonly readHistory?: ReadHistory | undefined
  /** A pod is being admitted because of these exceptions. Cheap: nothing waits for it. */
  readonly exceptionsUsed: (names: readonly string[], pod: ObjectMeta) => void
  /** Every node with the seccomp profiles that it reports. Absent: no node reports, and profiles are injected as they are asked for. */
  readonly seccompNodes?: (() => Iterable<KnownNode>) | undefined
  /** Requests that no check is for. */
  readonly exemptions: Exemptions
  readonly observer: AdmissionObserver
  /** Monotonic milliseconds. */
  readonly now: () => number
  /** Milliseconds since the epoch: exceptions expire by it. */
  readonly clock: () => number
}

/** What an endpoint decides about one request. */
export interface Decision {
  readonly response: AdmissionResponse
  readonly outcome: AdmissionOutcome
  readonly reasons: readonly string[]
}

/** Decides one request whose namespace asks for `policy`. What it waits for is only words, for at most `spareMilliseconds`. */
export type Decide = (
  request: AdmissionRequest,
  policy: NamespacePolicy,
  context: AdmissionContext,
  spareMilliseconds: number,
) => Decision | Promise<Decision>

/** Kept back of the API server's timeout, so that our denial arrives before it gives up. */
const DEADLINE_MARGIN = 0.1

/** A denial is at most 1 KiB; a real namespace has at most 63 characters. */
const MAX_NAMESPACE = 63
const MAX_ERROR = 400

/** Of that, what a decision may wait for its words: the rest is for the way back. */
const SPARE = 0.05

class DeadlineError extends Error {}

/** An answer that lets nothing through because Drawbridge itself could not decide. */
function failClosed(uid: string, message: string, code: number): Decision {
  return {
    response: decisionResponse(uid, { allowed: false, code, message: `drawbridge: ${message}` }),
    outcome: 'failed',
    reasons: ['error'],
  }
}

/** The answer to a request that asks nothing of us. */
export function allowUnchanged(uid: string): Decision {
  return { response: { uid, allowed: true }, outcome: 'allowed', reasons: [] }
}

/** What labels ask for, with profiles that memory does not know read first. Never rejects. */
export async function resolveLive(
  labels: Labels,
  { resolvePolicy, readProfile }: Pick<AdmissionContext, 'resolvePolicy' | 'readProfile'>,
): Promise<NamespacePolicy> {
  const policy = resolvePolicy(labels)
  if (policy.unknownProfiles === undefined || readProfile === undefined) return policy
  await Promise.all([...new Set(policy.unknownProfiles)].map((name) => readProfile(name)))
  return resolvePolicy(labels)
}

/** What the path of a review says: which labels the API server saw on the namespace. */
export type CalledEntry = Pick<WebhookEntry, 'namespaceLabels' | 'quarantine'>

/** Where an entry says what holds for images without a label, it holds; labels that the entry is not for decide alone. */
function withQuarantine(policy: NamespacePolicy, labels: Labels, entry: CalledEntry | undefined): NamespacePolicy {
  return entry?.quarantine === undefined ||
    Object.hasOwn(labels, LABEL.quarantine) ||
    !matchesLabels(entry.namespaceLabels, labels)
    ? policy
    : { ...policy, quarantine: entry.quarantine }
}

/**
 * Reviews carry no namespace labels. A namespace that is not cached, or whose cached labels ask for nothing or are not those that the API
 * server saw when it chose the entry, is read live once; when that fails the caller denies. What is read decides, whatever the entry was:
 * it is newer. A profile that a label asks for and memory does not know is read, too (both may be of the same `kubectl apply`); when that
 * fails, restricted is what holds (rule 8).
 */
async function livePolicy(
  namespace: string,
  cached: Labels | undefined,
  entry: CalledEntry | undefined,
  context: AdmissionContext,
): Promise<NamespacePolicy> {
  const labels = cached ?? (await context.namespaces.live(namespace))
  if (labels === undefined) throw new Error('there is no such namespace')
  return withQuarantine(await resolveLive(labels, context), labels, entry)
}

function decideInTime(
  request: AdmissionRequest,
  decide: Decide,
  timeoutMilliseconds: number,
  entry: CalledEntry | undefined,
  context: AdmissionContext,
): Decision | Promise<Decision> {
  const { uid, namespace } = request
  if (namespace === undefined) {
    // The API server never sends this: pods and what makes them have a namespace.
    return carriesPodTemplate(request.kind) || request.resource.resource === 'pods'
      ? failClosed(uid, 'a review of a pod or workload names no namespace', 400)
      : allowUnchanged(uid)
  }
  // The usual case answers from memory, without a timer and without a turn of the event loop.
  const cached = context.namespaces.cached(namespace)
  const known =
    cached === undefined || (entry !== undefined && !matchesLabels(entry.namespaceLabels, cached))
      ? undefined
      : withQuarantine(context.resolvePolicy(cached), cached, entry)
  const fits = known !== undefined && isOptedIn(known)
  if (fits && (known.unknownProfiles === undefined || context.readProfile === undefined)) {
    return decide(request, known, context, timeoutMilliseconds * SPARE)
  }
  const asked = livePolicy(namespace, fits ? cached : undefined, entry, context)
  return decideLive(request, namespace, asked, decide, timeoutMilliseconds, context)
}

/** Waits for what a namespace asks for, and no longer than the API server waits for us. */
async function decideLive(
  request: AdmissionRequest,
  namespace: string,
  asked: Promise<NamespacePolicy>,
  decide: Decide,
  timeoutMilliseconds: number,
  context: AdmissionContext,
): Promise<Decision> {
  const { uid } = request
  let timer: NodeJS.Timeout | undefined
  try {
    const deadline = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new DeadlineError()), timeoutMilliseconds * (1 - DEADLINE_MARGIN))
    })
    const policy = await Promise.race([asked, deadline])
    return isOptedIn(policy) ? await decide(request, policy, context, timeoutMilliseconds * SPARE) : allowUnchanged(uid)
  } catch (error) {
    context.observer.namespaceLookupFailed(namespace, error)
    const labels = `the labels of namespace "${printable(namespace, MAX_NAMESPACE)}"`
    return failClosed(
      uid,
      error instanceof DeadlineError
        ? `${labels} could not be read in time; try again`
        : `${labels} could not be read: ${printable(error instanceof Error ? error.message : String(error), MAX_ERROR)}`,
      error instanceof DeadlineError ? 504 : 500,
    )
  } finally {
    clearTimeout(timer)
  }
}

/**
 * The endpoint that decodes a review, decides it by the policy of its namespace, encodes the answer.
 *
 * @param entry the webhook entry whose path is called; undefined: a path of no entry, called by hand
 */
export function createReviewHandler(
  webhook: 'mutate' | 'validate',
  decide: Decide,
  context: AdmissionContext,
  entry?: CalledEntry,
): ReviewHandler {
  return (body, timeoutMilliseconds, waited) =>
    answerBody(webhook, body, waited, context, (request) =>
      decideInTime(request, decide, timeoutMilliseconds, entry, context),
    )
}

/**
 * Decodes a review, lets `decide` decide it, encodes the answer. HTTP 200 whenever an AdmissionReview can be sent. A promise only when `decide` gives one:
 * nearly every review is decided from memory, and turns of the event loop would cost as much as deciding.
 *
 * @param waited milliseconds since the last byte of the body
 */
export function answerBody(
  webhook: AdmissionEndpoint,
  body: Buffer,
  waited: number | undefined,
  context: Pick<AdmissionContext, 'observer' | 'now'>,
  decide: (request: AdmissionRequest) => Decision | Promise<Decision>,
): Reply | Promise<Reply> {
  const { observer } = context
  const started = context.now() - (waited ?? 0)
  let json: unknown
  try {
    json = JSON.parse(decodeWithoutManagedFields(body))
  } catch {
    const reason =
      body.length === 0
        ? 'the body is empty; wanted an AdmissionReview as JSON'
        : 'the body is not JSON; wanted an AdmissionReview'
    observer.reviewRefused(webhook, reason)
    return errorReply(400, reason)
  }
  const review = readAdmissionReview(json)
  if (review.error !== undefined) {
    observer.reviewRefused(webhook, review.error)
    if (review.uid === undefined) return errorReply(400, review.error)
    const denial = decisionResponse(review.uid, { allowed: false, code: 400, message: `drawbridge: ${review.error}` })
    return jsonReply(200, answerReview(denial))
  }
  const { request } = review
  const conclude = (decision: Decision): Reply => {
    observer.reviewAnswered({
      webhook,
      outcome: decision.outcome,
      seconds: (context.now() - started) / 1000,
      namespace: request.namespace,
      kind: request.kind.kind,
      name: request.name,
      reasons: decision.reasons,
      dryRun: request.dryRun === true,
    })
    return jsonReply(200, answerReview(decision.response))
  }
  // A bug of ours must not let a pod through, and must not take the answer away from the API server.
  const failed = (error: unknown): Decision => {
    observer.httpError('webhook', 500, error instanceof Error ? error : new Error(String(error)))
    return failClosed(request.uid, 'internal error while judging this request; see the log of Drawbridge', 500)
  }
  let decision: Decision | Promise<Decision>
  try {
    decision = decide(request)
  } catch (error) {
    decision = failed(error)
  }
  return decision instanceof Promise ? decision.catch(failed).then(conclude) : conclude(decision)
}
