/**
 * Image references, by the grammar of distribution (https://github.com/distribution/reference: `reference.go`, `normalize.go`).
 * Regular expressions here have no two ways to match the same text, so they are linear; lengths are bounded before.
 */

const DOMAIN =
  /^(?:[a-zA-Z0-9]+(?:-+[a-zA-Z0-9]+)*(?:\.[a-zA-Z0-9]+(?:-+[a-zA-Z0-9]+)*)*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?$/u
const REMOTE_NAME = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*$/u
const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/u
const DIGEST = /^(?:sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128})$/u
const BARE_IMAGE_ID = /^[a-f0-9]{64}$/u
/** `sha256:3dc0`: containerd finds a local image by the beginning of its id. */
const SHORT_IMAGE_ID = /^sha(?:256|384|512):[a-f0-9]+$/u

/** Of the path alone, as in distribution: the registry does not count. */
const MAX_PATH_LENGTH = 255
/** With the registry. Leaves room for a tag within the 512 characters that a verdict keeps of a reference. */
const MAX_NAME_LENGTH = 383
/** Name, tag at most 128, digest at most 135 characters, and the signs between them. */
const MAX_LENGTH = MAX_NAME_LENGTH + 1 + 128 + 1 + 135

export interface ImageReference {
  /** In lower case, with port: `docker.io`, `localhost:5000`. */
  readonly registry: string
  /** With the registry: `docker.io/library/nginx`. */
  readonly repository: string
  /** As written; `latest` when neither tag nor digest is given. Beside a digest it means nothing. */
  readonly tag?: string | undefined
  /** `sha256:<64 hex>` (or sha384, sha512). Decides alone when given. */
  readonly digest?: string | undefined
  /** One text per identity: `repository@digest` if there is a digest, else `repository:tag`. */
  readonly normalized: string
}

/**
 * Parses an image reference as container runtimes do: `nginx` is `docker.io/library/nginx:latest`, a first part with a dot,
 * a port or capitals, or `localhost`, is a registry. The registry is put in lower case, since host names know no case.
 * `sha256:<hex>` alone is an image id: its digest is set. Undefined for what is no reference (64 bare hex digits too, as in distribution),
 * and for the beginning of an image id, which may mean any image of a node.
 */
export const parseReference = (text: string): ImageReference | undefined => {
  if (text.length === 0 || text.length > MAX_LENGTH || BARE_IMAGE_ID.test(text)) return undefined

  // The grammar reads `sha256:<hex>` as a repository and a tag; containerd reads it as the id of a local image, and that is what runs.
  if (isDigest(text)) {
    const repository = `docker.io/library/${text.slice(0, text.indexOf(':'))}`
    return { registry: 'docker.io', repository, digest: text, normalized: `${repository}@${text}` }
  }

  if (SHORT_IMAGE_ID.test(text)) return undefined

  const at = text.indexOf('@')
  const digest = at === -1 ? undefined : text.slice(at + 1)
  if (digest !== undefined && !isDigest(digest)) return undefined

  const named = at === -1 ? text : text.slice(0, at)
  // A colon after the last slash starts a tag; an earlier one starts a port.
  const colon = named.indexOf(':', named.lastIndexOf('/') + 1)
  const written = colon === -1 ? undefined : named.slice(colon + 1)
  if (written !== undefined && !TAG.test(written)) return undefined

  const name = splitName(colon === -1 ? named : named.slice(0, colon))
  if (name === undefined) return undefined
  const repository = `${name.registry}/${name.remote}`
  if (name.remote.length > MAX_PATH_LENGTH || repository.length > MAX_NAME_LENGTH) return undefined

  if (digest !== undefined) {
    return {
      registry: name.registry,
      repository,
      ...(written === undefined ? {} : { tag: written }),
      digest,
      normalized: `${repository}@${digest}`,
    }
  }
  const tag = written ?? 'latest'
  return { registry: name.registry, repository, tag, normalized: `${repository}:${tag}` }
}

/** Whether `text` is a digest that OCI registers: `sha256:<64 hex>`, `sha384:<96 hex>` or `sha512:<128 hex>`, in lower case. */
export const isDigest = (text: string): boolean => text.length <= 135 && DIGEST.test(text)

/**
 * The digest in a container status's `imageID`: `docker.io/x@sha256:..`, `docker-pullable://x@sha256:..`, or bare `sha256:..`
 * (the config id of an image that was imported: it has no repository). Undefined when there is none.
 */
export const digestOfImageId = (imageId: string): string | undefined => {
  const digest = imageId.slice(Math.max(imageId.lastIndexOf('@') + 1, imageId.lastIndexOf('/') + 1))
  return isDigest(digest) ? digest : undefined
}

/** Other names of Docker Hub. */
const DOCKER_HUB = new Set(['index.docker.io', 'registry-1.docker.io', 'registry.hub.docker.com'])

/** One text for one registry: the port as a number, left out where it is HTTPS's and the host is known for a registry without it. */
const canonicalRegistry = (lowered: string): string => {
  const written = lowered.includes(':') ? /^(.*[^:]):0*([0-9]{1,5})$/u.exec(lowered) : null
  const [, host = lowered, port] = written ?? []
  if (DOCKER_HUB.has(host) && (port === undefined || port === '443')) return 'docker.io'
  if (port === undefined) return lowered
  return port === '443' && /[.\]]|^localhost$/u.test(host) ? host : `${host}:${port}`
}

const splitName = (name: string): { readonly registry: string; readonly remote: string } | undefined => {
  const slash = name.indexOf('/')
  const first = slash === -1 ? '' : name.slice(0, slash)
  const isRegistry = /[.:]/u.test(first) || first === 'localhost' || first.toLowerCase() !== first
  const lowered = isRegistry ? first.toLowerCase() : 'docker.io'
  const registry = canonicalRegistry(lowered)
  const rest = isRegistry ? name.slice(slash + 1) : name
  const remote = registry === 'docker.io' && !rest.includes('/') ? `library/${rest}` : rest
  return DOMAIN.test(registry) && REMOTE_NAME.test(remote) ? { registry, remote } : undefined
}
