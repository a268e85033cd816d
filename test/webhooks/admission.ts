/** The admission endpoints over namespaces and verdicts of a test: from the bytes of a review to the answer as the API server reads it. */
import type { Labels } from '../../src/kube/types.ts'
import { createExemptions } from '../../src/policy/exemptions.ts'
import { resolveNamespace } from '../../src/policy/namespace.ts'
import type { ResolveOptions } from '../../src/policy/namespace.ts'
import type { FindFlagged } from '../../src/policy/types.ts'
import type { AdmissionContext } from '../../webhooks/context.ts'

export const UID = '705ab4f5-6393-11e8-b7cc-42010a800002'

/** What the endpoints see. Every namespace has the same labels, and nothing is read live. */
export function admissionContext(setting: {
  readonly labels: Labels
  readonly resolving?: ResolveOptions
  readonly findFlagged?: FindFlagged
  readonly onError?: (error: Error) => void
}): AdmissionContext {
  const nothing = (): void => undefined
  return {
    namespaces: { cached: () => setting.labels, live: () => Promise.reject(new Error('the API server was asked')) },
    resolvePolicy: (labels) => resolveNamespace(labels, setting.resolving ?? {}),
    findFlagged: setting.findFlagged ?? (() => undefined),
    findException: () => undefined,
    exceptionsUsed: nothing,
    exemptions: createExemptions({ users: [], namespaces: [], runtimeClasses: [] }),
    observer: {
      reviewAnswered: nothing,
      reviewRefused: nothing,
      exceptionsUsed: nothing,
      exceptionUsesUnconfirmed: nothing,
      exceptionMalformed: nothing,
      seccompFellBack: () => undefined,
      namespaceLookupFailed: nothing,
      httpError: (_listener, _status, error) => setting.onError?.(error),
      connectionError: nothing,
      alertThreadEnded: nothing,
      verdictsIndexed: nothing,
      brakeChanged: nothing,
      clusterProblem: nothing,
      secretsLoaded: nothing,
      safetyNetMade: () => undefined,
      safetyNetInStep: () => undefined,
      secretProblem: nothing,
    },
    now: () => 0,
    clock: () => 0,
  }
}

/** A review that creates `object` as a pod. */
export const podReview = (object: unknown, changes: object = {}): object => ({
  apiVersion: 'admission.k8s.io/v1',
  kind: 'AdmissionReview',
  request: {
    uid: UID,
    kind: { group: '', version: 'v1', kind: 'Pod' },
    resource: { group: '', version: 'v1', resource: 'pods' },
    namespace: 'shop',
    operation: 'CREATE',
    object,
    ...changes,
  },
})

/** The part of an answer that decides. */
export interface ReviewAnswer {
  readonly uid: string
  readonly allowed: boolean
  readonly status?: { readonly code: number; readonly message: string }
  readonly warnings?: readonly string[]
  readonly auditAnnotations?: Readonly<Record<string, string>>
  readonly patch?: string
}

/** Reads the answer in the body of a reply. */
export const answerIn = (body: string): ReviewAnswer => (JSON.parse(body) as { response: ReviewAnswer }).response
