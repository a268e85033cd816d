import { isUtf8 } from 'node:buffer'
import type { BodyLimits, RefusalCode } from './types.ts'

export type { BodyLimits } from './types.ts'

/** For one request; an alert is 1.4 KB on average and has depth 2. */
export const BODY_LIMITS: BodyLimits = { maxBytes: 4 * 1024 * 1024, maxItems: 10_000, maxDepth: 32 }

/** How many times its length a text may be read in vain: objects that never close are each read to the depth limit. */
const MAX_VAIN_PASSES = 4

const utf8 = new TextDecoder()

/** Characters that a short text may be read in vain. */
const VAIN_CHARACTERS = 256 * 1024

/** One value of a body; `line` is where it starts, counted from 1. */
export type BodyItem =
  | { readonly line: number; readonly item: unknown }
  | { readonly line: number; readonly refused: { readonly code: RefusalCode; readonly message: string } }

export interface Body {
  /** Bytes that are not UTF-8 were replaced by U+FFFD (Falco escapes since 0.44; shippers do not). */
  readonly replacedBytes: boolean
  /** `array`: the whole body is one JSON array and its elements are the items. */
  readonly shape: 'array' | 'values'
  /** To be walked once: values are parsed while it is read, and the bytes must not change until then. Empty for an empty body. */
  readonly items: Iterable<BodyItem>
}

/**
 * Splits the body of an alert request, or a capture file, into its values: one object, one array, one object a line (NDJSON), or objects
 * one after the other, pretty-printed or not. A broken value is refused with its line and costs nothing but itself. An EventList, which is how
 * kube-apiserver sends audit events, counts as its events.
 *
 * Never throws. Time is linear: a character is looked at no more than 8 times on average; where values that never close take more, the rest is refused.
 */
export function splitBody(bytes: Uint8Array, limits: BodyLimits = BODY_LIMITS): Body {
  if (bytes.byteLength > limits.maxBytes) {
    const message = `the body has ${bytes.byteLength} bytes, ${limits.maxBytes} are read`
    return { replacedBytes: false, shape: 'values', items: [refuse(1, 'too-large', message)] }
  }
  const replacedBytes = !isUtf8(bytes)
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const first = lineWithObject(buffer, beforeText(buffer), limits.maxDepth)
  if (first !== undefined)
    return { replacedBytes, shape: 'values', items: bounded(values(buffer, first, limits.maxDepth), limits.maxItems) }
  const text = utf8.decode(bytes)
  const whole = parseWhole(text, limits)
  if (whole !== undefined) return { replacedBytes, ...whole }
  return { replacedBytes, shape: 'values', items: bounded(scanValues(text, limits.maxDepth, 1), limits.maxItems) }
}

/** A line that is one object. */
interface LineWithObject {
  /** Where the line ends, in bytes, and its number. */
  readonly end: number
  readonly line: number
  readonly parsed: unknown
}

const LINE_FEED = 0x0a
const BRACE = 0x7b
const BYTE_ORDER_MARK = Buffer.from('\uFEFF')

/** As if a line ended before the first one; a byte order mark, which some shippers write, is no part of the text. */
function beforeText(bytes: Buffer): Pick<LineWithObject, 'end' | 'line'> {
  const { length } = BYTE_ORDER_MARK
  return { end: bytes.subarray(0, length).equals(BYTE_ORDER_MARK) ? length - 1 : -1, line: 0 }
}

/**
 * The first line after `before` that is not empty, if it is one object that is not nested too deeply. Each line is a text of its own: one text of a whole
 * batch is a large object to V8, which the collections of young garbage move to old memory when it is still being read, and that has then to be marked
 * several times a second, on all cores.
 */
function lineWithObject(
  bytes: Buffer,
  before: Pick<LineWithObject, 'end' | 'line'>,
  maxDepth: number,
): LineWithObject | undefined {
  let { line } = before
  for (let start = before.end + 1; start < bytes.length; start = lineEnd(bytes, start) + 1) {
    line++
    let first = start
    while (bytes[first] === 0x20 || bytes[first] === 0x0d || bytes[first] === 0x09) first++
    if (first === bytes.length || bytes[first] === LINE_FEED) continue
    if (bytes[first] !== BRACE) return undefined
    const end = lineEnd(bytes, first)
    const content = bytes.toString('utf8', first, end)
    if (mayNestDeeper(content, maxDepth) && outlineOf(content, maxDepth) === undefined) return undefined
    const value = tryParse(content)
    return value && { end, line, parsed: value.parsed }
  }
  return undefined
}

