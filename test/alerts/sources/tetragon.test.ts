import assert from 'node:assert/strict'
import { tetragon } from '../../../src/alerts/sources/tetragon.ts'
import { findingOf, outcomeOf } from './support.ts'

type Json = Readonly<Record<string, unknown>>

const ID = '88a138a1e320c55cfcc8dd5d8c528523c2f48faf8cf1b87d7723bab968e08664'
const DIGEST = `sha256:${'1e622c5f'.repeat(8)}`

const PROCESS = {
  binary: '/usr/bin/nsenter',
  arguments: '-t 1 -a /bin/bash',
  pod: {
    namespace: 'shop',
    name: 'web-1',
    uid: 'uid-1',
    container: {
      id: `containerd://${ID}`,
      name: 'web',
      image: { id: `registry.example/shop/web@${DIGEST}`, name: 'registry.example/shop/web:1.4.2' },
    },
  },
  docker: ID.slice(0, 31),
}

const BODY = { process: PROCESS, policy_name: 'setns', tags: ['observability', 'mitre.T1611'], message: 'x' }
const event = (body: Json = {}, change: Json = {}): Json => ({
  process_kprobe: { ...BODY, ...body },
  node_name: 'node1',
  time: '2026-11-22T06:08:15.844354316Z',
  ...change,
})
const renamed = (key: string): Json => ({ [key]: BODY, time: '2026-11-22T06:08:15Z' })

describe('alerts/sources/tetragon', () => {
  it('decodes an event of a policy', () => {
    assert.deepEqual(findingOf(tetragon.decode(event())), {
      detector: 'tetragon',
      source: 'tetragon',
      rule: 'setns',
      priority: '',
      tags: ['mitre.T1611', 'observability'],
      techniques: ['T1611'],
      time: Date.UTC(2026, 10, 22, 6, 8, 15, 844),
      timeText: '2026-11-22T06:08:15.844354316Z',
      target: '/usr/bin/nsenter',
      node: 'node1',
      containerId: ID,
      containerName: 'web',
      namespace: 'shop',
      pod: 'web-1',
      podUid: 'uid-1',
      image: 'registry.example/shop/web:1.4.2',
      imageDigest: DIGEST,
    })
  })

  const cases: readonly (readonly [string, unknown, string])[] = [
    ['a kprobe of no policy', event({ policy_name: undefined }), 'telemetry'],
    ['an empty policy', event({ policy_name: '' }), 'telemetry'],
    ['an execution', renamed('process_exec'), 'telemetry'],
    ['an exit', renamed('process_exit'), 'telemetry'],
    ['throttling', { process_throttle: {}, time: 'x' }, 'telemetry'],
    ['a rate limit', { rate_limit_info: {}, time: 'x' }, 'telemetry'],
    ['a tracepoint', renamed('process_tracepoint'), 'finding: setns'],
    ['an LSM hook', renamed('process_lsm'), 'finding: setns'],
    ['a uprobe', renamed('process_uprobe'), 'finding: setns'],
    ['a wrapped event', { time: '2026-11-22T06:08:15Z', type: 'process_kprobe', payload: BODY }, 'finding: setns'],
    [
      'a wrapped event with its key',
      { time: '2026-11-22T06:08:15Z', type: 'process_lsm', payload: { process_lsm: BODY } },
      'finding: setns',
    ],
    ['a wrapped execution', { type: 'process_exec', payload: BODY }, 'telemetry'],
    ['a wrapped nothing', { type: 'process_kprobe', payload: null }, 'telemetry'],
    ['a kprobe that is text', { process_kprobe: 'x' }, 'telemetry'],
    ['no time', event({}, { time: undefined }), 'refused: time-missing'],
    ['a time that is a number', event({}, { time: 7 }), 'refused: time-missing'],
    ['a time that is none', event({}, { time: 'x' }), 'refused: time-malformed'],
    ['nothing known', { rule: 'R' }, 'refused: rule-missing'],
    ['an array', [], 'refused: not-an-object'],
  ]
  for (const [name, item, expected] of cases) {
    it(`makes of ${name}: ${expected}`, () => assert.equal(outcomeOf(tetragon.decode(item)), expected))
  }

  const ids: readonly (readonly [string, Json, string | undefined])[] = [
    ['Docker', { pod: { container: { id: `docker://${ID}` } } }, ID],
    ['31 characters, before the pod is known', { docker: ID.slice(0, 31) }, ID.slice(0, 31)],
    ['a pod without its container', { pod: { name: 'web-1' } }, undefined],
    ['an id that is none', { pod: { container: { id: 'containerd://x' } }, docker: 'y' }, undefined],
    ['a process of the node', {}, 'host'],
  ]
  for (const [name, process, expected] of ids) {
    it(`reads the container id: ${name}`, () => {
      assert.equal(findingOf(tetragon.decode(event({ process }))).containerId, expected)
    })
  }

  it('reads the digest behind docker-pullable:// and never the arguments', () => {
    const image = { id: `docker-pullable://nginx@${DIGEST}`, name: 'nginx' }
    const process = { ...PROCESS, pod: { container: { image } } }
    assert.equal(findingOf(tetragon.decode(event({ process }))).imageDigest, DIGEST)
    assert.doesNotMatch(JSON.stringify(tetragon.decode(event())), /-t 1/)
  })
})
