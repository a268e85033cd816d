/** The way back: controllers make revisions, an image becomes denied, and the command that people are told brings the workload back. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { delimiter } from 'node:path'

import { until } from '../../process/server.ts'
import type { Cluster } from '../harness.ts'
import {
  assertAllowed,
  deployment,
  hexOf,
  mustApply,
  openNamespace,
  podOf,
  podSpec,
  reportRunning,
  sendAlert,
  untilDenied,
} from './replicas.ts'
import type { Replicas, Stage } from './replicas.ts'

const NAMESPACE = 'e2e-revisions'
const GOOD = 'registry.example/revisions/web:1'
const BAD = 'registry.example/revisions/web:2'

/** Without replicas a StatefulSet or DaemonSet keeps its revisions all the same. */
const stateful = (kind: 'StatefulSet' | 'DaemonSet', name: string, image: string, replicas = 0): object => ({
  apiVersion: 'apps/v1',
  kind,
  metadata: { name, namespace: NAMESPACE },
  spec: {
    ...(kind === 'StatefulSet' ? { replicas, serviceName: name } : {}),
    selector: { matchLabels: { app: name } },
    template: { metadata: { labels: { app: name } }, spec: podSpec(image) },
  },
})

const command = (kind: string, name: string): string =>
  `kubectl rollout undo ${kind}/${name} --to-revision=1 -n ${NAMESPACE}`
const line = (kind: string, name: string): string => `back to revision 1 (${GOOD}, not flagged): ${command(kind, name)}`

