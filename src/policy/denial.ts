import { EXCEPTION_ANNOTATION } from '../kube/names.ts'
import { printable, shorten } from '../kube/text.ts'
import { formatProfile } from './namespace.ts'
import type { ProfileAtVersion, Violation } from './types.ts'

/** A denial's message in bytes; every text here is printable ASCII (and `\n`), so bytes are characters. */
export const MAX_DENIAL = 1024
/** A warning in characters: the API server may cut what is longer than 256. */
export const MAX_WARNING = 255
/** All warnings about one profile together; the API server stops passing warnings on at 4096. */
const MAX_PROFILE_WARNINGS = 1600
/** What violations keep of a denial that also quotes verdicts. */
const RESERVED_FOR_VIOLATIONS = 450
/** Pod names may be longer (253); the sizes above are chosen so that every part of a denial keeps at least one line. */
const MAX_NAME = 63

/** What is judged: `kind` as the user wrote it (`Pod`, `Deployment`), `name` hostile. */
export interface Subject {
  readonly kind: string
  readonly name: string
  /** Where the template stands, as `FoundTemplate.path`: empty for a pod. */
  readonly path: string
}

/** A verdict's line and the image's place in the pod. */
export interface FlaggedLine {
  readonly path: string
  readonly text: string
}

/** `pod "web"`, `Deployment "web"`. */
export const nameSubject = ({ kind, name }: Subject): string =>
  `${kind === 'Pod' ? 'pod' : printable(kind, 40)} "${printable(name, MAX_NAME)}"`

/**
 * One violation in one line of at most 255 characters, the same in denials, warnings and on the command line (rule 6): what, check, path,
 * found, required, how to fix, how to get an exception. `templatePath` goes before the path. Values are escaped; where the
 * line would be too long they are shortened, the advice is not.
 */
export const violationLine = (violation: Violation, templatePath = ''): string => {
  const { check, reason, required, fix } = violation
  const path = templatePath === '' ? violation.path : `${templatePath}.${violation.path}`
  const write = (widths: { readonly container: number; readonly path: number; readonly found: number }): string => {
    const container =
      violation.container === undefined ? '' : `container "${printable(violation.container, widths.container)}": `
    const place = `${printable(path, widths.path)} is ${printable(violation.found, widths.found)}`
    const what = nameCheck(check, reason)
    return `${what}: ${container}${place}, must be ${required}; fix: ${fix}; exception: ${EXCEPTION_ANNOTATION}`
  }
  const full = write({ container: 63, path: 160, found: 80 })
  if (full.length <= MAX_WARNING) return full
  const narrow = { container: 20, path: 3, found: 24 }
  const room = MAX_WARNING - write(narrow).length + narrow.path
  return shorten(write({ ...narrow, path: Math.max(room, narrow.path) }), MAX_WARNING)
}

/** Upstream's phrase and the check's ID, without saying the same twice: `host namespaces (hostNamespaces)`, `runAsNonRoot != true`. */
const nameCheck = (check: string, reason: string): string => {
  if (reason.includes(check)) return reason
  return check.includes(reason) ? check : `${reason} (${check})`
}

export interface DenialParts {
  readonly subject: Subject
  /** Namespace labels that could not be resolved: said first, they explain the rest. */
  readonly problems: readonly string[]
  readonly enforce: ProfileAtVersion | undefined
  readonly violations: readonly Violation[]
  readonly flagged: readonly FlaggedLine[]
  /** Why the exceptions that were asked for did not help, one line each. */
  readonly exceptions?: readonly string[] | undefined
  /** How the workload gets rid of the flagged image, one line of at most 240 characters; never cut. */
  readonly rollback?: string | undefined
  /** A last line, for example about mirror pods. */
  readonly note?: string | undefined
}

/**
 * The message of a denial: at most 1 KiB, one line per failed check and verdict, and "and N more" for what did not fit. Every failed check
 * gets a line before any gets its second.
 */
export const denialText = (parts: DenialParts): string => {
  const { subject, problems, enforce, violations, flagged, note } = parts
  const name = nameSubject(subject)
  const blocks: string[] = []
  const room = (): number => MAX_DENIAL - blocks.reduce((sum, block) => sum + block.length + 1, 0)
  const exceptions = (parts.exceptions ?? []).slice(0, countExceptionNotes(parts))
  const rollback = hasRoomForRollback(parts) ? [printable(parts.rollback ?? '', MAX_WARNING)] : []
  const last = [...exceptions, ...rollback, ...(note === undefined ? [] : [printable(note, 200)])]
    .map((line) => `\n${line}`)
    .join('')

  const [problem] = problems
  if (problem !== undefined) blocks.push(`drawbridge: ${printable(problem, 240)}`)
  if (flagged.length > 0) {
    const header = `drawbridge: ${name} uses an image that runtime alerts flagged:`
    const reserved = violations.length > 0 ? RESERVED_FOR_VIOLATIONS : 0
    const budget = room() - header.length - reserved - last.length
    const lines = flagged.map((line) => `- ${flaggedLine(line, subject.path, budget - MORE_WIDTH - 3)}`)
    const count = countFitting(lines, lines.length, budget)
    const missing = lines.length - count
    blocks.push([header, ...lines.slice(0, count), ...(missing === 0 ? [] : [`- and ${missing} more`])].join('\n'))
  }
  if (violations.length > 0 && enforce) {
    const header = `drawbridge: ${name} breaks profile ${formatProfile(enforce)}:`
    const budget = room() - header.length - last.length
    blocks.push([header, ...violationLines(violations, subject.path, budget, '- ')].join('\n'))
  }
  return `${blocks.join('\n')}${last}`
}