/** A line feed is no part of a longer character, and ends one that is broken off. */
function lineEnd(bytes: Buffer, from: number): number {
  const end = bytes.indexOf(LINE_FEED, from)
  return end === -1 ? bytes.length : end
}

/** Whether so many brackets open in it that it has to be looked at closely. */
function mayNestDeeper(text: string, maxDepth: number): boolean {
  let count = 0
  for (const bracket of ['{', '['])
    for (let index = text.indexOf(bracket); index !== -1; index = text.indexOf(bracket, index + 1))
      if (++count > maxDepth) return true
  return false
}

/** The usual road, for what sensors and shippers send: an object a line. From the first line on that is anything else, the slow one. */
function* values(bytes: Buffer, first: LineWithObject, maxDepth: number): Generator<BodyItem> {
  let read = first
  for (;;) {
    yield* eventsOf(read.line, read.parsed)
    const next = lineWithObject(bytes, read, maxDepth)
    if (next === undefined) break
    read = next
  }
  // Begins with the line feed after what was read.
  if (read.end < bytes.length)
    yield* scanValues(utf8.decode(bytes.subarray(read.end)), maxDepth, read.line, bytes.length)
}

/** The fast road: the whole text is one JSON value. `undefined` when it is not, or is nested too deeply. */
function parseWhole(text: string, limits: BodyLimits): Pick<Body, 'shape' | 'items'> | undefined {
  const outline = outlineOf(text, limits.maxDepth)
  if (outline === undefined) return undefined
  const value = tryParse(text)
  if (value === undefined) return undefined
  if (!Array.isArray(value.parsed)) {
    return { shape: 'values', items: bounded(eventsOf(outline.line, value.parsed), limits.maxItems) }
  }
  const elements: readonly unknown[] = value.parsed
  const items = elements.flatMap((item, index) => eventsOf(outline.elementLines[index] ?? outline.line, item))
  return { shape: 'array', items: bounded(items, limits.maxItems) }
}

/** Where the first value and the elements of a top-level array start; `undefined` when the text nests deeper than `maxDepth`. */
function outlineOf(
  text: string,
  maxDepth: number,
): { readonly line: number; readonly elementLines: readonly number[] } | undefined {
  const elementLines: number[] = []
  let firstLine = 0
  let line = 1
  let depth = 0
  let awaitingElement = false
  for (let index = 0; index < text.length; index++) {
    const character = text[index]
    if (character === '\n') line++
    if (isSpace(character)) continue
    if (firstLine === 0) firstLine = line
    if (depth === 1 && awaitingElement && character !== ']') {
      elementLines.push(line)
      awaitingElement = false
    }
    if (character === '"') index = endOfString(text, index)
    else if (character === '{' || character === '[') {
      if (++depth > maxDepth) return undefined
      if (depth === 1) awaitingElement = character === '['
    } else if (character === '}' || character === ']') depth--
    else if (character === ',' && depth === 1) awaitingElement = true
  }
  return { line: Math.max(firstLine, 1), elementLines }
}

/**
 * The slow road: values one after the other, each found by its own brackets. Brackets and commas of an array around them are skipped, so that one
 * bad element does not lose its neighbours.
 *
 * @param size of the whole body, of which `text` is the end: by it is measured how much may be read in vain
 */
function* scanValues(text: string, maxDepth: number, firstLine: number, size = text.length): Generator<BodyItem> {
  let position = 0
  let line = firstLine
  let vain = 0
  const moveTo = (next: number): void => {
    for (; position < next; position++) if (text[position] === '\n') line++
  }
  while (position < text.length) {
    const character = text[position]
    if (isSpace(character) || character === '[' || character === ']' || character === ',' || character === '\uFEFF') {
      moveTo(position + 1)
      continue
    }
    if (character !== '{') {
      const end = endOfLine(text, position)
      const scalar = tryParse(withoutSeparators(text.slice(position, end)))
      yield scalar === undefined
        ? refuse(line, 'not-json', 'neither a JSON object nor the start of one')
        : refuse(line, 'not-an-object', 'a JSON value that is not an object')
      moveTo(end)
      continue
    }
    const found = endOfObject(text, position, maxDepth)
    vain += Math.max(0, found.read - found.end)
    if (vain > MAX_VAIN_PASSES * size + VAIN_CHARACTERS) {
      yield refuse(line, 'too-large', 'too many JSON objects that are not closed; the rest was not read')
      return
    }
    const parsed = found.kind === 'closed' ? tryParse(text.slice(position, found.end)) : undefined
    if (parsed !== undefined) yield* eventsOf(line, parsed.parsed)
    else if (found.kind === 'too-deep') yield refuse(line, 'too-large', `nested deeper than ${maxDepth}`)
    else yield refuse(line, 'not-json', 'a JSON object that is broken or not closed')
    moveTo(parsed === undefined && found.kind === 'closed' ? Math.max(found.end, position + 1) : found.end)
  }
}

