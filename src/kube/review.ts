import { describeMismatch } from './podShape.ts'
import { boolean, isObject, object, required, requiredString, string, strings } from './shape.ts'
import { printable } from './text.ts'
import type { AdmissionRequest, AdmissionResponse, GroupVersionKind, GroupVersionResource, Operation } from './types.ts'

export const REVIEW_API_VERSION = 'admission.k8s.io/v1'

const OPERATIONS: readonly string[] = ['CREATE', 'UPDATE', 'DELETE', 'CONNECT'] satisfies readonly Operation[]

const kindShape = required(
  'an object',
  object(
    (fields) =>
      string(fields['group'], '.group') ??
      string(fields['version'], '.version') ??
      requiredString(fields['kind'], '.kind'),
  ),
)
const resourceShape = required(
  'an object',
  object(
    (fields) =>
      string(fields['group'], '.group') ??
      string(fields['version'], '.version') ??
      requiredString(fields['resource'], '.resource'),
  ),
)
const userInfoShape = object(
  (fields) => string(fields['username'], '.username') ?? strings(fields['groups'], '.groups'),
)
const requestShape = required(
  'an object',
  object(
    (fields) =>
      requiredString(fields['uid'], '.uid') ??
      kindShape(fields['kind'], '.kind') ??
      resourceShape(fields['resource'], '.resource') ??
      string(fields['subResource'], '.subResource') ??
      string(fields['name'], '.name') ??
      string(fields['namespace'], '.namespace') ??
      requiredString(fields['operation'], '.operation') ??
      userInfoShape(fields['userInfo'], '.userInfo') ??
      boolean(fields['dryRun'], '.dryRun'),
  ),
)

/** An API server's has 36 characters. It is part of the answer, which nobody may make as large as a request: who does not read it lets it lie in our memory. */
const LONGEST_UID = 128

/** For what is put together field by field, because it is made for every review. */
type Writable<T> = { -readonly [K in keyof T]: T[K] }

/** The fields as `requestShape` leaves them: their types are right, but absent may be null or missing. */
interface RawRequest {
  readonly uid: string
  readonly kind: Partial<GroupVersionKind>
  readonly resource: Partial<GroupVersionResource>
  readonly subResource?: string | null
  readonly name?: string | null
  readonly namespace?: string | null
  readonly operation: Operation
  readonly userInfo?: { readonly username?: string | null; readonly groups?: readonly string[] | null } | null
  readonly object?: unknown
  readonly oldObject?: unknown
  readonly dryRun?: boolean | null
}

/** `uid` beside an error: the review can still be answered with HTTP 200 and a denial. */
export type ReadReview =
  | { readonly request: AdmissionRequest; readonly error?: undefined }
  | { readonly error: string; readonly uid?: string | undefined; readonly request?: undefined }

/**
 * Reads an AdmissionReview of `admission.k8s.io/v1` from parsed JSON
 * (https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#request).
 *
 * The request comes back as a new object with only the fields that Drawbridge reads, nulls left out; `object` and `oldObject`
 * are passed on unchecked. The error is one line for the caller. Never throws.
 */
export const readAdmissionReview = (json: unknown): ReadReview => {
  if (!isObject(json)) return { error: 'not an AdmissionReview: wanted a JSON object' }
  const { kind, apiVersion } = json
  if (kind !== 'AdmissionReview') return { error: `not an AdmissionReview: kind is ${quote(kind)}` }
  if (apiVersion !== REVIEW_API_VERSION) {
    return { error: `wanted apiVersion ${REVIEW_API_VERSION}, found ${quote(apiVersion)}` }
  }
  const mismatch = requestShape(json['request'], '.request')
  if (mismatch) return { error: `malformed AdmissionReview: ${describeMismatch(mismatch, '')}`, ...uidOf(json) }
  const raw = json['request'] as RawRequest
  if (raw.uid === '') return { error: 'malformed AdmissionReview: request.uid is empty' }
  if (raw.uid.length > LONGEST_UID)
    return { error: `malformed AdmissionReview: request.uid has over ${LONGEST_UID} characters` }
  if (!OPERATIONS.includes(raw.operation)) {
    return {
      error: `malformed AdmissionReview: request.operation is ${quote(raw.operation)}, must be one of ${OPERATIONS.join(', ')}`,
      uid: raw.uid,
    }
  }
  return { request: clean(raw) }
}

