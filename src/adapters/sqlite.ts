/**
 * The ledger in one SQLite file (node:sqlite): verdicts and parked alerts. A write resolves after its commit reached the disk (WAL, synchronous=FULL).
 *
 * node:sqlite is synchronous: this belongs on the alert thread. Writes of one turn of the event loop share a transaction, hence one flush.
 * One process at a time: the file is locked by the kernel, so a process that was killed leaves no lock.
 */
import { chmodSync, closeSync, existsSync, openSync } from 'node:fs'
import type { DatabaseSync } from 'node:sqlite'
import { MAX_PARKED, type ParkedAlert, type ParkingLot } from '../correlator/types.ts'
import { sameVerdict, writeVerdict } from '../verdicts/serialize.ts'
import { StoreBusyError, type ImageVerdict, type VerdictChange, type VerdictStore } from '../verdicts/types.ts'
import { readAlert, readRow, sumOf } from './sqliteRows.ts'
import { clearError, isDamage, moveAside, salvage, walWithoutDatabase } from './sqliteRescue.ts'

export interface SqliteLedger {
  readonly store: VerdictStore
  readonly parking: ParkingLot
  /** What was found damaged when the file was opened, one line each. */
  readonly problems: readonly string[]
  /** Writes what waits, then closes the file. Further calls reject. */
  close(): Promise<void>
}

export interface SqliteOptions {
  /** Path of the database; its folder exists. */
  readonly file: string
  /** Milliseconds since the epoch; names the file that a damaged one is moved to. */
  readonly clock: () => number
  /** Verdicts at most; a new one beyond is refused with StoreBusyError. Default 5,000. */
  readonly maxVerdicts?: number | undefined
  /** Parked alerts at most. Default MAX_PARKED. */
  readonly maxParked?: number | undefined
  /** How long opening waits for another process to let go, milliseconds. Default 2,000. */
  readonly lockWaitMs?: number | undefined
}

