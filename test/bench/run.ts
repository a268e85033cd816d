/**
 * Measures, prints a table and writes `bench/results.json`.
 *
 *   node dist/test/bench/run.js [--scale 0.1] [--only NAME[,NAME]]
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { arch, cpus } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { root } from '../process/server.ts'
import { measurements } from './index.ts'
import type { Figure } from './types.ts'

const { values } = parseArgs({
  options: { scale: { type: 'string', default: '1' }, only: { type: 'string' } },
})
const scale = Number(values.scale)
if (!(scale > 0 && scale <= 10)) throw new Error(`--scale ${values.scale}: wanted a number over 0, at most 10`)
const wanted = values.only?.split(',')
const unknown = wanted?.filter((name) => measurements.every((one) => one.name !== name)) ?? []
if (unknown.length > 0)
  throw new Error(`--only ${unknown.join(', ')}: known are ${measurements.map(({ name }) => name).join(', ')}`)

const shown = (value: number): string =>
  value >= 100 ? Math.round(value).toLocaleString('en') : value.toFixed(value >= 10 ? 1 : 2)

const figures: (Figure & { readonly measurement: string })[] = []
let failed = false
for (const { name, run } of measurements) {
  if (wanted !== undefined && !wanted.includes(name)) continue
  process.stderr.write(`${name} ...\n`)
  const started = performance.now()
  try {
    const found = await run({ scale, report: (line) => process.stderr.write(`  ${line}\n`) })
    figures.push(...found.map((figure) => ({ measurement: name, ...figure })))
    for (const { what, value, unit } of found) process.stderr.write(`  ${what}: ${shown(value)} ${unit}\n`)
  } catch (error) {
    failed = true
    process.stderr.write(`  failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
  }
  process.stderr.write(`  ${((performance.now() - started) / 1000).toFixed(0)} s\n`)
}

console.log('\n| what | figure | how |\n|---|---|---|')
for (const { what, value, unit, note } of figures) console.log(`| ${what} | ${shown(value)} ${unit} | ${note ?? ''} |`)
mkdirSync(join(root, 'bench'), { recursive: true })
const machine = { node: process.version, cpu: cpus()[0]?.model ?? 'unknown', cores: cpus().length, arch: arch() }
writeFileSync(
  join(root, 'bench/results.json'),
  `${JSON.stringify({ date: new Date().toISOString(), scale, machine, figures }, null, 2)}\n`,
)
process.exit(failed ? 1 : 0)
