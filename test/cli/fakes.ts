/** A command line without a process: what it printed, what it was given, a folder to work in. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { CliIo } from '../../src/cli/io.ts'
import { runCli } from '../../src/cli/program.ts'
import type { CliActions } from '../../src/cli/program.ts'

export interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** Actions that must not be reached. */
const NO_ACTIONS: CliActions = {
  serve: () => Promise.reject(new Error('serve was called')),
  seccompSync: () => Promise.reject(new Error('seccompSync was called')),
  openVerdicts: () => Promise.reject(new Error('openVerdicts was called')),
  openExceptions: () => Promise.reject(new Error('openExceptions was called')),
  doctor: () => Promise.reject(new Error('doctor was called')),
  openWorkloads: () => Promise.reject(new Error('openWorkloads was called')),
  openScan: () => Promise.reject(new Error('openScan was called')),
  manifests: () => Promise.reject(new Error('manifests was called')),
}

/** Runs one command line to its end. */
export async function run(
  argv: readonly string[],
  options: {
    readonly stdin?: string | Buffer
    readonly actions?: Partial<CliActions>
    readonly now?: number
    readonly columns?: number
  } = {},
): Promise<Ran> {
  let out = ''
  let err = ''
  const io: CliIo = {
    out: (text) => (out += text),
    err: (text) => (err += text),
    readStdin: () => Promise.resolve(Buffer.from(options.stdin ?? '')),
    user: 'jane',
    now: () => options.now ?? 0,
    columns: options.columns,
  }
  const code = await runCli(argv, io, { ...NO_ACTIONS, ...options.actions }, '1.2.3')
  return { code, out, err }
}

/** A folder with these files; `path` makes a name in it absolute. */
export function folderWith(files: Readonly<Record<string, string>>): { path(name?: string): string; remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), 'drawbridge-cli-'))
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  return {
    path: (name = '') => join(folder, name),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}
