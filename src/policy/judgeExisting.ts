import { MIRROR_POD_ANNOTATION } from '../kube/names.ts'
import { isObject } from '../kube/shape.ts'
import { flaggedLine, violationLine } from './denial.ts'
import type { FlaggedUse } from './flaggedImages.ts'
import { judge, type JudgeInput } from './judge.ts'
import { formatProfile } from './namespace.ts'
import type { NamespacePolicy, ProfileAtVersion, Violation } from './types.ts'

/** What the judge needs beside the request and the namespace's policy: the same for every pod of one scan. */
export type JudgeContext = Omit<JudgeInput, 'request' | 'policy'>

/** What is wrong with a pod that exists. */
export interface ExistingPodFinding {
  /** What the webhook would do if the pod were created again. */
  readonly result: 'denied' | 'warned' | 'audited'
  /** The profile that `violations` break, for example `standard:latest`; absent when only verdicts speak. */
  readonly profile?: string | undefined
  readonly violations: readonly Violation[]
  readonly flagged: readonly FlaggedUse[]
  /** Why the pod cannot be judged; then there is nothing else. */
  readonly problem?: string | undefined
  /** A static pod: its node runs it whatever the API server says (rule 3). */
  readonly cannotBePrevented: boolean
}

/**
 * Judges a pod that exists, by the engine of the webhook: as if it were created again.
 *
 * @param object the pod as the API server gives it, unchecked, with what the mutating webhook would add to it
 * @param namespace where it runs
 * @param policy what that namespace asks for; where its enforced profile and the verdicts have nothing to say, its warn and then its audit profile
 *   are asked
 * @returns undefined: nothing to say. Pure and linear in the pod; never throws for whatever JSON `object` holds.
 */
export const judgeExisting = (
  object: unknown,
  namespace: string,
  policy: NamespacePolicy,
  context: JudgeContext,
): ExistingPodFinding | undefined => {
  const isStatic = isStaticPod(object)
  const judged = (asked: NamespacePolicy) =>
    judge({
      ...context,
      policy: asked,
      request: {
        uid: '',
        operation: 'CREATE',
        kind: { group: '', version: 'v1', kind: 'Pod' },
        resource: { group: '', version: 'v1', resource: 'pods' },
        namespace,
        userInfo: { groups: isStatic ? ['system:nodes'] : [] },
        object,
      },
    })

  const { allowed, code, message, violations, flagged } = judged({ ...policy, warn: undefined, audit: undefined })
  if (!allowed) {
    return {
      result: 'denied',
      ...(violations.length > 0 ? named(policy.enforce) : {}),
      violations,
      flagged,
      ...(code === 400 ? { problem: message } : {}),
      cannotBePrevented: isStatic,
    }
  }
  for (const [result, profile] of [
    ['warned', policy.warn],
    ['audited', policy.audit],
  ] as const) {
    if (!profile) continue
    const advice = judged({ enforce: profile, quarantine: 'off', problems: [] })
    if (advice.allowed) continue
    return {
      result: flagged.length > 0 ? 'warned' : result,
      ...named(profile),
      violations: advice.violations,
      flagged,
      ...(advice.code === 400 ? { problem: advice.message } : {}),
      cannotBePrevented: isStatic,
    }
  }
  return flagged.length === 0 ? undefined : { result: 'warned', violations: [], flagged, cannotBePrevented: isStatic }
}

/** What is wrong, line by line, in the words of the webhook's answers. */
export const findingLines = ({ violations, flagged, problem }: ExistingPodFinding): readonly string[] => [
  ...(problem === undefined ? [] : [problem]),
  ...flagged.map((use) => flaggedLine(use, '')),
  ...violations.map((violation) => violationLine(violation)),
]

const named = (profile: ProfileAtVersion | undefined): { readonly profile?: string } =>
  profile ? { profile: formatProfile(profile) } : {}

/**
 * Whether a pod is the API server's copy of a static pod: the kubelet's annotation, and a Node as owner, which kubelets set since 1.17
 * (https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#noderestriction). Who forges both exempts nothing:
 * the finding stays, and a kubelet deletes mirror pods of static pods that it does not have.
 */
const isStaticPod = (object: unknown): boolean => {
  const metadata = isObject(object) ? object['metadata'] : undefined
  if (!isObject(metadata)) return false
  const { annotations, ownerReferences } = metadata
  return (
    isObject(annotations) &&
    Object.hasOwn(annotations, MIRROR_POD_ANNOTATION) &&
    Array.isArray(ownerReferences) &&
    ownerReferences.some(
      (owner: unknown) => isObject(owner) && owner['kind'] === 'Node' && owner['controller'] === true,
    )
  )
}
