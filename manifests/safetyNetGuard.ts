/** The guard of the safety net's parameters, held for everybody, wildcard roles too: who could change them could open the net, or close everything. */
import { GROUP } from '../src/kube/names.ts'
import { SAFETY_NETS } from '../src/kube/safetyNet.ts'
import { WEAKEN } from './guard.ts'
import type { KubernetesObject } from './guard.ts'
import { isDrawbridge } from './verdictGuard.ts'
import type { VerdictGuardOptions } from './verdictGuard.ts'

const NAME = 'drawbridge-safety-net-guard'
const REGISTRATION = 'admissionregistration.k8s.io/v1'

/** ValidatingAdmissionPolicy and binding `drawbridge-safety-net-guard`. Throws as `verdictGuardObjects`. */
export function safetyNetGuardObjects({ ownNamespace, user }: VerdictGuardOptions): readonly KubernetesObject[] {
  const metadata = { name: NAME, labels: { 'app.kubernetes.io/name': 'drawbridge' } }
  return [
    {
      apiVersion: REGISTRATION,
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
              resources: [SAFETY_NETS],
            },
          ],
        },
        validations: [
          {
            expression: `${isDrawbridge({ ownNamespace, user })} || authorizer.group('${GROUP}').resource('${SAFETY_NETS}').check('${WEAKEN}').allowed()`,
            message: `drawbridge: the parameters of the safety net are written by Drawbridge; others need the RBAC verb "${WEAKEN}" on ${SAFETY_NETS}.${GROUP}`,
            reason: 'Forbidden',
          },
        ],
      },
    },
    {
      apiVersion: REGISTRATION,
      kind: 'ValidatingAdmissionPolicyBinding',
      metadata,
      spec: { policyName: NAME, validationActions: ['Deny'] },
    },
  ]
}
