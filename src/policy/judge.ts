import { podImages, type PodImage } from '../kube/containers.ts'
import { MIRROR_POD_ANNOTATION } from '../kube/names.ts'
import { checkPodShape } from '../kube/podShape.ts'
import { findPodTemplate, type FoundTemplate } from '../kube/podTemplate.ts'
import { isNodeRequest } from '../kube/review.ts'
import { isObject } from '../kube/shape.ts'
import type { AdmissionRequest, PodTemplate } from '../kube/types.ts'
import {
  asWarnings,
  denialText,
  flaggedLine,
  malformedText,
  nameSubject,
  profileWarnings,
  type Subject,
} from './denial.ts'
import { evaluate } from './evaluate.ts'
import { findExemption, type Exemptions } from './exemptions.ts'
import { formatProfile } from './namespace.ts'
import { isSignificantUpdate } from './significance.ts'
import type { FindFlagged, FlaggedImage, NamespacePolicy, ProfileAtVersion, Violation } from './types.ts'

export interface JudgeInput {
  readonly request: AdmissionRequest
  /** What the request's namespace asks for. */
  readonly policy: NamespacePolicy
  /** The verdict index; absent: no image is flagged. */
  readonly findFlagged?: FindFlagged | undefined
  /** Absent: nothing is exempt. */
  readonly exemptions?: Exemptions | undefined
}

/** A flagged image and where the object names it. */
export interface FlaggedUse extends FlaggedImage {
  readonly path: string
  readonly image: string
  /** Whether this request is denied because of it. */
  readonly denies: boolean
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
  const check = (profile: ProfileAtVersion | undefined): readonly Violation[] =>
    skipsChecks ? [] : findViolations(profile, template)
  return answer(input, { subject, isPod, template, flagged, checked: !skipsChecks, check })
}

const POD = { group: '', kind: 'Pod' }

