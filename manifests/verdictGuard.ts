/**
 * The guard of verdicts (rule 19): a ValidatingAdmissionPolicy that the API server itself evaluates, with Drawbridge running or not.
 *
 * RBAC says who may change an ImageVerdict at all; what it cannot say is held here, for everybody, wildcard roles too: a decision carries the name of
 * who took it, and what the sensors said is written by Drawbridge alone.
 */
import { GROUP } from '../src/kube/names.ts'
import { WEAKEN } from './guard.ts'
import type { KubernetesObject } from './guard.ts'

export interface VerdictGuardOptions {
  /** The namespace that Drawbridge runs in. */
  readonly ownNamespace: string
  /** Who Drawbridge is to the API server. Default: the service account `drawbridge` of its namespace. */
  readonly user?: string | undefined
}

/** The decisions of people in `spec`. */
const DECISIONS = ['release', 'confirm', 'mute'] as const

const NAME = 'drawbridge-verdicts'

/** The user that Drawbridge is, unless it is told otherwise. */
export const serviceAccountUser = (namespace: string): string => `system:serviceaccount:${namespace}:drawbridge`

/** A CEL string literal. JSON's escapes are a subset of CEL's. */
const literal = (text: string): string => JSON.stringify(text)

/** @throws Error when `user` holds control characters or is longer than a user's name can be: it becomes part of an expression */
const drawbridgeUser = ({ ownNamespace, user }: VerdictGuardOptions): string => {
  const drawbridge = user ?? serviceAccountUser(ownNamespace)
  // oxlint-disable-next-line no-control-regex
  if (drawbridge === '' || drawbridge.length > 512 || /[\u0000-\u001f\u007f\ud800-\udfff]/u.test(drawbridge))
    throw new Error(
      'the name of the user that Drawbridge is must have 1 to 512 characters, none of them a control character',
    )
  return drawbridge
}

/** CEL: whether the requester is Drawbridge. Throws as `verdictGuardObjects`. */
export const isDrawbridge = (options: VerdictGuardOptions): string =>
  `request.userInfo.username == ${literal(drawbridgeUser(options))}`

/** What stands at `spec.<decision>`; null: nothing. */
const decisionOf = (holder: string, decision: string): string =>
  `${holder} != null && has(${holder}.spec) && has(${holder}.spec.${decision}) ? dyn(${holder}.spec.${decision}) : dyn(null)`

/**
 * ValidatingAdmissionPolicy and binding `drawbridge-verdicts`.
 *
 * - `status` is written by Drawbridge only.
 * - `spec.release`, `spec.confirm` and `spec.mute` that are new or changed name the requester in `by`. Drawbridge may name somebody else: the person who
 *   asked its admin API. Taking a decision back needs no name: it leaves none.
 * - Objects are made and deleted by Drawbridge, or with the RBAC verb `weaken` on imageverdicts: a deletion would be a release that nobody signed.
 *
 * @throws Error when `user` holds control characters or is longer than a user's name can be: it becomes part of an expression
 */
export function verdictGuardObjects(options: VerdictGuardOptions): readonly KubernetesObject[] {
  const drawbridge = drawbridgeUser(options)
  const requester = `'"' + request.userInfo.username + '"'`
  const variables = [
    // An empty field of the request is an absent one.
    ['isStatus', "has(request.subResource) && request.subResource == 'status'"],
    ['name', "has(request.name) ? request.name : ''"],
    ['isDrawbridge', isDrawbridge(options)],
    ...DECISIONS.flatMap((decision) => [
      [`${decision}Before`, decisionOf('oldObject', decision)] as const,
      [`${decision}After`, decisionOf('object', decision)] as const,
    ]),
  ] as const
  const validations = [
    {
      expression: '!variables.isStatus || variables.isDrawbridge',
      message: 'drawbridge: only Drawbridge writes the status of an ImageVerdict',
      messageExpression: `'drawbridge: only Drawbridge, which is the user ' + ${literal(`"${drawbridge}"`)} + ', writes the status of an ImageVerdict, and you are ' + ${requester} + '; a person decides in spec.release, spec.confirm or spec.mute (if Drawbridge runs as you: drawbridge manifests --user)'`,
      reason: 'Forbidden',
    },
    {
      expression: `!(request.operation in ['CREATE', 'DELETE']) || variables.isDrawbridge || authorizer.group('${GROUP}').resource('imageverdicts').name(variables.name).check('${WEAKEN}').allowed()`,
      message: `drawbridge: an ImageVerdict is made and deleted by Drawbridge; others need the RBAC verb "${WEAKEN}" on imageverdicts.${GROUP}. To let the image run again, release it: spec.release`,
      reason: 'Forbidden',
    },
    ...DECISIONS.map((decision) => ({
      expression: `request.operation == 'DELETE' || variables.isStatus || variables.isDrawbridge || variables.${decision}After == null || variables.${decision}After == variables.${decision}Before || variables.${decision}After.by == request.userInfo.username`,
      message: `drawbridge: spec.${decision}.by must be the user who decides`,
      messageExpression: `'drawbridge: spec.${decision}.by must be who decides, and you are ' + ${requester}`,
      reason: 'Forbidden',
    })),
  ]
  const metadata = { name: NAME, labels: { 'app.kubernetes.io/name': 'drawbridge' } }
  const apiVersion = 'admissionregistration.k8s.io/v1'
  return [
    {
      apiVersion,
      kind: 'ValidatingAdmissionPolicy',
      metadata,
      spec: {
        failurePolicy: 'Fail',
        matchConstraints: {
          matchPolicy: 'Equivalent',
          resourceRules: [
            {
              apiGroups: [GROUP],
              apiVersions: ['*'],
              operations: ['CREATE', 'UPDATE', 'DELETE'],
              resources: ['imageverdicts', 'imageverdicts/status'],
            },
          ],
        },
        variables: variables.map(([name, expression]) => ({ name, expression })),
        validations,
      },
    },
    {
      apiVersion,
      kind: 'ValidatingAdmissionPolicyBinding',
      metadata,
      spec: { policyName: NAME, validationActions: ['Deny'] },
    },
  ]
}
