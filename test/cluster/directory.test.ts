import assert from 'node:assert/strict'

import { createClient, loadKubeConfig } from '../../src/adapters/kubernetes/client.ts'
import type { KubernetesClient } from '../../src/adapters/kubernetes/client.ts'
import { watchContainers } from '../../src/adapters/kubernetes/containerDirectory.ts'
import type { WatchedContainers } from '../../src/adapters/kubernetes/containerDirectory.ts'
import { watchNamespaces } from '../../src/adapters/kubernetes/namespaces.ts'
import type { ContainerRecord } from '../../src/correlator/types.ts'
import { waitFor } from './harness.ts'
import type { Cluster } from './harness.ts'
import { sharedCluster } from './shared.ts'

const hex = (digit: string): string => digit.repeat(64)
const NAMESPACE = 'directory-test'

describe('the container directory on a real API server', () => {
  let cluster: Cluster
  let client: KubernetesClient
  let directory: WatchedContainers
  const records: ContainerRecord[] = []

  before(async () => {
    cluster = sharedCluster()
    await cluster.createNamespace(NAMESPACE)
    // Pods need the namespace's default service account, which a controller makes a moment later.
    if (cluster.hasControllers)
      await waitFor(
        async () => (await cluster.kubectl(['get', 'sa', 'default', '-n', NAMESPACE])).code === 0,
        20_000,
        'the service account',
      )
    client = createClient(loadKubeConfig({ file: cluster.kubeconfig }))
    directory = watchContainers({
      client,
      now: () => Date.now(),
      normalize: (reference) => (reference === '' ? undefined : `docker.io/${reference}`),
      onRecord: (record) => records.push(record),
    })
    await directory.synced(10_000)
  })

  after(async () => {
    await directory.stop()
    client.close()
    await cluster.must(['delete', 'namespace', NAMESPACE, '--wait=false'])
  })

  const patchStatus = (pod: string, status: object): Promise<string> =>
    cluster.must([
      'patch',
      'pod',
      pod,
      '-n',
      NAMESPACE,
      '--subresource=status',
      '--type=merge',
      '-p',
      JSON.stringify({ status }),
    ])

  it('follows a pod of a Deployment from its first status over a restart to its end', async function () {
    if (!cluster.hasControllers) this.skip()
    await cluster.must(['create', 'deployment', 'web', '--image=shop/web:1', '-n', NAMESPACE])
    const pod = await waitFor(
      async () =>
        (
          await cluster.must([
            'get',
            'pods',
            '-n',
            NAMESPACE,
            '-l',
            'app=web',
            '-o',
            'jsonpath={.items[*].metadata.name}',
          ])
        ).trim() || undefined,
      20_000,
      'the pod of the Deployment',
    )
    const container = {
      name: 'web',
      image: 'docker.io/other/name:9',
      imageID: `docker.io/shop/web@sha256:${hex('1')}`,
      ready: true,
      restartCount: 0,
    }
    await patchStatus(pod, {
      phase: 'Running',
      containerStatuses: [
        {
          ...container,
          containerID: `containerd://${hex('a')}`,
          state: { running: { startedAt: '2026-11-22T06:00:00Z' } },
        },
      ],
    })
    const [record] = await waitFor(
      () =>
        directory.findById(hex('a').slice(0, 12)).length > 0 ? directory.findById(hex('a').slice(0, 12)) : undefined,
      5000,
      'the container',
    )
    assert.deepEqual(
      { ...record, podUid: '', firstSeen: 0 },
      {
        containerId: hex('a'),
        containerName: 'web',
        kind: 'container',
        namespace: NAMESPACE,
        pod,
        podUid: '',
        reference: 'docker.io/shop/web:1',
        digests: [`sha256:${hex('1')}`],
        owner: `${NAMESPACE}/Deployment/web`,
        firstSeen: 0,
      },
    )
    const terminated = {
      containerID: `containerd://${hex('a')}`,
      exitCode: 137,
      startedAt: '2026-11-22T06:00:00Z',
      finishedAt: '2026-11-22T06:01:00Z',
    }
    await patchStatus(pod, {
      containerStatuses: [
        { ...container, restartCount: 1, containerID: `containerd://${hex('b')}`, lastState: { terminated } },
      ],
    })
    await waitFor(() => directory.findByPod(NAMESPACE, pod).length === 2, 5000, 'the second run')
    await cluster.must(['delete', 'deployment', 'web', '-n', NAMESPACE])
    await cluster.must(['delete', 'pod', pod, '-n', NAMESPACE, '--grace-period=0', '--force', '--ignore-not-found'])
    assert.equal(directory.findById(hex('a')).length, 1)
    assert.equal(directory.findById(hex('b')).length, 1)
    assert.deepEqual(
      records.map(({ containerId }) => containerId[0]),
      ['a', 'b'],
    )
  })

  it('learns from a node which digests are one image', async () => {
    await cluster.must(['run', 'plain', '--image=shop/job:1', '-n', NAMESPACE])
    await patchStatus('plain', {
      containerStatuses: [
        {
          name: 'plain',
          image: 'i',
          imageID: `docker.io/shop/job@sha256:${hex('3')}`,
          containerID: `containerd://${hex('c')}`,
          ready: true,
          restartCount: 0,
        },
      ],
    })
    await waitFor(() => directory.findById(hex('c')).length === 1, 5000, 'the container')
    await cluster.must(
      ['create', '-f', '-'],
      JSON.stringify({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'directory-node' } }),
    )
    try {
      const images = [
        {
          names: [
            `docker.io/shop/job@sha256:${hex('4')}`,
            `docker.io/shop/job@sha256:${hex('3')}`,
            'docker.io/shop/job:1',
          ],
          sizeBytes: 1,
        },
      ]
      await cluster.must([
        'patch',
        'node',
        'directory-node',
        '--subresource=status',
        '--type=merge',
        '-p',
        JSON.stringify({ status: { images } }),
      ])
      await waitFor(() => directory.findById(hex('c'))[0]?.digests.length === 2, 5000, 'the second digest')
      assert.deepEqual(directory.findById(hex('c'))[0]?.owner, `${NAMESPACE}/Pod/plain`)
    } finally {
      await cluster.must(['delete', 'node', 'directory-node'])
    }
  })

  it('misses no pod that appeared while the API server was away', async function () {
    this.timeout(60_000)
    await cluster.stopApiServer()
    await cluster.startApiServer()
    // A second client works at once; the directory has to find its way back by itself.
    await cluster.must(['run', 'late', '--image=shop/late:1', '-n', NAMESPACE])
    await patchStatus('late', {
      containerStatuses: [
        {
          name: 'late',
          image: 'i',
          imageID: `sha256:${hex('5')}`,
          containerID: `containerd://${hex('d')}`,
          ready: true,
          restartCount: 0,
        },
      ],
    })
    await waitFor(() => directory.findById(hex('d')).length === 1, 30_000, 'the late container')
    assert.equal(directory.findById(hex('c')).length, 1)
  })
})

