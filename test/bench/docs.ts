/** `make bench-docs`: writes the table and the charts of docs/performance.md from `bench/results.json`. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { root } from '../process/server.ts'
import { barChart } from './charts.ts'
import type { Chart } from './charts.ts'
import { WORKS } from './endpoint.ts'
import { peers } from './peers/index.ts'
import { median } from './paired.ts'
import { bothOf, ofFloorOf, oneOf } from './peersBeside.ts'
import { readResults, tableOf } from './results.ts'
import type { Results } from './results.ts'

const PAGE = join(root, 'docs/performance.md')
const MARKS = ['<!-- table: make bench-docs -->', '<!-- end of table -->'] as const

/** Throws with its name when a figure was not measured: half a chart would be a wrong one. */
function valueOf({ measured }: Results, what: string): number {
  const figure = measured.flatMap(({ figures }) => figures).find((one) => one.what === what)
  if (figure === undefined)
    throw new Error(`bench/results.json has no "${what}": run make bench ONLY=endpoint,peers first`)
  return figure.value
}

/** The charts by file name. */
export function chartsOf(results: Results): Readonly<Record<string, Chart>> {
  /** Of the floor, by what is measured beside each peer and by that peer beside the floor. */
  const beside = (whatOf: (name: string) => string): number =>
    median(peers.map(({ name }) => valueOf(results, whatOf(name)) * valueOf(results, ofFloorOf(name))))
  return {
    'throughput.svg': {
      title: 'Requests per second at 16 connections, of a bare Node server',
      unit: 'x',
      bars: WORKS.map(({ what }) => ({
        label: what,
        value: valueOf(results, `${what}: requests at 16 connections, of the floor`),
        own: true,
      })),
      line: { value: 0.8, label: 'goal: at least 0.8' },
    },
    'latency.svg': {
      title: 'Latency at one connection, of a bare Node server',
      unit: 'x',
      bars: WORKS.flatMap(({ what }) =>
        ['p50', 'p99'].map((part) => ({
          label: `${what}, ${part}`,
          value: valueOf(results, `${what}: ${part} at one connection, of the floor`),
          own: true,
        })),
      ),
      line: { value: 1.15, label: 'goal of p50: at most 1.15' },
    },
    'beside.svg': {
      title: 'Validating at 16 connections on two cores, of a bare Node server',
      unit: 'x',
      bars: [
        { label: 'bare Node https (the floor), one process', value: 1 },
        { label: 'Drawbridge, two replicas', value: beside(bothOf), own: true },
        { label: 'Drawbridge, one replica', value: beside(oneOf), own: true },
        ...peers.map(({ name, runs }) => ({ label: `${name}, ${runs}`, value: valueOf(results, ofFloorOf(name)) })),
      ],
    },
  }
}

/** The page with the table between its marks. Throws where a part that stands there was not measured. */
export function pageWith(page: string, { measured }: Results): string {
  const [from, to] = MARKS.map((mark) => page.indexOf(mark))
  if (from === undefined || to === undefined || from === -1 || to < from)
    throw new Error('docs/performance.md has no marks')
  const known = new Set(measured.map(({ name }) => name))
  const dropped = [...page.slice(from, to).matchAll(/^\*\*([\w-]+)\*\* \(/gm)]
    .map(([, name]) => name!)
    .filter((name) => !known.has(name))
  if (dropped.length > 0)
    throw new Error(`the page would lose ${dropped.join(', ')}: run make bench ONLY=${dropped.join(',')} first`)
  const parts = measured.map(({ name, date, scale, load, taken, machine, figures }) =>
    [
      `**${name}** (${date.slice(0, 10)}, Node ${machine.node.slice(1)}, ${machine.cores} cores, load before it ${load.toFixed(1)}${taken === undefined ? '' : `, ${(100 * taken).toFixed(0)} % of the CPU taken by the host`}${scale === 1 ? '' : `, scale ${scale}`})`,
      '',
      tableOf(figures),
      '',
    ].join('\n'),
  )
  return `${page.slice(0, from)}${MARKS[0]}\n\n${parts.join('\n')}\n${page.slice(to)}`
}

if (process.argv[1] === import.meta.filename) {
  try {
    const results = readResults()
    // Both before anything is written.
    const charts = Object.entries(chartsOf(results))
    const page = pageWith(readFileSync(PAGE, 'utf8'), results)
    mkdirSync(join(root, 'docs/images'), { recursive: true })
    for (const [file, chart] of charts) writeFileSync(join(root, 'docs/images', file), barChart(chart))
    writeFileSync(PAGE, page)
  } catch (error) {
    process.stderr.write(`bench-docs: ${error instanceof Error ? error.message : String(error)}\n`)
    process.exit(1)
  }
}
