/** `quarantine.rollback: automatic`: a denied image is rolled back by a replica, without a person, and as `kubectl rollout undo` would do it. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { createClient, loadKubeConfig } from '../../../src/adapters/kubernetes/client.ts'
import type { KubernetesClient } from '../../../src/adapters/kubernetes/client.ts'
import { readHistory } from '../../../src/adapters/kubernetes/revisions.ts'
import { undoRollout } from '../../../src/adapters/kubernetes/undoRollout.ts'
import type { RevisedWorkload } from '../../../src/kube/revisions.ts'
import type { Rollback } from '../../../src/verdicts/rollback.ts'
import { RunningProgram, temporaryFolder, until } from '../../process/server.ts'
import type { Cluster } from '../harness.ts'
import { deployment, hexOf, mustApply, openNamespace, reportRunning, sendAlert } from './replicas.ts'
import type { Stage } from './replicas.ts'

const NAMESPACE = 'e2e-rollback'
const GOOD = 'registry.example/rollback/web:1'
const BAD = 'registry.example/rollback/web:2'
const OTHER = 'registry.example/rollback/web:3'

const controlled = (kind: 'StatefulSet' | 'DaemonSet', name: string, image: string): object => ({
  apiVersion: 'apps/v1',
  kind,
  metadata: { name, namespace: NAMESPACE },
  spec: {
    ...(kind === 'StatefulSet' ? { replicas: 0, serviceName: name } : {}),
    selector: { matchLabels: { app: name } },
    template: {
      metadata: { labels: { app: name }, ...(image === GOOD ? { annotations: { only: 'in-the-first' } } : {}) },
      spec: { containers: [{ name: 'web', image, securityContext: { runAsNonRoot: true, runAsUser: 10001 } }] },
    },
  },
})

/** Registers the tests; `stage` is called when they run. */
export function testRollBack(stage: () => Stage): void {
  describe('rolling back by itself', () => {
    const folder = temporaryFolder()
    let cluster: Cluster
    let client: KubernetesClient
    let replica: RunningProgram | undefined

    const get = (...args: readonly string[]): Promise<string> => cluster.must(['get', '-n', NAMESPACE, ...args])
    const imageOf = (workload: string): Promise<string> =>
      get(workload, '-o', 'jsonpath={.spec.template.spec.containers[0].image}')
    const revisions = (resource: string, app: string, count: number): Promise<boolean> =>
      until(`${count} ${resource} of ${app}`, async () => {
        const names = await get(resource, '-l', `app=${app}`, '-o', 'name')
        return names !== '' && names.trim().split('\n').length === count
      })
    const rollbackOf = async (workload: RevisedWorkload): Promise<Rollback> => {
      const history = await readHistory(client, workload)
      assert.ok(history)
      return { workload, uid: history.uid, from: history.images, revision: 1, images: [GOOD] }
    }

    before(async () => {
      ;({ cluster } = stage())
      client = createClient(loadKubeConfig({ file: cluster.kubeconfig }))
      await openNamespace(cluster, NAMESPACE)
      await mustApply(cluster, deployment(NAMESPACE, 'web', GOOD, 0))
      await revisions('replicasets', 'web', 1)
      await mustApply(cluster, deployment(NAMESPACE, 'web', BAD, 1))
      await revisions('replicasets', 'web', 2)
      for (const kind of ['StatefulSet', 'DaemonSet'] as const) {
        const name = kind.toLowerCase()
        await mustApply(cluster, controlled(kind, name, GOOD))
        await revisions('controllerrevisions', name, 1)
        await mustApply(cluster, controlled(kind, name, BAD))
        await revisions('controllerrevisions', name, 2)
      }
      writeFileSync(
        join(folder.path, 'drawbridge.yaml'),
        'drain: 100ms\nquarantine: { rollback: automatic, budget: { perNamespace: 1000, perCluster: 1000 } }\n',
      )
      replica = await RunningProgram.start(folder.path, [], ['--kubeconfig', cluster.kubeconfig])
    })
    after(async () => {
      await replica?.kill()
      client?.close()
      folder.remove()
      await cluster?.kubectl(['delete', 'namespace', NAMESPACE, '--wait=false'])
    })

    for (const [kind, name] of [
      ['StatefulSet', 'statefulset'],
      ['DaemonSet', 'daemonset'],
    ] as const)
      it(`gives a ${kind} its template back, with all that was in it`, async () => {
        const rollback = await rollbackOf({ kind, namespace: NAMESPACE, name })
        assert.equal(await undoRollout(client, rollback), 'rolled-back')
        const path = 'jsonpath={.spec.template.spec.containers[0].image} {.spec.template.metadata.annotations.only}'
        assert.equal(await get(`${name}/${name}`, '-o', path), `${GOOD} in-the-first`)
        // It runs something else now than was to be undone.
        assert.equal(await undoRollout(client, rollback), 'changed')
      })

    it('leaves a workload alone that is another one, or that somebody changed at the same moment', async () => {
      const rollback = await rollbackOf({ kind: 'Deployment', namespace: NAMESPACE, name: 'web' })
      assert.equal(await undoRollout(client, { ...rollback, uid: 'another' }), 'changed')
      assert.equal(await undoRollout(client, { ...rollback, revision: 17 }), 'changed')
      const meanwhile: typeof client.request = async (method, path, settings) => {
        if (method === 'PATCH') await mustApply(cluster, deployment(NAMESPACE, 'web', OTHER, 1))
        return client.request(method, path, settings)
      }
      assert.equal(await undoRollout({ request: meanwhile }, rollback), 'changed')
      assert.equal(await imageOf('deployment/web'), OTHER)
      await mustApply(cluster, deployment(NAMESPACE, 'web', BAD, 1))
    })

    it('rolls a Deployment back when its image becomes denied, and says so', async () => {
      assert.ok(replica)
      const path = `jsonpath={.items[?(@.spec.containers[0].image=="${BAD}")].metadata.name}`
      const pod = await until(
        `a pod with ${BAD}`,
        async () => (await get('pods', '-o', path)).split(' ')[0] || undefined,
      )
      const containerId = await reportRunning(cluster, NAMESPACE, pod, `${BAD}@sha256:${hexOf('rollback')}`)
      await sendAlert(replica, { namespace: NAMESPACE, pod, containerId })
      // The newest revision that no verdict speaks of.
      await until('the good image', async () => (await imageOf('deployment/web')) === OTHER)
      const labels = await get('deployment/web', '-o', 'jsonpath={.spec.template.metadata.labels}')
      assert.deepEqual(JSON.parse(labels), { app: 'web' })
      await until('the Event', async () =>
        (
          await get('events', '--field-selector', 'reason=VerdictRolledBack,involvedObject.name=web', '-o', 'name')
        ).includes('event'),
      )
      const { text } = await replica.admin('/metrics')
      assert.match(text, /^drawbridge_rollbacks_total\{result="rolled-back"\} 1$/m)
    })
  })
}
