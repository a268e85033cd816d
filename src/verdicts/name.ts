import { hash } from 'node:crypto'

/** The digests that OCI registers (https://github.com/opencontainers/image-spec/blob/main/descriptor.md#registered-algorithms), as kube/reference.ts reads them. */
export const DIGEST = /^(?:sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128})$/

/** Length of the longest one. */
export const MAX_DIGEST_LENGTH = 135

/** Every name that `verdictName` can give; also a legal name of a Kubernetes object. */
export const VERDICT_NAME = /^(?:sha256-[0-9a-f]{64}|ref-[0-9a-f]{40})$/

/** What parseReference (src/kube/reference.ts) makes of an image reference. */
export interface ImageReference {
  /** Registry and path: `docker.io/library/nginx`. */
  readonly repository: string
  readonly tag?: string | undefined
  /** `sha256:<64 hex>` (or sha384, sha512). Where it is present it decides alone. */
  readonly digest?: string | undefined
  /** The whole reference in one spelling: `docker.io/library/nginx:1.25`. */
  readonly normalized: string
}

export type ParseReference = (text: string) => ImageReference | undefined

/** The name of a verdict on an image known by a digest: `sha256-<hex>`; of a rarer algorithm `ref-<hash>`, for the name is bounded. */
export function nameByDigest(digest: string): string {
  return spellingOf(digest) ?? nameByReference(digest)
}

/** The name that spells this digest; undefined: none does. */
export function spellingOf(digest: string): string | undefined {
  return digest.startsWith('sha256:') ? `sha256-${digest.slice(7)}` : undefined
}

/** The digest that this name spells; undefined: none. */
export function spelledDigest(name: string): string | undefined {
  return name.startsWith('sha256-') ? `sha256:${name.slice(7)}` : undefined
}

/** The name while only a reference is known: `ref-<first 40 hex of SHA-256>` of the normalised reference, because a reference is no legal object name. */
export function nameByReference(normalized: string): string {
  return `ref-${hash('sha256', normalized, 'hex').slice(0, 40)}`
}

/** The repository of a normalised reference: `docker.io/library/nginx:1.25` -> `docker.io/library/nginx`. */
export function repositoryOf(normalized: string): string {
  const named = normalized.split('@', 1)[0] ?? ''
  const colon = named.indexOf(':', named.lastIndexOf('/') + 1)
  return colon < 0 ? named : named.slice(0, colon)
}