/**
 * How many of the lines about exceptions a denial has room for, the first ones; whoever sends the denial puts the others into warnings.
 * They get what is left beside label problems, verdicts and at least one violation.
 */
export const countExceptionNotes = (parts: DenialParts): number => {
  const { exceptions = [], problems, flagged } = parts
  const others = [problems.length > 0, flagged.length > 0, hasRoomForRollback(parts)].filter(Boolean).length
  return countFitting(exceptions, exceptions.length, EXCEPTION_NOTES[others] ?? 0)
}

/** Characters, by how many of label problems, verdicts and a way back a denial also holds. */
const EXCEPTION_NOTES = [420, 200, 0, 0]

/** Whether there is a way back and the denial says it; beside label problems and violations there is no room, and it has to be a warning. */
export const hasRoomForRollback = ({ rollback, problems, violations }: DenialParts): boolean =>
  rollback !== undefined && (problems.length === 0 || violations.length === 0)

/** The denial of an object whose shape no check can read. One line. */
export const malformedText = (subject: Subject, mismatch: string): string =>
  `drawbridge: ${nameSubject(subject)} cannot be judged: ${printable(mismatch, 400)}`

/**
 * Warnings about one profile: a headline and a line per violation, each at most 255 characters, together about 1,600.
 * `headline` says what would happen, for example `pod "web" would break profile restricted:latest`.
 */
export const profileWarnings = (
  headline: string,
  violations: readonly Violation[],
  templatePath: string,
): readonly string[] =>
  violations.length === 0
    ? []
    : [
        shorten(`drawbridge: ${headline}`, MAX_WARNING),
        ...violationLines(violations, templatePath, MAX_PROFILE_WARNINGS, ''),
      ]

/** A longer line as warnings of at most 255 characters each, cut between words: nothing of a verdict's advice is lost. */
export const asWarnings = (line: string): readonly string[] => {
  const warnings: string[] = []
  let rest = printable(line, 2 * MAX_DENIAL)
  while (rest.length > MAX_WARNING) {
    const space = rest.lastIndexOf(' ', MAX_WARNING)
    const end = space > 0 ? space : MAX_WARNING
    warnings.push(rest.slice(0, end))
    rest = rest.slice(space > 0 ? end + 1 : end)
  }
  return [...warnings, rest]
}

/** A verdict's line with the image's path before it, in at most `max` characters. */
export const flaggedLine = ({ path, text }: FlaggedLine, templatePath: string, max = MAX_DENIAL): string =>
  printable(`${templatePath === '' ? path : `${templatePath}.${path}`}: ${text}`, Math.max(max, 64))

/** Room for the line that says how many did not fit. */
const MORE_WIDTH = 64
/** No line of a violation is shorter. */
const SHORTEST_LINE = 80

const violationLines = (
  violations: readonly Violation[],
  templatePath: string,
  budget: number,
  prefix: string,
): readonly string[] => {
  const rounds = new Map<string, number>()
  const ranked = violations.map((violation, index) => {
    const round = rounds.get(violation.check) ?? 0
    rounds.set(violation.check, round + 1)
    return { index, round }
  })
  // Only as many lines are written as could fit: a pod may break checks thousands of times.
  const candidates = ranked
    .sort((a, b) => a.round - b.round || a.index - b.index)
    .slice(0, Math.ceil(budget / SHORTEST_LINE) + 1)
    .map(({ index }) => ({ index, line: `${prefix}${violationLine(violations[index] as Violation, templatePath)}` }))
  const count = countFitting(
    candidates.map(({ line }) => line),
    violations.length,
    budget,
  )
  const shown = candidates
    .slice(0, count)
    .sort((a, b) => a.index - b.index)
    .map(({ line }) => line)
  const missing = violations.length - count
  if (missing === 0) return shown
  const named = new Set(candidates.slice(0, count).map(({ index }) => violations[index]?.check))
  const unnamed = [...rounds.keys()].filter((check) => !named.has(check))
  const used = shown.reduce((sum, line) => sum + line.length + 1, 0)
  const left = Math.min(budget - used, MAX_WARNING) - MORE_WIDTH
  const names = unnamed.length === 0 || left < 24 ? '' : ` (${shorten(unnamed.join(', '), left)})`
  return [...shown, `${prefix}and ${missing} more${names}; see all with: drawbridge check -f FILE`]
}

/** How many of the lines fit into `budget` characters, when the others of `total` are only counted in a last line. */
const countFitting = (lines: readonly string[], total: number, budget: number): number => {
  let left = budget
  for (const [index, line] of lines.entries()) {
    left -= line.length + 1
    if (left < (index + 1 === total ? 0 : MORE_WIDTH)) return index
  }
  return lines.length
}
