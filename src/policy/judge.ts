import { podImages } from '../kube/containers.ts'
import { MIRROR_POD_ANNOTATION } from '../kube/names.ts'
import { checkPodShape } from '../kube/podShape.ts'
import { findPodTemplate, type FoundTemplate } from '../kube/podTemplate.ts'
import { isNodeRequest } from '../kube/review.ts'
import { isObject } from '../kube/shape.ts'
import type { AdmissionRequest, PodTemplate } from '../kube/types.ts'
import {
  asWarnings,
  countExceptionNotes,
  denialText,
  hasRoomForRollback,
  malformedText,
  type Subject,
} from './denial.ts'
import { prepareExceptions, type ExceptionOutcome } from './applyExceptions.ts'
import { evaluateProfile } from './evaluate.ts'
import type { FindException } from './exceptions.ts'
import { findExemption, type Exemptions } from './exemptions.ts'
import { denyingVerdict, findFlaggedImages, type FlaggedUse } from './flaggedImages.ts'
import {
  exceptionWarnings,
  flaggedHeadline,
  podWarnings,
  rollbackWarnings,
  templateWarnings,
} from './judgementWarnings.ts'
import { formatProfile } from './namespace.ts'
import { isSignificantUpdate } from './significance.ts'
import type { FindFlagged, NamespacePolicy, ProfileAtVersion, Violation } from './types.ts'

export interface JudgeInput {
  readonly request: AdmissionRequest
  /** What the request's namespace asks for. */
  readonly policy: NamespacePolicy
  /** The verdict index; absent: no image is flagged. */
  readonly findFlagged?: FindFlagged | undefined
  /** The exceptions there are; absent: none. */
  readonly exceptions?: FindException | undefined
  /** Milliseconds since the epoch; without it every exception has expired. */
  readonly now?: number | undefined
  /**
   * A workload's template with what its pods will be given when they are created (src/mutation `asCreated`). Otherwise every plain Deployment of
   * an enforcing namespace would be told that its pods will be denied. Absent: templates are judged as they are.
   */
  readonly asCreated?: ((template: PodTemplate, policy: NamespacePolicy) => PodTemplate) | undefined
  /** Absent: nothing is exempt. */
  readonly exemptions?: Exemptions | undefined
  /** How the workload gets rid of its flagged image (src/verdicts/rollback.ts); told wherever an image is denied to new pods. */
  readonly rollback?: string | undefined
}

/** The answer to one admission request; `decisionResponse` (kube/review.ts) encodes it. */
export interface Judgement {
  readonly allowed: boolean
  /** 200; 403 for violations and verdicts; 400, as the API server answers, for an object that cannot be read. */
  readonly code: 200 | 400 | 403
  /** Empty when allowed; else at most 1 KiB. */
  readonly message: string
  /** Each at most 255 characters. */
  readonly warnings: readonly string[]
  /** Keys as upstream's: `enforce-policy`, `audit-violations`, `exempt`, `error`; and `flagged-images`. Values at most 1 KiB. */
  readonly auditAnnotations: Readonly<Record<string, string>>
  /** Of the enforced profile, found in a pod (they deny) or a template (they warn). */
  readonly violations: readonly Violation[]
  readonly flagged: readonly FlaggedUse[]
  /** Names of the exceptions without which this pod would have been denied; empty for templates and denials. */
  readonly exceptionsUsed: readonly string[]
  /** A mirror pod's denial hides the pod from the API but does not stop it (rule 3). */
  readonly cannotBePrevented: boolean
}

/**
 * Judges one admission request: the checks of the namespace's profiles and the verdicts on images, in one answer.
 *
 * Pods and their subresources are denied for violations; templates of the eight workload kinds are only warned about, but denied for
 * verdicts (rule 4). Everything else is allowed. `dryRun` changes nothing. Pure and linear in the object; never throws for
 * whatever JSON `object` and `oldObject` hold.
 */
export const judge = (input: JudgeInput): Judgement => {
  const { request, policy, exemptions } = input
  if (!isJudged(request, policy)) return ALLOWED
  const exempt = exemptions && findExemption(exemptions, request)
  if (exempt === undefined) return judgeWhole(input)
  // Exempt from the checks, as upstream; a verdict is about an image that misbehaved, whoever starts it.
  const judgement = judgeWhole({ ...input, policy: { quarantine: policy.quarantine, problems: [] } })
  return { ...judgement, auditAnnotations: { ...judgement.auditAnnotations, exempt } }
}

