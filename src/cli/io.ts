/** What every command gets from the composition root, so that commands can be tested without a process. */
export interface CliIo {
  out(text: string): void
  err(text: string): void
  /** Standard input, whole. */
  readStdin(): Promise<Buffer>
  /** Whether errors go to a terminal, where a line of progress can overwrite itself. */
  readonly errIsTerminal?: boolean | undefined
  /** Name of the person at the keyboard, for the record of a decision. */
  readonly user: string
  /** Milliseconds since the epoch. */
  now(): number
  /** Width of the terminal in characters; undefined: the output goes to a file or a program and is not wrapped. */
  readonly columns?: number | undefined
}

/** Exit codes of every command: 0 fine, 1 the answer is no (denied, not found), 2 the input or the usage cannot be used. */
export const EXIT = { ok: 0, no: 1, unusable: 2 } as const

/** Input or usage that cannot be used: printed as one line, exit code 2. */
export class UnusableError extends Error {
  override readonly name = 'UnusableError'
}

/** One line without control and direction characters: a name in a hostile file must not move the cursor or turn the text around. */
export function clean(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g, '?')
}

/** A narrower terminal is treated as this wide: less leaves no room for a word behind an indentation. */
const NARROWEST = 40

/**
 * One line in a terminal of `columns` characters: broken at spaces only, so that every word can still be copied; the following lines are indented
 * by `indent` spaces. Undefined `columns`: unchanged.
 */
export function wrap(line: string, columns: number | undefined, indent: number): string {
  if (columns === undefined || line.length <= columns) return line
  const width = Math.max(columns, NARROWEST)
  const start = /^ */.exec(line)![0]
  const lines: string[] = []
  let current = start
  for (const word of line.slice(start.length).split(' ')) {
    const empty = current.trim() === ''
    if (!empty && current.length + 1 + word.length > width) {
      lines.push(current)
      current = ' '.repeat(indent) + word
    } else current += empty ? word : ` ${word}`
  }
  return [...lines, current].join('\n')
}

/** Lays rows out in columns, two spaces apart, as kubectl does. The last column is not padded. Cells are cleaned. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [header, ...rows.map((row) => row.map(clean))]
  const widths = header.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)))
  const line = (row: readonly string[]): string =>
    row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column]!))).join('  ')
  return all.map((row) => `${line(row).trimEnd()}\n`).join('')
}

/** An age as people read it: `45s`, `12m`, `3h`, `5d`. */
export function age(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000))
  if (seconds < 120) return `${seconds}s`
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)}h`
  return `${Math.floor(seconds / 86_400)}d`
}

/** Milliseconds since the epoch as RFC 3339 in UTC, to the second: `2026-01-02T03:04:05Z`. */
export const time = (milliseconds: number): string => new Date(milliseconds).toISOString().replace(/\.\d+Z$/, 'Z')
