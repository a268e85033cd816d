/** What to do with a damaged ledger: recognise it, move it aside, save what can be read. */
import { copyFileSync, existsSync, readFileSync, renameSync, rmSync, statSync, truncateSync } from 'node:fs'
import type { DatabaseSync } from 'node:sqlite'
import { StoreBusyError } from '../verdicts/types.ts'

/** A damaged header may claim anything. The largest ledger is 5,000 verdicts of 8 KiB. */
const MAX_PADDED_BYTES = 1024 ** 3

/** SQLite's result code of an error of node:sqlite, 0 for any other error. */
function sqliteCode(error: unknown): number {
  return error instanceof Error && 'errcode' in error && typeof error.errcode === 'number' ? error.errcode : 0
}

/** SQLITE_CORRUPT, SQLITE_NOTADB, and SQLITE_ERROR for a schema that is not ours: https://www.sqlite.org/rescode.html */
export function isDamage(error: unknown): boolean {
  return [1, 11, 26].includes(sqliteCode(error) & 0xff)
}

/** SQLite deletes a log that has no database: its content would be gone before anybody could look. */
export function walWithoutDatabase(file: string): boolean {
  return sizeOf(`${file}-wal`) > 0 && sizeOf(file) === 0
}

/** Renames the database and its log. Returns the new path, `<file>.damaged-20261122T060815Z`. */
export function moveAside(file: string, now: number): string {
  const time = `${new Date(now).toISOString().slice(0, 19).replace(/[-:]/g, '')}Z`
  let aside = `${file}.damaged-${time}`
  for (let count = 2; existsSync(aside); count++) aside = `${file}.damaged-${time}-${count}`
  renameSync(file, aside)
  if (existsSync(`${file}-wal`)) renameSync(`${file}-wal`, `${aside}-wal`)
  rmSync(`${file}-shm`, { force: true })
  return aside
}

/**
 * Copies every readable row with a right checksum from a damaged file into a fresh database. Reads from both ends, because one bad page stops
 * a scan; works on a copy, so that the damaged file stays as it was found. Never throws.
 */
export function salvage(
  Database: typeof DatabaseSync,
  damaged: string,
  target: DatabaseSync,
  sumOf: (text: string) => string,
): { readonly verdicts: number; readonly parked: number } {
  const copy = `${damaged}.reading`
  const saved = { verdicts: 0, parked: 0 }
  try {
    copyFileSync(damaged, copy)
    if (existsSync(`${damaged}-wal`)) copyFileSync(`${damaged}-wal`, `${copy}-wal`)
    padToHeader(copy)
    const source = new Database(copy)
    try {
      target.exec('BEGIN')
      const verdict = target.prepare('INSERT OR IGNORE INTO verdicts VALUES (?, ?, ?)')
      for (const row of readableRows(source, 'SELECT name, value, sum FROM verdicts')) {
        const { name, value, sum } = row
        if (typeof name !== 'string' || typeof value !== 'string' || sumOf(value) !== sum) continue
        saved.verdicts += Number(verdict.run(name, value, sum).changes)
      }
      const parked = target.prepare('INSERT OR IGNORE INTO parked VALUES (?, ?, ?, ?)')
      for (const row of readableRows(source, 'SELECT id, since, value, sum FROM parked')) {
        const { id, since, value, sum } = row
        if (typeof id !== 'string' || typeof since !== 'number' || typeof value !== 'string' || sumOf(value) !== sum)
          continue
        saved.parked += Number(parked.run(id, since, value, sum).changes)
      }
      target.exec('COMMIT')
    } finally {
      if (target.isTransaction) target.exec('COMMIT')
      source.close()
    }
  } catch {
    // Nothing more can be read; the damaged file is kept for a person with sqlite3's .recover.
  } finally {
    for (const suffix of ['', '-wal', '-shm', '-journal']) rmSync(`${copy}${suffix}`, { force: true })
  }
  return saved
}

function* readableRows(source: DatabaseSync, select: string): Generator<Readonly<Record<string, unknown>>> {
  for (const order of ['ASC', 'DESC']) {
    try {
      for (const row of source.prepare(`${select} NOT INDEXED ORDER BY rowid ${order}`).iterate()) yield row
    } catch {
      // The scan met the damage: the other end is next.
    }
  }
}

/** SQLite reads nothing of a file that is shorter than its header says; with zeros at the end it reads the pages that are there. */
function padToHeader(copy: string): void {
  const header = readFileSync(copy).subarray(0, 32)
  if (header.length < 32) return
  const pageSize = header.readUInt16BE(16) === 1 ? 65_536 : header.readUInt16BE(16)
  const size = pageSize * header.readUInt32BE(28)
  if (size > sizeOf(copy) && size <= MAX_PADDED_BYTES) truncateSync(copy, size)
}

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0
}

/** https://www.sqlite.org/rescode.html: one line a person can act on. */
export function clearError(file: string, error: unknown): Error {
  const message = error instanceof Error ? error.message : String(error)
  const primary = sqliteCode(error) & 0xff
  const inUse = `the ledger ${file} is in use by another process; give this one a data folder of its own (--data)`
  if (primary === 5 || primary === 6) return new Error(inUse, { cause: error })
  if (primary === 13) return new StoreBusyError(`the disk of the ledger ${file} is full`)
  return new Error(`the ledger ${file} cannot be used: ${message}`, { cause: error })
}
