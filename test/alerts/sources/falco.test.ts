import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import * as fc from 'fast-check'
import { splitBody } from '../../../src/alerts/body.ts'
import { falco } from '../../../src/alerts/sources/falco.ts'
import { falcosidekick } from '../../../src/alerts/sources/falcosidekick.ts'
import { findSource, sources } from '../../../src/alerts/sources/index.ts'
import type { Decoded, RuntimeAlert } from '../../../src/alerts/types.ts'
import { fixture } from '../../correlator/support.ts'

const POD = {
  containerId: '67aacb04675f',
  containerName: 'web',
  namespace: 'shop',
  pod: 'web-7d4b9c6f5-x2x8q',
  image: 'registry.example/shop/web:1.4.2',
}
const KUBELET_POD = {
  containerId: '720ffc686fc571b12a296ba131b74778e34cc8db607aee6ad334cba1a17c2ffb',
  containerName: 'web',
  namespace: 'shop',
  pod: 'web-67f6c6fd9d-rzxt5',
  podUid: 'b1060beb-dd48-47b5-aa86-b7f341199d6f',
  image: 'registry.example/shop/web:1.4.2',
  imageDigest: 'sha256:3dc045bdfd7d5b2b366ea0434ca34de2715cdd25c78eff8f3676afe1f334187a',
}
const DROP = 'Drop and execute new binary in container'
const REDIRECT = 'Redirect STDOUT/STDIN to Network Connection in Container'

/** Rule, time, target and who it was, for every line of every sample file. */
const GOLDEN: Readonly<Record<string, readonly unknown[]>> = {
  'container-without-kubernetes.terminal_shell.jsonl': [
    ['Terminal shell in container', '2026-11-22T05:58:08.662387151Z', '/bin/busybox', {}],
  ],
  'host.read_sensitive_file.jsonl': [
    [
      'Read sensitive file untrusted',
      '2026-11-22T05:58:22.485444082Z',
      '/bin/busybox',
      { containerId: 'host', containerName: 'host' },
    ],
  ],
  'internal.jsonl': [
    { kind: 'telemetry', reason: 'Falco internal: metrics snapshot' },
    { kind: 'telemetry', reason: 'Falco internal: syscall event drop' },
  ],
  'kubelet-pod-extra-fields.jsonl': [
    [DROP, '2026-11-22T06:08:15.844354316Z', '/tmp/sleep', KUBELET_POD],
    [REDIRECT, '2026-11-22T06:08:17.003675476Z', '/usr/local/bin/revsh', KUBELET_POD],
    [REDIRECT, '2026-11-22T06:08:17.003680042Z', '/usr/local/bin/revsh', KUBELET_POD],
    [REDIRECT, '2026-11-22T06:08:17.003695605Z', '/usr/local/bin/revsh', KUBELET_POD],
    ['PTRACE attached to process', '2026-11-22T06:08:17.242958322Z', '/usr/local/bin/ptr', KUBELET_POD],
    ['Terminal shell in container', '2026-11-22T06:08:17.481462805Z', '/bin/busybox', KUBELET_POD],
  ],
  'pod.drop_and_execute.jsonl': [
    [DROP, '2026-11-22T05:57:29.490412397Z', '/tmp/sleep', POD],
    [DROP, '2026-11-22T05:57:30.496038222Z', '/usr/local/bin/sleep', POD],
  ],
  'pod.fileless_memfd.jsonl': [
    ['Fileless execution via memfd_create', '2026-11-22T05:57:49.670228415Z', 'memfd:x', POD],
  ],
  'pod.netcat_exec.jsonl': [
    ['Netcat Remote Code Execution in Container', '2026-11-22T05:57:36.701658277Z', '/bin/busybox', POD],
    [REDIRECT, '2026-11-22T05:57:36.702170166Z', '/bin/busybox', POD],
    [REDIRECT, '2026-11-22T05:57:36.702172319Z', '/bin/busybox', POD],
  ],
  'pod.ptrace_attach.jsonl': [
    ['PTRACE attached to process', '2026-11-22T05:57:39.385574867Z', '/usr/local/bin/ptr', POD],
  ],
  'pod.read_sensitive_file.jsonl': [
    ['Read sensitive file untrusted', '2026-11-22T05:57:41.941996435Z', '/bin/busybox', POD],
  ],
  'pod.reverse_shell.jsonl': [
    [REDIRECT, '2026-11-22T05:57:34.128611557Z', '/usr/local/bin/revsh', POD],
    [REDIRECT, '2026-11-22T05:57:34.128612438Z', '/usr/local/bin/revsh', POD],
    [REDIRECT, '2026-11-22T05:57:34.128613369Z', '/usr/local/bin/revsh', POD],
  ],
  'pod.terminal_shell.jsonl': [['Terminal shell in container', '2026-11-22T05:57:25.473651181Z', '/bin/busybox', POD]],
  'privileged-pod.release_agent.jsonl': [
    [
      'Detect release_agent File Container Escapes',
      '2026-11-22T05:58:03.554371286Z',
      '/bin/busybox',
      { ...POD, containerId: '40146a48f15e', containerName: 'agent', namespace: 'platform', pod: 'node-agent-9pl4k' },
    ],
  ],
}