/** The events of an audit EventList, all on the line where it starts; any other value is itself. */
function eventsOf(line: number, value: unknown): readonly BodyItem[] {
  const isList = typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'EventList'
  const events: unknown = isList && 'items' in value ? value.items : undefined
  return Array.isArray(events) ? events.map((item: unknown) => ({ line, item })) : [{ line, item: value }]
}

type ObjectEnd = {
  readonly kind: 'closed' | 'broken' | 'too-deep'
  /** Where to go on reading. */
  readonly end: number
  /** How far it was read to find out. */
  readonly read: number
}

/**
 * Finds the end of the object that starts at `start`. It is broken where a string meets the end of its line (JSON has no raw line feeds in strings),
 * where a bracket closes the wrong kind, and where an object starts that cannot be part of it: that one is then read on its own.
 */
function endOfObject(text: string, start: number, maxDepth: number): ObjectEnd {
  const open: string[] = []
  let previous = ''
  for (let index = start; index < text.length; index++) {
    const character = text[index] ?? ''
    if (isSpace(character)) continue
    if (character === '"') {
      const end = endOfString(text, index)
      if (text[end] !== '"') return { kind: 'broken', end: afterBrokenStart(text, start), read: end }
      index = end
    } else if (character === '{' || character === '[') {
      if (character === '{' && index > start && !mayStartObject(open.at(-1), previous)) {
        return { kind: 'broken', end: afterBrokenStart(text, start), read: index }
      }
      if (open.length === maxDepth) return { kind: 'too-deep', end: afterBrokenStart(text, start), read: index }
      open.push(character)
    } else if (character === '}' || character === ']') {
      if (open.pop() !== (character === '}' ? '{' : '['))
        return { kind: 'broken', end: afterBrokenStart(text, start), read: index }
      if (open.length === 0) return { kind: 'closed', end: index + 1, read: index + 1 }
    }
    previous = character
  }
  return { kind: 'broken', end: afterBrokenStart(text, start), read: text.length }
}

/** JSON's grammar: an object may start after `[` or `,` in an array, and after `:` in an object. */
function mayStartObject(open: string | undefined, previous: string): boolean {
  return open === '[' ? previous === '[' || previous === ',' : previous === ':'
}

/**
 * After a broken object: reading goes on at the next line, not where the mistake showed, because a line that was cut short swallows its neighbours.
 * Lines that can only be the rest of a pretty-printed object (indented, or a closing bracket) are skipped with it.
 */
function afterBrokenStart(text: string, start: number): number {
  let position = endOfLine(text, start)
  while (position < text.length) {
    let first = position + 1
    while (text[first] === ' ' || text[first] === '\t') first++
    const indented = first > position + 1 && text[first] !== '{'
    if (!indented && text[first] !== '}' && text[first] !== ']') break
    position = endOfLine(text, first)
  }
  return position
}

/** Index of the closing quote, or of the line feed or end of text that came first. */
function endOfString(text: string, quote: number): number {
  for (let index = quote + 1; index < text.length; index++) {
    const character = text[index]
    if (character === '"' || character === '\n') return index
    if (character === '\\' && text[index + 1] !== '\n') index++
  }
  return text.length
}

function endOfLine(text: string, from: number): number {
  const end = text.indexOf('\n', from)
  return end === -1 ? text.length : end
}

function isSpace(character: string | undefined): boolean {
  return character === ' ' || character === '\n' || character === '\r' || character === '\t'
}

/** Without the comma or bracket of an array around it. No regular expression: `/[,\]]+$/` is quadratic on a line of commas. */
function withoutSeparators(line: string): string {
  let end = line.length
  while (end > 0 && (isSpace(line[end - 1]) || line[end - 1] === ',' || line[end - 1] === ']')) end--
  return line.slice(0, end)
}

function tryParse(text: string): { readonly parsed: unknown } | undefined {
  try {
    return { parsed: JSON.parse(text) as unknown }
  } catch {
    return undefined
  }
}

function refuse(line: number, code: RefusalCode, message: string): BodyItem {
  return { line, refused: { code, message } }
}

function* bounded(items: Iterable<BodyItem>, maxItems: number): Generator<BodyItem> {
  let count = 0
  for (const item of items) {
    if (count++ === maxItems) {
      yield refuse(item.line, 'too-large', `more than ${maxItems} items; the rest was not read`)
      return
    }
    yield item
  }
}
