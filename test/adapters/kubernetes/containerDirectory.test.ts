import assert from 'node:assert/strict'

import * as fc from 'fast-check'

import { createContainerDirectory, KEEP_MS } from '../../../src/adapters/kubernetes/containerDirectory.ts'
import { ownerWorkload } from '../../../src/kube/owner.ts'
import {
  bareContainerId,
  digestGroupsOfNode,
  digestOfImageId,
  readPodContainers,
} from '../../../src/adapters/kubernetes/podContainers.ts'
import type { SeenPod } from '../../../src/adapters/kubernetes/podContainers.ts'
import type { ContainerRecord } from '../../../src/correlator/types.ts'

const hex = (digit: string): string => digit.repeat(64)
const CREATED = Date.UTC(2026, 10, 22, 6, 0)

/** A pod as the API server gives it, with one running container unless told otherwise. */
function pod(
  statuses: object,
  fields: { readonly uid?: string; readonly image?: string; readonly name?: string } = {},
): unknown {
  return {
    metadata: {
      name: fields.name ?? 'web-7d9f8b6c5-x2x4z',
      namespace: 'shop',
      uid: fields.uid ?? 'uid-1',
      creationTimestamp: '2026-11-22T06:00:00Z',
      labels: { 'pod-template-hash': '7d9f8b6c5' },
      ownerReferences: [{ kind: 'ReplicaSet', name: 'web-7d9f8b6c5', controller: true }],
    },
    spec: {
      nodeName: 'node1',
      containers: [{ name: 'web', image: fields.image ?? 'shop/web:1' }],
      initContainers: [{ name: 'setup', image: 'shop/setup:1' }],
      ephemeralContainers: [{ name: 'debug', image: 'busybox' }],
    },
    status: statuses,
  }
}

const running = (id: string, digest: string, more: object = {}): object => ({
  containerStatuses: [
    {
      name: 'web',
      image: 'sha256:x',
      imageID: `docker.io/shop/web@sha256:${hex(digest)}`,
      containerID: `containerd://${hex(id)}`,
      ...more,
    },
  ],
})

const read = (object: unknown): SeenPod => {
  const seen = readPodContainers(object, (reference) => (reference === '' ? undefined : `docker.io/${reference}`))
  assert.ok(seen)
  return seen
}

