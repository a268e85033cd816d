/** `drawbridge verdicts list|show|release|confirm`: what is flagged, why, and what people decide about it. */
import { decisionEnd, isConfirmed } from '../verdicts/decisions.ts'
import type { Decision, ImageVerdict, Release } from '../verdicts/types.ts'
import { countedContributions } from '../verdicts/phase.ts'
import { scoreAt } from '../verdicts/score.ts'
import { age, clean, EXIT, table, time } from './io.ts'
import type { CliIo } from './io.ts'

/** Where verdicts live: the admin API of a server, or the Kubernetes API. Commands do not know which. */
export interface VerdictAccess {
  /** Who was asked, where a person may have meant somebody else. */
  readonly asked?: string
  list(): Promise<readonly ImageVerdict[]>
  get(name: string): Promise<ImageVerdict | undefined>
  /** Undefined: there is no such verdict. */
  release(name: string, decision: Omit<Release, 'at'>): Promise<ImageVerdict | undefined>
  /** Undefined: there is no such verdict. */
  confirm(name: string, decision: Omit<Decision, 'at'>): Promise<ImageVerdict | undefined>
}

const imageOf = (verdict: ImageVerdict): string => verdict.references[0] ?? verdict.digests[0] ?? '(unknown)'

const scoreNow = (verdict: ImageVerdict, now: number): number => scoreAt(countedContributions(verdict), now)

/** `verdicts list`. */
export async function listVerdicts(
  options: { readonly output: 'table' | 'json' },
  access: VerdictAccess,
  io: CliIo,
): Promise<number> {
  const verdicts = await access.list()
  if (options.output === 'json') {
    io.out(`${JSON.stringify({ items: verdicts }, undefined, 2)}\n`)
  } else if (verdicts.length === 0) {
    io.out('No verdicts: no image has been flagged.\n')
  } else {
    const rows = verdicts.map((verdict) => [
      verdict.name.length > 24 ? `${verdict.name.slice(0, 23)}…` : verdict.name,
      verdict.phase,
      scoreNow(verdict, io.now()).toFixed(0),
      imageOf(verdict),
      age(io.now() - verdict.phaseSince),
      verdict.reason,
    ])
    io.out(table(['NAME', 'PHASE', 'SCORE', 'IMAGE', 'SINCE', 'REASON'], rows))
  }
  return EXIT.ok
}

/** A release must not hit a verdict that somebody did not mean. */
const SHORTEST_BEGINNING = 8

/** Finds by whole name, or by a beginning that only one verdict has (the list shortens names). Undefined: it has said so. */
async function find(name: string, access: VerdictAccess, io: CliIo): Promise<ImageVerdict | undefined> {
  const whole = await access.get(name)
  if (whole !== undefined) return whole
  const beginning = name.replace(/…$/, '')
  const matches = (await access.list()).filter((verdict) => verdict.name.startsWith(beginning))
  if (matches.length === 1 && beginning.length >= SHORTEST_BEGINNING) return matches[0]!
  const problem =
    matches.length === 0
      ? `no verdict ${name}${access.asked === undefined ? '' : ` (asked ${access.asked})`}; "drawbridge verdicts list" shows them`
      : matches.length === 1
        ? `${name} is too short for the beginning of a name; give ${SHORTEST_BEGINNING} characters or more`
        : `${name} is the beginning of ${matches.length} verdicts; give more of the name`
  io.err(`drawbridge: ${clean(problem)}\n`)
  return undefined
}

/** What people decided beside a release, and until when anything is silent. */
function decisionFacts(verdict: ImageVerdict): readonly [string, string][] {
  const { confirm, mute, muted, release } = verdict
  const said = ({ at, by, reason }: Decision): string => `${time(at)} by ${by}: ${reason}`
  const silences = release !== undefined && release.as !== 'fixed'
  const acts = silences && muted?.at === release.at ? muted.acts : []
  return [
    ...(confirm === undefined ? [] : [['Confirmed:', said(confirm)] as [string, string]]),
    ...(mute === undefined ? [] : [['Muted:', `until ${time(decisionEnd(mute))}, ${said(mute)}`] as [string, string]]),
    ...(silences ? [['Silent until:', time(decisionEnd(release))] as [string, string]] : []),
    ...acts.map((act): [string, string] => ['Silent:', `${act.class} ${act.target}`]),
  ]
}

/** Where it holds, when that is not everywhere alike. */
function reachFacts({ reach }: ImageVerdict): readonly [string, string][] {
  if (reach === undefined) return []
  return [
    ['Elsewhere:', reach.elsewhere],
    ...(reach.denying.length === 0 ? [] : [['Denied in:', reach.denying.join(', ')] as [string, string]]),
    ...(reach.warning.length === 0 ? [] : [['Warned in:', reach.warning.join(', ')] as [string, string]]),
  ]
}

