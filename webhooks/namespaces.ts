/**
 * `POST /validate-namespaces`: refuses labels that nobody can resolve, and warns about existing pods that a new profile would deny. It guards
 * nothing (rule 7): who may change which label is decided by the policy of manifests/guard.ts, which holds without this webhook.
 */
import { decisionResponse } from '../src/kube/review.ts'
import { isObject } from '../src/kube/shape.ts'
import { printable } from '../src/kube/text.ts'
import type { AdmissionRequest, Labels } from '../src/kube/types.ts'
import { podAsCreated } from '../src/mutation/index.ts'
import { asWarnings } from '../src/policy/denial.ts'
import { judge } from '../src/policy/judge.ts'
import { formatProfile } from '../src/policy/namespace.ts'
import {
  createPodGroups,
  existingPodWarnings,
  labelDenial,
  labelProblems,
  mayDenyMore,
  unknownLabelWarnings,
} from '../src/policy/namespaceChange.ts'
import type { Checked, PodGroups } from '../src/policy/namespaceChange.ts'
import type { NamespacePolicy, ProfileAtVersion } from '../src/policy/types.ts'
import type { ReviewHandler } from '../src/server/reviewHandler.ts'
import { allowUnchanged, answerBody } from './context.ts'
import type { AdmissionContext, Decision } from './context.ts'

/** Pods of a namespace in pages; `remaining` counts those on later pages. Rejects when they cannot be read in the time that is left. */
export type ListPods = (
  namespace: string,
  pageSize: number,
  remainingMs: () => number,
) => AsyncIterable<{ readonly pods: readonly unknown[]; readonly remaining: number | undefined }>

export interface NamespacesContext extends Pick<
  AdmissionContext,
  'observer' | 'now' | 'clock' | 'exemptions' | 'findException'
> {
  /** What labels ask for, with profiles that memory does not know read first. */
  readonly resolveLive: (labels: Labels) => Promise<NamespacePolicy>
  /** Absent: there are no existing pods to look at (standalone). */
  readonly listPods?: ListPods | undefined
}

/** Upstream's bounds (kubernetes/pod-security-admission:admission/admission.go). */
const MAX_PODS = 3000
const MAX_MILLISECONDS = 1000
/** Small enough that reading a page does not keep other requests waiting. */
const PAGE_SIZE = 250
/** More looks at once than this only say that they were left out. */
const MAX_LOOKS = 4
/** Kept back of the API server's timeout for the answer itself. */
const DEADLINE_MARGIN = 0.2

/** The labels of a namespace of a review; what is not text is left out. */
const labelsOf = (object: unknown): Labels => {
  const metadata = isObject(object) ? object['metadata'] : undefined
  const labels = isObject(metadata) ? metadata['labels'] : undefined
  const entries = Object.entries(isObject(labels) ? labels : {})
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string'))
}

const allow = (uid: string, warnings: readonly string[]): Decision => ({
  response: decisionResponse(uid, { allowed: true, code: 200, message: '', warnings }),
  outcome: 'allowed',
  reasons: [],
})

/** Judges pods as if they were created now (injection and exceptions are for those as well), in the order of the list, and puts those that break the profile into `groups`. */
async function checkPods(
  namespace: string,
  { enforce, seccomp, hardening }: NamespacePolicy,
  { exemptions, findException, clock }: NamespacesContext,
  groups: PodGroups,
  pages: ReturnType<ListPods>,
  isOver: () => boolean,
): Promise<Checked> {
  const policy: NamespacePolicy = { enforce, quarantine: 'off', problems: [] }
  const injected = { seccomp, hardening, requesterIsNode: false }
  const now = clock()
  let checked = 0
  let total: number | undefined
  try {
    for await (const { pods, remaining } of pages) {
      total = remaining === undefined ? undefined : checked + pods.length + remaining
      for (const object of pods) {
        if (checked === MAX_PODS) return { checked, total, stopped: `at most ${MAX_PODS} are` }
        if (isOver()) return { checked, total, stopped: 'the time was over' }
        checked++
        const { violations, auditAnnotations } = judge({
          request: {
            uid: '',
            operation: 'CREATE',
            kind: { group: '', version: 'v1', kind: 'Pod' },
            resource: { group: '', version: 'v1', resource: 'pods' },
            namespace,
            object: podAsCreated(object, injected),
          },
          policy,
          exemptions,
          exceptions: findException,
          now,
        })
        const metadata = isObject(object) ? object['metadata'] : undefined
        const pod = isObject(metadata) ? metadata['name'] : undefined
        if (auditAnnotations['exempt'] === undefined) groups.add(typeof pod === 'string' ? pod : '', violations)
      }
      if (checked === MAX_PODS && remaining !== 0) return { checked, total, stopped: `at most ${MAX_PODS} are` }
    }
    return { checked, total }
  } catch (error) {
    const { reason, message } = error as { readonly reason?: unknown; readonly message?: unknown }
    const stopped =
      reason === 'Timeout' ? 'the time was over' : `they cannot be read: ${printable(String(message), 200)}`
    return { checked, total, stopped }
  }
}

