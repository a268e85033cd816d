import assert from 'node:assert/strict'
import { tracee } from '../../../src/alerts/sources/tracee.ts'
import { findingOf, outcomeOf } from './support.ts'

type Json = Readonly<Record<string, unknown>>

const ID = '8498b6e0c2d94f7d2a1f6f1f6f0b4a6f0a0b8c6d5e4f3a2b1c0d9e8f7a6b5c4d'
const DIGEST = `sha256:${'b1211f6d'.repeat(8)}`
const PROPERTIES = { Severity: 3, external_id: 'T1055.008', signatureID: 'TRC-103', Category: 'defense-evasion' }

const nested = (change: Json = {}): Json => ({
  timestamp: 1745555437776373000,
  processName: 'ptr',
  executable: { path: '/usr/local/bin/ptr' },
  hostName: 'app-c-8b9cd456c',
  containerId: ID,
  container: { id: ID, name: 'app', image: 'docker.io/library/debian:bookworm-slim', imageDigest: DIGEST },
  kubernetes: { podName: 'app-c-8b9cd456c-5h54z', podNamespace: 'team-green', podUID: 'uid-1' },
  eventId: '6018',
  eventName: 'ptrace_code_injection',
  args: [],
  metadata: { Version: '1', Tags: ['linux'], Properties: PROPERTIES },
  ...change,
})

const flat = (change: Json = {}): Json => ({
  timestamp: 1745555437776373000,
  processName: 'ptr',
  hostName: 'app-c-8b9cd456c',
  containerId: ID,
  containerImage: 'docker.io/library/debian:bookworm-slim',
  containerName: 'app',
  podName: 'app-c-8b9cd456c-5h54z',
  podNamespace: 'team-green',
  podUID: 'uid-1',
  eventName: 'Code injection detected using ptrace',
  matchedScopes: 1,
  metadata: { Tags: null, Properties: PROPERTIES },
  ...change,
})

const protobuf = (change: Json = {}): Json => ({
  timestamp: '2025-04-25T04:30:37.776373Z',
  id: 6018,
  name: 'ptrace_code_injection',
  workload: {
    process: { executable: { path: '/usr/local/bin/ptr' }, thread: { name: 'ptr' } },
    container: {
      id: ID,
      name: 'app',
      image: {
        id: `sha256:${'c'.repeat(64)}`,
        repo_digests: [`docker.io/library/debian@${DIGEST}`],
        name: 'docker.io/library/debian:bookworm-slim',
      },
    },
    k8s: { pod: { name: 'app-c-8b9cd456c-5h54z', uid: 'uid-1' }, namespace: { name: 'team-green' } },
  },
  threat: {
    mitre: { tactic: { name: 'Defense Evasion' }, technique: { id: 'T1055.008' } },
    severity: 3,
    properties: { signatureID: 'TRC-103', Category: 'defense-evasion' },
  },
  ...change,
})

/** What the newer two layouts agree on. */
const EXPECTED = {
  detector: 'tracee',
  source: 'tracee',
  rule: 'ptrace_code_injection',
  priority: 'HIGH',
  techniques: ['T1055.008'],
  time: 1745555437776,
  timeText: '2025-04-25T04:30:37.776373000Z',
  target: '/usr/local/bin/ptr',
  containerId: ID,
  containerName: 'app',
  namespace: 'team-green',
  pod: 'app-c-8b9cd456c-5h54z',
  podUid: 'uid-1',
  image: 'docker.io/library/debian:bookworm-slim',
  imageDigest: DIGEST,
}

