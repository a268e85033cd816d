const UNPRINTABLE = /[^\x20-\x7e]/gu
/** Nearly every text is, and then nothing has to be replaced. */
const PRINTABLE = /^[\x20-\x7e]*$/u

/**
 * `text` as a person may safely read it in a terminal, a log or an HTTP warning header: every character outside printable
 * ASCII (line ends, control, zero-width and right-to-left characters, lone surrogates, look-alike letters) as `\u{hex}`,
 * and at most `max` characters: what is too long loses its middle. Time is linear in `max`, not in the text.
 */
export const printable = (text: string, max: number): string => {
  if (text.length > max) {
    return shorten(`${escape(text.slice(0, max))}${escape(text.slice(-max))}`, max)
  }
  return shorten(escape(text), max)
}

/** `text` in at most `max` characters (3 or more); what is left out shows as `...`, in the middle: both ends of a path say more. */
export const shorten = (text: string, max: number): string => {
  if (text.length <= max) return text
  const tail = Math.floor((max - 3) / 2)
  return `${text.slice(0, max - 3 - tail)}...${tail === 0 ? '' : text.slice(-tail)}`
}

const escape = (text: string): string =>
  PRINTABLE.test(text) ? text : text.replace(UNPRINTABLE, (char) => `\\u{${char.codePointAt(0)?.toString(16)}}`)
