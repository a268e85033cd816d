/** The guard's own expressions, asked without an API server. */
import { guardObjects } from '../../manifests/guard.ts'
import type { GuardOptions } from '../../manifests/guard.ts'
import { compileCel } from './cel.ts'

type Labels = Readonly<Record<string, string>>

export interface Asked {
  /** Undefined: the namespace is being created. */
  readonly before: Labels | undefined
  readonly after: Labels
  readonly name?: string
  /** Whether the requester has `weaken` on the profile of this name; '' asks about all of them. Absent: on none. */
  readonly mayWeaken?: (profile: string) => boolean
}

/** Compiles the policy once; the answer is whether the API server lets the change pass. Throws where it would see an error. */
export const guardModel = (options: Partial<GuardOptions> = {}): ((asked: Asked) => boolean) => {
  const [policy] = guardObjects({ ownNamespace: 'drawbridge', ...options })
  const spec = policy!['spec'] as {
    readonly variables: readonly { readonly name: string; readonly expression: string }[]
    readonly validations: readonly { readonly expression: string }[]
  }
  // authorizer.group(g).resource(r).name(n).check(verb).allowed(): only the name is of interest.
  const authorizer = {
    group: (self: unknown) => self,
    resource: (self: unknown) => self,
    name: (self: unknown, profile: unknown) => (self as (name: string) => boolean)(String(profile)),
    check: (self: unknown) => self,
    allowed: (self: unknown) => self,
  }
  const variables = spec.variables.map(({ name, expression }) => [name, compileCel(expression, authorizer)] as const)
  const validations = spec.validations.map(({ expression }) => compileCel(expression, authorizer))
  return ({ before, after, name = 'shop', mayWeaken = () => false }) => {
    const known: Record<string, unknown> = {}
    const scope = {
      object: { metadata: { name, labels: after } },
      oldObject: before === undefined ? null : { metadata: { name, labels: before } },
      request: { operation: before === undefined ? 'CREATE' : 'UPDATE' },
      authorizer: mayWeaken,
      variables: known,
    }
    for (const [variable, evaluate] of variables) known[variable] = evaluate(scope)
    return validations.every((holds) => holds(scope) === true)
  }
}