/** Creates the endpoint. */
export function createValidateNamespaces(context: NamespacesContext): ReviewHandler {
  let looks = 0

  const look = async (
    namespace: string,
    policy: NamespacePolicy & { readonly enforce: ProfileAtVersion },
    milliseconds: number,
  ): Promise<readonly string[]> => {
    const { listPods, now, exemptions } = context
    const profile = policy.enforce
    if (listPods === undefined) return []
    if (exemptions.namespaces.has(namespace)) {
      return asWarnings(
        `drawbridge: namespace "${printable(namespace, 63)}" is exempt in drawbridge.yaml: ${formatProfile(profile)} is not enforced`,
      )
    }
    const groups = createPodGroups()
    if (looks >= MAX_LOOKS)
      return existingPodWarnings(namespace, profile, groups, {
        checked: 0,
        total: undefined,
        stopped: 'busy; try again',
      })
    looks++
    try {
      const end = now() + milliseconds
      const checked = await checkPods(
        namespace,
        policy,
        context,
        groups,
        listPods(namespace, PAGE_SIZE, () => end - now()),
        () => now() >= end,
      )
      return existingPodWarnings(namespace, profile, groups, checked)
    } finally {
      looks--
    }
  }

  const decide = async (request: AdmissionRequest, timeoutMilliseconds: number): Promise<Decision> => {
    const { uid, kind, operation, subResource, object, oldObject, name } = request
    // Writing the status or the finalisers can change the labels as well.
    const isNamespace =
      kind.group === '' &&
      kind.kind === 'Namespace' &&
      (subResource === undefined || subResource === 'status' || subResource === 'finalize')
    if (!isNamespace || (operation !== 'CREATE' && operation !== 'UPDATE')) return allowUnchanged(uid)
    const [labels, oldLabels] = [labelsOf(object), labelsOf(oldObject)]
    const [policy, oldPolicy] = await Promise.all([context.resolveLive(labels), context.resolveLive(oldLabels)])
    const problems = labelProblems(labels, policy)
    // As upstream: labels that were wrong before must not keep everything else about the namespace from changing.
    const isOld = operation === 'UPDATE' && problems.join('\n') === labelProblems(oldLabels, oldPolicy).join('\n')
    if (problems.length > 0 && !isOld) {
      return {
        response: decisionResponse(uid, { allowed: false, code: 422, message: labelDenial(problems) }),
        outcome: 'denied',
        reasons: ['label'],
      }
    }
    const warnings = [
      ...problems.flatMap((problem) => asWarnings(`drawbridge: ${problem}`)),
      ...unknownLabelWarnings(labels),
    ]
    const { enforce } = policy
    if (
      operation === 'CREATE' ||
      name === undefined ||
      enforce === undefined ||
      !mayDenyMore(oldPolicy.enforce, enforce)
    )
      return allow(uid, warnings)
    const milliseconds = Math.min(MAX_MILLISECONDS, timeoutMilliseconds * (1 - DEADLINE_MARGIN))
    return allow(uid, [...warnings, ...(await look(name, { ...policy, enforce }, milliseconds))])
  }

  return (body, timeoutMilliseconds, waited) =>
    answerBody('namespaces', body, waited, context, (request) => decide(request, timeoutMilliseconds))
}
