/** An event's time as alerts carry it. */
export interface EventTime {
  /** Milliseconds since the epoch. */
  readonly time: number
  /** UTC, fraction padded or cut to 9 digits: `2026-11-22T05:57:29.490412397Z`. */
  readonly timeText: string
}

const RFC3339 = /^(\d{4}-\d{2}-\d{2})[Tt ](\d{2}):(\d{2}):(\d{2})(?:[.,](\d{1,32}))?(?:[Zz]|([+-])(\d{2}):?(\d{2}))$/

/**
 * Reads an RFC 3339 time, also with a plain offset (`+0000`). `undefined` when it is none, has no zone or names no day of the calendar.
 *
 * Falco writes nine digits, Falcosidekick drops trailing zeros (Go's RFC3339Nano): padding gives both roads the same text.
 * No number of nanoseconds is ever made: it would not fit into 2^53.
 */
export function parseEventTime(text: string): EventTime | undefined {
  const match = text.length <= 80 ? RFC3339.exec(text.trim()) : null
  if (match === null) return undefined
  const [, day = '', hours, minutes, seconds, fraction = '', sign, offsetHours, offsetMinutes] = match
  const midnight = midnightOf(day)
  if (midnight === undefined) return undefined
  // 60 is a leap second: it rolls over into the next minute instead of losing the alert.
  if (Number(hours) > 23 || Number(minutes) > 59 || Number(seconds) > 60) return undefined
  if (Number(offsetHours ?? 0) > 23 || Number(offsetMinutes ?? 0) > 59) return undefined
  const offset = (Number(offsetHours ?? 0) * 60 + Number(offsetMinutes ?? 0)) * (sign === '-' ? -60_000 : 60_000)
  const digits = fraction.slice(0, 9).padEnd(9, '0')
  const wholeSecond =
    midnight +
    ((Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds)) * 1000 -
    (sign === undefined ? 0 : offset)
  const time = wholeSecond + Number(digits.slice(0, 3))
  // As it is written, which is what sensors do: in UTC, and no leap second.
  if (sign === undefined && seconds !== '60')
    return { time, timeText: `${day}T${hours}:${minutes}:${seconds}.${digits}Z` }
  const iso = new Date(wholeSecond).toISOString()
  if (iso.length !== 24) return undefined // an offset moved it out of the years 0 to 9999
  return { time, timeText: `${iso.slice(0, 19)}.${digits}Z` }
}

/** The day of the last time that was read: nearly always that of the next one. */
const known = { day: '', midnight: Number.NaN }

/** The beginning of a day of the calendar, in milliseconds. */
function midnightOf(day: string): number | undefined {
  if (day === known.day) return known.midnight
  const midnight = Date.parse(`${day}T00:00:00Z`)
  if (Number.isNaN(midnight) || new Date(midnight).toISOString().slice(0, 10) !== day) return undefined
  Object.assign(known, { day, midnight })
  return midnight
}

/** The last second of the year 9999. */
const MAX_SECONDS = 253_402_300_799

/** An epoch time of whole seconds and nanoseconds (0 to 999,999,999). `undefined` outside the years 1970 to 9999. */
export function epochTime(seconds: number, nanoseconds = 0): EventTime | undefined {
  if (!Number.isInteger(seconds) || seconds < 0 || seconds > MAX_SECONDS) return undefined
  if (!Number.isInteger(nanoseconds) || nanoseconds < 0 || nanoseconds > 999_999_999) return undefined
  const digits = String(nanoseconds).padStart(9, '0')
  const iso = new Date(seconds * 1000).toISOString()
  return { time: seconds * 1000 + Number(digits.slice(0, 3)), timeText: `${iso.slice(0, 19)}.${digits}Z` }
}

/**
 * Nanoseconds since the epoch, as a number or as digits, cut to microseconds: beyond 2^53 a parsed number is exact to 256 ns only, and both
 * spellings of one event have to give one text.
 */
export function nanosecondTime(value: unknown): EventTime | undefined {
  const nanoseconds = typeof value === 'string' && /^\d{1,19}$/.test(value) ? Number(value) : value
  if (typeof nanoseconds !== 'number' || !Number.isFinite(nanoseconds) || nanoseconds < 0) return undefined
  const microseconds = Math.floor(nanoseconds / 1000)
  return epochTime(Math.floor(microseconds / 1e6), (microseconds % 1e6) * 1000)
}
