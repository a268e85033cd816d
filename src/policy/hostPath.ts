/**
 * Paths of the node, compared by whole components: `/data` covers `/data` and `/data/x`, never `/database`.
 * Only the text is judged. Symbolic links are followed by the kubelet: docs/profiles.md says what that means.
 */

/**
 * The components of an absolute path, without empty ones and `.`: `//data/./x/` is `data`, `x`.
 * Undefined for what is not absolute or steps back by `..`; such a path is inside nothing.
 */
export const pathComponents = (path: string): readonly string[] | undefined => {
  // A backslash separates components on a Windows node and belongs to a name on Linux: what it means here nobody can say.
  if (!path.startsWith('/') || path.includes('\0') || path.includes('\\')) return undefined
  const components = path.split('/').filter((component) => component !== '' && component !== '.')
  return components.includes('..') ? undefined : components
}

/** Whether a path is another or below it, both as `pathComponents` gives them. */
export const isWithin = (inner: readonly string[], outer: readonly string[]): boolean =>
  outer.every((component, index) => inner[index] === component)

/** The same of texts; false where either cannot be resolved by its text alone. */
export const isInside = (path: string, prefix: string): boolean => {
  const inner = pathComponents(path)
  const outer = pathComponents(prefix)
  return inner !== undefined && outer !== undefined && isWithin(inner, outer)
}
