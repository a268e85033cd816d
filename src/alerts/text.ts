/** Text that came from outside, made safe to keep and to print. Pure; linear in the length that is kept. */

/** Longest text kept of any field of an alert, in UTF-16 code units. */
export const MAX_TEXT = 512

/** Longest rule name kept, in UTF-16 code units. */
export const MAX_RULE = 256

/** Everything that moves a terminal's cursor, hides text or is no character: controls, formats (bidi), line separators, surrogates, unassigned. */
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/gu

/** Nearly every text, and then nothing has to be replaced. */
const PLAIN = /^[\x20-\x7e]*$/

/**
 * `text` cut to `max` UTF-16 code units (never in the middle of a character), with every unprintable character replaced by U+FFFD.
 * The same input gives the same output, and cleaning twice changes nothing: cleaned text may be part of a key.
 */
export function cleanText(text: string, max: number = MAX_TEXT): string {
  const kept = cut(text, max)
  return PLAIN.test(kept) ? kept : kept.replace(UNPRINTABLE, '\uFFFD')
}

/**
 * `text` for one line of a message: unprintable characters become `\u{hex}`, quotes and backslashes are escaped. At most `max` UTF-16 code units,
 * then `...`.
 */
export function printable(text: string, max: number): string {
  const shown = cut(text, max)
  const escaped = shown
    .replace(/["\\]/g, '\\$&')
    .replace(UNPRINTABLE, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`)
  return escaped.length > max || shown.length < text.length ? `${cut(escaped, max)}...` : escaped
}

/** `text` cut to at most `maxBytes` of UTF-8, at a character boundary. */
export function cutBytes(text: string, maxBytes: number): string {
  if (text.length * 3 <= maxBytes) return text
  const { read } = new TextEncoder().encodeInto(text, new Uint8Array(maxBytes))
  return text.slice(0, read)
}

function cut(text: string, max: number): string {
  if (text.length <= max) return text
  const last = text.charCodeAt(max - 1)
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? max - 1 : max)
}