const judgeWhole = (input: JudgeInput): Judgement => {
  const { request, policy } = input
  if (!isJudged(request, policy)) return ALLOWED
  const isPod = isPodRequest(request)
  const found = isPod ? findPodTemplate(POD, request.object) : findPodTemplate(request.kind, request.object)
  if (found === undefined) return ALLOWED
  const subject = subjectOf(request, found, isPod)
  const mismatch = checkPodShape(found.metadata, found.spec, found.path)
  if (mismatch !== undefined) return judgeMalformed(malformedText(subject, mismatch), policy)

  const template = found as PodTemplate
  const previous = previousTemplate(request, isPod)
  const flagged = findFlaggedImages(input, podImages(template.spec), previous)
  const skipsChecks = isPod && previous !== undefined && !isSignificantUpdate(template.spec, previous.spec)
  const except = prepareExceptions({
    template,
    namespace: request.namespace,
    find: input.exceptions ?? (() => undefined),
    now: input.now ?? Number.POSITIVE_INFINITY,
    isFlagged: (image) => denyingVerdict(input, image),
  })
  const checked = isPod || input.asCreated === undefined ? template : input.asCreated(template, policy)
  const check = oncePerProfile((profile) => (skipsChecks ? NOTHING_FOUND : except(findViolations(profile, checked))))
  return answer(input, { subject, isPod, template, flagged, checked: !skipsChecks, check })
}

type CheckProfile = (profile: ProfileAtVersion | undefined) => ExceptionOutcome

/** Namespaces often enforce, warn about and audit one profile: what a pod breaks of it is found out once. */
const oncePerProfile = (check: CheckProfile): CheckProfile => {
  const known: { readonly profile: ProfileAtVersion | undefined; readonly outcome: ExceptionOutcome }[] = []
  return (profile) => {
    const found = known.find((one) => isSameProfile(one.profile, profile))
    if (found !== undefined) return found.outcome
    const outcome = check(profile)
    known.push({ profile, outcome })
    return outcome
  }
}

/** Whether both consist of the same checks. Profiles of one name may not, while one of them is being changed. */
const isSameProfile = (a: ProfileAtVersion | undefined, b: ProfileAtVersion | undefined): boolean =>
  a?.profile === b?.profile && a?.version === b?.version && a?.checks === b?.checks

const POD = { group: '', kind: 'Pod' }

const ALLOWED: Judgement = Object.freeze({
  allowed: true,
  code: 200,
  message: '',
  warnings: Object.freeze([]),
  auditAnnotations: Object.freeze({}),
  violations: Object.freeze([]),
  flagged: Object.freeze([]),
  exceptionsUsed: Object.freeze([]),
  cannotBePrevented: false,
})

/**
 * Subresources of pods that carry no pod spec (kubernetes/pod-security-admission:admission/admission.go). Any other one, known today or
 * not, is judged: a version that Drawbridge does not know must not become a way around it.
 */
const SPECLESS_SUBRESOURCES: ReadonlySet<string> = new Set([
  'exec',
  'attach',
  'binding',
  'eviction',
  'log',
  'portforward',
  'proxy',
  'status',
])

const isPodRequest = ({ resource, kind }: AdmissionRequest): boolean =>
  (resource.group === '' && resource.resource === 'pods') || (kind.group === '' && kind.kind === 'Pod')

const isJudged = (request: AdmissionRequest, policy: NamespacePolicy): boolean => {
  if (request.operation !== 'CREATE' && request.operation !== 'UPDATE') return false
  const asksForNothing =
    !policy.enforce && !policy.warn && !policy.audit && policy.quarantine === 'off' && policy.problems.length === 0
  if (asksForNothing) return false
  const subresource = request.subResource ?? ''
  return isPodRequest(request) ? !SPECLESS_SUBRESOURCES.has(subresource) : subresource === ''
}

const subjectOf = (request: AdmissionRequest, found: FoundTemplate, isPod: boolean): Subject => {
  const metadata = isObject(request.object) ? request.object['metadata'] : undefined
  const names = isObject(metadata) ? [metadata['name'], request.name, metadata['generateName']] : [request.name]
  const name = names.find((candidate) => typeof candidate === 'string' && candidate !== '')
  return { kind: isPod ? 'Pod' : request.kind.kind, name: typeof name === 'string' ? name : '', path: found.path }
}

/** The old pod or template of an update; undefined if there is none or it cannot be read, which judges the new one in full. */
const previousTemplate = (request: AdmissionRequest, isPod: boolean): PodTemplate | undefined => {
  if (request.operation !== 'UPDATE') return undefined
  const found = findPodTemplate(isPod ? POD : request.kind, request.oldObject)
  return found && checkPodShape(found.metadata, found.spec, '') === undefined ? (found as PodTemplate) : undefined
}

