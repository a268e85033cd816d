/** The log level of a running server: changed by whoever holds the admin token, for good or for a while. */
import * as z from 'zod'
import { duration, LOG_LEVELS } from './config/config.ts'
import type { LogLevel } from './config/config.ts'
import type { LogLevelApi } from './server/adminApp.ts'

/** Longer than a search for a fault takes; somebody who wants it for good leaves `for` out. */
const LONGEST_MILLISECONDS = 7 * 86_400_000

const request = z.strictObject({
  level: z.enum(LOG_LEVELS, `level must be one of ${LOG_LEVELS.join(', ')}`),
  for: duration
    .refine((value) => value > 0 && value <= LONGEST_MILLISECONDS, 'wanted at least 1ms and at most 7d')
    .optional(),
})

/**
 * @param options.configured what the configuration says, and what holds again when the time is over
 * @param options.apply makes a level effective in both threads
 * @param options.onChanged says that it changed, and until when (milliseconds since the epoch)
 * @param options.clock milliseconds since the epoch
 */
export function createLogLevel(options: {
  readonly configured: LogLevel
  readonly apply: (level: LogLevel) => Promise<void>
  readonly onChanged: (level: LogLevel, until: number | undefined) => void
  readonly clock: () => number
}): LogLevelApi & { stop(): void } {
  let level = options.configured
  let until: number | undefined
  let timer: NodeJS.Timeout | undefined

  const state = () => ({
    level,
    configured: options.configured,
    ...(until !== undefined && { until: new Date(until).toISOString() }),
  })
  const change = async (next: LogLevel, milliseconds: number | undefined): Promise<void> => {
    clearTimeout(timer)
    level = next
    until = milliseconds === undefined ? undefined : options.clock() + milliseconds
    if (milliseconds !== undefined) {
      timer = setTimeout(() => void change(options.configured, undefined).catch(() => undefined), milliseconds)
      timer.unref()
    }
    await options.apply(next)
    options.onChanged(next, until)
  }

  return {
    get: state,
    async set(wanted) {
      const { success, data, error } = request.safeParse(wanted)
      if (!success) {
        const [issue] = error.issues
        const path = issue?.path.map(String).join('.') ?? ''
        throw Object.assign(
          new Error(path === '' || path === 'level' ? issue?.message : `${path}: ${issue?.message}`),
          {
            name: 'InvalidError',
          },
        )
      }
      await change(data.level, data.for)
      return state()
    },
    stop: () => clearTimeout(timer),
  }
}
