/** Reading fields of a sensor's JSON: only own properties, only text, always bounded. Shared by the decoders. */
import { cleanText, cutBytes } from '../text.ts'
import type { Decoded, RefusalCode } from '../types.ts'

export type Json = Readonly<Record<string, unknown>>

const EMPTY: Json = {}

/** More tags than that are no labels any more. */
const MAX_TAGS = 32

/** Falcosidekick cuts strings beyond 512 bytes when the whole alert exceeds 4,096: what is cut below that length is the same by every road. */
const MAX_TARGET_BYTES = 480

/** An id that runtimes give: Falco and Tetragon report 12 and 31 characters of the 64. */
const CONTAINER_ID = /^[0-9a-f]{12,64}$/

const DIGEST = /(?:^|@)(sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128})$/

/** `T1059`, `T1059.004`; also inside a tag, as in `MITRE_T1036_masquerading`. */
const TECHNIQUE = /(?:^|[^A-Za-z0-9])(T\d{4}(?:\.\d{3})?)(?![0-9A-Za-z])/i

export function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Only own properties: `__proto__` and `constructor` are ordinary keys in JSON. */
export function own(item: Json, key: string): unknown {
  return Object.hasOwn(item, key) ? item[key] : undefined
}

/** The object under `key`; an empty one where there is none. */
export function objectAt(item: Json, key: string): Json {
  const value = own(item, key)
  return isObject(value) ? value : EMPTY
}

/** The first elements of the array under `key`; none where there is no array. */
export function arrayAt(item: Json, key: string, max: number): readonly unknown[] {
  const value = own(item, key)
  return Array.isArray(value) ? value.slice(0, max) : []
}

/** A text field, cleaned; `undefined` when it is no string, empty, or Falco's `<NA>`. */
export function textOf(item: Json, key: string, max?: number): string | undefined {
  return cleaned(own(item, key), max)
}

function cleaned(value: unknown, max?: number): string | undefined {
  if (typeof value !== 'string') return undefined
  const text = cleanText(value, max).trim()
  return text === '' || text === '<NA>' ? undefined : text
}

/** `{ [key]: value }`, or nothing for `undefined`. */
export function present<Key extends string>(key: Key, value: string | undefined): Partial<Record<Key, string>> {
  return value === undefined ? {} : ({ [key]: value } as Record<Key, string>)
}

export function isContainerId(id: string | undefined): id is string {
  return id !== undefined && CONTAINER_ID.test(id)
}

/** A container id without its runtime (`containerd://`), in lower case; `undefined` when it is none. */
export function containerIdOf(text: string | undefined): string | undefined {
  const id = text?.slice(text.lastIndexOf('/') + 1).toLowerCase()
  return isContainerId(id) ? id : undefined
}

/** The first digest among texts such as `sha256:...`, `repository@sha256:...` and `docker-pullable://repository@sha256:...`. */
export function digestIn(candidates: readonly unknown[]): string | undefined {
  for (const candidate of candidates) {
    const match = typeof candidate === 'string' && candidate.length <= 1024 ? DIGEST.exec(candidate) : null
    if (match?.[1] !== undefined) return match[1]
  }
  return undefined
}

/** An image reference; a bare id is none. */
export function referenceOf(text: string | undefined): string | undefined {
  return text === undefined || /^(sha256:)?[0-9a-f]{64}$/.test(text) ? undefined : text
}

/** What an alert is about, as it stands in the key of repeats; empty for anything but a text. */
export function targetIn(value: unknown): string {
  return typeof value === 'string' && value !== '<NA>' ? cleanText(cutBytes(value, MAX_TARGET_BYTES)) : ''
}

/** Labels of an alert, sorted. */
export function tagsIn(values: readonly unknown[]): readonly string[] {
  const tags: string[] = []
  for (const tag of values.slice(0, MAX_TAGS)) if (typeof tag === 'string' && tag !== '') tags.push(cleanText(tag, 64))
  return tags.sort()
}

/** MITRE ATT&CK techniques among texts, in capitals, sorted, each once; nothing at all where there is none. */
export function techniquesIn(texts: readonly unknown[]): { readonly techniques?: readonly string[] } {
  const found: string[] = []
  for (const text of texts.slice(0, MAX_TAGS)) {
    const match = typeof text === 'string' && text.length <= 256 ? TECHNIQUE.exec(text) : null
    if (match?.[1] !== undefined) found.push(match[1].toUpperCase())
  }
  return found.length === 0 ? {} : { techniques: [...new Set(found)].sort() }
}

export function refuse(code: RefusalCode, message: string): Decoded {
  return { kind: 'refused', code, message }
}

export function telemetry(reason: string): Decoded {
  return { kind: 'telemetry', reason }
}
