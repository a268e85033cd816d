/**
 * `AdmissionException`: what people grant, read strictly. What cannot be read grants nothing: a malformed expiry never means "never",
 * and a key that this version does not know may be a restriction that it would ignore.
 */
import { matchImage, parseImagePattern, type ImageMatch, type ImagePattern } from '../kube/imagePattern.ts'
import { DNS_LABEL, DNS_SUBDOMAIN, EXCEPTION_ANNOTATION, GROUP, VERSION } from '../kube/names.ts'
import { describeMismatch } from '../kube/podShape.ts'
import type { ImageReference } from '../kube/reference.ts'
import { boolean, filledList, isObject, object, required, requiredString } from '../kube/shape.ts'
import { printable } from '../kube/text.ts'
import type { ObjectMeta } from '../kube/types.ts'

/** One grant: these checks may be broken by these images, under these service accounts, in these namespaces, until then. */
export interface AdmissionException {
  readonly name: string
  /** Whole names; no wildcard. */
  readonly namespaces: readonly string[]
  readonly images: readonly ImagePattern[]
  /** Of the pod. `['*']`: any; it must be written. */
  readonly serviceAccounts: readonly string[]
  /** IDs of checks; no wildcard. One that no check has never matches. */
  readonly checks: readonly string[]
  readonly reason: string
  /** Milliseconds since the epoch, rounded down to a second: at this very second it has expired. */
  readonly expiresAt: number
  /** Switched off by a person; it then counts nowhere. */
  readonly suspended: boolean
}

/** An exception, or why it counts nowhere: one line for people. */
export type ExceptionReading =
  | { readonly exception: AdmissionException; readonly problem?: undefined }
  | { readonly problem: string; readonly exception?: undefined }

/** Looks an exception up by name; undefined: there is no such object. */
export type FindException = (name: string) => ExceptionReading | undefined

/** The same bounds as manifests/crds/admissionexceptions.yaml, for objects that no API server has seen. */
const MAX_ITEMS = 64
const MAX_REASON = 1024
/** Requests: more names, or a longer annotation, are not read. */
export const MAX_REQUESTED = 16
const MAX_ANNOTATION = 1024

const CHECK_ID = /^[A-Za-z][A-Za-z0-9_]{0,62}$/u
const TIME = /^(\d{4}-\d{2}-\d{2})T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/u

const filledStrings = filledList(requiredString)
const metadataShape = required(
  'an object',
  object((fields) => requiredString(fields['name'], '.name')),
)
const specShape = required(
  'an object',
  object(
    (fields) =>
      filledStrings(fields['namespaces'], '.namespaces') ??
      filledStrings(fields['images'], '.images') ??
      filledStrings(fields['serviceAccounts'], '.serviceAccounts') ??
      filledStrings(fields['checks'], '.checks') ??
      requiredString(fields['reason'], '.reason') ??
      requiredString(fields['expiresAt'], '.expiresAt') ??
      boolean(fields['suspended'], '.suspended'),
  ),
)
const exceptionShape = required(
  'an object',
  object(
    (fields) =>
      requiredString(fields['apiVersion'], '.apiVersion') ??
      requiredString(fields['kind'], '.kind') ??
      metadataShape(fields['metadata'], '.metadata') ??
      specShape(fields['spec'], '.spec'),
  ),
)
const SPEC_KEYS: ReadonlySet<string> = new Set([
  'namespaces',
  'images',
  'serviceAccounts',
  'checks',
  'reason',
  'expiresAt',
  'suspended',
])

interface RawException {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string }
  readonly spec: {
    readonly namespaces: readonly string[]
    readonly images: readonly string[]
    readonly serviceAccounts: readonly string[]
    readonly checks: readonly string[]
    readonly reason: string
    readonly expiresAt: string
    readonly suspended?: boolean | null
  }
}

/** Whether an object claims to be an AdmissionException, whatever its version. */
export const isAdmissionException = (value: { readonly apiVersion: string; readonly kind: string }): boolean =>
  value.kind === 'AdmissionException' && value.apiVersion.startsWith(`${GROUP}/`)

/**
 * Reads unknown JSON as an AdmissionException. Linear; never throws. Anything wrong makes the whole object a `problem`, for example
 * `spec.expiresAt: "soon" is no time such as 2026-12-31T00:00:00Z`.
 */
