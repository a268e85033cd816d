/** The table of `make e2e`: what each scenario meets under each countermeasure. Rows and columns as data; what happened is measured. */
import { constants } from 'node:os'

/** How a namespace protects itself: the columns. All deny flagged images. */
export interface Countermeasure {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
}

export const COUNTERMEASURES: readonly Countermeasure[] = [
  { name: 'none', labels: { 'drawbridge.dev/quarantine': 'enforce' } },
  { name: 'profile standard', labels: { 'drawbridge.dev/enforce': 'standard' } },
  {
    name: 'seccomp web',
    labels: { 'drawbridge.dev/quarantine': 'enforce', 'drawbridge.dev/seccomp': 'localhost.web' },
  },
]

/** What is done in the container: a payload that the application is made to run, or a command of a person. */
type Action = { readonly payload: string } | { readonly exec: readonly string[] }

export interface Scenario {
  readonly name: string
  /** Part of names of namespaces and images. */
  readonly id: string
  /** Security contexts that the attack needs; absent: those of examples/zipapp/pod.yaml, user 1000. */
  readonly security?: { readonly pod: object; readonly container: object }
  readonly action: Action
  /** Who reports it, and the alerts that are played where no sensor can run: a capture in test/fixtures/alerts/falco, or a file of test/e2e/alerts. */
  readonly sensor: 'falco' | 'k8s-audit'
  readonly alerts?: string
  /** Whether the sensor reports the start of the container, whatever becomes of the action. */
  readonly reportedAtStart?: boolean
}

const ROOT_WITH_SYS_ADMIN = {
  pod: { runAsUser: 0 },
  container: { capabilities: { add: ['SYS_ADMIN'] } },
}

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'dropped executable',
    id: 'drop',
    action: { payload: 'dropped_executable.c' },
    sensor: 'falco',
    alerts: 'test/fixtures/alerts/falco/pod.drop_and_execute.jsonl',
  },
  {
    name: 'reverse shell',
    id: 'shell',
    action: { payload: 'reverse_shell.py' },
    sensor: 'falco',
    alerts: 'test/fixtures/alerts/falco/pod.reverse_shell.jsonl',
  },
  {
    name: 'ptrace attach',
    id: 'ptrace',
    action: { payload: 'ptrace_attach.py' },
    sensor: 'falco',
    alerts: 'test/fixtures/alerts/falco/pod.ptrace_attach.jsonl',
  },
  {
    name: 'release_agent escape',
    id: 'escape',
    security: ROOT_WITH_SYS_ADMIN,
    action: { payload: 'release_agent.py' },
    sensor: 'falco',
    alerts: 'test/fixtures/alerts/falco/privileged-pod.release_agent.jsonl',
  },
  {
    name: 'excessive capabilities',
    id: 'capable',
    security: ROOT_WITH_SYS_ADMIN,
    action: { payload: 'use_capability.py' },
    sensor: 'falco',
    alerts: 'test/e2e/alerts/excessively-capable.jsonl',
    reportedAtStart: true,
  },
  {
    name: 'terminal shell',
    id: 'terminal',
    action: { exec: ['sh', '-c', 'tty > /dev/null && echo "a shell with a terminal"'] },
    sensor: 'k8s-audit',
  },
]

/** What a scenario came to. */
export interface Outcome {
  /** IDs of the checks that refused the pod. */
  readonly prevented?: readonly string[]
  readonly blocked?: { readonly call: string; readonly errno: number }
  /** What became of the next deployment of the image, once the alert was decided on. */
  readonly detected?: { readonly by: string; readonly redeploy: 'denied' | 'warned about' | 'allowed' }
}

const nameOf = (errno: number): string =>
  Object.entries(constants.errno).find(([, value]) => value === errno)?.[0] ?? `errno ${errno}`

/** A cell of the table. */
export function describeOutcome({ prevented, blocked, detected }: Outcome): string {
  const parts = [
    ...(prevented ? [`prevented at admission (${prevented.join(', ')})`] : []),
    ...(blocked ? [`blocked at run time (${blocked.call}: ${nameOf(blocked.errno)})`] : []),
    ...(detected ? [`detected by ${detected.by}, redeploy ${detected.redeploy}`] : []),
  ]
  return parts.join('; ') || 'nothing'
}

/** Rows: name and cells. */
export function renderTable(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const head = ['scenario', ...columns]
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |\n`).join('')
}