/** Registers the tests; `stage` is called when they run. */
export function testRevisions(stage: () => Stage): void {
  describe('the last good revision', () => {
    let cluster: Cluster
    let replicas: Replicas

    const get = (...args: readonly string[]): Promise<string> => cluster.must(['get', '-n', NAMESPACE, ...args])
    const revisionsOf = (resource: string, app: string, count: number): Promise<boolean> =>
      until(`${count} ${resource} of ${app}`, async () => {
        const names = await get(resource, '-l', `app=${app}`, '-o', 'name')
        return names.trim().split('\n').length === count && names !== ''
      })
    const messages = (reason: string, name: string): Promise<string> =>
      get(
        'events',
        '--field-selector',
        `reason=${reason},involvedObject.name=${name}`,
        '-o',
        'jsonpath={range .items[*]}{.message}{"\\n"}{end}',
      )
    const says = (reason: string, name: string, text: string): Promise<boolean> =>
      until(`an event ${reason} of ${name} with ${text}`, async () => (await messages(reason, name)).includes(text))
    /** As a person copies it. */
    const type = (text: string): void => {
      const { status, stdout, stderr } = spawnSync('bash', ['-c', text], {
        encoding: 'utf8',
        timeout: 30_000,
        env: {
          ...process.env,
          KUBECONFIG: cluster.kubeconfig,
          PATH: [cluster.bin, process.env['PATH']].join(delimiter),
        },
      })
      assert.equal(status, 0, stdout + stderr)
      assert.match(stdout, /rolled back/)
    }
    const runs = (app: string, image: string): Promise<boolean> =>
      until(`a pod of ${app} with ${image}`, async () =>
        (await get('pods', '-l', `app=${app}`, '-o', 'jsonpath={.items[*].spec.containers[*].image}')).includes(image),
      )

    before(async () => {
      ;({ cluster, replicas } = stage())
      await openNamespace(cluster, NAMESPACE)
      const lonely = (image: string): object => {
        const object = deployment(NAMESPACE, 'lonely', image, 0) as { spec: object }
        return { ...object, spec: { ...object.spec, revisionHistoryLimit: 0 } }
      }
      await mustApply(cluster, deployment(NAMESPACE, 'web', GOOD, 0))
      await mustApply(cluster, stateful('StatefulSet', 'db', GOOD))
      await mustApply(cluster, stateful('DaemonSet', 'agent', GOOD))
      await mustApply(cluster, lonely(GOOD))
      for (const app of ['web', 'lonely']) await revisionsOf('replicasets', app, 1)
      for (const app of ['db', 'agent']) await revisionsOf('controllerrevisions', app, 1)
      await mustApply(cluster, deployment(NAMESPACE, 'web', BAD, 1))
      await mustApply(cluster, stateful('StatefulSet', 'db', BAD))
      await mustApply(cluster, stateful('DaemonSet', 'agent', BAD))
      await mustApply(cluster, lonely(BAD))
      await revisionsOf('replicasets', 'web', 2)
      for (const app of ['db', 'agent']) await revisionsOf('controllerrevisions', app, 2)
      await until('the old ReplicaSet of lonely to go', async () => {
        const images = await get(
          'rs',
          '-l',
          'app=lonely',
          '-o',
          'jsonpath={.items[*].spec.template.spec.containers[*].image}',
        )
        return images === BAD
      })

      const pod = await podOf(cluster, NAMESPACE, 'web')
      const containerId = await reportRunning(cluster, NAMESPACE, pod, `${BAD}@sha256:${hexOf('revisions')}`)
      await sendAlert(replicas.a, { namespace: NAMESPACE, pod, containerId })
      await untilDenied(replicas.b, NAMESPACE, BAD)
    })
    after(async () => {
      await cluster?.kubectl(['delete', 'namespace', NAMESPACE, '--wait=false'])
    })

    it('is in an Event on the Deployment, when its image becomes denied', async () => {
      await says(
        'VerdictRollback',
        'web',
        `the image of this workload is denied; ${line('deployment', 'web')}; verdict sha256-`,
      )
      const described = await cluster.must(['describe', 'deployment', 'web', '-n', NAMESPACE])
      assert.ok(described.includes(command('deployment', 'web')), described)
    })

    it('is in the denial of its pods and ReplicaSets, and of nobody without a history', async () => {
      await cluster.must(['scale', 'deployment', 'lonely', '--replicas=1', '-n', NAMESPACE])
      await cluster.must(['delete', 'pods', '-l', 'app=web', '-n', NAMESPACE, '--now'])
      const replicaSet = await get(
        'rs',
        '-l',
        'app=web',
        '-o',
        `jsonpath={.items[?(@.spec.replicas==1)].metadata.name}`,
      )
      await says('FailedCreate', replicaSet, `\n${line('deployment', 'web')}\n`)
      const alone = await get('rs', '-l', 'app=lonely', '-o', 'jsonpath={.items[0].metadata.name}')
      await says('FailedCreate', alone, 'is denied: falco reported')
      assert.doesNotMatch(await messages('FailedCreate', alone), /back to revision/)

      // The same image in another template: the update passes, its ReplicaSet does not.
      const restarted = await cluster.kubectl(['rollout', 'restart', 'deployment/web', '-n', NAMESPACE])
      assertAllowed(restarted)
      assert.ok(restarted.stderr.includes(`Warning: drawbridge: ${line('deployment', 'web')}\n`), restarted.stderr)
      await says('ReplicaSetCreateError', 'web', line('deployment', 'web'))
    })

    it('is where the printed command leads, and its pods are admitted', async () => {
      type(command('deployment', 'web'))
      await runs('web', GOOD)
      const { stderr, code } = await cluster.kubectl(['rollout', 'restart', 'deployment/web', '-n', NAMESPACE])
      assert.equal(code, 0)
      assert.doesNotMatch(stderr, /back to revision|flagged/)
    })

    it('is there for a StatefulSet and a DaemonSet too', async () => {
      await cluster.must(['scale', 'statefulset', 'db', '--replicas=1', '-n', NAMESPACE])
      await says('FailedCreate', 'db', line('statefulset', 'db'))
      type(command('statefulset', 'db'))
      await runs('db', GOOD)

      const restarted = await cluster.kubectl(['rollout', 'restart', 'daemonset/agent', '-n', NAMESPACE])
      assert.ok(restarted.stderr.includes(line('daemonset', 'agent')), restarted.stderr)
      type(command('daemonset', 'agent'))
      assert.equal(await get('daemonset', 'agent', '-o', 'jsonpath={.spec.template.spec.containers[0].image}'), GOOD)
    })
  })
}
