import { isObject } from '../kube/shape.ts'
import type { Addition, PatchOperation } from './types.ts'

/** What is to be added below one missing or existing place of the pod. */
interface Tree {
  readonly children: Map<string | number, Tree>
  value?: unknown
}

/**
 * One patch for all additions: one `add` for each outermost place that is missing, the fields below it in its value. Whatever the order of
 * the additions, the patch is the same, and it always applies: `add` sets a member whether it is absent or null.
 *
 * Additions must not name a field that has a value, nor one another's ancestors: mutations look before they add.
 */
export const patchOf = (pod: unknown, additions: readonly Addition[]): readonly PatchOperation[] =>
  operations(pod, treeOf(additions), '')

/**
 * What the patch of the same additions makes of `value`, without the detour: a copy where something is added, the same object where not. Every
 * place is copied once, however many additions lie below it.
 */
export const withAdditions = <T>(value: T, additions: readonly Addition[]): T =>
  additions.length === 0 ? value : (merged(value, treeOf(additions)) as T)

const treeOf = (additions: readonly Addition[]): Tree => {
  const root: Tree = { children: new Map() }
  for (const { path, value } of additions) {
    let tree = root
    for (const step of path) {
      let child = tree.children.get(step)
      if (child === undefined) {
        child = { children: new Map() }
        tree.children.set(step, child)
      }
      tree = child
    }
    tree.value = value
  }
  return root
}

const merged = (existing: unknown, tree: Tree): unknown => {
  if (tree.children.size === 0) return tree.value
  const copy = (Array.isArray(existing) ? [...existing] : isObject(existing) ? { ...existing } : {}) as Record<
    string | number,
    unknown
  >
  for (const [step, child] of tree.children) copy[step] = merged(copy[step], child)
  return copy
}

const sorted = ({ children }: Tree): readonly (readonly [string | number, Tree])[] =>
  [...children].sort(([a], [b]) =>
    typeof a === 'number' && typeof b === 'number' ? a - b : String(a) < String(b) ? -1 : 1,
  )

const operations = (existing: unknown, tree: Tree, path: string): readonly PatchOperation[] =>
  sorted(tree).flatMap(([step, child]) => {
    const inner =
      isObject(existing) || Array.isArray(existing) ? (existing as Record<string, unknown>)[step] : undefined
    const at = `${path}/${step}`
    return inner == null ? [{ op: 'add' as const, path: at, value: valueOf(child) }] : operations(inner, child, at)
  })

const valueOf = (tree: Tree): unknown =>
  tree.children.size === 0
    ? tree.value
    : Object.fromEntries(sorted(tree).map(([step, child]) => [step, valueOf(child)]))