/** The body of an answer: HTTP 200 with an AdmissionReview, whatever the decision. */
export const answerReview = (
  response: AdmissionResponse,
): {
  readonly apiVersion: typeof REVIEW_API_VERSION
  readonly kind: 'AdmissionReview'
  readonly response: AdmissionResponse
} => ({ apiVersion: REVIEW_API_VERSION, kind: 'AdmissionReview', response })

/** `reason` of a Status by its HTTP code: what the API server itself answers with these codes. */
const REASONS: ReadonlyMap<number, string> = new Map([
  [400, 'BadRequest'],
  [403, 'Forbidden'],
  [422, 'Invalid'],
  [500, 'InternalError'],
  [503, 'ServiceUnavailable'],
  [504, 'Timeout'],
])

export interface Decision {
  readonly allowed: boolean
  /** HTTP code of the Status; used when denied. */
  readonly code: number
  /** Used when denied. */
  readonly message: string
  readonly warnings?: readonly string[] | undefined
  readonly auditAnnotations?: Readonly<Record<string, string>> | undefined
}

/** The response for a decision (a `Judgement` is one). Empty warnings and annotations are left out. */
export const decisionResponse = (uid: string, decision: Decision): AdmissionResponse => {
  const { allowed, code, message, warnings, auditAnnotations } = decision
  const response: Writable<AdmissionResponse> = { uid, allowed }
  if (!allowed) response.status = { code, reason: REASONS.get(code) ?? 'Forbidden', message }
  if (warnings !== undefined && warnings.length > 0) response.warnings = warnings
  if (auditAnnotations !== undefined && Object.keys(auditAnnotations).length > 0)
    response.auditAnnotations = auditAnnotations
  return response
}

/** The response for a mutation: allowed, with a JSON Patch (RFC 6902) when there is anything to change. */
export const patchResponse = (
  uid: string,
  patch: readonly object[],
  warnings: readonly string[] = [],
): AdmissionResponse => {
  const response: Writable<AdmissionResponse> = { uid, allowed: true }
  if (warnings.length > 0) response.warnings = warnings
  if (patch.length > 0) {
    response.patchType = 'JSONPatch'
    response.patch = Buffer.from(JSON.stringify(patch), 'utf8').toString('base64')
  }
  return response
}

/** Whether a kubelet asks: the only requester whose mirror pod annotation means anything. */
export const isNodeRequest = (admission: Pick<AdmissionRequest, 'userInfo'>): boolean =>
  admission.userInfo?.groups?.includes('system:nodes') ?? false

const clean = (raw: RawRequest): AdmissionRequest => {
  const { kind, resource, userInfo } = raw
  const cleaned: Writable<AdmissionRequest> = {
    uid: raw.uid,
    kind: { group: kind.group ?? '', version: kind.version ?? '', kind: kind.kind ?? '' },
    resource: { group: resource.group ?? '', version: resource.version ?? '', resource: resource.resource ?? '' },
    operation: raw.operation,
    object: raw.object ?? undefined,
    oldObject: raw.oldObject ?? undefined,
  }
  if (raw.subResource) cleaned.subResource = raw.subResource
  if (raw.name) cleaned.name = raw.name
  if (raw.namespace) cleaned.namespace = raw.namespace
  if (raw.dryRun != null) cleaned.dryRun = raw.dryRun
  if (userInfo != null) cleaned.userInfo = { username: userInfo.username ?? undefined, groups: userInfo.groups ?? [] }
  return cleaned
}

const uidOf = (json: Readonly<Record<string, unknown>>): { readonly uid?: string } => {
  const { request: found } = json
  const uid = isObject(found) ? found['uid'] : undefined
  return typeof uid === 'string' && uid !== '' && uid.length <= LONGEST_UID ? { uid } : {}
}

const quote = (value: unknown): string => (typeof value === 'string' ? `"${printable(value, 60)}"` : 'not a string')
