import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import {
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { openSqliteLedger, type SqliteLedger, type SqliteOptions } from '../../src/adapters/sqlite.ts'
import { createCorrelator } from '../../src/correlator/correlator.ts'
import { eventKey } from '../../src/correlator/dedupe.ts'
import { StoreBusyError, type ImageVerdict, type VerdictChange } from '../../src/verdicts/types.ts'
import { parseReference } from '../../src/kube/reference.ts'
import { alert, contribution, facts, NOW, numberedName as name, verdict } from '../correlator/support.ts'
import { loaded } from '../correlator/loaded.ts'

const numbered = (n: number, changes: Partial<ImageVerdict> = {}): ImageVerdict =>
  verdict({ name: name(n), digests: [`sha256:${n.toString(16).padStart(64, '0')}`], ...changes })

const start = async (ledger: SqliteLedger) => {
  const correlator = createCorrelator({
    store: ledger.store,
    parking: ledger.parking,
    parseReference,
    clock: () => NOW,
  })
  return { correlator, problems: await correlator.start() }
}

describe('adapters/sqlite', function () {
  this.timeout(20_000)
  let folder = ''
  let file = ''
  const opened: SqliteLedger[] = []
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'drawbridge-sqlite-'))
    file = join(folder, 'ledger.db')
  })
  afterEach(async () => {
    for (const ledger of opened.splice(0)) await ledger.close()
    rmSync(folder, { recursive: true })
  })
  const open = async (options: Partial<SqliteOptions> = {}): Promise<SqliteLedger> => {
    const ledger = await openSqliteLedger({ file, clock: () => NOW, lockWaitMs: 50, ...options })
    opened.push(ledger)
    return ledger
  }
  const filled = async (count: number): Promise<void> => {
    const ledger = await open()
    await Promise.all(Array.from({ length: count }, (_, n) => ledger.store.write(name(n), () => numbered(n))))
    await ledger.parking.park([{ id: 'p', since: NOW, alert: alert() }])
    await ledger.close()
  }

  it('hands over every page, and of what changes meanwhile what is there then', async () => {
    const count = 1201
    const { store } = await open()
    await Promise.all(Array.from({ length: count }, (_, n) => store.write(name(n), () => numbered(n))))
    const sorted = Array.from({ length: count }, (_, n) => name(n)).sort()
    // On the page that is read while the first one is taken in.
    const [gone, changed] = [sorted[600]!, sorted[700]!]
    const met = new Map<string, ImageVerdict>()
    let pages = 0
    await store.load(async (page) => {
      if (pages++ === 0) {
        await store.remove?.(gone, () => true)
        await store.write(changed, (current) => ({ ...(current ?? assert.fail()), phase: 'released' }))
      }
      for (const one of page) met.set(one.name, one)
    })
    assert.deepEqual(
      [...met.keys()],
      sorted.filter((one) => one !== gone),
    )
    assert.equal(met.get(changed)?.phase, 'released')
    assert.equal(pages, 3)
  })

  it('keeps reach, decisions and mutes over a restart, and reads rows that lack them', async () => {
    const whole = numbered(1, {
      contributions: facts([contribution({ own: true })]).contributions,
      reach: { elsewhere: 'none', denying: ['shop'], warning: ['blog'] },
      release: { by: 'ann', reason: 'ok', at: NOW, until: NOW + 1, as: 'false-positive' },
      confirm: { by: 'bob', reason: 'ok', at: NOW },
      mute: { by: 'cy', reason: 'ok', at: NOW, until: NOW + 1 },
      muted: { at: NOW, repositories: ['registry.example/shop/web'], acts: [{ class: 'drop', target: '' }] },
    })
    const ledger = await open()
    await ledger.store.write(whole.name, () => whole)
    await ledger.store.write(name(2), () => numbered(2))
    await ledger.close()
    assert.deepEqual((await loaded((await open()).store)).verdicts, [whole, numbered(2)])
  })

  it('refuses a verdict that it could not read back, and only that one', async () => {
    const ledger = await open()
    const results = await Promise.allSettled([
      ledger.store.write('sha512-1', () => numbered(1, { name: 'sha512-1' })),
      ledger.store.write(name(2), () => numbered(2)),
    ])
    assert.deepEqual(
      results.map(({ status }) => status),
      ['rejected', 'fulfilled'],
    )
    const { verdicts, problems } = await loaded(ledger.store)
    assert.deepEqual([verdicts.map((stored) => stored.name), problems], [[name(2)], []])
  })

  it('keeps the denial of an image pinned by sha512, with its names in order, over a restart', async () => {
    const image = `registry.example/shop/web@sha512:${'7'.repeat(128)}`
    const first = await open()
    const { correlator } = await start(first)
    await correlator.handle([alert({ image })])
    const before = correlator.list()
    await first.close()
    const again = await start(await open())
    assert.deepEqual([again.problems, again.correlator.list()], [[], before])
    assert.deepEqual([before[0]?.phase, before[0]?.alerted], ['denying', { digests: 1, references: 1 }])
  })

  it('denies when it is full of verdicts that only observe', async () => {
    const ledger = await open({ maxVerdicts: 3 })
    const { correlator } = await start(ledger)
    const weak = (n: number) => alert({ rule: 'Read sensitive file untrusted', image: `registry.example/w:${n}` })
    await correlator.handle([weak(1), weak(2), weak(3)])
    const outcomes = await correlator.handle([alert(), weak(4)])
    assert.deepEqual(
      outcomes.map(({ decision }) => decision),
      ['contributed', 'no-room'],
    )
    const { verdicts } = await loaded(ledger.store)
    assert.deepEqual(verdicts.map(({ phase }) => phase).toSorted(), ['denying', 'observing', 'observing'])
  })

  it('keeps verdicts and parked alerts, mode 0600', async () => {
    const first = await open()
    const parked = { id: 'a', since: NOW, alert: alert() }
    assert.deepEqual(
      await first.store.write(name(1), (current) => (assert.equal(current, undefined), numbered(1))),
      numbered(1),
    )
    await first.parking.park([parked, parked])
    await first.store.write(name(1), (current) => ({ ...(current ?? assert.fail()), phase: 'warning' }))
    assert.equal(statSync(file).mode & 0o777, 0o600)
    assert.equal(statSync(`${file}-wal`).mode & 0o777, 0o600)
    await first.close()
    const second = await open()
    assert.deepEqual(await loaded(second.store), { verdicts: [numbered(1, { phase: 'warning' })], problems: [] })
    assert.deepEqual(await second.parking.list(), [parked])
    await second.parking.remove(['a', 'b'])
    assert.deepEqual(await second.parking.list(), [])
  })

  it('tells watchers of changes only, in order, before the write resolves', async () => {
    const { store } = await open()
    const changes: VerdictChange[] = []
    const stop = store.watch((change) => void changes.push(change))
    await store.write(name(1), () => numbered(1))
    assert.deepEqual(changes, [{ name: name(1), verdict: numbered(1) }])
    await store.write(name(1), (current) => current ?? assert.fail())
    await store.write(name(1), () => numbered(1))
    assert.equal(changes.length, 1)
    assert.equal(await store.remove?.(name(1), () => false), false)
    assert.equal(await store.remove?.(name(1), () => true), true)
    assert.equal(await store.remove?.(name(1), () => true), false)
    assert.deepEqual(changes.at(-1), { name: name(1) })
    stop()
    await store.write(name(2), () => numbered(2))
    assert.equal(changes.length, 2)
  })

  it('loses only the write whose update throws', async () => {
    const { store } = await open()
    const results = await Promise.allSettled([
      store.write(name(1), () => numbered(1)),
      store.write(name(2), () => {
        throw new Error('mine')
      }),
      store.write(name(1), (current) => ({ ...(current ?? assert.fail()), phase: 'warning' })),
    ])
    assert.deepEqual(
      results.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    )
    assert.deepEqual((await loaded(store)).verdicts, [numbered(1, { phase: 'warning' })])
  })

  it('is bounded', async () => {
    const { store, parking } = await open({ maxVerdicts: 1, maxParked: 1 })
    await store.write(name(1), () => numbered(1))
    await assert.rejects(
      store.write(name(2), () => numbered(2)),
      StoreBusyError,
    )
    await store.write(name(1), () => numbered(1, { phase: 'warning' }))
    await parking.park([{ id: 'a', since: 1, alert: alert() }])
    await assert.rejects(parking.park([{ id: 'b', since: 1, alert: alert() }]), StoreBusyError)
    await parking.park([{ id: 'a', since: 1, alert: alert() }])
    assert.equal((await parking.list()).length, 1)
  })

  it('rejects after close', async () => {
    const ledger = await open()
    const { store } = ledger
    const last = store.write(name(1), () => numbered(1))
    await ledger.close()
    await last
    await assert.rejects(loaded(store), /the ledger is closed/)
  })

  it('belongs to one process; a lock left by SIGKILL does not hold', async () => {
    const module = new URL('../../src/adapters/sqlite.js', import.meta.url).href
    const script = `
      import { openSqliteLedger } from ${JSON.stringify(module)}
      const { store } = await openSqliteLedger({ file: ${JSON.stringify(file)}, clock: Date.now })
      for (let n = 0; n < 20; n++) await store.write('sha256-' + n.toString(16).padStart(64, '0'), () => ({ ...${JSON.stringify(numbered(0))}, name: 'sha256-' + n.toString(16).padStart(64, '0') }))
      process.stdout.write('written')
      setInterval(() => {}, 1000)`
    const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const exited = new Promise((resolve) => child.once('exit', resolve))
    try {
      await new Promise((resolve) => child.stdout.once('data', resolve))
      await assert.rejects(open(), {
        message: `the ledger ${file} is in use by another process; give this one a data folder of its own (--data)`,
      })
    } finally {
      child.kill('SIGKILL')
      await exited
    }
    const { store, problems } = await open()
    assert.deepEqual(problems, [])
    assert.equal((await loaded(store)).verdicts.length, 20)
    await assert.rejects(open(), {
      message: `the ledger ${file} is in use by another process; give this one a data folder of its own (--data)`,
    })
    await store.write(name(99), () => numbered(99))
  })

  it('refuses a folder that is not there and a file of a newer Drawbridge, and moves neither', async () => {
    await assert.rejects(
      openSqliteLedger({ file: join(folder, 'no/ledger.db'), clock: () => NOW }),
      /the ledger .* cannot be used: ENOENT/,
    )
    await filled(1)
    const database = new DatabaseSync(file)
    database.exec(`UPDATE meta SET value = '2'`)
    database.close()
    await assert.rejects(open(), {
      message: `the ledger ${file} cannot be used: it has schema version 2, this Drawbridge reads 1`,
    })
    assert.deepEqual(readdirSync(folder), ['ledger.db'])
  })

  it('moves a file that is no database aside and starts with a fresh one', async () => {
    writeFileSync(file, 'no database at all'.repeat(100))
    const { store, problems } = await open()
    const aside = `${file}.damaged-20261122T061000Z`
    assert.deepEqual(problems, [
      `the ledger ${file} is damaged (file is not a database); it was moved to ${aside}, 0 verdicts and 0 parked alerts were saved`,
    ])
    assert.equal(readFileSync(aside, 'utf8').slice(0, 18), 'no database at all')
    assert.deepEqual(await loaded(store), { verdicts: [], problems })
    await store.write(name(1), () => numbered(1))
  })

  it('moves a database of somebody else aside', async () => {
    const database = new DatabaseSync(file)
    database.exec('CREATE TABLE verdicts (id INTEGER)')
    database.close()
    assert.equal((await open()).problems.length, 1)
  })

  it('does not let SQLite delete the log of a database that was emptied', async () => {
    writeFileSync(file, '')
    writeFileSync(`${file}-wal`, 'log')
    assert.match((await open()).problems[0] ?? '', /the database is empty but its log is not/)
    assert.deepEqual(
      readdirSync(folder)
        .filter((entry) => entry.includes('damaged'))
        .sort(),
      ['ledger.db.damaged-20261122T061000Z', 'ledger.db.damaged-20261122T061000Z-wal'],
    )
  })

  it('saves what is readable of a truncated file', async () => {
    await filled(200)
    const size = statSync(file).size
    truncateSync(file, Math.floor((size * 0.75) / 4096) * 4096)
    const { store, problems } = await open()
    const [, saved] = /, (\d+) verdicts and \d+ parked alerts were saved$/.exec(problems[0] ?? '') ?? []
    const { verdicts } = await loaded(store)
    assert.equal(verdicts.length, Number(saved))
    assert.ok(verdicts.length >= 50 && verdicts.length < 200, `${verdicts.length}`)
    for (const found of verdicts) assert.deepEqual(found, numbered(Number.parseInt(found.name.slice(7), 16)))
  })

  it('sets a row aside whose text was changed, and says so', async () => {
    await filled(3)
    const bytes = readFileSync(file)
    const at = bytes.indexOf(`"name":"${name(1)}"`) + 20
    bytes[at] = (bytes[at] ?? 0) ^ 1
    writeFileSync(file, bytes)
    const { store } = await open()
    const { verdicts, problems } = await loaded(store)
    assert.deepEqual(
      [verdicts.map((found) => found.name), problems],
      [[name(0), name(2)], [`verdict "${name(1)}" in ${file} is damaged (its checksum is wrong); it was set aside`]],
    )
    assert.deepEqual((await loaded(store)).problems, [])
    await store.close()
    const database = new DatabaseSync(file)
    assert.deepEqual(
      { ...database.prepare('SELECT origin, name, problem FROM damaged').get() },
      { origin: 'verdicts', name: name(1), problem: 'its checksum is wrong' },
    )
    database.close()
  })

  it('opens after any flipped byte with nothing but what was written', async () => {
    await filled(40)
    const whole = `${file}.whole`
    copyFileSync(file, whole)
    const { size } = statSync(whole)
    // Every place of the header, then a stride through all pages; one file each.
    const places = [
      ...Array.from({ length: 25 }, (_, n) => n * 4),
      ...Array.from({ length: 60 }, (_, n) => 100 + Math.floor((n * (size - 101)) / 60)),
    ]
    for (const place of places) {
      const bytes = readFileSync(whole)
      bytes[place] = (bytes[place] ?? 0) ^ 0xff
      writeFileSync(file, bytes)
      rmSync(`${file}-wal`, { force: true })
      const { store } = await open()
      const { verdicts } = await loaded(store)
      for (const found of verdicts)
        assert.deepEqual(found, numbered(Number.parseInt(found.name.slice(7), 16)), `byte ${place}`)
      await store.write(name(1000), () => numbered(1000))
      await store.close()
      for (const entry of readdirSync(folder)) if (entry.includes('damaged')) rmSync(join(folder, entry))
    }
  })

  it('carries a correlator over a restart', async () => {
    const ledger = await open()
    const { correlator } = await start(ledger)
    const event = alert()
    const outcomes = await Promise.all(
      Array.from({ length: 100 }, (_, n) => correlator.handle([alert({ image: `registry.example/a:${n}` }), event])),
    )
    assert.equal(outcomes.flat().filter(({ decision }) => decision === 'contributed').length, 101)
    await ledger.parking.park([{ id: eventKey(event), since: NOW, alert: event }])
    await ledger.close()
    const again = await start(await open())
    assert.deepEqual([again.problems, again.correlator.list().length], [[], 101])
    assert.ok(again.correlator.list().every(({ phase }) => phase === 'denying'))
  })
})
