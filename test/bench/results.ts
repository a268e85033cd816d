/** `bench/results.json`, and the table of it. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { root } from '../process/server.ts'
import { describeGoal, describeValue, share } from './judge.ts'
import type { Figure } from './types.ts'

export interface Results {
  /** In the order of `index.ts`. */
  readonly measured: readonly {
    /** Of the measurement. */
    readonly name: string
    readonly date: string
    /** How much was measured: 1 is the full run. */
    readonly scale: number
    /** Of the last minute before it began: processes that wanted a core. Well under 1: the machine was idle. */
    readonly load: number
    /** Part of the CPU time that the host of a virtual machine gave to others meanwhile, 0 to 1. Absent: not known. */
    readonly taken?: number | undefined
    readonly machine: { readonly node: string; readonly cpu: string; readonly cores: number; readonly arch: string }
    readonly figures: readonly Figure[]
  }[]
}

const FILE = join(root, 'bench/results.json')

/** What was measured last; nothing at first. */
export function readResults(): Results {
  return existsSync(FILE) ? (JSON.parse(readFileSync(FILE, 'utf8')) as Results) : { measured: [] }
}

export function writeResults(results: Results): void {
  mkdirSync(join(root, 'bench'), { recursive: true })
  writeFileSync(FILE, `${JSON.stringify(results, null, 2)}\n`)
}

/** A Markdown table. */
export function tableOf(figures: readonly Figure[]): string {
  const rows = figures.map((figure) => {
    const { what, value, unit, note, goal } = figure
    const met = goal === undefined ? '' : share(value, goal) >= 1 ? 'met' : 'missed'
    return `| ${what} | ${`${describeValue(value)} ${unit}`.trim()} | ${describeGoal(figure)} | ${met} | ${note ?? ''} |`
  })
  return ['| what | figure | goal | | how |', '|---|---|---|---|---|', ...rows].join('\n')
}
