/**
 * Measures, prints a table and writes `bench/results.json`.
 *
 *   make bench [ONLY=NAME[,NAME]] [SCALE=0.1]
 */
import { readFileSync } from 'node:fs'
import { arch, cpus, loadavg } from 'node:os'
import { parseArgs } from 'node:util'

import { measurements } from './index.ts'
import { describeGoal, describeValue } from './judge.ts'
import { readResults, tableOf, writeResults } from './results.ts'
import type { Results } from './results.ts'

const NAMES = measurements.map(({ name }) => name).join(', ')
const HELP = `Usage: make bench [ONLY=NAME[,NAME]] [SCALE=NUMBER]

Measures, prints a table and keeps it in bench/results.json, beside what was measured before.

  ONLY   some of: ${NAMES}
  SCALE  how much is measured: 1 is all of it (20 minutes), 0.1 a tenth; over 0, at most 10

A goal that is missed is said in the table and is no error.

  make bench ONLY=compute,endpoint SCALE=0.2
`

/** Ends with one clear line. */
function refuse(message: string): never {
  process.stderr.write(`bench: ${message}\n`)
  process.exit(2)
}

function readOptions(): { readonly scale: number; readonly wanted: readonly string[] | undefined } {
  let values
  try {
    const options = { scale: { type: 'string' }, only: { type: 'string' }, help: { type: 'boolean' } } as const
    values = parseArgs({ options }).values
  } catch (error) {
    return refuse(`${error instanceof Error ? error.message : String(error)}; --help says what there is`)
  }
  if (values.help === true) {
    process.stdout.write(HELP)
    process.exit(0)
  }
  const scale = Number(values.scale ?? 1)
  if (!(scale > 0 && scale <= 10)) refuse(`SCALE=${values.scale}: wanted a number over 0, at most 10`)
  const wanted = values.only?.split(',')
  const unknown = wanted?.filter((name) => measurements.every((one) => one.name !== name)) ?? []
  if (unknown.length > 0) refuse(`ONLY=${unknown.join(',')}: known are ${NAMES}`)
  return { scale, wanted }
}

const { scale, wanted } = readOptions()

/** CPU ticks of all cores since the start, and how many of them the host took (Linux: https://man7.org/linux/man-pages/man5/proc_stat.5.html). */
function ticks(): { readonly all: number; readonly taken: number } | undefined {
  try {
    const fields = /^cpu +(.*)$/m.exec(readFileSync('/proc/stat', 'utf8'))![1]!.split(' ').map(Number)
    // The eighth is steal; what follows is counted in the first two already.
    return { all: fields.slice(0, 8).reduce((sum, value) => sum + value, 0), taken: fields[7]! }
  } catch {
    return undefined
  }
}

/** Undefined where it is not known. */
function takenSince(before: ReturnType<typeof ticks>): number | undefined {
  const after = ticks()
  return before === undefined || after === undefined || after.all === before.all
    ? undefined
    : (after.taken - before.taken) / (after.all - before.all)
}

const machine = { node: process.version, cpu: cpus()[0]?.model ?? 'unknown', cores: cpus().length, arch: arch() }
const measured: Results['measured'][number][] = []
let failed = false
for (const { name, run } of measurements) {
  if (wanted !== undefined && !wanted.includes(name)) continue
  process.stderr.write(`${name} ...\n`)
  const started = performance.now()
  const [load = Number.NaN] = loadavg()
  const before = ticks()
  try {
    const found = await run({ scale, report: (line) => process.stderr.write(`  ${line}\n`) })
    const taken = takenSince(before)
    measured.push({ name, date: new Date().toISOString(), scale, load, taken, machine, figures: found })
    for (const figure of found)
      process.stderr.write(
        `  ${figure.what}: ${describeValue(figure.value)} ${figure.unit}${figure.goal === undefined ? '' : ` (${describeGoal(figure)})`}\n`,
      )
  } catch (error) {
    failed = true
    process.stderr.write(`  failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
  }
  process.stderr.write(`  ${((performance.now() - started) / 1000).toFixed(0)} s\n`)
}

console.log(`\n${tableOf(measured.flatMap(({ figures }) => figures))}`)

// What was not measured now is kept from before: a part may be repeated without the rest.
const earlier = readResults()
const known = new Set(measured.map(({ name }) => name))
const all = [...earlier.measured.filter(({ name }) => !known.has(name)), ...measured]
const places = measurements.map(({ name }) => name)
writeResults({ measured: all.toSorted((left, right) => places.indexOf(left.name) - places.indexOf(right.name)) })
process.exit(failed ? 1 : 0)
