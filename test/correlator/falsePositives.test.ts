/** What well-behaved images do, as the sensors report it: with the shipped weights none of it denies an image by itself (docs/rules.md). */
import assert from 'node:assert/strict'
import { classify } from '../../src/alerts/classes.ts'
import { falco } from '../../src/alerts/sources/falco.ts'
import type { RuntimeAlert } from '../../src/alerts/types.ts'
import { createCorrelator } from '../../src/correlator/correlator.ts'
import { createMemoryStore } from '../../src/verdicts/memoryStore.ts'
import type { Phase } from '../../src/verdicts/types.ts'
import { alert, container, directoryOf, fixture, HOUR, NOW, parseReference } from './support.ts'

const REDIRECT = 'Redirect STDOUT/STDIN to Network Connection in Container'

/** The real alert of a reverse shell over the loopback address, with another executable or another server. */
function redirect(executable: string, server: string): RuntimeAlert {
  const [line = ''] = fixture('pod.reverse_shell.jsonl').split('\n')
  const raw = JSON.parse(line) as { output_fields: Record<string, unknown> }
  const decoded = falco.decode({
    ...raw,
    output_fields: { ...raw.output_fields, 'proc.exepath': executable, 'fd.sip': server },
  })
  assert.ok(decoded.kind === 'finding')
  return decoded.alert
}

/** The strictest phase of the image after each alert was reported every 10 minutes for 12 hours, from three workloads. */
async function phaseAfter(alerts: readonly Partial<RuntimeAlert>[]): Promise<Phase | undefined> {
  let now = NOW
  const records = [1, 2, 3].map((n) =>
    container({ containerId: `${n}`.repeat(64), pod: `web-${n}`, owner: `shop/Deployment/web-${n}` }),
  )
  const correlator = createCorrelator({
    store: createMemoryStore(),
    directory: directoryOf(...records),
    clock: () => now,
    parseReference,
  })
  await correlator.start()
  for (; now < NOW + 12 * HOUR; now += HOUR / 6) {
    for (const changes of alerts) {
      for (const { containerId, pod } of records)
        await correlator.handle([alert({ ...changes, containerId, pod, time: now, timeText: String(now) })])
    }
  }
  const phase = correlator.list()[0]?.phase
  await correlator.stop()
  return phase
}

describe('known false positives', () => {
  const cases: readonly (readonly [string, readonly Partial<RuntimeAlert>[], Phase | undefined])[] = [
    ['a health check by /dev/tcp', [redirect('/usr/bin/bash', '127.0.0.1')], 'observing'],
    ['a health check by /dev/tcp over IPv6', [redirect('/bin/bash', '::1')], 'observing'],
    [
      'a health check by /dev/tcp that two sensors see',
      [redirect('/bin/bash', '127.0.0.1'), { detector: 'tracee', rule: 'stdio_over_socket', localShell: true }],
      'observing',
    ],
    [
      'a package manager at the start',
      [{ rule: 'Launch Package Management Process in Container' }, { rule: 'Container Drift Detected (chmod)' }],
      'warning',
    ],
    [
      'a package manager or compiler that writes executables',
      [{ detector: 'tracee', rule: 'dropped_executable' }],
      'warning',
    ],
    [
      'the burst when Falco starts',
      [{ rule: 'Launch Excessively Capable Container' }, { rule: 'Launch Privileged Container' }],
      undefined,
    ],
    ['a runtime that looks whether it is debugged', [{ rule: 'PTRACE anti-debug attempt' }], 'observing'],
    ['the same by Tracee', [{ detector: 'tracee', rule: 'anti_debugging' }], 'observing'],
    ['a debugger', [{ rule: 'PTRACE attached to process' }], 'warning'],
    [
      'a debugger that two sensors see',
      [{ rule: 'PTRACE attached to process' }, { detector: 'tracee', rule: 'proc_mem_access' }],
      'denying',
    ],
    [
      'a package manager that two sensors see',
      [{ rule: 'Container Drift Detected (chmod)' }, { detector: 'tracee', rule: 'dropped_executable' }],
      'denying',
    ],
    ['a just-in-time compiler', [{ detector: 'tracee', rule: 'dynamic_code_loading' }], 'observing'],
    ['another allocator', [{ detector: 'tracee', rule: 'ld_preload' }], 'observing'],
    [
      'a controller at work',
      [
        { detector: 'tracee', rule: 'k8s_service_account_token' },
        { detector: 'tracee', rule: 'k8s_api_connection' },
        { rule: 'Contact K8S API Server From Container' },
      ],
      undefined,
    ],
    [
      'somebody on call',
      [
        { rule: 'Terminal shell in container' },
        ...['Exec into pod', 'Attach to pod', 'Port-forward to pod', 'Ephemeral container added'].map(
          (rule) => ({ detector: 'k8s-audit', rule }) as const,
        ),
      ],
      undefined,
    ],
  ]
  for (const [what, alerts, expected] of cases) {
    it(`${expected === undefined ? 'makes no verdict' : `ends with ${expected}`}: ${what}`, async () =>
      assert.equal(await phaseAfter(alerts), expected))
  }

  for (const [what, real] of [
    ['a shell of the image with the network', redirect('/bin/bash', '203.0.113.7')],
    ['a shell of the image with a name for an address', redirect('/bin/bash', 'localhost')],
    ['an executable of its own over the loopback address', redirect('/usr/local/bin/revsh', '127.0.0.1')],
    ['what was dropped and executed', { rule: 'Drop and execute new binary in container' }],
  ] as const) {
    it(`still denies: ${what}`, async () => assert.equal(await phaseAfter([real]), 'denying'))
  }

  it('tells the health check from the reverse shell by the connection and the executable', () => {
    assert.equal(classify(redirect('/bin/bash', '127.0.0.1')).class, 'local-redirect')
    assert.equal(redirect('/bin/bash', '127.0.0.1').rule, REDIRECT)
  })
})
