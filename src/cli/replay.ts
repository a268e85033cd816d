/** `drawbridge replay`: alerts of a file through the correlator, in memory. */
import { open, readFile } from 'node:fs/promises'
import { findSource, sources } from '../alerts/sources/index.ts'
import { ConfigError, parseConfig, type Config } from '../config/config.ts'
import { replay, type Capture } from '../correlator/replay.ts'
import { correlationOptions, settingsProblems } from '../correlator/settings.ts'
import { parseReference } from '../kube/reference.ts'
import { EXIT, UnusableError } from './io.ts'
import type { CliIo } from './io.ts'
import { replayText } from './replayText.ts'

/** What is read of a file at once. */
const BLOCK_BYTES = 1024 * 1024

function unreadable(file: string, error: unknown): UnusableError {
  const { code, message } = error as NodeJS.ErrnoException
  return new UnusableError(`${file}: cannot be read: ${code === 'ENOENT' ? 'no such file' : message}`)
}

async function readText(file: string, io: CliIo): Promise<string> {
  if (file === '-') return (await io.readStdin()).toString('utf8')
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    throw unreadable(file, error)
  }
}

async function* readBlocks(file: string): AsyncGenerator<Uint8Array> {
  try {
    const handle = await open(file)
    yield* handle.createReadStream({ highWaterMark: BLOCK_BYTES })
  } catch (error) {
    throw unreadable(file, error)
  }
}

async function readConfig(file: string | undefined, io: CliIo): Promise<Config> {
  const name = file ?? 'defaults'
  const config = parseConfig(file === undefined ? '' : await readText(file, io), name)
  const problems = settingsProblems(config)
  if (problems.length > 0) throw new ConfigError(problems.map((problem) => `${name}: ${problem}`).join('\n'))
  return config
}

/**
 * Runs the command. Returns the exit code; refused lines are reported, not fatal, unless nothing at all could be used. A file is read piece by piece;
 * standard input is read whole.
 */
export async function replayFile(
  file: string,
  options: {
    readonly source: string
    readonly configFile?: string | undefined
    readonly explain?: boolean | undefined
    readonly output: 'table' | 'json'
  },
  io: CliIo,
): Promise<number> {
  const source = findSource(options.source)
  if (source === undefined)
    throw new UnusableError(
      `--source ${options.source}: unknown; known are ${sources.map(({ name }) => name).join(', ')}`,
    )
  const config = await readConfig(options.configFile, io)
  const capture: Capture = file === '-' ? await io.readStdin() : readBlocks(file)
  const onTerminal = io.errIsTerminal === true
  const report = await replay(capture, source.decode, {
    parseReference,
    ...correlationOptions(config),
    explain: options.explain,
    ...(onTerminal
      ? {
          onProgress: ({ bytes, decoded }) =>
            io.err(`\r${Math.round(bytes / 1_000_000)} MB read, ${decoded} alerts decoded\u001b[K`),
        }
      : {}),
  })
  if (onTerminal) io.err('\r\u001b[K')
  if (options.output === 'json') io.out(`${JSON.stringify(report, undefined, 2)}\n`)
  else io.out(replayText(report, config.quarantine))
  if (report.lines === 0) throw new UnusableError(`${file}: no alerts in it`)
  return report.decoded === 0 ? EXIT.unusable : EXIT.ok
}
