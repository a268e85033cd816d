/** `drawbridge log-level`: what the log of a running server says, changed without a restart. */
import { Argument } from 'commander'
import type { Command } from 'commander'
import { LOG_LEVELS } from '../config/config.ts'
import { callAdmin, connectionFrom } from './adminClient.ts'
import { EXIT, UnusableError } from './io.ts'
import type { CliIo } from './io.ts'
import { dataOption } from './options.ts'

interface State {
  readonly level: string
  readonly configured: string
  readonly until?: string
}

const PATH = '/api/v1/log-level'

/** Adds the command. */
export function addLogLevelCommand(program: Command, io: CliIo, done: (code: number) => void): void {
  program
    .command('log-level')
    .description('show or change what the log of the running server says, in both of its threads')
    .addArgument(new Argument('[level]', 'nothing: show it').choices(LOG_LEVELS))
    .option('--for <duration>', 'then go back to the configured level: 90s, 10m, 2h')
    .addOption(dataOption())
    .addHelpText(
      'after',
      '\nExamples:\n  drawbridge log-level\n  drawbridge log-level debug --for 10m\n  kubectl -n drawbridge exec POD -- /nodejs/bin/node /app/bin/drawbridge.js log-level debug --for 10m --data /data\n',
    )
    .action(async (level: string | undefined, options: { for?: string; data: string }) => {
      if (level === undefined && options.for !== undefined)
        throw new UnusableError('--for says nothing without a level')
      const connection = await connectionFrom(options.data)
      const { status, body } =
        level === undefined
          ? await callAdmin(connection, 'GET', PATH)
          : await callAdmin(connection, 'PUT', PATH, { level, for: options.for })
      if (status === 400) throw new UnusableError((body as { error: string }).error)
      if (status !== 200) throw new Error((body as { error?: string }).error ?? `status ${status}`)
      const { until, ...state } = body as State
      const back = until === undefined ? '' : ` until ${until}, then ${state.configured}`
      io.out(`log level ${state.level}${back}\n`)
      done(EXIT.ok)
    })
}
