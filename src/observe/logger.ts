/** The log: JSON lines on standard error, so that standard output stays for people and for pipes. */
import { pino } from 'pino'
import type { Logger } from 'pino'

export type { Logger }

/** Creates the root logger of a thread. Secrets are never passed to it; known field names are censored all the same. */
export function createLogger(options: { readonly level: string; readonly thread: string }): Logger {
  return pino(
    {
      level: options.level,
      base: { thread: options.thread },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: ['token', '*.token', 'authorization', '*.authorization'], censor: '[secret]' },
    },
    // Synchronous: a line about a crash must be out before the process is gone.
    pino.destination({ fd: 2, sync: true }),
  )
}

/**
 * Text of others for a log field: bounded, and without what moves a terminal's cursor or turns its writing direction.
 * Callers without a credential choose these texts.
 */
export function boundedText(text: string | undefined, length = 253): string | undefined {
  const cut = text?.slice(0, length)
  // oxlint-disable-next-line no-control-regex
  return cut?.replace(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g, '?')
}

/** An error as one line for a log field: `JSON.stringify(error)` alone would be `{}`. */
export function errorText(error: unknown): string {
  return boundedText(error instanceof Error ? `${error.name}: ${error.message}` : String(error), 1000) ?? ''
}