describe('readPodContainers', () => {
  it('reads every kind of container, and the run before', () => {
    const seen = read(
      pod({
        ...running('a', '1', { lastState: { terminated: { containerID: `containerd://${hex('b')}` } } }),
        initContainerStatuses: [
          {
            name: 'setup',
            imageID: `sha256:${hex('2')}`,
            state: { terminated: { containerID: `containerd://${hex('c')}` } },
          },
        ],
        ephemeralContainerStatuses: [
          {
            name: 'debug',
            imageID: `docker-pullable://busybox@sha256:${hex('3')}`,
            containerID: `docker://${hex('d')}`,
          },
        ],
      }),
    )
    assert.deepEqual(
      seen.containers.map(({ kind, containerName, containerId, reference, digests, past }) =>
        [kind, containerName, containerId[0], reference, digests.map((digest) => digest.slice(0, 8)).join(), past].join(
          ' ',
        ),
      ),
      [
        'init setup c docker.io/shop/setup:1 sha256:2 false',
        'container web b docker.io/shop/web:1 sha256:1 true',
        'container web a docker.io/shop/web:1 sha256:1 false',
        'ephemeral debug d docker.io/busybox sha256:3 false',
      ],
    )
    assert.deepEqual(
      [seen.containers[0]?.owner, seen.containers[0]?.node, seen.containers[0]?.podUid],
      ['shop/Deployment/web', 'node1', 'uid-1'],
    )
  })

  const commands: readonly (readonly [string, object, boolean])[] = [
    ['nothing', {}, false],
    ['command', { command: ['sh'] }, true],
    ['args', { args: ['-c', 'x'] }, true],
    ['empty lists', { command: [], args: [] }, false],
    ['null', { command: null, args: null }, false],
    ['what is no list', { args: 'x' }, true],
    ['another field', { env: [{ name: 'command', value: 'x' }] }, false],
  ]
  for (const [name, fields, overrides] of commands) {
    it(`${overrides ? 'sees' : 'sees no'} command of the pod's own in ${name}`, () => {
      const given = pod(running('a', '1')) as { spec: object }
      const image = 'shop/web:1'
      const other = { name: 'other', image, command: ['sh'] }
      const [seen] = read({
        ...given,
        spec: { containers: [other, { name: 'web', image, ...fields }] },
      }).containers
      assert.equal(seen?.overridesCommand, overrides ? true : undefined)
    })
  }

  it('sees the priority classes that only the system uses', () => {
    const classOf = (priorityClassName: unknown): unknown =>
      read({
        ...(pod(running('a', '1')) as object),
        spec: { containers: [{ name: 'web', image: 'w' }], priorityClassName },
      }).containers[0]?.critical
    assert.deepEqual(
      ['system-node-critical', 'system-cluster-critical', 'system-critical', 'high', undefined, 7].map(classOf),
      [true, true, undefined, undefined, undefined, undefined],
    )
  })

  it('leaves out what still waits, and what has no usable name', () => {
    assert.deepEqual(read(pod({ containerStatuses: [{ name: 'web', imageID: '', containerID: '' }] })).containers, [])
    assert.deepEqual(
      read(pod({ containerStatuses: [{ name: 'web', imageID: '', containerID: `containerd://${hex('a')}` }] }))
        .containers,
      [],
    )
    assert.deepEqual(read(pod(running('a', '1', { name: 'not-in-the-spec' }))).containers, [])
  })

  it('never throws, whatever it is given', () => {
    fc.assert(fc.property(fc.anything(), (value) => void readPodContainers(value, (text) => text)))
    fc.assert(
      fc.property(fc.anything(), fc.anything(), fc.anything(), (spec, status, more) => {
        readPodContainers(
          { metadata: { name: 'a', namespace: 'b', uid: 'c', ownerReferences: more, labels: more }, spec, status },
          (text) => text,
        )
        digestGroupsOfNode({ status })
      }),
    )
  })

  for (const [text, id] of [
    [`containerd://${hex('a')}`, hex('a')],
    [`cri-o://${hex('a')}`, hex('a')],
    [hex('a'), hex('a')],
    ['containerd://abc', undefined],
    [`containerd://${hex('A')}`, undefined],
    [`x y://${hex('a')}`, undefined],
    ['', undefined],
  ] as const) {
    it(`container id ${text.slice(0, 24)}`, () => assert.equal(bareContainerId(text), id))
  }

  for (const [text, digest] of [
    [`docker.io/library/busybox@sha256:${hex('a')}`, `sha256:${hex('a')}`],
    [`docker-pullable://busybox@sha256:${hex('a')}`, `sha256:${hex('a')}`],
    [`docker://sha256:${hex('a')}`, `sha256:${hex('a')}`],
    [`sha256:${hex('a')}`, `sha256:${hex('a')}`],
    [hex('a'), `sha256:${hex('a')}`],
    [`repo@sha512:${hex('a')}`, undefined],
    [`repo@sha512:${hex('a')}${hex('a')}`, `sha512:${hex('a')}${hex('a')}`],
    [`docker://sha384:${hex('a')}${'a'.repeat(32)}`, `sha384:${hex('a')}${'a'.repeat(32)}`],
    [`sha256:${hex('a')}0`, undefined],
    ['docker.io/library/busybox:1', undefined],
    ['', undefined],
  ] as const) {
    it(`image id ${text.slice(0, 40)}`, () => assert.equal(digestOfImageId(text), digest))
  }

  it('reads the digests that a node links', () => {
    const images = [
      { names: [`a@sha256:${hex('1')}`, `a@sha256:${hex('2')}`, 'a:1'] },
      { names: [`b@sha256:${hex('3')}`, 'b:1'] },
      { names: null },
    ]
    assert.deepEqual(digestGroupsOfNode({ status: { images } }), [[`sha256:${hex('1')}`, `sha256:${hex('2')}`]])
  })
})

describe('ownerWorkload', () => {
  const minutes = CREATED / 60_000
  for (const [kind, name, hash, owner] of [
    ['ReplicaSet', 'web-7d9f8b6c5', '7d9f8b6c5', 'shop/Deployment/web'],
    ['ReplicaSet', 'web-7d9f8b6c5', undefined, 'shop/ReplicaSet/web-7d9f8b6c5'],
    ['ReplicaSet', 'web', 'other', 'shop/ReplicaSet/web'],
    ['StatefulSet', 'db', undefined, 'shop/StatefulSet/db'],
    ['Job', `backup-${minutes}`, undefined, 'shop/CronJob/backup'],
    ['Job', 'import-12345678', undefined, 'shop/Job/import-12345678'],
    ['Job', 'import', undefined, 'shop/Job/import'],
    ['Node', 'node1', undefined, 'shop/Pod/p'],
  ] as const) {
    it(`${kind} ${name} -> ${owner}`, () => {
      const labels = hash === undefined ? {} : { labels: { 'pod-template-hash': hash } }
      const metadata = { name: 'p', namespace: 'shop', ownerReferences: [{ kind, name, controller: true }], ...labels }
      assert.equal(ownerWorkload(metadata, CREATED), owner)
    })
  }

  it('is the pod itself without a controller', () => {
    const metadata = { name: 'p', namespace: 'shop', ownerReferences: [{ kind: 'ReplicaSet', name: 'web' }] }
    assert.equal(ownerWorkload(metadata, CREATED), 'shop/Pod/p')
  })
})

