import { createHash } from 'node:crypto'

/** `sha256:<64 hex>`: the only form of digest that the ledger holds. */
export const DIGEST = /^sha256:[0-9a-f]{64}$/

/** Every name that `verdictName` can give; also a legal name of a Kubernetes object. */
export const VERDICT_NAME = /^(?:sha256-[0-9a-f]{64}|ref-[0-9a-f]{40})$/

/** What parseReference (src/kube/reference.ts) makes of an image reference. */
export interface ImageReference {
  /** Registry and path: `docker.io/library/nginx`. */
  readonly repository: string
  readonly tag?: string | undefined
  /** `sha256:<64 hex>`. Where it is present it decides alone. */
  readonly digest?: string | undefined
  /** The whole reference in one spelling: `docker.io/library/nginx:1.25`. */
  readonly normalized: string
}

export type ParseReference = (text: string) => ImageReference | undefined

/** The name of a verdict on an image known by a digest: `sha256-<hex>`. */
export function nameByDigest(digest: string): string {
  return digest.replace(':', '-')
}

/** The name while only a reference is known: `ref-<first 40 hex of SHA-256>` of the normalised reference, because a reference is no legal object name. */
export function nameByReference(normalized: string): string {
  return `ref-${createHash('sha256').update(normalized).digest('hex').slice(0, 40)}`
}
