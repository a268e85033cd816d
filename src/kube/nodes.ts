import { isObject } from './shape.ts'
import type { Labels } from './types.ts'

/** A node, and which of Drawbridge's seccomp profiles it says it has. */
export interface KnownNode {
  readonly name: string
  readonly labels: Labels
  /** Names without `.json`. Empty too where nothing is known. */
  readonly seccompProfiles: ReadonlySet<string>
}

/** Tests one thing of a node. */
type NodeTest = (node: KnownNode) => boolean

/**
 * Entries of `nodeSelector`, terms and expressions together. Whoever creates a pod chooses how many it has, and each is held against every node while
 * reviews wait: with more than this, every node counts.
 */
const MAX_REQUIREMENTS = 100

const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])

/** One requirement of a label or field. Unknown forms (`Gt`, `Lt`, whatever comes later) hold: a node too many is asked, never one too few. */
function requirement(one: unknown): (values: Labels) => boolean {
  const { key, operator, values } = isObject(one) ? one : {}
  if (typeof key !== 'string') return () => true
  const listed = new Set(operator === 'In' || operator === 'NotIn' ? list(values) : [])
  switch (operator) {
    case 'Exists':
      return (labels) => Object.hasOwn(labels, key)
    case 'DoesNotExist':
      return (labels) => !Object.hasOwn(labels, key)
    case 'In':
      return (labels) => Object.hasOwn(labels, key) && listed.has(labels[key])
    case 'NotIn':
      return (labels) => !Object.hasOwn(labels, key) || !listed.has(labels[key])
    default:
      return () => true
  }
}

/** A term of node affinity; one that says nothing selects nothing (kubernetes/component-helpers:scheduling/corev1/nodeaffinity). */
function termTest({ expressions, fields }: Term): NodeTest {
  if (expressions.length + fields.length === 0) return () => false
  const [ofLabels, ofFields] = [expressions.map(requirement), fields.map(requirement)]
  return ({ name, labels }) =>
    ofLabels.every((holds) => holds(labels)) && ofFields.every((holds) => holds({ 'metadata.name': name }))
}

interface Term {
  readonly expressions: readonly unknown[]
  readonly fields: readonly unknown[]
}

function readTerm(term: unknown): Term {
  const { matchExpressions, matchFields } = isObject(term) ? term : {}
  return { expressions: list(matchExpressions), fields: list(matchFields) }
}

/**
 * The nodes that a pod of this specification may be scheduled to, by `nodeName`, `nodeSelector` and required node affinity; the specification is read
 * once, however many nodes there are. Taints, resources and the rest of scheduling only make it fewer nodes, so they are left out. Pure; never throws,
 * whatever `spec` is.
 */
export const nodesOf = (spec: unknown): NodeTest => {
  if (!isObject(spec)) return () => true
  const { nodeName, nodeSelector, affinity } = spec
  if (typeof nodeName === 'string' && nodeName !== '') return ({ name }) => name === nodeName
  const selected = Object.entries(isObject(nodeSelector) ? nodeSelector : {})
  const nodeAffinity = isObject(affinity) ? affinity['nodeAffinity'] : undefined
  const required = isObject(nodeAffinity) ? nodeAffinity['requiredDuringSchedulingIgnoredDuringExecution'] : undefined
  const terms = isObject(required) ? list(required['nodeSelectorTerms']).map(readTerm) : undefined
  const requirements = (terms ?? []).reduce(
    (sum, { expressions, fields }) => sum + 1 + expressions.length + fields.length,
    selected.length,
  )
  if (requirements > MAX_REQUIREMENTS) return () => true
  const tests = terms?.map(termTest)
  return (node) =>
    selected.every(([key, value]) => Object.hasOwn(node.labels, key) && node.labels[key] === value) &&
    (tests === undefined || tests.some((test) => test(node)))
}
