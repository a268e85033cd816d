import { matchesLabels } from './labelSelector.ts'
import type { LabelTerm } from './labelSelector.ts'
import { isObject } from './shape.ts'
import type { Labels } from './types.ts'

/** A node, and which of Drawbridge's seccomp profiles it says it has. */
export interface KnownNode {
  readonly name: string
  readonly labels: Labels
  /** Names without `.json`. Empty too where nothing is known. */
  readonly seccompProfiles: ReadonlySet<string>
}

const OPERATORS: readonly unknown[] = ['Exists', 'DoesNotExist', 'In', 'NotIn']

const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])

/** Unknown forms (`Gt`, `Lt`, whatever comes later) hold: a node too many is asked, never one too few. */
const holds = (term: unknown, labels: Labels): boolean =>
  isObject(term) && typeof term['key'] === 'string' && OPERATORS.includes(term['operator'])
    ? matchesLabels([{ ...term, values: list(term['values']) } as unknown as LabelTerm], labels)
    : true

/** A term of node affinity; one that says nothing selects nothing (kubernetes/component-helpers:scheduling/corev1/nodeaffinity). */
const termHolds = (term: unknown, { name, labels }: KnownNode): boolean => {
  const { matchExpressions, matchFields } = isObject(term) ? term : {}
  const [expressions, fields] = [list(matchExpressions), list(matchFields)]
  return (
    expressions.length + fields.length > 0 &&
    expressions.every((one) => holds(one, labels)) &&
    fields.every((one) => holds(one, { 'metadata.name': name }))
  )
}

/**
 * Whether a pod of this specification may be scheduled to a node, by `nodeName`, `nodeSelector` and required node affinity. Taints, resources and
 * the rest of scheduling only make it fewer nodes, so they are left out. Pure; never throws, whatever `spec` is.
 */
export const mayRunOn = (spec: unknown, node: KnownNode): boolean => {
  if (!isObject(spec)) return true
  const { nodeName, nodeSelector, affinity } = spec
  if (typeof nodeName === 'string' && nodeName !== '') return nodeName === node.name
  const selected =
    !isObject(nodeSelector) ||
    Object.entries(nodeSelector).every(([key, value]) => Object.hasOwn(node.labels, key) && node.labels[key] === value)
  const nodeAffinity = isObject(affinity) ? affinity['nodeAffinity'] : undefined
  const required = isObject(nodeAffinity) ? nodeAffinity['requiredDuringSchedulingIgnoredDuringExecution'] : undefined
  const terms = isObject(required) ? list(required['nodeSelectorTerms']) : undefined
  return selected && (terms === undefined || terms.some((term) => termHolds(term, node)))
}