export const readAdmissionException = (value: unknown): ExceptionReading => {
  const mismatch = exceptionShape(value, '')
  if (mismatch !== undefined) return { problem: describeMismatch(mismatch, '') }
  const { apiVersion, kind, metadata, spec } = value as RawException
  if (apiVersion !== `${GROUP}/${VERSION}` || kind !== 'AdmissionException')
    return { problem: `${printable(`${apiVersion} ${kind}`, 100)}: wanted ${GROUP}/${VERSION} AdmissionException` }
  if (!DNS_LABEL.test(metadata.name)) return { problem: `metadata.name: ${quote(metadata.name)} is no DNS label` }

  const unknown = Object.keys(spec).find((key) => !SPEC_KEYS.has(key))
  if (unknown !== undefined) return { problem: `spec.${printable(unknown, 60)}: unknown key` }
  const bad =
    badItem(
      'namespaces',
      spec.namespaces,
      (name) => DNS_LABEL.test(name),
      'is no namespace name (there is no wildcard)',
    ) ??
    badItem('checks', spec.checks, (id) => CHECK_ID.test(id), 'is no check ID (there is no wildcard)') ??
    badServiceAccount(spec.serviceAccounts) ??
    badItem('images', spec.images, () => true, '')
  if (bad !== undefined) return { problem: bad }
  const images: ImagePattern[] = []
  for (const [index, text] of spec.images.entries()) {
    const { pattern, problem } = parseImagePattern(text)
    if (pattern === undefined) return { problem: `spec.images[${index}]: ${quote(text)} ${problem}` }
    images.push(pattern)
  }
  if (spec.reason.trim() === '') return { problem: 'spec.reason: is empty' }
  if (spec.reason.length > MAX_REASON) return { problem: `spec.reason: is longer than ${MAX_REASON} characters` }
  const expiresAt = parseTime(spec.expiresAt)
  if (expiresAt === undefined)
    return { problem: `spec.expiresAt: ${quote(spec.expiresAt)} is no time such as 2026-12-31T00:00:00Z` }
  return {
    exception: {
      name: metadata.name,
      namespaces: [...spec.namespaces],
      images,
      serviceAccounts: [...spec.serviceAccounts],
      checks: [...spec.checks],
      reason: spec.reason,
      expiresAt: Math.floor(expiresAt / 1000) * 1000,
      suspended: spec.suspended === true,
    },
  }
}

/** Whether it has expired at `now` (milliseconds). A `now` that is no number has seen every expiry. */
export const isExpired = ({ expiresAt }: Pick<AdmissionException, 'expiresAt'>, now: number): boolean =>
  !(expiresAt > now)

/** What a pod asks for in its annotation. */
export interface RequestedExceptions {
  /** Well-formed, each once, in the order written, at most 16. */
  readonly names: readonly string[]
  /** What could not be read, one line each. */
  readonly problems: readonly string[]
}

/** Reads the annotation `drawbridge.dev/exception: name[,name]`. It only refers: no text in it grants anything. Never throws. */
export const requestedExceptions = ({ annotations }: ObjectMeta): RequestedExceptions => {
  const text = annotations && Object.hasOwn(annotations, EXCEPTION_ANNOTATION) ? annotations[EXCEPTION_ANNOTATION] : ''
  // Null counts as absent (`checkPodShape`).
  if (text == null || text.trim() === '') return { names: [], problems: [] }
  if (text.length > MAX_ANNOTATION)
    return { names: [], problems: [`annotation ${EXCEPTION_ANNOTATION} is longer than 1 KiB and was not read`] }
  const asked = [...new Set(text.split(',').map((part) => part.trim()))]
  const names = asked.filter((name) => DNS_LABEL.test(name))
  const malformed = asked.filter((name) => !DNS_LABEL.test(name))
  return {
    names: names.slice(0, MAX_REQUESTED),
    problems: [
      ...malformed
        .slice(0, MAX_REQUESTED)
        .map((name) => `exception ${quote(name)} is no name of an AdmissionException`),
      ...(names.length > MAX_REQUESTED
        ? [`the pod asks for ${names.length} exceptions; only the first ${MAX_REQUESTED} were read`]
        : []),
    ],
  }
}

/** The best that any pattern of an exception says about a reference; a reference that cannot be parsed matches nothing. */
export const matchAnyImage = (patterns: readonly ImagePattern[], reference: ImageReference | undefined): ImageMatch => {
  if (reference === undefined) return 'other-image'
  let best: ImageMatch = 'other-image'
  for (const pattern of patterns) {
    const match = matchImage(pattern, reference)
    if (match === 'matches') return match
    if (match !== 'other-image') best = match
  }
  return best
}

const badItem = (
  field: string,
  items: readonly string[],
  isGood: (item: string) => boolean,
  what: string,
): string | undefined => {
  if (items.length > MAX_ITEMS) return `spec.${field}: has more than ${MAX_ITEMS} items`
  const index = items.findIndex((item) => !isGood(item))
  return index === -1 ? undefined : `spec.${field}[${index}]: ${quote(items[index] ?? '')} ${what}`
}

const badServiceAccount = (items: readonly string[]): string | undefined =>
  items.length > 1 && items.includes('*')
    ? 'spec.serviceAccounts: "*" stands alone'
    : badItem(
        'serviceAccounts',
        items,
        (name) => name === '*' || DNS_SUBDOMAIN.test(name),
        'is no service account name; "*" alone means any',
      )

/** RFC 3339 with a zone, as milliseconds since the epoch; undefined for what no calendar has, such as February 30. */
const parseTime = (text: string): number | undefined => {
  const date = text.length <= 40 ? TIME.exec(text)?.[1] : undefined
  if (date === undefined) return undefined
  // JavaScript reads February 30 as March 2.
  const day = new Date(`${date}T00:00:00Z`)
  const isDay = !Number.isNaN(day.getTime()) && day.toISOString().startsWith(date)
  const time = isDay ? Date.parse(text) : Number.NaN
  return Number.isNaN(time) ? undefined : time
}

const quote = (text: string): string => `"${printable(text, 80)}"`

/** The name that unknown JSON claims, so that what cannot be read can still be found by its name. */
export const nameOf = (value: unknown): string | undefined => {
  const metadata = isObject(value) ? value['metadata'] : undefined
  const name = isObject(metadata) ? metadata['name'] : undefined
  return typeof name === 'string' && name !== '' ? name : undefined
}