function items(name: string): readonly Record<string, unknown>[] {
  return [...splitBody(Buffer.from(fixture(name))).items].flatMap((item) =>
    'item' in item ? [item.item as Record<string, unknown>] : [],
  )
}

function finding(decoded: Decoded): RuntimeAlert {
  return decoded.kind === 'finding' ? decoded.alert : assert.fail(JSON.stringify(decoded))
}

const targetOf = (path: string): string =>
  finding(falco.decode({ ...MINIMAL, output_fields: { 'proc.exepath': path } })).target

const WHO = ['containerId', 'containerName', 'namespace', 'pod', 'podUid', 'image', 'imageDigest', 'node'] as const

const MINIMAL = { rule: 'R', time: '2026-11-22T05:57:29Z' }

describe('alerts/sources/falco', () => {
  it('has a golden decode of every sample file', () => {
    const names = readdirSync(new URL('../../../../test/fixtures/alerts/falco/', import.meta.url))
    assert.deepEqual(names.filter((name) => name.endsWith('.jsonl')).sort(), Object.keys(GOLDEN).sort())
  })
  for (const [name, expected] of Object.entries(GOLDEN)) {
    it(`decodes ${name}`, () => {
      const decoded = items(name).map((item) => {
        const result = falco.decode(item)
        if (result.kind !== 'finding') return result
        const { rule, timeText, target, detector, source, priority, tags, techniques, time, node, ...who } =
          result.alert
        assert.deepEqual(
          [detector, source, priority, tags, node],
          ['falco', 'falco', item['priority'], item['tags'], item['hostname']],
        )
        assert.deepEqual(
          techniques ?? [],
          tags.filter((tag) => /^T\d{4}(\.\d{3})?$/.test(tag)),
        )
        assert.equal(time, Date.parse(`${timeText.slice(0, 23)}Z`))
        return [rule, timeText, target, who]
      })
      assert.deepEqual(decoded, expected)
    })
  }

  const refusals: readonly (readonly [string, unknown, string])[] = [
    ['null', null, 'not-an-object'],
    ['an array', [MINIMAL], 'not-an-object'],
    ['a string', 'alert', 'not-an-object'],
    ['no rule', { time: MINIMAL.time }, 'rule-missing'],
    ['an empty rule', { ...MINIMAL, rule: ' ' }, 'rule-missing'],
    ['a rule that is a number', { ...MINIMAL, rule: 7 }, 'rule-missing'],
    ['a rule of the prototype', JSON.parse('{"__proto__":{"rule":"R"},"time":"2026-11-22T05:57:29Z"}'), 'rule-missing'],
    ['no time', { rule: 'R' }, 'time-missing'],
    ['a null time', { rule: 'R', time: null }, 'time-missing'],
    ['an empty time', { rule: 'R', time: '' }, 'time-missing'],
    ['a time that is a number', { rule: 'R', time: 1795327049490 }, 'time-malformed'],
    ['a time without a zone', { rule: 'R', time: '2026-11-22T05:57:29' }, 'time-malformed'],
    ['fields that are an array', { ...MINIMAL, output_fields: [] }, 'fields-malformed'],
    ['fields that are text', { ...MINIMAL, output_fields: 'x' }, 'fields-malformed'],
    ['fields that are false', { ...MINIMAL, output_fields: false }, 'fields-malformed'],
  ]
  for (const [name, item, code] of refusals) {
    it(`refuses ${name}`, () => {
      const decoded = falco.decode(item)
      assert.equal(decoded.kind === 'refused' ? decoded.code : decoded.kind, code)
    })
  }

  it('keeps an alert whose fields are null or missing as a finding without ids', () => {
    const expected = {
      detector: 'falco',
      source: 'falco',
      rule: 'R',
      priority: '',
      tags: [],
      time: 1795327049000,
      timeText: '2026-11-22T05:57:29.000000000Z',
      target: '',
    }
    assert.deepEqual(finding(falco.decode({ ...MINIMAL, output_fields: null })), expected)
    assert.deepEqual(finding(falco.decode(MINIMAL)), expected)
  })

  const fields: readonly (readonly [string, Record<string, unknown>, Record<string, unknown>])[] = [
    [
      'absent spellings',
      {
        'container.id': '<NA>',
        'container.name': '',
        'k8s.pod.name': null,
        'k8s.ns.name': '<NA>',
        'container.image.repository': '',
        'proc.exepath': '<NA>',
      },
      {},
    ],
    ['a short id that is no hex', { 'container.id': 'plain' }, {}],
    ['an id of 11 characters', { 'container.id': '0123456789a' }, {}],
    ['an upper-case id', { 'container.id': 'ABCDEF012345' }, { containerId: 'abcdef012345' }],
    [
      'a full id that continues the short one',
      { 'container.id': 'abcdef012345', 'container.full_id': `abcdef012345${'0'.repeat(52)}` },
      { containerId: `abcdef012345${'0'.repeat(52)}` },
    ],
    [
      'a full id of another container',
      { 'container.id': 'abcdef012345', 'container.full_id': 'f'.repeat(64) },
      { containerId: 'abcdef012345' },
    ],
    ['host beside a full id', { 'container.id': 'host', 'container.full_id': '' }, { containerId: 'host' }],
    [
      'a repository without a tag',
      { 'container.image.repository': 'alpine', 'container.image.tag': null },
      { image: 'alpine' },
    ],
    ['a bare id as repository', { 'container.image.repository': 'sha256', 'container.image.tag': 'f'.repeat(64) }, {}],
    [
      'a digest in an array',
      { 'container.image.digest': [`repo@sha256:${'e'.repeat(64)}`] },
      { imageDigest: `sha256:${'e'.repeat(64)}` },
    ],
    ['a digest that is none', { 'container.image.digest': 'docker.io/library/fedora:38' }, {}],
    [
      'a digest inside the reference',
      { 'container.image': `r.example/a@sha256:${'e'.repeat(64)}` },
      { image: `r.example/a@sha256:${'e'.repeat(64)}`, imageDigest: `sha256:${'e'.repeat(64)}` },
    ],
    [
      'wrong types',
      { 'container.id': 12, 'k8s.pod.name': { a: 1 }, 'k8s.ns.name': ['shop'], 'proc.exepath': true },
      {},
    ],
    ['control characters', { 'k8s.pod.name': 'a\u001b[2Jb\ud800' }, { pod: 'a\uFFFD[2Jb\uFFFD' }],
  ]
  for (const [name, output_fields, expected] of fields) {
    it(`reads ${name}`, () => {
      const decoded = finding(falco.decode({ ...MINIMAL, output_fields }))
      const who = Object.fromEntries(WHO.flatMap((key) => (decoded[key] === undefined ? [] : [[key, decoded[key]]])))
      assert.deepEqual(who, expected)
      assert.equal(decoded.target, '')
    })
  }

  it('bounds every text', () => {
    const long = 'x'.repeat(100_000)
    const alert = finding(
      falco.decode({
        rule: long,
        time: MINIMAL.time,
        priority: long,
        hostname: long,
        tags: Array(1000).fill(long),
        output_fields: { 'k8s.pod.name': long, 'container.image': long, 'proc.exepath': long },
      }),
    )
    assert.deepEqual(
      [
        alert.rule.length,
        alert.priority.length,
        alert.node?.length,
        alert.tags.length,
        alert.tags[0]?.length,
        alert.pod?.length,
        alert.image?.length,
        alert.target.length,
      ],
      [256, 32, 512, 32, 64, 512, 512, 480],
    )
  })

  it('spells priorities as Falco does', () => {
    assert.deepEqual(
      ['info', 'INFORMATIONAL', 'critical', 'Odd', 7].map(
        (priority) => finding(falco.decode({ ...MINIMAL, priority })).priority,
      ),
      ['Informational', 'Informational', 'Critical', 'Odd', ''],
    )
  })

  it('takes internal messages and test alerts as telemetry, complete or not', () => {
    for (const item of [
      { source: 'internal' },
      { ...MINIMAL, rule: 'Falco internal: timeouts' },
      { ...MINIMAL, rule: 'Test rule', source: 'debug' },
    ]) {
      assert.equal(falco.decode(item).kind, 'telemetry')
    }
  })

  it('reads the subject of an audit rule from the request, and no node', () => {
    const output_fields = {
      'ka.user.name': 'jane',
      'ka.target.name': 'web',
      'ka.target.resource': 'pods',
      'ka.target.namespace': 'shop',
      'ka.uri.param_container': 'sidecar',
    }
    const { target, node, namespace, pod, containerName } = finding(
      falco.decode({ ...MINIMAL, hostname: 'plugin-pod', source: 'k8s_audit', output_fields }),
    )
    assert.deepEqual([target, node, namespace, pod, containerName], ['jane', undefined, 'shop', 'web', 'sidecar'])
    const secret = { ...output_fields, 'ka.target.resource': 'secrets' }
    assert.equal(finding(falco.decode({ ...MINIMAL, source: 'k8s_audit', output_fields: secret })).pod, undefined)
  })

  it('is found by name', () => {
    assert.deepEqual(
      sources.map(({ name }) => name),
      ['falco', 'falcosidekick', 'k8s-audit', 'tracee', 'tetragon', 'kubearmor'],
    )
    assert.equal(findSource('falcosidekick'), falcosidekick)
    assert.equal(findSource('__proto__'), undefined)
  })
})

