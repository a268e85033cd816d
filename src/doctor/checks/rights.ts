/** May Drawbridge do all that manifests/rbac.yaml says? */
import { drawbridgeRights, rightText } from '../../../manifests/rights.ts'
import type { Right } from '../../../manifests/rights.ts'
import { count, ok, problem, some, unknown } from '../text.ts'
import type { Check, Installation, Subject } from '../types.ts'

const SERVICE_ACCOUNT = /^system:serviceaccount:([^:]+):[^:]+$/
const AT_ONCE = 8

/** Undefined: somebody of whom only the name is known. */
async function subjectOf({ reader, user }: Installation): Promise<Subject | undefined> {
  const namespace = SERVICE_ACCOUNT.exec(user)?.[1]
  if (namespace !== undefined)
    return { user, groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'] }
  const me = await reader.whoAmI()
  return me?.user === user ? me : undefined
}

export const rights: Check = {
  id: 'rights',
  async run(installation) {
    const { reader, namespace, user, kind, repair } = installation
    const known = await subjectOf(installation)
    const subject = known ?? { user, groups: ['system:authenticated'] }
    const wanted = drawbridgeRights(namespace)
    const missing: Right[] = []
    let unanswered = 0
    for (let start = 0; start < wanted.length; start += AT_ONCE) {
      const group = wanted.slice(start, start + AT_ONCE)
      const answers = await Promise.all(group.map((right) => reader.mayDo(subject, right)))
      missing.push(...group.filter((_, index) => answers[index] === false))
      unanswered += answers.filter((answer) => answer === undefined).length
    }
    if (unanswered > 0)
      return [unknown('what Drawbridge may do: needs the right to create subjectaccessreviews.authorization.k8s.io')]
    if (missing.length === 0) return [ok(`${user} has all ${wanted.length} rights`)]
    const found = `${user} lacks ${count(missing.length, 'right')}: ${some(missing.map(rightText))}`
    if (known === undefined) return [unknown(`${found}, as far as its name says; its groups are not known`)]
    const todo =
      kind === 'helm'
        ? repair
        : SERVICE_ACCOUNT.test(user)
          ? 'kubectl apply -f manifests/rbac.yaml'
          : `kubectl apply -f manifests/rbac.yaml, and bind the Role and the ClusterRole drawbridge to the user ${user}`
    return [problem(found, todo)]
  },
}