/** `verdicts show NAME`. */
export async function showVerdict(
  name: string,
  options: { readonly output: 'text' | 'json' },
  access: VerdictAccess,
  io: CliIo,
): Promise<number> {
  const verdict = await find(name, access, io)
  if (verdict === undefined) return EXIT.no
  if (options.output === 'json') {
    io.out(`${JSON.stringify(verdict, undefined, 2)}\n`)
    return EXIT.ok
  }
  const facts: [string, string][] = [
    ['Name:', verdict.name],
    ['Phase:', `${verdict.phase} since ${time(verdict.phaseSince)}`],
    ['Reason:', verdict.reason],
    ['Score now:', scoreNow(verdict, io.now()).toFixed(1)],
    ['Expires:', time(verdict.expiresAt)],
    ...verdict.references.map((reference): [string, string] => ['Image:', reference]),
    ...verdict.digests.map((digest): [string, string] => ['Digest:', digest]),
    ...(verdict.release === undefined
      ? []
      : [
          [
            'Released:',
            `${time(verdict.release.at)} by ${verdict.release.by} as ${verdict.release.as}: ${verdict.release.reason}`,
          ] as [string, string],
        ]),
    ...decisionFacts(verdict),
    ...reachFacts(verdict),
  ]
  const width = Math.max(...facts.map(([label]) => label.length))
  io.out(facts.map(([label, value]) => `${label.padEnd(width)}  ${clean(value)}\n`).join(''))
  const rows = [...verdict.evidence]
    .sort((a, b) => b.time - a.time)
    .map((one) => [
      time(one.time),
      one.detector,
      one.rule,
      one.class,
      String(one.weight),
      [one.namespace, one.pod, one.container].filter(Boolean).join('/'),
      one.target ?? '',
    ])
  io.out(`\n${table(['TIME', 'SENSOR', 'RULE', 'CLASS', 'WEIGHT', 'WHERE', 'TARGET'], rows)}`)
  return EXIT.ok
}

/** `verdicts release NAME`. */
export async function releaseVerdict(
  name: string,
  decision: { readonly reason: string; readonly as: Release['as']; readonly until?: number | undefined },
  access: VerdictAccess,
  io: CliIo,
): Promise<number> {
  const verdict = await find(name, access, io)
  if (verdict === undefined) return EXIT.no
  // A second release would replace who decided and why, and forgive what happened since.
  if (verdict.phase === 'released' && verdict.release !== undefined) {
    const { at, by, as, reason } = verdict.release
    io.err(`drawbridge: ${verdict.name} is released already: ${time(at)} by ${clean(by)} as ${as}: ${clean(reason)}\n`)
    return EXIT.no
  }
  const released = await access.release(verdict.name, {
    by: io.user,
    reason: decision.reason,
    as: decision.as,
    ...(decision.until === undefined ? {} : { until: decision.until }),
  })
  if (released === undefined) {
    io.err(`drawbridge: no verdict ${verdict.name} any more\n`)
    return EXIT.no
  }
  io.out(
    `released ${released.name} (${imageOf(released)}); it returns only on evidence later than ${time(released.release?.at ?? io.now())}\n`,
  )
  return EXIT.ok
}

/** `verdicts confirm NAME`. */
export async function confirmVerdict(
  name: string,
  decision: { readonly reason: string; readonly until?: number | undefined },
  access: VerdictAccess,
  io: CliIo,
): Promise<number> {
  const verdict = await find(name, access, io)
  if (verdict === undefined) return EXIT.no
  if (isConfirmed(verdict, io.now()) && verdict.confirm !== undefined) {
    const { at, by, reason } = verdict.confirm
    io.err(`drawbridge: ${verdict.name} is confirmed already: ${time(at)} by ${clean(by)}: ${clean(reason)}\n`)
    return EXIT.no
  }
  const { reason, until } = decision
  const confirmed = await access.confirm(verdict.name, {
    by: io.user,
    reason,
    ...(until === undefined ? {} : { until }),
  })
  if (confirmed === undefined) {
    io.err(`drawbridge: no verdict ${verdict.name} any more\n`)
    return EXIT.no
  }
  const end = time(decisionEnd(confirmed.confirm ?? { at: io.now(), until }))
  io.out(`confirmed ${confirmed.name} (${imageOf(confirmed)}); it is denied everywhere until ${end}\n`)
  return EXIT.ok
}
