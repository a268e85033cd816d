/** The answer of `drawbridge scan`: a table with a line per workload, the same with every reason below it, or JSON. */
import { findingLines } from '../policy/judgeExisting.ts'
import { formatProfile } from '../policy/namespace.ts'
import type { Violation } from '../policy/types.ts'
import { printable } from '../kube/text.ts'
import { table } from './io.ts'
import type { ScanCounts, ScanGroup, ScanTally } from './scanTally.ts'

/** Texts of a pod in JSON, in characters: whole values of a hostile pod may have megabytes. */
const MAX_TEXT = 256

/** An image in the table: a digest can still be copied. */
const MAX_IMAGE = 200

/** The report as it is printed. `complete` is false when the scan ended early. */
export function scanReport(tally: ScanTally, complete: boolean, output: 'table' | 'details' | 'json'): string {
  if (output === 'json') return `${JSON.stringify(asJson(tally, complete), undefined, 2)}\n`
  const groups = tally.groups()
  const body =
    groups.length === 0
      ? ''
      : output === 'table'
        ? `${table(HEADER, groups.map(asRow))}\n`
        : `${groups.map(asDetails).join('\n')}\n`
  return `${body}${numbers(tally.counts())}\n`
}

const HEADER = ['NAMESPACE', 'WORKLOAD', 'PODS', 'RESULT', 'PROFILE', 'WHY']

const resultOf = ({ finding }: ScanGroup): string =>
  finding.cannotBePrevented ? 'cannot be prevented' : finding.result

const asRow = (group: ScanGroup): readonly string[] => [
  group.namespace,
  group.workload,
  String(group.pods),
  resultOf(group),
  group.finding.profile ?? '-',
  reasons(group).join(', '),
]

/** Checks and verdicts, each once. */
const reasons = ({ finding }: ScanGroup): readonly string[] => [
  ...(finding.problem === undefined ? [] : ['cannot be judged']),
  ...new Set(
    finding.flagged.map(
      ({ image, phase }) => `${phase === 'denying' ? 'flagged' : 'suspicious'} image ${printable(image, MAX_IMAGE)}`,
    ),
  ),
  ...new Set(finding.violations.map(({ check }) => check)),
]

const asDetails = (group: ScanGroup): string => {
  const { namespace, workload, pods, examples, moreViolations } = group
  const named = `${printable(namespace, 63)}/${printable(workload, 300)}`
  const count =
    pods === 1 ? `pod ${examples[0]}` : `${pods} pods: ${examples.join(', ')}${pods > examples.length ? ', ...' : ''}`
  return [
    `${resultOf(group)}  ${named}  (${printable(count, 300)})`,
    ...findingLines(group.finding).map((line) => `  - ${line}`),
    ...(moreViolations === 0 ? [] : [`  - and ${moreViolations} more`]),
    '',
  ].join('\n')
}

const numbers = (counts: ScanCounts): string => {
  const { pods, clean, denied, warned, audited, cannotBePrevented, notListed, namespaces } = counts
  return [
    `${plural(pods, 'pod')} in ${plural(namespaces, 'namespace')}: ${clean} clean, ${denied} would be denied`,
    ...(warned === 0 ? [] : [`${warned} would be warned about`]),
    ...(audited === 0 ? [] : [`${audited} would be audited`]),
    ...(cannotBePrevented === 0 ? [] : [`${plural(cannotBePrevented, 'static pod')} cannot be prevented`]),
    ...(notListed === 0 ? [] : [`${notListed} with findings not listed`]),
  ].join(', ')
}

const plural = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`

/** The shape that docs/scan.md describes: fields are added, never renamed. */
const asJson = (tally: ScanTally, complete: boolean): object => {
  const { namespaces: _namespaces, finished: _finished, ...counts } = tally.counts()
  return {
    complete,
    ...counts,
    namespaces: tally.namespaces().map(({ name, policy, pods, denied }) => ({
      name,
      enforce: policy.enforce ? formatProfile(policy.enforce) : null,
      warn: policy.warn ? formatProfile(policy.warn) : null,
      audit: policy.audit ? formatProfile(policy.audit) : null,
      quarantine: policy.quarantine,
      problems: policy.problems,
      pods,
      denied,
    })),
    findings: tally.groups().map(({ namespace, workload, pods, examples, finding, moreViolations }) => ({
      namespace,
      workload,
      pods,
      examples,
      result: finding.result,
      cannotBePrevented: finding.cannotBePrevented,
      profile: finding.profile ?? null,
      problem: finding.problem ?? null,
      violations: finding.violations.map(violationAsJson),
      moreViolations,
      flagged: finding.flagged.map(({ image, path, verdict, phase, text }) => ({
        image: shortened(image),
        path,
        verdict,
        phase,
        text,
      })),
    })),
  }
}

const violationAsJson = ({ check, container, path, found, required, fix }: Violation): object => ({
  check,
  container: container === undefined ? null : shortened(container),
  path: shortened(path),
  found: shortened(found),
  required,
  fix,
})

const shortened = (text: string): string => printable(text, MAX_TEXT)
