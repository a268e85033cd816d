/** `DATA/server.json`: where a running server is, for scripts and the command line. */
import { randomUUID } from 'node:crypto'
import { rename, writeFile } from 'node:fs/promises'

/** What scripts and the CLI read from `DATA/server.json` while the server runs. */
export interface ServerFile {
  readonly webhook: string
  readonly alerts: string
  readonly admin: string
  /** Absolute path. */
  readonly ca: string
  readonly alertToken: string
  readonly adminToken: string
  readonly pid: number
}

/** Beside, then renamed: a reader never sees half of it. */
export async function writeServerFile(path: string, content: ServerFile): Promise<void> {
  // A new file with a name that nobody knows beforehand: it must not be somebody's link.
  const temporary = `${path}.${randomUUID()}.tmp`
  await writeFile(temporary, `${JSON.stringify(content, undefined, 2)}\n`, { mode: 0o600, flag: 'wx' })
  await rename(temporary, path)
}