const SCHEMA_VERSION = 1

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS verdicts (name TEXT PRIMARY KEY, value TEXT NOT NULL, sum TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS parked (id TEXT PRIMARY KEY, since INTEGER NOT NULL, value TEXT NOT NULL, sum TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS damaged (found INTEGER NOT NULL, origin TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, problem TEXT NOT NULL) STRICT;
`

/** Verdicts that are read at once. */
const PAGE = 500

/** Rows kept of what cannot be read; more are only counted in the problem line. */
const MAX_DAMAGED = 1000

/**
 * Opens or makes the ledger. A damaged file is moved to `<file>.damaged-<time>` and what can still be read of it goes into a fresh one.
 *
 * Throws an Error with one clear line when another process has the file, when it was written by a newer Drawbridge, or when the folder cannot be used.
 */
export async function openSqliteLedger(options: SqliteOptions): Promise<SqliteLedger> {
  const { DatabaseSync: Database } = await import('node:sqlite')
  const { file, clock } = options
  const problems: string[] = []
  const openFile = (): DatabaseSync => openLocked(Database, file, options.lockWaitMs ?? 2000)

  let database: DatabaseSync
  try {
    if (walWithoutDatabase(file))
      throw Object.assign(new Error('the database is empty but its log is not'), { errcode: 26 })
    database = openFile()
  } catch (error) {
    if (!isDamage(error)) throw clearError(file, error)
    const aside = moveAside(file, clock())
    try {
      database = openFile()
    } catch (second) {
      throw clearError(file, second)
    }
    const saved = salvage(Database, aside, database, sumOf)
    const what = error instanceof Error ? error.message : String(error)
    problems.push(
      `the ledger ${file} is damaged (${what}); it was moved to ${aside}, ${saved.verdicts} verdicts and ${saved.parked} parked alerts were saved`,
    )
  }
  return createLedger(database, options, problems)
}

function openLocked(Database: typeof DatabaseSync, file: string, lockWaitMs: number): DatabaseSync {
  // SQLite gives its own files (-wal) the mode of the database. An existing file must not be opened here: closing any descriptor of it would drop this
  // process's POSIX locks on it (https://www.sqlite.org/howtocorrupt.html section 2.2).
  if (!existsSync(file)) closeSync(openSync(file, 'ax', 0o600))
  chmodSync(file, 0o600)
  const database = new Database(file)
  try {
    database.exec(`PRAGMA busy_timeout = ${Math.max(0, Math.floor(lockWaitMs))}`)
    // Before WAL begins: the log's index then lives in memory and the lock holds until close.
    database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
    database.exec('BEGIN EXCLUSIVE; COMMIT')
    const check = database.prepare('PRAGMA quick_check(1)').get()
    const result = Object.values(check ?? {})[0]
    if (result !== 'ok') throw Object.assign(new Error(String(result).slice(0, 200)), { errcode: 11 })
    database.exec(SCHEMA)
    // Fails where the tables are not ours.
    database.exec('SELECT name, value, sum FROM verdicts LIMIT 0; SELECT id, since, value, sum FROM parked LIMIT 0')
    const row = database.prepare(`SELECT value FROM meta WHERE key = 'version'`).get()
    const version = row === undefined ? SCHEMA_VERSION : Number(row['value'])
    if (!Number.isInteger(version)) throw Object.assign(new Error('its schema version is unreadable'), { errcode: 11 })
    if (version > SCHEMA_VERSION)
      throw new Error(`it has schema version ${version}, this Drawbridge reads ${SCHEMA_VERSION}`)
    database.prepare(`INSERT OR IGNORE INTO meta VALUES ('version', ?)`).run(String(SCHEMA_VERSION))
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

interface Page {
  readonly verdicts: readonly ImageVerdict[]
  readonly problems: readonly string[]
  /** Name of the last row; undefined: there are no more. */
  readonly last: string | undefined
}

type Task = { readonly run: () => () => void; readonly reject: (error: unknown) => void }

function createLedger(database: DatabaseSync, options: SqliteOptions, openProblems: readonly string[]): SqliteLedger {
  const { clock } = options
  const maxVerdicts = options.maxVerdicts ?? 5000
  const maxParked = options.maxParked ?? MAX_PARKED
  const listeners = new Set<(change: VerdictChange) => void>()
  const tasks: Task[] = []
  let scheduled: Promise<void> | undefined
  let closed = false
  /** Verdicts in the file. Undefined: to be counted again, which reads all of it. */
  let held: number | undefined

  const sql = {
    page: database.prepare(`SELECT name, value, sum FROM verdicts WHERE name > ? ORDER BY name LIMIT ${PAGE}`),
    one: database.prepare('SELECT value, sum FROM verdicts WHERE name = ?'),
    count: database.prepare('SELECT count(*) AS count FROM verdicts'),
    put: database.prepare('INSERT OR REPLACE INTO verdicts VALUES (?, ?, ?)'),
    drop: database.prepare('DELETE FROM verdicts WHERE name = ?'),
    parked: database.prepare('SELECT id, since, value, sum FROM parked ORDER BY since, id'),
    countParked: database.prepare('SELECT count(*) AS count FROM parked'),
    park: database.prepare('INSERT OR IGNORE INTO parked VALUES (?, ?, ?, ?)'),
    unpark: database.prepare('DELETE FROM parked WHERE id = ?'),
    countDamaged: database.prepare('SELECT count(*) AS count FROM damaged'),
    keep: database.prepare('INSERT INTO damaged VALUES (?, ?, ?, ?, ?)'),
  }

  /** One transaction for all tasks of this turn. A task that throws loses only itself; a failed commit fails all. */
  const flush = (): void => {
    const batch = tasks.splice(0)
    const settled: { readonly task: Task; readonly acknowledge: () => void }[] = []
    try {
      database.exec('BEGIN IMMEDIATE')
      for (const task of batch) {
        database.exec('SAVEPOINT task')
        try {
          settled.push({ task, acknowledge: task.run() })
          database.exec('RELEASE task')
        } catch (error) {
          held = undefined
          // A full disk may already have rolled everything back: then this throws, and all fail.
          database.exec('ROLLBACK TO task; RELEASE task')
          task.reject(error)
        }
      }
      database.exec('COMMIT')
    } catch (error) {
      held = undefined
      if (database.isTransaction) database.exec('ROLLBACK')
      for (const task of batch) task.reject(clearError(options.file, error))
      return
    }
    for (const { acknowledge } of settled) acknowledge()
  }

  const inTransaction = <Value>(
    work: () => { readonly value: Value; readonly change?: VerdictChange },
  ): Promise<Value> =>
    new Promise((resolve, reject) => {
      if (closed) {
        reject(new Error('the ledger is closed'))
        return
      }
      const run = (): (() => void) => {
        const { value, change } = work()
        return () => {
          if (change !== undefined) for (const listener of listeners) listener(change)
          resolve(value)
        }
      }
      tasks.push({ run, reject })
      scheduled ??= new Promise((done) => {
        setImmediate(() => {
          scheduled = undefined
          flush()
          done()
        })
      })
    })

  const read = (name: string): ImageVerdict | undefined => {
    const row = sql.one.get(name)
    if (row === undefined) return undefined
    const { verdict, problem } = readRow(name, row)
    if (problem !== undefined) keepDamaged('verdicts', name, row['value'], problem)
    return verdict
  }

  /** Takes a row that cannot be read out of its table, so that it is neither lost nor in the way. */
  const keepDamaged = (origin: 'verdicts' | 'parked', key: unknown, value: unknown, problem: string): void => {
    if (Number(sql.countDamaged.get()?.['count'] ?? 0) < MAX_DAMAGED) {
      sql.keep.run(clock(), origin, String(key), String(value), problem)
    }
    held = undefined
    if (origin === 'verdicts') sql.drop.run(String(key))
    else sql.unpark.run(String(key))
  }

  /** The verdicts after that name, as many as a page holds. */
  const loadPage = (after: string): Promise<Page> =>
    inTransaction(() => {
      const problems: string[] = []
      const rows = sql.page.all(after)
      const verdicts = rows.flatMap((row) => {
        const { verdict, problem } = readRow(row['name'], row)
        if (verdict !== undefined) return [verdict]
        keepDamaged('verdicts', row['name'], row['value'], problem)
        const name = JSON.stringify(row['name']).slice(0, 100)
        problems.push(`verdict ${name} in ${options.file} is damaged (${problem}); it was set aside`)
        return []
      })
      const last = rows.length < PAGE ? undefined : String(rows.at(-1)?.['name'])
      return { value: { verdicts, problems, last } }
    })

  const store: VerdictStore = {
    load: async (take) => {
      const problems = [...openProblems]
      const changed = new Set<string>()
      const note = ({ name }: VerdictChange): void => void changed.add(name)
      listeners.add(note)
      const now = (verdict: ImageVerdict): ImageVerdict | undefined =>
        changed.has(verdict.name) ? store.get(verdict.name) : verdict
      try {
        for (let page: Page | undefined = await loadPage(''); page !== undefined;) {
          problems.push(...page.problems)
          // Read while another thread takes this one in; what changes meanwhile is read again.
          const next: Promise<Page> | undefined = page.last === undefined ? undefined : loadPage(page.last)
          ;[page] = await Promise.all([next, take(page.verdicts.flatMap((verdict) => now(verdict) ?? []))])
        }
      } finally {
        listeners.delete(note)
      }
      return problems
    },
    get: (name) => {
      const row = sql.one.get(name)
      // What is damaged is set aside by the next write to it.
      return row === undefined ? undefined : readRow(name, row).verdict
    },
    write: (name, update) =>
      inTransaction<ImageVerdict>(() => {
        const current = read(name)
        const next = update(current)
        if (current !== undefined && (next === current || sameVerdict(current, next))) return { value: current }
        held ??= Number(sql.count.get()?.['count'] ?? 0)
        if (current === undefined && held >= maxVerdicts) {
          throw new StoreBusyError(`the ledger holds ${maxVerdicts} verdicts already`, true)
        }
        const text = writeVerdict(next)
        sql.put.run(name, text, sumOf(text))
        if (current === undefined) held += 1
        return { value: next, change: { name, verdict: next } }
      }),
    remove: (name, mayRemove) =>
      inTransaction<boolean>(() => {
        const current = read(name)
        if (current === undefined || !mayRemove(current)) return { value: false }
        sql.drop.run(name)
        held = held && held - 1
        return { value: true, change: { name } }
      }),
    watch: (onChange) => {
      listeners.add(onChange)
      return () => listeners.delete(onChange)
    },
    close: () => close(),
  }

  const parking: ParkingLot = {
    park: (alerts) =>
      inTransaction<void>(() => {
        for (const { id, since, alert } of alerts) {
          const text = JSON.stringify(alert)
          const { changes } = sql.park.run(id, since, text, sumOf(text))
          if (Number(changes) > 0 && Number(sql.countParked.get()?.['count'] ?? 0) > maxParked) {
            throw new StoreBusyError(`${maxParked} alerts are parked already`)
          }
        }
        return { value: undefined }
      }),
    list: () =>
      inTransaction<readonly ParkedAlert[]>(() => {
        const parked: ParkedAlert[] = []
        for (const row of sql.parked.all()) {
          const alert = readAlert(row['value'], row['sum'])
          if (alert === undefined) keepDamaged('parked', row['id'], row['value'], 'its checksum is wrong')
          else parked.push({ id: String(row['id']), since: Number(row['since']), alert })
        }
        return { value: parked }
      }),
    remove: (ids) =>
      inTransaction<void>(() => {
        for (const id of ids) sql.unpark.run(id)
        return { value: undefined }
      }),
  }

  const close = async (): Promise<void> => {
    if (closed) return
    closed = true
    await scheduled
    database.close()
  }

  return { store, parking, problems: openProblems, close }
}
