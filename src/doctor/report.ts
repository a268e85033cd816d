/** Findings as text for people, problems first, and as JSON for programs. */
import { clean, wrap } from '../cli/io.ts'
import type { Finding, Level } from './types.ts'

/** A finding and the check that it is of. */
export interface NamedFinding extends Finding {
  readonly check: string
}

const LEVELS: readonly Level[] = ['problem', 'warning', 'unknown', 'ok']
const LEVEL_WIDTH = 9

const summary = (findings: readonly NamedFinding[]): string => {
  const number = (level: Level): number => findings.filter((finding) => finding.level === level).length
  const plural = (level: 'problem' | 'warning'): string => `${number(level)} ${level}${number(level) === 1 ? '' : 's'}`
  return `${plural('problem')}, ${plural('warning')}, ${number('unknown')} unknown, ${number('ok')} ok`
}

/** Exit codes are the caller's. `columns`: width of the terminal, undefined: lines are not broken. */
export function textReport(findings: readonly NamedFinding[], columns: number | undefined): string {
  const width = Math.max(0, ...findings.map(({ check }) => check.length)) + 2
  const indent = LEVEL_WIDTH + width
  const sorted = LEVELS.flatMap((level) => findings.filter((finding) => finding.level === level))
  const lines = sorted.flatMap((finding, index) => {
    const { level, check, found, todo } = finding
    const next = sorted[index + 1]
    const isRepeated = next?.check === check && next.level === level && next.todo === todo
    const head = `${level.toUpperCase().padEnd(LEVEL_WIDTH)}${check.padEnd(width)}`
    return [
      wrap(`${head}${clean(found)}`, columns, indent),
      // A command is never broken: it is there to be copied.
      ...(todo === undefined || isRepeated ? [] : [`${' '.repeat(indent)}> ${clean(todo)}`]),
    ]
  })
  return `${[...lines, '', summary(findings)].join('\n')}\n`
}

export const jsonReport = (findings: readonly NamedFinding[]): string =>
  `${JSON.stringify({ findings: LEVELS.flatMap((level) => findings.filter((finding) => finding.level === level)) }, null, 2)}\n`
