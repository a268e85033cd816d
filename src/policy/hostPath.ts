/**
 * Paths of the node, compared by whole components: `/data` covers `/data` and `/data/x`, never `/database`.
 * Only the text is judged. Symbolic links are followed by the kubelet: docs/profiles.md says what that means.
 */

/**
 * The components of an absolute path, without empty ones and `.`: `//data/./x/` is `data`, `x`.
 * Undefined for what is not absolute or steps back by `..`; such a path is inside nothing.
 */
export const pathComponents = (path: string): readonly string[] | undefined => {
  if (!path.startsWith('/') || path.includes('\0')) return undefined
  const components = path.split('/').filter((component) => component !== '' && component !== '.')
  return components.includes('..') ? undefined : components
}

/** Whether `path` is `prefix` or below it. False where either cannot be resolved by its text alone. Linear in both. */
export const isInside = (path: string, prefix: string): boolean => {
  const inner = pathComponents(path)
  const outer = pathComponents(prefix)
  return inner !== undefined && outer !== undefined && outer.every((component, index) => inner[index] === component)
}
