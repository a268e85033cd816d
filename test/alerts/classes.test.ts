import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { classify, mayWeigh, shippedClasses, shippedRules, type ClassifiedAlert } from '../../src/alerts/classes.ts'
import { compileOverrides } from '../../src/alerts/overrides.ts'
import { FALCO_INCUBATING, FALCO_SANDBOX, FALCO_STABLE } from '../../src/alerts/rules/falco.ts'
import type { Detector } from '../../src/alerts/types.ts'

const falco = (rule: string): ClassifiedAlert => ({ detector: 'falco', rule })

describe('alerts/classes', () => {
  const shipped: readonly (readonly [Detector, string, string, string, number])[] = [
    ['falco', 'Drop and execute new binary in container', 'drop', 'image', 100],
    ['falco', 'Fileless execution via memfd_create', 'fileless', 'image', 100],
    ['falco', 'Netcat Remote Code Execution in Container', 'reverse-shell', 'image', 100],
    ['falco', 'Redirect STDOUT/STDIN to Network Connection in Container', 'reverse-shell', 'image', 100],
    ['falco', 'Detect release_agent File Container Escapes', 'escape', 'image', 100],
    ['falco', 'Known Cryptominer Process Executed', 'miner', 'image', 100],
    ['falco', 'PTRACE attached to process', 'ptrace-attach', 'image', 60],
    ['falco', 'Container Drift Detected (chmod)', 'drop', 'image', 60],
    ['falco', 'PTRACE anti-debug attempt', 'anti-debug', 'image', 20],
    ['falco', 'Read sensitive file untrusted', 'sensitive-read', 'image', 20],
    ['falco', 'Terminal shell in container', 'shell', 'person', 0],
    ['falco', 'Launch Excessively Capable Container', 'capabilities', 'spec', 0],
    ['falco', 'Launch Privileged Container', 'privileged', 'spec', 0],
    ['falco', 'Attach/Exec Pod', 'shell', 'person', 0],
    ['falco', 'Create HostPid Pod', 'host-access', 'spec', 0],
    ['falco', 'A rule of our own', 'other', 'image', 0],
    ['falco', '__proto__', 'other', 'image', 0],
    ['tracee', 'stdio_over_socket', 'reverse-shell', 'image', 100],
    ['tracee', 'TRC-101', 'reverse-shell', 'image', 100],
    ['tracee', 'Process standard input/output over socket detected', 'reverse-shell', 'image', 100],
    ['tracee', 'fileless_execution', 'fileless', 'image', 100],
    ['tracee', 'dropped_executable', 'drop', 'image', 60],
    ['tracee', 'ptrace_code_injection', 'code-injection', 'image', 100],
    ['tracee', 'cgroup_release_agent', 'escape', 'image', 100],
    ['tracee', 'cgroup_notify_on_release', 'escape', 'image', 60],
    ['tracee', 'anti_debugging', 'anti-debug', 'image', 20],
    ['tracee', 'an event', 'other', 'image', 0],
    ['k8s-audit', 'Exec into pod', 'shell', 'person', 0],
    ['k8s-audit', 'Ephemeral container added', 'debug-container', 'person', 0],
    ['k8s-audit', 'Create Privileged Pod', 'privileged', 'spec', 0],
    ['k8s-audit', 'something new', 'cluster-administration', 'person', 0],
    ['tetragon', 'file-monitoring', 'other', 'image', 0],
    ['kubearmor', 'ksp-block', 'other', 'image', 0],
  ]
  for (const [detector, rule, name, subject, weight] of shipped) {
    it(`files "${rule}" of ${detector} under ${name}`, () =>
      assert.deepEqual(classify({ detector, rule }), { class: name, subject, weight }))
  }

  it('looks a rule up for its own detector only', () => {
    assert.equal(classify({ detector: 'tracee', rule: 'Drop and execute new binary in container' }).class, 'other')
    assert.equal(classify({ detector: 'falco', rule: 'stdio_over_socket' }).class, 'other')
    assert.equal(classify({ detector: 'constructor' as Detector, rule: 'name' }).class, 'other')
  })

  it('knows 25 stable, 31 incubating and 9 sandbox rules of Falco, 48 of its audit plugin, 34 of Tracee', () => {
    assert.deepEqual([FALCO_STABLE.length, FALCO_INCUBATING.length, FALCO_SANDBOX.length], [25, 31, 9])
    assert.equal(shippedRules.falco.length, 65 + 48)
    assert.equal(shippedRules.tracee.length, 34)
  })

  it('has every rule in a shipped class, under names of its own', () => {
    for (const [detector, rules] of Object.entries(shippedRules)) {
      const seen = new Map<string, string>()
      for (const { rule, aliases = [], class: name, localShellClass } of rules) {
        for (const used of [name, localShellClass ?? name]) assert.ok(shippedClasses.includes(used), used)
        for (const text of new Set([rule, ...aliases])) {
          assert.equal(seen.get(text) ?? name, name, `${detector}: ${text}`)
          seen.set(text, name)
        }
      }
    }
  })

  it('files what two detectors see under one class', () => {
    for (const [one, other] of [
      ['Redirect STDOUT/STDIN to Network Connection in Container', 'stdio_over_socket'],
      ['Drop and execute new binary in container', 'dropped_executable'],
      ['Fileless execution via memfd_create', 'fileless_execution'],
      ['Detect release_agent File Container Escapes', 'cgroup_release_agent'],
      ['PTRACE anti-debug attempt', 'anti_debugging'],
      ['PTRACE attached to process', 'proc_mem_access'],
      ['Linux Kernel Module Injection Detected', 'kernel_module_loading'],
      ['Web Server Spawned Shell', 'illegitimate_shell'],
      ['Schedule Cron Jobs', 'scheduled_task_mod'],
      ['Contact K8S API Server From Container', 'k8s_api_connection'],
    ] as const)
      assert.equal(classify(falco(one)).class, classify({ detector: 'tracee', rule: other }).class, one)
    assert.equal(
      classify(falco('Terminal shell in container')).class,
      classify({ detector: 'k8s-audit', rule: 'Exec into pod' }).class,
    )
  })

  it('lets strict count person and spec rules, and nothing else', () => {
    for (const [detector, rules] of Object.entries(shippedRules)) {
      for (const { rule } of rules) {
        const alert = { detector: detector as Detector, rule }
        const normal = classify(alert)
        const strict = classify(alert, { preset: 'strict' })
        const counted = normal.subject !== 'image' && normal.class !== 'cluster-administration'
        assert.equal(strict.weight, counted ? 100 : normal.weight, rule)
        if (normal.subject !== 'image') assert.equal(normal.weight, 0, rule)
      }
    }
  })

  it('is overridden by rule', () => {
    const overrides = new Map([
      ['Terminal shell in container', { weight: 50 }],
      ['Ours', { class: 'drop' }],
      ['Odd', { weight: Number.NaN }],
      ['dropped_executable', { class: 'drop' }],
      ['hidden_file_created', { class: 'miner' }],
      ['Drop and execute new binary in container', { subject: 'person' as const, weight: 0 }],
    ])
    assert.deepEqual(classify(falco('Terminal shell in container'), { overrides, preset: 'strict' }), {
      class: 'shell',
      subject: 'person',
      weight: 50,
    })
    assert.deepEqual(classify(falco('Ours'), { overrides }), { class: 'drop', subject: 'image', weight: 100 })
    assert.equal(classify(falco('Odd'), { overrides }).weight, 0)
    assert.equal(classify({ detector: 'tracee', rule: 'dropped_executable' }, { overrides }).weight, 60)
    assert.equal(classify({ detector: 'tracee', rule: 'hidden_file_created' }, { overrides }).weight, 100)
    assert.deepEqual(classify(falco('Drop and execute new binary in container'), { overrides }), {
      class: 'drop',
      subject: 'person',
      weight: 0,
    })
  })

  it('takes a shell that talks to its own pod for a health check, where the rule is about redirected streams', () => {
    const redirect = { ...falco('Redirect STDOUT/STDIN to Network Connection in Container'), localShell: true }
    const local = { class: 'local-redirect', subject: 'image', weight: 20 }
    assert.deepEqual(classify(redirect), local)
    assert.deepEqual(classify({ ...redirect, detector: 'tracee', rule: 'stdio_over_socket' }), local)
    assert.equal(classify({ ...redirect, rule: 'Netcat Remote Code Execution in Container' }).weight, 100)
    assert.equal(classify({ ...redirect, localShell: false }).weight, 100)
    assert.equal(classify(redirect, { preset: 'strict' }).weight, 100)
  })

  it('never throws, and keeps every weight between 0 and 1,000', () => {
    const rules = Object.values(shippedRules).flatMap((list) => list.map(({ rule }) => rule))
    const text = fc.oneof(fc.constantFrom(...rules, '__proto__', 'constructor'), fc.string({ unit: 'binary' }))
    const override = fc.record(
      {
        class: text,
        subject: fc.constantFrom('image' as const, 'person' as const, 'spec' as const),
        weight: fc.double(),
      },
      { requiredKeys: [] },
    )
    const alert = fc.record(
      {
        detector: fc.constantFrom<Detector>('falco', 'k8s-audit', 'tracee', 'tetragon', 'kubearmor'),
        rule: text,
        tags: fc.array(text),
        techniques: fc.array(text),
        localShell: fc.boolean(),
      },
      { requiredKeys: ['detector', 'rule'] },
    )
    const attributed = fc.option(
      fc.record({
        namespace: fc.option(text, { nil: undefined }),
        references: fc.array(text),
        digests: fc.array(text),
      }),
      { nil: undefined },
    )
    const list = fc.array(
      fc.record({
        match: fc.record(
          { rules: fc.array(text), tags: fc.array(text), namespaces: fc.array(text), images: fc.array(text) },
          { requiredKeys: [] },
        ),
        weight: fc.double(),
      }),
      { maxLength: 5 },
    )
    fc.assert(
      fc.property(alert, fc.dictionary(text, override), list, attributed, (value, byName, entries, image) => {
        const options = {
          overrides: new Map(Object.entries(byName)),
          conditional: compileOverrides(entries).overrides,
        }
        const { weight } = classify(value, options, image)
        assert.ok(weight >= 0 && weight <= 1000)
        if (weight > 0) assert.ok(mayWeigh(value, options))
      }),
    )
  })
})
