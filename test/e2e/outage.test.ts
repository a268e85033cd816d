/** Never the outage (design, section 2): with every replica gone and the power cut, the node, kube-system and Drawbridge itself come back by themselves. */
import assert from 'node:assert/strict'

import { waitFor } from '../cluster/harness.ts'
import type { NodeCluster, Outcome } from '../cluster/harness.ts'
import { BUSYBOX, installation, podOf, rolledOut, runPod } from './shared.ts'

const NAMESPACE = 'outage'

describe('an outage', function () {
  this.timeout(300_000)
  let cluster: NodeCluster
  const create = (name: string): Promise<Outcome> =>
    cluster.kubectl(['-n', NAMESPACE, 'create', '-f', '-'], JSON.stringify(podOf(name)))
  const podsOf = async (namespace: string): Promise<readonly { readonly uid: string; readonly ready: boolean }[]> => {
    const { items } = JSON.parse(await cluster.must(['-n', namespace, 'get', 'pods', '-o', 'json'])) as {
      readonly items: readonly {
        readonly metadata: { readonly uid: string; readonly deletionTimestamp?: string }
        readonly status: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] }
      }[]
    }
    return items
      .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
      .map(({ metadata, status }) => ({
        uid: metadata.uid,
        ready: status.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') ?? false,
      }))
  }

  before(async () => {
    ;({ cluster } = installation())
    await cluster.createNamespace(NAMESPACE, { 'drawbridge.dev/enforce': 'standard' })
    // What a cluster cannot live without, and breaks every profile: opted in by mistake, too.
    await cluster.must(['label', 'namespace', 'kube-system', 'drawbridge.dev/enforce=restricted'])
    const agent = {
      apiVersion: 'apps/v1',
      kind: 'DaemonSet',
      metadata: { name: 'agent', namespace: 'kube-system' },
      spec: {
        selector: { matchLabels: { app: 'agent' } },
        template: {
          metadata: { labels: { app: 'agent' } },
          spec: {
            hostNetwork: true,
            terminationGracePeriodSeconds: 1,
            containers: [
              {
                name: 'agent',
                image: BUSYBOX,
                imagePullPolicy: 'Never',
                args: ['sleep', '3600'],
                securityContext: { privileged: true },
              },
            ],
          },
        },
      },
    }
    await cluster.must(['apply', '-f', '-'], JSON.stringify(agent))
    await waitFor(async () => (await podsOf('kube-system'))[0]?.ready, 60_000, 'the agent in kube-system to run')
    await runPod(cluster, NAMESPACE, podOf('before'))
  })
  after(async () => {
    await cluster.must(['label', 'namespace', 'kube-system', 'drawbridge.dev/enforce-'])
    await cluster.must(['-n', 'kube-system', 'delete', 'daemonset', 'agent'])
    await cluster.must(['delete', 'namespace', NAMESPACE, '--wait=false'])
  })

  it('of every replica refuses new pods of opted-in namespaces, says why, and nothing else', async () => {
    await cluster.must(['-n', 'drawbridge', 'scale', 'deployment/drawbridge', '--replicas=0'])
    await waitFor(async () => (await podsOf('drawbridge')).length === 0, 60_000, 'no replica')
    await waitFor(
      async () => (await create('refused')).stderr.includes('failed calling webhook "mutate.drawbridge.dev"'),
      60_000,
      'a refused create',
    )
    await cluster.createNamespace('not-opted-in')
    await runPod(cluster, 'not-opted-in', podOf('free'))
    // Its pods go on, and can be ended.
    assert.equal((await podsOf(NAMESPACE))[0]?.ready, true)
    await cluster.must(['-n', NAMESPACE, 'label', 'pod', 'before', 'still=writable'])
    // A pod of kube-system that is gone is made again, whatever that namespace is labelled.
    const [old] = await podsOf('kube-system')
    await cluster.must(['-n', 'kube-system', 'delete', 'pod', '--all'])
    await waitFor(
      async () => (await podsOf('kube-system')).some(({ uid, ready }) => ready && uid !== old?.uid),
      60_000,
      'another agent',
    )
    await cluster.must(['delete', 'namespace', 'not-opted-in', '--wait=false'])
  })

  it('of the whole node ends by itself: kube-system, Drawbridge, then the pods that need it', async () => {
    await cluster.must(['-n', 'drawbridge', 'scale', 'deployment/drawbridge', '--replicas=2'])
    await rolledOut(cluster)
    // A ReplicaSet that wants a pod as soon as the controllers are back: it must not need a person.
    const deployment = {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'web' },
      spec: {
        replicas: 1,
        selector: { matchLabels: { app: 'web' } },
        template: { metadata: { labels: { app: 'web' } }, spec: podOf('')['spec'] },
      },
    }
    // The Service leads to the first replicas a moment after they are ready, when kube-proxy has written its rules.
    const apply = (): Promise<Outcome> =>
      cluster.kubectl(['-n', NAMESPACE, 'apply', '-f', '-'], JSON.stringify(deployment))
    await waitFor(async () => (await apply()).code === 0, 30_000, 'an admitted Deployment')
    await cluster.must(['-n', NAMESPACE, 'rollout', 'status', 'deployment/web', '--timeout=60s'])

    // Gone at the moment of the power cut, so that new pods have to be admitted by the API server after it: also Drawbridge's own.
    await cluster.must(['-n', 'drawbridge', 'delete', 'pods', '--all', '--force', '--grace-period=0'])
    await cluster.must(['-n', 'kube-system', 'delete', 'pods', '--all', '--force', '--grace-period=0'])
    await cluster.must(['-n', NAMESPACE, 'delete', 'pods', '--all', '--force', '--grace-period=0'])
    await cluster.reboot()

    const ready = (namespace: string, count: number): Promise<true> =>
      waitFor(
        async () => (await podsOf(namespace)).filter((pod) => pod.ready).length >= count || undefined,
        150_000,
        `${count} ready pods in ${namespace}`,
      )
    await ready('kube-system', 1)
    await ready('drawbridge', 2)
    await ready(NAMESPACE, 1)
    await waitFor(async () => (await create('after')).code === 0, 60_000, 'a new pod')
    assert.match((await create('after')).stderr, /already exists/)
    const denied = await cluster.kubectl(
      ['-n', NAMESPACE, 'create', '-f', '-'],
      JSON.stringify(podOf('privileged', { hostNetwork: true })),
    )
    assert.match(denied.stderr, /denied the request/)
  })
})
