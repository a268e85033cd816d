/** The safety net as a function: its very expressions, evaluated by cel.ts. */
import { safetyNetObjects } from '../../manifests/safetyNet.ts'
import type { SafetyNetOptions } from '../../manifests/safetyNet.ts'
import type { SafetyNetSpec } from '../../src/kube/safetyNet.ts'
import type { AdmissionRequest, Labels } from '../../src/kube/types.ts'
import { compileCel } from './cel.ts'

interface PolicySpec {
  readonly matchConditions: readonly { readonly expression: string }[]
  readonly variables: readonly { readonly name: string; readonly expression: string }[]
  readonly validations: readonly { readonly expression: string; readonly messageExpression: string }[]
}

/** What the net says of a request in a namespace with these labels; undefined: it lets it pass. */
export type SafetyNetModel = (request: AdmissionRequest, labels: Labels, spec: SafetyNetSpec) => string | undefined

export const safetyNetModel = (options: Partial<SafetyNetOptions> = {}): SafetyNetModel => {
  const [policy] = safetyNetObjects({ ownNamespace: 'drawbridge', scope: 'namespaces', ...options })
  const { matchConditions, variables, validations } = (policy as unknown as { readonly spec: PolicySpec }).spec
  const conditions = matchConditions.map(({ expression }) => compileCel(expression))
  const compiled = variables.map(({ name, expression }) => [name, compileCel(expression)] as const)
  const checks = validations.map(({ expression, messageExpression }) => ({
    holds: compileCel(expression),
    message: compileCel(messageExpression),
  }))
  return (request, labels, spec) => {
    const given = { userInfo: { username: '' }, ...request }
    const scope = {
      request: given,
      object: request.object,
      oldObject: request.oldObject ?? null,
      params: { spec },
      namespaceObject: { metadata: Object.keys(labels).length > 0 ? { labels } : {} },
      variables: {},
    }
    for (const [name, evaluate] of compiled) {
      let known: { readonly value: unknown } | undefined
      Object.defineProperty(scope.variables, name, {
        enumerable: true,
        get: () => (known ??= { value: evaluate(scope) }).value,
      })
    }
    if (!conditions.every((condition) => condition(scope) === true)) return undefined
    const failed = checks.find(({ holds }) => holds(scope) !== true)
    return failed && String(failed.message(scope))
  }
}