describe('the container directory', () => {
  const clock = { now: CREATED }
  const records: ContainerRecord[] = []
  const create = (maxRecords?: number) =>
    createContainerDirectory({
      now: () => clock.now,
      onRecord: (record) => records.push(record),
      ...(maxRecords === undefined ? {} : { maxRecords }),
    })
  beforeEach(() => {
    clock.now = CREATED
    records.length = 0
  })

  it('finds by 12, 31 and 64 characters of the id, and by pod', () => {
    const directory = create()
    directory.update(read(pod(running('a', '1'))))
    for (const length of [12, 31, 64]) assert.equal(directory.findById(hex('a').slice(0, length)).length, 1)
    for (const prefix of ['', hex('a').slice(0, 11), `${hex('a').slice(0, 12)}b`, 'A'.repeat(12), '__proto__xyz']) {
      assert.deepEqual(directory.findById(prefix), [])
    }
    const { name } = read(pod({}))
    assert.equal(directory.findByPod('shop', name).length, 1)
    assert.equal(directory.findByPod('shop', name, 'web', 'uid-1').length, 1)
    assert.deepEqual(directory.findByPod('shop', name, 'other'), [])
    assert.deepEqual(directory.findByPod('shop', name, 'web', 'uid-2'), [])
    assert.deepEqual(directory.findByPod('other', name), [])
  })

  it('keeps an id 24 h after it left, not longer, and a present one for ever', () => {
    const directory = create()
    const before = read(pod(running('a', '1')))
    directory.update(before)
    clock.now += 3 * KEEP_MS
    assert.equal(directory.findById(hex('a'))[0]?.firstSeen, CREATED)
    directory.remove(before)
    clock.now += KEEP_MS
    assert.equal(directory.findById(hex('a')).length, 1)
    clock.now += 1
    assert.deepEqual(directory.findById(hex('a')), [])
    directory.update(read(pod(running('b', '2'), { uid: 'uid-2' })))
    assert.equal(directory.size(), 1)
  })

  it('remembers five runs of one container', () => {
    const directory = create()
    const runs = ['a', 'b', 'c', 'd', 'e']
    runs.forEach((id, index) => {
      const previous = runs[index - 1]
      const lastState =
        previous === undefined ? {} : { lastState: { terminated: { containerID: `containerd://${hex(previous)}` } } }
      directory.update(read(pod(running(id, '1', lastState))))
    })
    for (const id of runs) assert.equal(directory.findById(hex(id)).length, 1, id)
    assert.equal(directory.size(), 5)
  })

  it('keeps the name and the digest that a run had, when the image is changed in place', () => {
    const directory = create()
    directory.update(read(pod(running('a', '1'))))
    // The spec already names the new image, the status still shows the old container.
    directory.update(read(pod(running('a', '1'), { image: 'innocent/nginx:1' })))
    directory.update(
      read(
        pod(running('b', '2', { lastState: { terminated: { containerID: `containerd://${hex('a')}` } } }), {
          image: 'innocent/nginx:1',
        }),
      ),
    )
    const [old] = directory.findById(hex('a'))
    assert.deepEqual([old?.reference, old?.digests], ['docker.io/shop/web:1', [`sha256:${hex('1')}`]])
    const [next] = directory.findById(hex('b'))
    // Nobody can tell whether it is the new name's image or the old name's, pulled again: no tag is denied for it.
    const pinned = `docker.io/innocent/nginx@sha256:${hex('2')}`
    assert.deepEqual([next?.reference, next?.digests], [pinned, [`sha256:${hex('2')}`]])
  })

  for (const [what, names] of [
    ['once', ['shop/web:1', 'innocent/nginx:1']],
    ['and back', ['innocent/nginx:1', 'shop/web:1', 'innocent/nginx:1']],
    ['from what cannot be read', ['', 'innocent/nginx:1']],
  ] as const) {
    it(`gives nobody's tag to an image whose pod was renamed while it was pulled: ${what}`, () => {
      const directory = create()
      for (const image of names) directory.update(read(pod({}, { image })))
      const seen = read(pod(running('a', '1'), { image: names.at(-1)! }))
      directory.update(seen)
      assert.equal(directory.findById(hex('a'))[0]?.reference, `docker.io/innocent/nginx@sha256:${hex('1')}`)
      assert.equal(directory.ranAs([`sha256:${hex('1')}`], 'docker.io/innocent/nginx:1'), false)
      // Another pod of the name is another matter, and so is one that has the same uid again.
      directory.update(read(pod(running('b', '1'), { image: 'innocent/nginx:1', uid: 'uid-2' })))
      assert.equal(directory.findById(hex('b'))[0]?.reference, 'docker.io/innocent/nginx:1')
      directory.remove(seen)
      directory.update(read(pod(running('c', '1'), { image: 'innocent/nginx:1' })))
      assert.equal(directory.findById(hex('c'))[0]?.reference, 'docker.io/innocent/nginx:1')
    })
  }

  it('shows a contradiction: two pods with one container id', () => {
    const directory = create()
    directory.update(read(pod(running('a', '1'))))
    directory.update(read(pod(running('a', '2'), { uid: 'uid-2', name: 'thief' })))
    assert.deepEqual(
      directory.findById(hex('a')).map((record) => record.podUid),
      ['uid-1', 'uid-2'],
    )
  })

  it('grows the digests of one image, and says so', () => {
    const directory = create()
    directory.update(read(pod(running('a', '1'))))
    directory.linkDigests([`sha256:${hex('1')}`, `sha256:${hex('2')}`])
    assert.deepEqual(directory.findById(hex('a'))[0]?.digests, [`sha256:${hex('1')}`, `sha256:${hex('2')}`])
    directory.linkDigests([`sha256:${hex('1')}`, `sha256:${hex('2')}`])
    directory.update(read(pod(running('b', '2'), { uid: 'uid-2' })))
    assert.deepEqual(directory.findById(hex('b'))[0]?.digests, [`sha256:${hex('1')}`, `sha256:${hex('2')}`])
    assert.deepEqual(
      records.map((record) => `${record.containerId[0]} ${record.digests.length}`),
      ['a 1', 'a 2', 'b 2'],
    )
  })

  it('says who ran an image in the last 24 h, one entry for each workload', () => {
    let now = CREATED
    const directory = createContainerDirectory({ now: () => now })
    const seen = (id: string, digest: string, owner: string, critical = false): SeenPod => {
      const base = read(pod(running(id, digest), { uid: `uid-${id}`, name: `p-${id}` }))
      const [namespace = ''] = owner.split('/')
      return {
        ...base,
        namespace,
        containers: base.containers.map((one) => ({ ...one, namespace, owner, ...(critical ? { critical } : {}) })),
      }
    }
    const web = seen('a', '1', 'shop/Deployment/web')
    directory.update(web)
    now += 1000
    directory.update(seen('b', '1', 'shop/Deployment/web', true))
    directory.update(seen('c', '1', 'blog/DaemonSet/agent'))
    directory.update(seen('d', '2', 'pay/Deployment/other'))
    const [one, two] = [`sha256:${hex('1')}`, `sha256:${hex('2')}`]
    assert.deepEqual(directory.usesOf([one, one]), [
      { owner: 'shop/Deployment/web', namespace: 'shop', critical: true, firstSeen: CREATED },
      { owner: 'blog/DaemonSet/agent', namespace: 'blog', critical: false, firstSeen: CREATED + 1000 },
    ])
    assert.deepEqual(
      [directory.usesOf([one, two]).length, directory.usesOf([]), directory.usesOf(['__proto__'])],
      [3, [], []],
    )
    directory.remove(web)
    directory.remove(seen('c', '1', 'blog/DaemonSet/agent'))
    now += KEEP_MS
    assert.equal(directory.usesOf([one]).length, 2)
    assert.equal(directory.ranAs([two, one], 'docker.io/shop/web:1'), true)
    assert.equal(directory.ranAs([one], 'docker.io/shop/web'), false)
    assert.equal(directory.ranAs([], 'docker.io/shop/web:1'), false)
    now += 1
    assert.deepEqual(
      directory.usesOf([one]).map(({ owner, firstSeen }) => [owner, firstSeen]),
      [['shop/Deployment/web', CREATED + 1000]],
    )
  })

  it('names at most 1,000 workloads', () => {
    const directory = createContainerDirectory({ now: () => CREATED })
    for (let n = 0; n < 1100; n++) {
      const base = read(pod(running('a', '1'), { uid: `uid-${n}` }))
      directory.update({ ...base, containers: base.containers.map((one) => ({ ...one, owner: `shop/Job/${n}` })) })
    }
    assert.equal(directory.usesOf([`sha256:${hex('1')}`]).length, 1000)
  })

  it('is bounded: those that left first go first', () => {
    const directory = create(10)
    for (let index = 0; index < 30; index += 1) {
      clock.now += 1
      const id = index.toString(16).padStart(64, '0')
      const seen = read(
        pod({ containerStatuses: [{ name: 'web', imageID: `sha256:${hex('1')}`, containerID: `containerd://${id}` }] }),
      )
      directory.update(seen)
    }
    assert.equal(directory.size(), 10)
    assert.equal(directory.findById((29).toString(16).padStart(64, '0')).length, 1)
    assert.deepEqual(directory.findById((0).toString(16).padStart(64, '0')), [])
  })
})
