/** Are the ValidatingAdmissionPolicies there, bound, and unchanged? They hold the opt-in and the verdicts with Drawbridge running or not. */
import { differenceText, specDifferences } from '../../../manifests/differences.ts'
import { guardObjects } from '../../../manifests/guard.ts'
import type { KubernetesObject } from '../../../manifests/guard.ts'
import { safetyNetObjects } from '../../../manifests/safetyNet.ts'
import { verdictGuardObjects } from '../../../manifests/verdictGuard.ts'
import { REGISTRATION } from '../installation.ts'
import { at, objectOf, ok, problem, unknown, word } from '../text.ts'
import type { Check, Finding, Installation, Reading } from '../types.ts'

const PATHS: Readonly<Record<string, string>> = {
  ValidatingAdmissionPolicy: `${REGISTRATION}/validatingadmissionpolicies`,
  ValidatingAdmissionPolicyBinding: `${REGISTRATION}/validatingadmissionpolicybindings`,
  ClusterRole: '/apis/rbac.authorization.k8s.io/v1/clusterroles',
}

/** The namespaces that need no label, where `requireLabels` is on; undefined: it is off. */
function exceptedBy(policy: Reading): readonly string[] | undefined {
  const validations = at(objectOf(policy), 'spec', 'validations')
  if (!Array.isArray(validations)) return undefined
  const expressions = validations.map((one) => String(at(one, 'expression')))
  const list = expressions
    .map((text) => /^request\.operation != 'CREATE' \|\| object\.metadata\.name in \[([^\]]*)\]/.exec(text)?.[1])
    .find((text) => text !== undefined)
  return list?.split(', ').map((name) => name.replaceAll("'", ''))
}

async function wanted({
  reader,
  namespace,
  podSecurityLabels,
  scope,
  user,
}: Installation): Promise<readonly KubernetesObject[]> {
  const except = exceptedBy(await reader.get(`${PATHS['ValidatingAdmissionPolicy']}/drawbridge-guard`))
  return [
    ...guardObjects({ ownNamespace: namespace, podSecurityLabels, requireLabels: except && { except } }),
    ...verdictGuardObjects({ ownNamespace: namespace, user }),
    ...safetyNetObjects({ ownNamespace: namespace, user, podSecurityLabels, scope }),
  ]
}

export const guards: Check = {
  id: 'guards',
  async run(installation) {
    const { reader, repair } = installation
    const objects = await wanted(installation)
    const found = await Promise.all(
      objects.map(async (object): Promise<readonly Finding[]> => {
        const { kind, metadata } = object
        const reading = await reader.get(`${PATHS[kind]}/${metadata.name}`)
        if (reading.kind === 'unreadable') return [unknown(`${kind} ${metadata.name}: ${reading.why}`)]
        if (reading.kind === 'absent')
          return [problem(`the ${kind} ${metadata.name} is missing: what it guards is open`, repair)]
        return specDifferences(object, reading.object).map((difference) =>
          problem(
            differenceText(difference),
            `kubectl delete ${kind.toLowerCase()} ${word(metadata.name)} && ${repair}`,
          ),
        )
      }),
    )
    const findings = found.flat()
    const policies = objects.filter(({ kind }) => kind === 'ValidatingAdmissionPolicy').length
    return findings.length > 0 ? findings : [ok(`${policies} guards, bound and unchanged`)]
  },
}
