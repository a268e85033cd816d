/** Registries and repositories as a profile allows them: compared by whole path components, so that no name is a way around. */
import { isDigest, parseReference } from '../kube/reference.ts'

/** A first component that names a registry: with a dot or a port, or `localhost`. What else would be read as a name on Docker Hub. */
const REGISTRY = /^(?:localhost(?::[0-9]{1,5})?|[^/]*[.:][^/]*)$/u

/**
 * `registry.example`, `registry.example:5000/team` as `isAllowedImage` compares them: registry in lower case, `index.docker.io` as
 * `docker.io`. Undefined for what is no registry or repository: without a registry, with a tag, digest, scheme or trailing slash.
 */
export const normalizeRegistry = (text: string): string | undefined => {
  const slash = text.indexOf('/')
  const host = slash === -1 ? text : text.slice(0, slash)
  if (!REGISTRY.test(host)) return undefined
  const path = slash === -1 ? '' : text.slice(slash + 1)
  // `docker.io/team` is a folder of repositories here, though as an image it would be `docker.io/library/team`.
  const parsed = parseReference(`${host}/${path === '' ? '' : `${path}/`}x`)
  if (parsed === undefined || parsed.digest !== undefined || slash === text.length - 1 || path.includes(':'))
    return undefined
  return path === '' ? parsed.registry : `${parsed.registry}/${path}`
}

/**
 * Whether an image, as a pod names it, comes from one of `allowed` (normalised by `normalizeRegistry`): the entry is its registry, its
 * repository, or a folder above it. False for what is no reference, and for a bare image id, which says nothing about where it came from.
 */
export const isAllowedImage = (image: string, allowed: readonly string[]): boolean => {
  const repository = isDigest(image) ? undefined : parseReference(image)?.repository
  return repository !== undefined && allowed.some((entry) => repository === entry || repository.startsWith(`${entry}/`))
}