describe('alerts/sources/falcosidekick', () => {
  const [direct = {}] = items('kubelet-pod-extra-fields.jsonl')
  /** What Falcosidekick makes of an alert, sensor-formats.md 1.3. */
  const forwarded = {
    ...direct,
    uuid: '6d1d8c1c-6d3f-4c8e-8a5e-000000000001',
    tags: ['a', ...(direct['tags'] as string[])],
    customfield: 1,
  }

  it('gives the same alert as Falco, but for the road and the added tags', () => {
    const left = finding(falco.decode(direct))
    const right = finding(falcosidekick.decode(forwarded))
    assert.deepEqual({ ...right, source: 'falco', tags: left.tags }, left)
  })

  it('does not mind a time without trailing zeros', () => {
    const left = finding(falco.decode({ ...direct, time: '2026-11-22T06:08:15.844350000Z' }))
    const right = finding(falcosidekick.decode({ ...forwarded, time: '2026-11-22T06:08:15.84435Z' }))
    assert.equal(left.timeText, right.timeText)
  })

  it('reads structured CloudEvents', () => {
    const event = {
      specversion: '1.0',
      id: '1',
      source: 'https://falco.org',
      type: 'falco.rule.output.v1',
      data: forwarded,
    }
    assert.deepEqual(falcosidekick.decode(event), falcosidekick.decode(forwarded))
    assert.equal(falcosidekick.decode({ specversion: '1.0', data: null }).kind, 'refused')
  })

  it('has one target for a path that Falcosidekick cut', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 100, maxLength: 600 }), (path) => {
        const bytes = Buffer.from(path)
        const cut = bytes.length > 512 ? `${bytes.subarray(0, 507).toString()}[...]` : path
        assert.equal(targetOf(cut), targetOf(path))
      }),
    )
  })
})