describe('namespace labels on a real API server', () => {
  it('follows changes, and reads live what the watch has not brought yet', async () => {
    const cluster = sharedCluster()
    const client = createClient(loadKubeConfig({ file: cluster.kubeconfig }))
    const changes: string[] = []
    const namespaces = watchNamespaces({
      client,
      onChange: (name, labels) => name === 'labels-test' && changes.push(JSON.stringify(labels)),
    })
    try {
      await namespaces.synced(10_000)
      assert.equal(namespaces.get('labels-test'), undefined)
      assert.equal(await namespaces.getLive('labels-test'), undefined)
      await cluster.createNamespace('labels-test', { 'drawbridge.dev/enforce': 'standard', team: 'blue' })
      assert.deepEqual(await namespaces.getLive('labels-test'), { 'drawbridge.dev/enforce': 'standard' })
      assert.deepEqual(namespaces.get('labels-test'), { 'drawbridge.dev/enforce': 'standard' })
      await cluster.must(['label', 'namespace', 'labels-test', 'drawbridge.dev/warn=restricted'])
      await waitFor(
        () => namespaces.get('labels-test')?.['drawbridge.dev/warn'] === 'restricted',
        5000,
        'the new label',
      )
      for (const name of ['../pods', 'a/b', '', 'A', 'x'.repeat(64)])
        assert.equal(await namespaces.getLive(name), undefined)
      assert.equal(namespaces.all().has('kube-system'), true)
      assert.equal(
        changes.at(-1),
        JSON.stringify({ 'drawbridge.dev/enforce': 'standard', 'drawbridge.dev/warn': 'restricted' }),
      )
    } finally {
      await namespaces.stop()
      client.close()
      await cluster.must(['delete', 'namespace', 'labels-test', '--wait=false'])
    }
  })
})
