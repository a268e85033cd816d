import assert from 'node:assert/strict'
import { attributeByClaim, attributeByCluster } from '../../src/correlator/attribute.ts'
import type { ContainerRecord } from '../../src/correlator/types.ts'
import type { RuntimeAlert } from '../../src/alerts/types.ts'
import { alert, container, DIGEST_A, DIGEST_B, directoryOf, HOUR, NOW, parseReference } from './support.ts'

const ID = container().containerId
const OTHER = {
  containerId: `c0ffee000001${'1'.repeat(52)}`,
  pod: 'other-1',
  podUid: 'uid-2',
  owner: 'shop/Deployment/other',
  digests: [DIGEST_B],
  node: 'node2',
}

function outcome(
  change: Partial<RuntimeAlert>,
  records: readonly Partial<ContainerRecord>[],
  lastChance = false,
): string {
  const result = attributeByCluster(alert(change), directoryOf(...records.map(container)), lastChance)
  return result.kind === 'image'
    ? `image ${result.record?.containerId.slice(0, 13)} ${result.image.owner}`
    : 'reason' in result
      ? `${result.kind}: ${result.reason}`
      : result.kind
}

const FOUND = 'image c0ffee0000010 shop/Deployment/web'

const claim = (change: Partial<RuntimeAlert>): unknown => {
  const result = attributeByClaim(alert(change), parseReference)
  return result.kind === 'image' ? [result.image.references, result.image.digests, result.image.owner] : result
}

describe('correlator/attribute', () => {
  const cases: readonly (readonly [string, Partial<RuntimeAlert>, readonly Partial<ContainerRecord>[], string])[] = [
    ['12 characters of the id', {}, [{}], FOUND],
    ['31 characters of the id', { containerId: ID.slice(0, 31) }, [{}], FOUND],
    ['the whole id', { containerId: ID }, [{}], FOUND],
    ['an id alone', { namespace: undefined, pod: undefined }, [{}], FOUND],
    ['a wrong node name', { node: 'falco-t5qqr' }, [{}], FOUND],
    ['a host process', { containerId: 'host' }, [{}], 'host'],
    ['an init container', {}, [{ kind: 'init', containerName: 'setup' }], FOUND],
    ['a collision that the node decides', { node: 'node1', namespace: undefined, pod: undefined }, [{}, OTHER], FOUND],
    [
      'a collision that nothing decides',
      { namespace: undefined, pod: undefined },
      [{}, OTHER],
      'unresolved: 2 containers with different images match',
    ],
    [
      'a collision of one image in two workloads',
      { namespace: undefined, pod: undefined },
      [{}, { ...OTHER, digests: [DIGEST_A] }],
      'unresolved: 2 containers of different workloads match',
    ],
    [
      'an id of another pod',
      { pod: 'victim-1' },
      [{}],
      'unresolved: the container id belongs to another pod than the alert names',
    ],
    [
      'an id of another namespace',
      { namespace: 'victim' },
      [{}],
      'unresolved: the container id belongs to another pod than the alert names',
    ],
    ['an id of a static pod, whose uid sensors report otherwise', { podUid: 'uid-9' }, [{}], FOUND],
    [
      'an unknown id, though the pod is known',
      { containerId: 'abcdef012345' },
      [{}],
      'unknown: no pod status shows this container id',
    ],
    ['no id, but the pod and container', { containerId: undefined }, [{}], FOUND],
    [
      'no id, a container restarted five times',
      { containerId: undefined },
      [{}, ...[1, 2, 3, 4, 5].map((n) => ({ containerId: `d${n}`.padEnd(64, '0') }))],
      FOUND,
    ],
    [
      'no id, a pod of two images without container name',
      { containerId: undefined, containerName: undefined },
      [{}, { containerId: 'e'.repeat(64), containerName: 'sidecar', digests: [DIGEST_B] }],
      'unresolved: 2 containers with different images match',
    ],
    [
      'no id, a container that began long after the event',
      { containerId: undefined, time: NOW - 2 * HOUR },
      [{}],
      'unknown: no pod status shows this pod and container',
    ],
    [
      'no id, no pod',
      { containerId: undefined, pod: undefined },
      [{}],
      'unresolved: the alert names no container and no pod',
    ],
  ]
  for (const [name, change, records, expected] of cases) {
    it(`resolves ${name}`, () => assert.equal(outcome(change, records), expected))
  }

  it('falls back to the name of the container only when the wait is over', () => {
    assert.equal(outcome({ containerId: 'abcdef012345' }, [{}], true), FOUND)
    assert.equal(
      outcome({ containerId: 'abcdef012345', containerName: undefined }, [{}], true),
      'unknown: no pod status shows this container id',
    )
  })

  it('takes the image from the cluster, never from the alert', () => {
    const result = attributeByCluster(
      alert({ image: 'registry.example/victim:1', imageDigest: DIGEST_B }),
      directoryOf(container()),
    )
    assert.ok(result.kind === 'image')
    assert.deepEqual([result.image.digests, result.image.references], [[DIGEST_A], ['registry.example/shop/web:1.4.2']])
  })

  it('standalone takes what the alert says', () => {
    assert.deepEqual(claim({ imageDigest: DIGEST_A }), [['registry.example/shop/web:1.4.2'], [DIGEST_A], 'shop/web-1'])
    assert.deepEqual(claim({ image: undefined, imageDigest: DIGEST_A, pod: undefined }), [[], [DIGEST_A], 'web'])
    assert.deepEqual(claim({ image: `registry.example/a@${DIGEST_B}` }), [
      [`registry.example/a@${DIGEST_B}`],
      [DIGEST_B],
      'shop/web-1',
    ])
    assert.deepEqual(claim({ image: 'localhost:5000/a', imageDigest: DIGEST_B }), [
      [`localhost:5000/a@${DIGEST_B}`],
      [DIGEST_B],
      'shop/web-1',
    ])
    for (const image of ['registry.example/a', 'localhost:5000/a', 'nginx']) {
      assert.deepEqual(claim({ image }), {
        kind: 'unresolved',
        reason:
          'the alert names a repository without tag or digest: add container.image.digest to the rules (append_output, extra_output_fields)',
      })
    }
    assert.deepEqual(claim({ image: 'NOT AN IMAGE' }), { kind: 'unresolved', reason: 'the alert names no image' })
    assert.deepEqual(claim({ containerId: 'host' }), { kind: 'host' })
  })
})
