/**
 * Patterns for image references, as exceptions write them: `repository@sha256:<hex>`, or `repository:tag` where `*` may stand for
 * any characters of one path component or of the tag. Always anchored at both ends, always compared with the normalised reference.
 */
import { isDigest, parseReference, type ImageReference } from './reference.ts'

/** Text between the stars: `['web-', '']` for `web-*`. One piece: no star. */
type Glob = readonly string[]

export interface ImagePattern {
  /** As written. */
  readonly text: string
  /** True without a digest: whoever may push to the repository decides what runs. */
  readonly mutable: boolean
  /** The path components of the normalised repository, the registry first. */
  readonly repository: readonly Glob[]
  /** Absent beside a digest; absent too where neither was written: such a pattern matches nothing. */
  readonly tag?: Glob | undefined
  readonly digest?: string | undefined
}

/** Why a reference does or does not match. */
export type ImageMatch =
  | 'matches'
  /** Another repository, tag or digest. */
  | 'other-image'
  /** The repository fits, but the pattern names neither tag nor digest. */
  | 'pattern-without-tag'
  /** The repository fits, but the pattern names a tag and the reference a digest: beside a digest a tag means nothing. */
  | 'reference-by-digest'

export const MAX_IMAGE_PATTERN = 512

const TAG_GLOB = /^[A-Za-z0-9_*][A-Za-z0-9_.*-]{0,127}$/u
const DOCKER_HUB = /^(?:index\.)?docker\.io$/iu

/**
 * Reads a pattern. `problem` is one clause for people, for example `"**" is not supported`. A pattern without a star may be as short
 * as a reference (`nginx:1` is `docker.io/library/nginx:1`); with a star in the repository it must begin with a literal registry, or
 * anybody's registry would do. Never throws.
 */
export const parseImagePattern = (
  text: string,
):
  | { readonly pattern: ImagePattern; readonly problem?: undefined }
  | { readonly problem: string; readonly pattern?: undefined } => {
  if (text === '') return { problem: 'is empty' }
  if (text.length > MAX_IMAGE_PATTERN) return { problem: `is longer than ${MAX_IMAGE_PATTERN} characters` }
  if (text.includes('**')) return { problem: '"**" is not supported: "*" stays within one part between slashes' }
  if (isDigest(text)) return { problem: 'a digest needs its repository: repository@sha256:...' }

  const at = text.indexOf('@')
  const digest = at === -1 ? undefined : text.slice(at + 1)
  if (digest !== undefined && !isDigest(digest)) return { problem: 'the digest must be sha256: and 64 hex digits' }
  const named = at === -1 ? text : text.slice(0, at)
  const colon = named.indexOf(':', named.lastIndexOf('/') + 1)
  const tag = colon === -1 ? undefined : named.slice(colon + 1)
  if (tag !== undefined && digest !== undefined) return { problem: 'a tag beside a digest means nothing: leave it out' }
  if (tag !== undefined && !TAG_GLOB.test(tag)) return { problem: 'the tag is none' }

  const repository = normalizeRepository(colon === -1 ? named : named.slice(0, colon))
  if (repository.problem !== undefined) return repository
  return {
    pattern: {
      text,
      mutable: digest === undefined,
      repository: repository.name.split('/').map((component) => component.split('*')),
      ...(tag === undefined ? {} : { tag: tag.split('*') }),
      ...(digest === undefined ? {} : { digest }),
    },
  }
}

/** Compares a pattern with a reference of a pod. Linear in both. */
export const matchImage = (pattern: ImagePattern, reference: ImageReference): ImageMatch => {
  const components = reference.repository.split('/')
  const fits =
    components.length === pattern.repository.length &&
    pattern.repository.every((glob, index) => globMatches(glob, components[index] ?? ''))
  if (!fits) return 'other-image'
  if (pattern.digest !== undefined) return reference.digest === pattern.digest ? 'matches' : 'other-image'
  if (pattern.tag === undefined) return 'pattern-without-tag'
  if (reference.digest !== undefined) return 'reference-by-digest'
  return globMatches(pattern.tag, reference.tag ?? '') ? 'matches' : 'other-image'
}

/** The grammar of references decides what is a name; a star stands for a letter while it is asked. */
const normalizeRepository = (
  name: string,
):
  { readonly name: string; readonly problem?: undefined } | { readonly problem: string; readonly name?: undefined } => {
  const parsed = parseReference(`${name.replaceAll('*', 'x')}:x`)
  if (parsed === undefined) return { problem: 'is no image reference' }
  if (!name.includes('*')) return { name: parsed.repository }
  const slash = name.indexOf('/')
  const first = name.slice(0, Math.max(slash, 0))
  const isLiteralRegistry =
    slash > 0 && !first.includes('*') && (parsed.registry !== 'docker.io' || DOCKER_HUB.test(first))
  if (!isLiteralRegistry) return { problem: 'with "*" in it must begin with its registry, for example docker.io/' }
  const rest = name.slice(slash + 1)
  return {
    name: `${parsed.registry}/${parsed.registry === 'docker.io' && !rest.includes('/') ? 'library/' : ''}${rest}`,
  }
}

/** Leftmost match of each piece between the first and the last: enough for stars, and without backtracking. */
const globMatches = (glob: Glob, text: string): boolean => {
  const first = glob[0] ?? ''
  if (glob.length === 1) return text === first
  const last = glob.at(-1) ?? ''
  if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false
  const end = text.length - last.length
  let position = first.length
  for (const piece of glob.slice(1, -1)) {
    const found = text.indexOf(piece, position)
    if (found === -1) return false
    position = found + piece.length
  }
  return position <= end
}

const escape = (text: string): string => text.replace(/[.+*?^$()[\]{}|\\]/gu, '\\$&')

/** A star stays within one part: no slash, and none of the signs that end a repository. */
const expressionOf = (glob: Glob): string => glob.map(escape).join('[^/:@]*')

/**
 * The same for who cannot call `matchImage`: the one normalised reference that a pattern without stars matches, or an anchored regular expression (RE2,
 * ECMAScript) over normalised references. Undefined: it matches nothing.
 */
export const patternExpression = ({
  repository,
  tag,
  digest,
}: ImagePattern):
  | { readonly reference: string; readonly expression?: undefined }
  | { readonly expression: string; readonly reference?: undefined }
  | undefined => {
  if (digest === undefined && tag === undefined) return undefined
  const globs = tag === undefined ? repository : [...repository, tag]
  if (globs.every((glob) => glob.length === 1)) {
    const name = repository.map(([text = '']) => text).join('/')
    return { reference: digest === undefined ? `${name}:${tag?.[0] ?? ''}` : `${name}@${digest}` }
  }
  const name = repository.map(expressionOf).join('/')
  return { expression: `^${name}${digest === undefined ? `:${expressionOf(tag ?? [])}` : `@${escape(digest)}`}$` }
}