/** Every violation of a profile; the exceptions then take theirs out, before anybody denies, warns or audits. */
const findViolations = (profile: ProfileAtVersion | undefined, template: PodTemplate): readonly Violation[] =>
  profile ? evaluateProfile(profile, template.metadata, template.spec) : []

const NOTHING_FOUND: ExceptionOutcome = Object.freeze({ remaining: [], used: [], notes: [] })

const judgeMalformed = (text: string, policy: NamespacePolicy): Judgement => {
  const auditAnnotations = { error: text }
  return policy.enforce || policy.quarantine === 'enforce'
    ? { ...ALLOWED, allowed: false, code: 400, message: text, auditAnnotations }
    : { ...ALLOWED, warnings: asWarnings(text), auditAnnotations }
}

interface Findings {
  readonly subject: Subject
  readonly isPod: boolean
  readonly template: PodTemplate
  readonly flagged: readonly FlaggedUse[]
  /** False for an update that changes nothing which checks read. */
  readonly checked: boolean
  /** What remains of a profile's violations after the exceptions. */
  readonly check: CheckProfile
}

const answer = (
  { request, policy, rollback }: JudgeInput,
  { subject, isPod, template, flagged, checked, check }: Findings,
): Judgement => {
  const { remaining: violations, used, notes } = check(policy.enforce)
  const enforced = isPod ? violations : []
  const denying = flagged.filter(({ denies }) => denies)
  const allowed = enforced.length === 0 && denying.length === 0
  const cannotBePrevented = isPod && isMirrorPod(template, request)

  const warned = check(policy.warn).remaining
  const audited = check(policy.audit).remaining
  const exceptionsUsed = isPod && allowed ? used : []
  const auditAnnotations: Record<string, string> = {}
  if (isPod && checked && policy.enforce) auditAnnotations['enforce-policy'] = formatProfile(policy.enforce)
  if (audited.length > 0 && policy.audit) {
    const parts = { subject, problems: [], enforce: policy.audit, violations: audited, flagged: [] }
    auditAnnotations['audit-violations'] = denialText(parts)
  }
  if (exceptionsUsed.length > 0) auditAnnotations['exceptions-used'] = joinBounded(exceptionsUsed, ',')
  if (policy.problems.length > 0) auditAnnotations['error'] = joinBounded(policy.problems, '; ')
  if (flagged.length > 0) {
    const verdicts = flagged.map(({ verdict }) => verdict)
    auditAnnotations['flagged-images'] = joinBounded(verdicts, ',')
  }

  const shared = { auditAnnotations, violations, flagged, exceptionsUsed, cannotBePrevented }
  const unpreventable = cannotBePrevented
    ? 'note: a mirror pod cannot be prevented; its node runs it anyway'
    : undefined
  if (!allowed) {
    const parts = {
      subject,
      problems: policy.problems,
      enforce: policy.enforce,
      violations: enforced,
      flagged: denying,
      exceptions: notes,
      rollback: denying.length > 0 ? rollback : undefined,
      note: unpreventable,
    }
    const message = denialText(parts)
    const warnings = [
      // The message has room for the first only.
      ...policy.problems.slice(1).flatMap((problem) => asWarnings(`drawbridge: ${problem}`)),
      // A template's violations are no reason for this denial, but whoever must edit it anyway wants to know them.
      ...(isPod ? [] : templateWarnings(policy, subject, violations, warned)),
      ...exceptionWarnings(notes.slice(countExceptionNotes(parts))),
      ...(hasRoomForRollback(parts) ? [] : rollbackWarnings(flagged, policy, rollback)),
    ]
    return { ...shared, allowed, code: 403, message, warnings }
  }
  const warnings = [
    ...policy.problems.flatMap((problem) => asWarnings(`drawbridge: ${problem}`)),
    ...flagged.flatMap((use) => asWarnings(`drawbridge: ${flaggedHeadline(use, subject, policy)}`)),
    ...rollbackWarnings(flagged, policy, rollback),
    ...(isPod ? podWarnings(policy, subject, warned) : templateWarnings(policy, subject, violations, warned)),
    // An exception is never required: what is wrong with one that nobody needs is only said.
    ...exceptionWarnings(notes),
  ]
  return { ...shared, allowed, code: 200, message: '', warnings }
}

const MAX_ANNOTATION = 1024

const joinBounded = (texts: readonly string[], separator: string): string =>
  texts.join(separator).slice(0, MAX_ANNOTATION)

/** Rule 3: the annotation alone exempts nobody; here even both together only change the wording. */
const isMirrorPod = ({ metadata }: PodTemplate, request: AdmissionRequest): boolean =>
  isNodeRequest(request) && Object.hasOwn(metadata.annotations ?? {}, MIRROR_POD_ANNOTATION)