describe('alerts/sources/tracee', () => {
  it('reads one event of the three layouts alike', () => {
    const tags = ['TRC-103', 'defense-evasion']
    assert.deepEqual(findingOf(tracee.decode(nested())), { ...EXPECTED, tags: [...tags, 'linux'] })
    assert.deepEqual(findingOf(tracee.decode(protobuf())), { ...EXPECTED, tags })
    const { imageDigest: _, ...older } = EXPECTED
    assert.deepEqual(findingOf(tracee.decode(flat())), {
      ...older,
      tags,
      rule: 'Code injection detected using ptrace',
      target: 'ptr',
    })
  })

  const cases: readonly (readonly [string, unknown, string])[] = [
    ['an event of no signature', nested({ metadata: undefined }), 'telemetry'],
    ['metadata without a signature', nested({ metadata: { Properties: { Severity: 3 } } }), 'telemetry'],
    ['null metadata', nested({ metadata: null }), 'telemetry'],
    ['an event of no threat', protobuf({ threat: undefined }), 'telemetry'],
    ['a null threat', protobuf({ threat: null }), 'telemetry'],
    ['a threat without a workload', protobuf({ workload: undefined }), 'finding: ptrace_code_injection'],
    ['a custom signature', nested({ eventName: 'mine' }), 'finding: mine'],
    ['what the forward output sends', { event: JSON.stringify(nested()) }, 'finding: ptrace_code_injection'],
    ['what a shipper parsed of it', { event: nested() }, 'finding: ptrace_code_injection'],
    ['a wrapped text that is no JSON', { event: '{"eventName"' }, 'refused: not-json'],
    ['a wrapped array', { event: '[]' }, 'refused: not-json'],
    ['a wrapped number', { event: 7 }, 'refused: not-json'],
    ['no name', nested({ eventName: '' }), 'refused: rule-missing'],
    ['no time', nested({ timestamp: null }), 'refused: time-missing'],
    ['a negative time', nested({ timestamp: -1 }), 'refused: time-malformed'],
    ['a time that is text', nested({ timestamp: 'now' }), 'refused: time-malformed'],
    ['a time beyond the year 9999', nested({ timestamp: 1e30 }), 'refused: time-malformed'],
    ['seconds that are none', protobuf({ timestamp: { seconds: [], nanos: 0 } }), 'refused: time-malformed'],
    ['too many nanoseconds', protobuf({ timestamp: { seconds: 1, nanos: 1e9 } }), 'refused: time-malformed'],
    ['null', null, 'refused: not-an-object'],
    ['an empty object', {}, 'refused: rule-missing'],
  ]
  for (const [name, item, expected] of cases) {
    it(`makes of ${name}: ${expected}`, () => assert.equal(outcomeOf(tracee.decode(item)), expected))
  }

  const times: readonly (readonly [string, unknown, string])[] = [
    ['a number', 1745555437776373000, '2025-04-25T04:30:37.776373000Z'],
    ['digits', '1745555437776373143', '2025-04-25T04:30:37.776373000Z'],
    ['a number relative to the boot', 173734285451, '1970-01-01T00:02:53.734285000Z'],
    ['text', '2025-04-25T04:30:37.776373143Z', '2025-04-25T04:30:37.776373143Z'],
    ['seconds as text', { seconds: '1745555437', nanos: 776373143 }, '2025-04-25T04:30:37.776373143Z'],
    ['seconds alone', { seconds: 1745555437 }, '2025-04-25T04:30:37.000000000Z'],
  ]
  for (const [name, timestamp, expected] of times) {
    it(`reads a time that is ${name}`, () => {
      assert.equal(findingOf(tracee.decode(nested({ timestamp }))).timeText, expected)
    })
  }

  const places: readonly (readonly [string, Json, Json])[] = [
    ['an empty containerId beside container.id', nested({ containerId: '' }), { containerId: ID }],
    ['a container without an id', nested({ container: { name: 'app' }, containerId: '' }), { containerId: undefined }],
    [
      'a process outside containers',
      nested({ container: {}, kubernetes: {}, containerId: '' }),
      { containerId: 'host', pod: undefined },
    ],
    [
      'an image digest that is none (aquasecurity/tracee#3675)',
      nested({
        container: { id: ID, image: 'docker.io/library/fedora:38', imageDigest: 'docker.io/library/fedora:38' },
      }),
      { image: 'docker.io/library/fedora:38', imageDigest: undefined },
    ],
    ['a host name, which is a pod name', nested(), { node: undefined }],
    [
      'a pod as the documentation shows it',
      protobuf({ workload: { container: { id: ID }, pod: { name: 'web', namespace: { name: 'shop' } } } }),
      { pod: 'web', namespace: 'shop' },
    ],
    ['an unknown severity', protobuf({ threat: { severity: 99 } }), { priority: '' }],
    ['a severity of the prototype', protobuf({ threat: { severity: '__proto__' } }), { priority: '' }],
  ]
  for (const [name, item, expected] of places) {
    it(`reads ${name}`, () => {
      const alert: Json = { ...findingOf(tracee.decode(item)) }
      assert.deepEqual(Object.fromEntries(Object.keys(expected).map((key) => [key, alert[key]])), expected)
    })
  }

  it('is about the file, where one was dropped', () => {
    const seen = { id: 741, name: 'magic_write', args: [{ name: 'pathname', value: '/tmp/dropped' }] }
    const target = (change: Json): string => findingOf(tracee.decode(change)).target
    const dropped = { eventName: 'dropped_executable' }
    assert.equal(target(nested({ ...dropped, args: [{ name: 'triggeredBy', value: seen }] })), '/tmp/dropped')
    assert.equal(target(nested({ ...dropped, args: [{ name: 'detectedFrom', value: seen }] })), '/tmp/dropped')
    assert.equal(target(nested({ ...dropped, args: [{ name: 'detectedFrom', value: 'x' }] })), '/usr/local/bin/ptr')
    assert.equal(target(nested({ args: [{ name: 'detectedFrom', value: seen }] })), '/usr/local/bin/ptr')
    const name = 'dropped_executable'
    assert.equal(target(protobuf({ name, data: [{ name: 'path', value: '/tmp/dropped' }] })), '/tmp/dropped')
    assert.equal(target(protobuf({ name, data: [{ name: 'path', str: '/tmp/dropped' }] })), '/tmp/dropped')
    assert.equal(
      target(protobuf({ name, detected_from: { data: [{ name: 'pathname', value: '/tmp/dropped' }] } })),
      '/tmp/dropped',
    )
  })
})
