/**
 * The tables of `make e2e`: what each scenario meets under each countermeasure, and what comes of it where Tracee reports it. Rows and columns as data;
 * what happened is measured.
 */
import { constants } from 'node:os'

/** How a namespace protects itself: the columns. All deny flagged images. */
export interface Countermeasure {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  /** The type of the seccomp profile that its pods are given; absent: none. */
  readonly seccomp?: 'RuntimeDefault' | 'Localhost'
}

export const COUNTERMEASURES: readonly Countermeasure[] = [
  { name: 'none', labels: { 'drawbridge.dev/quarantine': 'enforce' } },
  { name: 'profile standard', labels: { 'drawbridge.dev/enforce': 'standard' }, seccomp: 'RuntimeDefault' },
  {
    name: 'seccomp web',
    labels: { 'drawbridge.dev/quarantine': 'enforce', 'drawbridge.dev/seccomp': 'localhost.web' },
    seccomp: 'Localhost',
  },
]

/** What is done in the container: a payload that the application is made to run, or a command of a person. */
type Action =
  | { readonly payload: string; readonly values?: Readonly<Record<string, string>> }
  | { readonly exec: readonly string[] }

export interface Scenario {
  readonly name: string
  /** Part of names of namespaces and images. */
  readonly id: string
  /** Security contexts that the attack needs; absent: those of examples/zipapp/pod.yaml, user 1000. */
  readonly security?: { readonly pod: object; readonly container: object }
  readonly action: Action
  /** Who reports it, and the alerts that are played where no sensor can run: a capture in test/fixtures/alerts/falco, or a file of test/e2e/alerts. */
  readonly sensor: 'falco' | 'tracee' | 'k8s-audit'
  readonly alerts?: string
  /** Whether the sensor reports the start of the container, whatever becomes of the action. */
  readonly reportedAtStart?: boolean
}

const ROOT_WITH_SYS_ADMIN = {
  pod: { runAsUser: 0 },
  container: { capabilities: { add: ['SYS_ADMIN'] } },
}

const DROP: Action = { payload: 'dropped_executable.c' }
const SHELL: Action = { payload: 'reverse_shell.py' }
const RELEASE_AGENT: Action = { payload: 'cgroup_escape.py', values: { FILE: 'release_agent' } }

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'dropped executable',
    id: 'drop',
    action: DROP,
    sensor: 'falco',
    alerts: 'test/fixtures/alerts/falco/pod.drop_and_execute.jsonl',
  },
  {
    name: 'reverse shell',
    id: 'shell',
    action: SHELL,
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
    action: RELEASE_AGENT,
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

/** One that Tracee has a signature for, which reports it as this event. */
export interface TraceeScenario extends Scenario {
  readonly event: string
}

const reportedByTracee = (event: string, scenario: Omit<Scenario, 'sensor' | 'alerts'>): TraceeScenario => ({
  ...scenario,
  event,
  sensor: 'tracee',
  alerts: `test/e2e/alerts/tracee/${event}.jsonl`,
})

/** No signature looks for an attach alone: those for ptrace look for what comes after it, and for what keeps others from attaching. */
export const TRACEE_SCENARIOS: readonly TraceeScenario[] = [
  reportedByTracee('dropped_executable', { name: 'dropped executable', id: 'tracee-drop', action: DROP }),
  reportedByTracee('stdio_over_socket', { name: 'reverse shell', id: 'tracee-shell', action: SHELL }),
  reportedByTracee('ptrace_code_injection', {
    name: 'code injection by ptrace',
    id: 'tracee-inject',
    action: { payload: 'ptrace_inject.py' },
  }),
  reportedByTracee('anti_debugging', {
    name: 'anti-debugging',
    id: 'tracee-traceme',
    action: { payload: 'ptrace_traceme.py' },
  }),
  reportedByTracee('cgroup_release_agent', {
    name: 'release_agent escape',
    id: 'tracee-escape',
    security: ROOT_WITH_SYS_ADMIN,
    action: RELEASE_AGENT,
  }),
  reportedByTracee('cgroup_notify_on_release', {
    name: 'notify_on_release alone',
    id: 'tracee-notify',
    security: ROOT_WITH_SYS_ADMIN,
    action: { payload: 'cgroup_escape.py', values: { FILE: 'notify_on_release' } },
  }),
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

/** @param head titles of the columns, that of the scenario's name first */
export function renderTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |\n`).join('')
}