const ALLOWED: Judgement = Object.freeze({
  allowed: true,
  code: 200,
  message: '',
  warnings: Object.freeze([]),
  auditAnnotations: Object.freeze({}),
  violations: Object.freeze([]),
  flagged: Object.freeze([]),
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

/**
 * The violations that count. The one place that both the webhook and the command line go through: exceptions (rule 9) take
 * violations out here, one by one, before anybody denies, warns or audits.
 */
const findViolations = (profile: ProfileAtVersion | undefined, template: PodTemplate): readonly Violation[] =>
  profile ? evaluate(profile.profile, profile.version, template.metadata, template.spec) : []

const findFlaggedImages = (
  { request, policy, findFlagged }: JudgeInput,
  images: readonly PodImage[],
  previous: PodTemplate | undefined,
): readonly FlaggedUse[] => {
  if (!findFlagged || policy.quarantine === 'off') return []
  const before = new Set(previous ? podImages(previous.spec).map(({ image }) => image) : [])
  const seen = new Set<string>()
  return images.flatMap(({ image, path }) => {
    // One line per image and verdict, however many containers use it.
    if (seen.has(image)) return []
    seen.add(image)
    const flagged = findFlagged(image, request.namespace)
    if (!flagged) return []
    const denies = policy.quarantine === 'enforce' && flagged.phase === 'denying' && !before.has(image)
    return [{ ...flagged, image, path, denies }]
  })
}

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
  readonly check: (profile: ProfileAtVersion | undefined) => readonly Violation[]
}

const answer = (
  { request, policy }: JudgeInput,
  { subject, isPod, template, flagged, checked, check }: Findings,
): Judgement => {
  const violations = check(policy.enforce)
  const enforced = isPod ? violations : []
  const denying = flagged.filter(({ denies }) => denies)
  const allowed = enforced.length === 0 && denying.length === 0
  const cannotBePrevented = isPod && isMirrorPod(template, request)

  const audited = check(policy.audit)
  const auditAnnotations: Record<string, string> = {
    ...(isPod && checked && policy.enforce ? { 'enforce-policy': formatProfile(policy.enforce) } : {}),
    ...(audited.length > 0 && policy.audit
      ? {
          'audit-violations': denialText({
            subject,
            problems: [],
            enforce: policy.audit,
            violations: audited,
            flagged: [],
          }),
        }
      : {}),
    ...(policy.problems.length > 0 ? { error: policy.problems.join('; ').slice(0, MAX_ANNOTATION) } : {}),
    ...(flagged.length > 0
      ? {
          'flagged-images': flagged
            .map(({ verdict }) => verdict)
            .join(',')
            .slice(0, MAX_ANNOTATION),
        }
      : {}),
  }

  const shared = { auditAnnotations, violations, flagged, cannotBePrevented }
  const unpreventable = cannotBePrevented
    ? 'note: a mirror pod cannot be prevented; its node runs it anyway'
    : undefined
  if (!allowed) {
    const message = denialText({
      subject,
      problems: policy.problems,
      enforce: policy.enforce,
      violations: enforced,
      flagged: denying,
      note: unpreventable,
    })
    const warnings = [
      // The message has room for the first only.
      ...policy.problems.slice(1).flatMap((problem) => asWarnings(`drawbridge: ${problem}`)),
      // A template's violations are no reason for this denial, but whoever must edit it anyway wants to know them.
      ...(isPod ? [] : templateWarnings(policy, subject, violations, check(policy.warn))),
    ]
    return { ...shared, allowed, code: 403, message, warnings }
  }
  const warnings = [
    ...policy.problems.flatMap((problem) => asWarnings(`drawbridge: ${problem}`)),
    ...flagged.flatMap((use) => asWarnings(`drawbridge: ${flaggedHeadline(use, subject, policy)}`)),
    ...(isPod
      ? podWarnings(policy, subject, check(policy.warn))
      : templateWarnings(policy, subject, violations, check(policy.warn))),
  ]
  return { ...shared, allowed, code: 200, message: '', warnings }
}

const MAX_ANNOTATION = 1024

const flaggedHeadline = (use: FlaggedUse, subject: Subject, policy: NamespacePolicy): string => {
  const why =
    use.phase === 'warning'
      ? 'uses a suspicious image'
      : policy.quarantine === 'warn'
        ? 'uses a flagged image (this namespace only warns)'
        : 'goes on using a flagged image (new pods with it are denied)'
  return `${nameSubject(subject)} ${why}: ${flaggedLine(use, subject.path)}`
}

const podWarnings = (
  { warn }: NamespacePolicy,
  subject: Subject,
  violations: readonly Violation[],
): readonly string[] =>
  warn
    ? profileWarnings(`${nameSubject(subject)} would break profile ${formatProfile(warn)}`, violations, subject.path)
    : []

/** Violations of the enforced profile come first: its pods will really be denied. The warn profile follows if it is another one. */
const templateWarnings = (
  { enforce, warn }: NamespacePolicy,
  subject: Subject,
  enforced: readonly Violation[],
  warned: readonly Violation[],
): readonly string[] => {
  const name = nameSubject(subject)
  const both = enforce && warn && formatProfile(enforce) === formatProfile(warn)
  return [
    ...(enforce
      ? profileWarnings(
          `${name}: its pods will be denied, they break profile ${formatProfile(enforce)}`,
          enforced,
          subject.path,
        )
      : []),
    ...(warn && !both
      ? profileWarnings(`${name}: its pods would break profile ${formatProfile(warn)}`, warned, subject.path)
      : []),
  ]
}

/** Rule 3: the annotation alone exempts nobody; here even both together only change the wording. */
const isMirrorPod = ({ metadata }: PodTemplate, request: AdmissionRequest): boolean =>
  isNodeRequest(request) && Object.hasOwn(metadata.annotations ?? {}, MIRROR_POD_ANNOTATION)
