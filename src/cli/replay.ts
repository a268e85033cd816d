/** `drawbridge replay`: alerts of a file through the correlator, in memory. */
import { readFile } from 'node:fs/promises'
import { findSource, sources } from '../alerts/sources/index.ts'
import { parseConfig } from '../config/config.ts'
import { correlationOptions } from '../correlator/settings.ts'
import { replay } from '../correlator/replay.ts'
import { parseReference } from '../kube/reference.ts'
import { EXIT, table, UnusableError } from './io.ts'
import type { CliIo } from './io.ts'

async function readInput(file: string, io: CliIo): Promise<Buffer> {
  if (file === '-') return io.readStdin()
  try {
    return await readFile(file)
  } catch (error) {
    throw new UnusableError(
      `${file}: cannot be read: ${(error as NodeJS.ErrnoException).code === 'ENOENT' ? 'no such file' : (error as Error).message}`,
    )
  }
}

/** Runs the command. Returns the exit code; refused lines are reported, not fatal, unless nothing at all could be used. */
export async function replayFile(
  file: string,
  options: { readonly source: string; readonly configFile?: string | undefined; readonly output: 'table' | 'json' },
  io: CliIo,
): Promise<number> {
  const source = findSource(options.source)
  if (source === undefined)
    throw new UnusableError(
      `--source ${options.source}: unknown; known are ${sources.map(({ name }) => name).join(', ')}`,
    )
  const config = parseConfig(
    options.configFile === undefined ? '' : (await readInput(options.configFile, io)).toString('utf8'),
    options.configFile ?? 'defaults',
  )
  const result = await replay(await readInput(file, io), source.decode, {
    parseReference,
    ...correlationOptions(config),
  })
  if (options.output === 'json') {
    io.out(`${JSON.stringify(result, undefined, 2)}\n`)
  } else {
    if (result.images.length > 0) {
      const rows = result.images.map(({ image, digest, score, phase, reason }) => [
        phase,
        String(score),
        image ?? '(unknown)',
        digest ?? '',
        reason,
      ])
      io.out(`${table(['PHASE', 'SCORE', 'IMAGE', 'DIGEST', 'REASON'], rows)}\n`)
    }
    for (const { line, code } of result.refused) io.out(`line ${line}: refused: ${code}\n`)
    io.out(
      `${result.lines} ${result.lines === 1 ? 'line' : 'lines'}, ${result.decoded} decoded, ${result.refused.length} refused; ${result.images.length} ${result.images.length === 1 ? 'image' : 'images'}\n`,
    )
  }
  if (result.lines === 0) throw new UnusableError(`${file}: no alerts in it`)
  return result.decoded === 0 ? EXIT.unusable : EXIT.ok
}
