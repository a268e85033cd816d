/** `drawbridge doctor`: looks at a live installation, changes nothing, and says what to do about what it finds. */
import { EXIT, UnusableError } from '../cli/io.ts'
import type { CliIo } from '../cli/io.ts'
import { CHECKS } from './checks/index.ts'
import { readInstallation } from './installation.ts'
import { localFindings } from './local.ts'
import { jsonReport, textReport } from './report.ts'
import type { NamedFinding } from './report.ts'
import type { Check, ClusterReader, Installation, LocalServer } from './types.ts'

export interface DoctorAccess {
  /** Undefined: no cluster is looked at. */
  readonly reader?: ClusterReader | undefined
  readonly local?: LocalServer | undefined
}

const named = (check: string, findings: readonly Omit<NamedFinding, 'check'>[]): readonly NamedFinding[] =>
  findings.map((finding) => ({ check, ...finding }))

/** A check that throws is a bug of ours; it must not hide what the others found. */
async function runCheck({ id, run }: Check, installation: Installation): Promise<readonly NamedFinding[]> {
  try {
    return named(id, await run(installation))
  } catch (error) {
    return named(id, [{ level: 'unknown', found: `this check failed: ${(error as Error).message}` }])
  }
}

/**
 * Runs the command and prints its report.
 *
 * @returns 0: no problem was found (warnings are none); 1: one was
 * @throws UnusableError when there is nothing to look at
 */
export async function doctor(
  options: { readonly namespace: string; readonly output: 'text' | 'json'; readonly version: string },
  { reader, local }: DoctorAccess,
  io: CliIo,
): Promise<number> {
  const now = io.now()
  const ofServer = local === undefined ? [] : localFindings(local, now).flatMap(([check, found]) => named(check, found))
  const findings = [...ofServer]
  if (reader !== undefined) {
    const version = await reader.get('/version')
    if (version.kind === 'unreadable') throw new UnusableError(version.why)
    const installation = await readInstallation({ ...options, reader, local, now })
    const checked = await Promise.all(CHECKS.map((check) => runCheck(check, installation)))
    findings.splice(0, findings.length, ...ofServer.filter(({ check }) => check === 'server'), ...checked.flat())
  }
  io.out(options.output === 'json' ? jsonReport(findings) : textReport(findings, io.columns))
  return findings.some(({ level }) => level === 'problem') ? EXIT.no : EXIT.ok
}
