import { isObject } from '../kube/shape.ts'
import type { Addition, PatchOperation } from './types.ts'

/**
 * One patch for all additions: one `add` for each outermost place that is missing, the fields below it in its value. Whatever the order of
 * the additions, the patch is the same, and it always applies: `add` sets a member whether it is absent or null.
 *
 * Additions must not name a field that has a value, nor one another's ancestors: mutations look before they add.
 */
export const patchOf = (pod: unknown, additions: readonly Addition[]): readonly PatchOperation[] =>
  additions.length === 1 ? [operation(pod, additions[0]!)] : operations(pod, additions, 0, '')

/** What `operations` finds for a single addition, which is what most pods need. */
const operation = (pod: unknown, { path, value }: Addition): PatchOperation => {
  let existing = pod
  let at = ''
  for (let depth = 0; depth < path.length; depth++) {
    const step = path[depth]!
    at += `/${step}`
    existing =
      isObject(existing) || Array.isArray(existing) ? (existing as Record<string | number, unknown>)[step] : undefined
    if (existing == null) return { op: 'add', path: at, value: below(path, depth + 1, value) }
  }
  throw new Error(`an addition names a field that has a value: ${at}`)
}

/** A value as it stands below the steps from `depth` on. */
const below = (path: Addition['path'], depth: number, value: unknown): unknown => {
  let holder = value
  for (let index = path.length - 1; index >= depth; index--) holder = { [path[index]!]: holder }
  return holder
}

/**
 * What the patch of the same additions makes of `value`, without the detour: a copy where something is added, the same object where not. Every
 * place is copied once, however many additions lie below it.
 */
export const withAdditions = <T>(value: T, additions: readonly Addition[]): T =>
  additions.length === 0 ? value : (merged(value, additions, 0) as T)

/** Additions by their step at this depth: indexes by number, names in their order. Most pods have one addition, which is its own group. */
const groupsAt = (
  additions: readonly Addition[],
  depth: number,
): readonly (readonly [string | number, readonly Addition[]])[] => {
  if (additions.length === 1) return [[additions[0]!.path[depth]!, additions]]
  const groups = new Map<string | number, Addition[]>()
  for (const addition of additions) {
    const step = addition.path[depth]!
    const group = groups.get(step)
    if (group === undefined) groups.set(step, [addition])
    else group.push(addition)
  }
  return [...groups].sort(([a], [b]) =>
    typeof a === 'number' && typeof b === 'number' ? a - b : String(a) < String(b) ? -1 : 1,
  )
}

/** No addition is below another one, so one that ends here is alone. */
const endsAt = (additions: readonly Addition[], depth: number): boolean => additions[0]?.path.length === depth

const merged = (existing: unknown, additions: readonly Addition[], depth: number): unknown => {
  if (endsAt(additions, depth)) return additions[0]!.value
  const copy = (Array.isArray(existing) ? [...existing] : isObject(existing) ? { ...existing } : {}) as Record<
    string | number,
    unknown
  >
  for (const [step, group] of groupsAt(additions, depth)) copy[step] = merged(copy[step], group, depth + 1)
  return copy
}

const operations = (
  existing: unknown,
  additions: readonly Addition[],
  depth: number,
  path: string,
): readonly PatchOperation[] =>
  groupsAt(additions, depth).flatMap(([step, group]) => {
    const inner =
      isObject(existing) || Array.isArray(existing) ? (existing as Record<string, unknown>)[step] : undefined
    const at = `${path}/${step}`
    return inner == null
      ? [{ op: 'add' as const, path: at, value: valueOf(group, depth + 1) }]
      : operations(inner, group, depth + 1, at)
  })

const valueOf = (additions: readonly Addition[], depth: number): unknown =>
  endsAt(additions, depth)
    ? additions[0]!.value
    : Object.fromEntries(groupsAt(additions, depth).map(([step, group]) => [step, valueOf(group, depth + 1)]))
