/**
 * `POST /validate-profiles`: refuses an AdmissionProfile that contradicts itself, in what the CRD's schema and CEL rules cannot say, and the
 * deletion of one that a namespace's label names (rule 8). Whoever changes one in use is told which namespaces that concerns; whether they
 * may is for the guard (manifests/guard.ts).
 */
import { GROUP, LABEL } from '../src/kube/names.ts'
import { decisionResponse } from '../src/kube/review.ts'
import { isObject } from '../src/kube/shape.ts'
import { printable } from '../src/kube/text.ts'
import type { AdmissionRequest, Labels } from '../src/kube/types.ts'
import { loadProfile } from '../src/policy/compileProfile.ts'
import { asWarnings } from '../src/policy/denial.ts'
import { nameOf } from '../src/policy/exceptions.ts'
import type { ReviewHandler } from '../src/server/reviewHandler.ts'
import { allowUnchanged, answerBody } from './context.ts'
import type { AdmissionContext, Decision } from './context.ts'

export interface ProfilesContext extends Pick<AdmissionContext, 'observer' | 'now'> {
  /** Labels of every namespace known now. */
  readonly allNamespaces: () => ReadonlyMap<string, Labels>
}

/** Namespaces named in a refusal; the others are counted. */
const NAMED = 5
const MAX_PROBLEMS = 10
const SELECTING = [LABEL.enforce, LABEL.warn, LABEL.audit] as const

const refuse = (uid: string, code: 400 | 403, message: string): Decision => ({
  response: decisionResponse(uid, { allowed: false, code, message: `drawbridge: ${message}` }),
  outcome: 'denied',
  reasons: ['profile'],
})

/** As the API server writes it, which is the same text for the same spec. */
const specText = (object: unknown): string | undefined =>
  isObject(object) ? JSON.stringify(object['spec']) : undefined

/** What a deletion would leave without its profile: a line that names up to five namespaces; undefined if there are none. */
const usedBy = (name: string, namespaces: ReadonlyMap<string, Labels>): string | undefined => {
  const using = [...namespaces]
    .filter(([, labels]) => SELECTING.some((label) => Object.hasOwn(labels, label) && labels[label] === name))
    .map(([namespace]) => namespace)
    .sort()
  if (using.length === 0) return undefined
  const more = using.length > NAMED ? ` and ${using.length - NAMED} more` : ''
  return `${using.length === 1 ? 'namespace' : 'namespaces'} ${using.slice(0, NAMED).join(', ')}${more}`
}

/** Allows; a change of a profile in use with a warning that says whom it concerns. */
const allow = (uid: string, changed: string | undefined, context: ProfilesContext): Decision => {
  const users = changed === undefined ? undefined : usedBy(changed, context.allNamespaces())
  if (changed === undefined || users === undefined) return allowUnchanged(uid)
  const text = `drawbridge: AdmissionProfile ${printable(changed, 63)} is in use by ${users}: what changed holds for pods created from now on`
  return {
    response: decisionResponse(uid, { allowed: true, code: 200, message: '', warnings: asWarnings(text) }),
    outcome: 'allowed',
    reasons: [],
  }
}

const decideProfile = (request: AdmissionRequest, context: ProfilesContext): Decision => {
  const { uid, operation, resource, object, oldObject } = request
  const isProfile = resource.group === GROUP && resource.resource === 'admissionprofiles'
  if (!isProfile || request.subResource !== undefined) return allowUnchanged(uid)
  if (operation === 'DELETE') {
    // The deletion of a whole collection is reviewed object by object, and names none (tried).
    const name = request.name ?? nameOf(oldObject) ?? ''
    const users = usedBy(name, context.allNamespaces())
    return users === undefined
      ? allowUnchanged(uid)
      : refuse(uid, 403, `AdmissionProfile ${printable(name, 63)} is in use by ${users}; change their labels first`)
  }
  if (operation !== 'CREATE' && operation !== 'UPDATE') return allowUnchanged(uid)
  // Labels and finalizers of a profile that was made while nobody checked must stay editable.
  if (operation === 'UPDATE' && specText(object) === specText(oldObject)) return allowUnchanged(uid)
  const { problems } = loadProfile(object)
  if (problems === undefined) return allow(uid, operation === 'UPDATE' ? request.name : undefined, context)
  const more = problems.length > MAX_PROBLEMS ? `\n- and ${problems.length - MAX_PROBLEMS} more` : ''
  const lines = problems.slice(0, MAX_PROBLEMS).map((problem) => `\n- ${problem}`)
  return refuse(
    uid,
    403,
    `AdmissionProfile ${printable(request.name ?? '', 63)} cannot be used:${lines.join('')}${more}`,
  )
}

/** Creates the endpoint. */
export function createValidateProfiles(context: ProfilesContext): ReviewHandler {
  return (body, _timeoutMilliseconds, waited) =>
    answerBody('profiles', body, waited, context, (request) => decideProfile(request, context))
}
