/** Pods and workloads through kubectl, the API server and the bundled program: mutated, denied, warned, and what works while it is down. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { cli, temporaryFolder, until } from '../../process/server.ts'
import type { Cluster } from '../harness.ts'
import {
  apply,
  assertAllowed,
  assertDenied,
  deployment,
  mustApply,
  openNamespace,
  plainPod,
  podOf,
  podSpec,
  reportRunning,
} from './replicas.ts'
import type { Replicas, Stage } from './replicas.ts'

const IMAGE = 'registry.example/pods/web:1'
const NAMESPACE = 'e2e-pods'

const withContext = (securityContext: object): object => ({
  containers: [{ name: 'web', image: IMAGE, securityContext: { runAsNonRoot: true, ...securityContext } }],
})

/** Each breaks `standard` in one way. */
const BAD_PODS: Readonly<Record<string, object>> = {
  privileged: withContext({ privileged: true }),
  'sys-admin': withContext({ capabilities: { add: ['SYS_ADMIN'] } }),
  root: withContext({ runAsUser: 0, runAsNonRoot: false }),
  'no-user': { containers: [{ name: 'web', image: IMAGE }] },
  'host-path': podSpec(IMAGE, { volumes: [{ name: 'host', hostPath: { path: '/etc' } }] }),
  'host-network': podSpec(IMAGE, { hostNetwork: true }),
  unconfined: podSpec(IMAGE, { securityContext: { seccompProfile: { type: 'Unconfined' } } }),
  'init-privileged': podSpec(IMAGE, {
    initContainers: [{ name: 'init', image: IMAGE, securityContext: { privileged: true, runAsNonRoot: true } }],
  }),
}

/** Registers the tests; `stage` is called when they run. */
export function testPods(stage: () => Stage): void {
  describe('pods', () => {
    let cluster: Cluster
    let replicas: Replicas
    before(async () => {
      ;({ cluster, replicas } = stage())
      await openNamespace(cluster, NAMESPACE)
      await openNamespace(cluster, 'e2e-plain', {})
    })
    after(async () => {
      await cluster?.kubectl(['delete', 'namespace', NAMESPACE, 'e2e-plain', '--wait=false'])
    })

    const get = async (path: string, ...args: readonly string[]): Promise<string> =>
      cluster.must(['get', ...args, '-n', NAMESPACE, '-o', `jsonpath=${path}`])

    it('stores a plain pod with the seccomp profile injected, and nothing else changed', async () => {
      assertAllowed(await apply(cluster, plainPod(NAMESPACE, 'plain', IMAGE)))
      assert.equal(await get('{.spec.securityContext}', 'pod', 'plain'), '{"seccompProfile":{"type":"RuntimeDefault"}}')
    })

    it('leaves a namespace without labels alone', async () => {
      const privileged = {
        ...plainPod('e2e-plain', 'privileged', IMAGE),
        spec: { containers: [{ name: 'web', image: IMAGE, securityContext: { privileged: true } }] },
      }
      assertAllowed(await apply(cluster, privileged))
      const stored = JSON.parse(await cluster.must(['get', 'pod', 'privileged', '-n', 'e2e-plain', '-o', 'json']))
      assert.deepEqual(stored.spec.securityContext, {})
    })

    it('denies bad pods with the very text of `drawbridge check`', async () => {
      const folder = temporaryFolder()
      try {
        const objects = Object.entries(BAD_PODS).map(([name, spec]) => ({ ...plainPod(NAMESPACE, name, IMAGE), spec }))
        for (const [index, object] of objects.entries())
          writeFileSync(join(folder.path, `${index}.json`), JSON.stringify(object))
        // Offline nobody knows the cluster's version, which the webhook's text names in place of `latest`.
        const { serverVersion } = JSON.parse(await cluster.must(['version', '-o', 'json']))
        const labels = [`drawbridge.dev/enforce=standard`, `drawbridge.dev/enforce-version=v1.${serverVersion.minor}`]
        const given = labels.flatMap((label) => ['--namespace-label', label])
        const offline = cli(['check', '-f', folder.path, '-o', 'json', ...given])
        assert.equal(offline.code, 1, offline.err)
        const messages = new Map(
          (JSON.parse(offline.out) as { objects: { name: string; message: string }[] }).objects.map((one) => [
            one.name,
            one.message,
          ]),
        )
        assert.deepEqual([...messages.keys()].sort(), Object.keys(BAD_PODS).sort())
        for (const [index, name] of Object.keys(BAD_PODS).entries()) {
          const outcome = await cluster.kubectl(['apply', '-f', join(folder.path, `${index}.json`)])
          assertDenied(outcome, 'enforce', messages.get(name)!)
        }
      } finally {
        folder.remove()
      }
    })

    it('applies a Deployment whose pods would be denied with warnings, and its ReplicaSet says why it has no pods', async () => {
      const bad = deployment(NAMESPACE, 'bad', IMAGE) as { spec: { template: { spec: object } } }
      bad.spec.template.spec = BAD_PODS['privileged']!
      const outcome = await apply(cluster, bad)
      assertAllowed(outcome)
      assert.match(
        outcome.stderr,
        /^Warning: drawbridge: Deployment "bad": its pods will be denied, they break profile standard/m,
      )
      assert.match(
        outcome.stderr,
        /^Warning: privileged.*spec\.template\.spec\.containers\[0\]\.securityContext\.privileged/m,
      )
      const condition = await until('FailedCreate', async () => {
        const text = await get('{.items[0].status.conditions[?(@.type=="ReplicaFailure")]}', 'rs', '-l', 'app=bad')
        return text === '' ? undefined : (JSON.parse(text) as { reason: string; message: string })
      })
      assert.equal(condition.reason, 'FailedCreate')
      assert.match(
        condition.message,
        /admission webhook "enforce\.drawbridge\.dev" denied the request: drawbridge: pod "bad-/,
      )
      assert.match(condition.message, /containers\[0\]\.securityContext\.privileged is true/)
    })

    it('lets a Deployment scale down and statuses change while it is down, but no image change and no new pod', async () => {
      await mustApply(cluster, deployment(NAMESPACE, 'web', IMAGE, 2))
      const name = await podOf(cluster, NAMESPACE, 'web')
      await until('two pods', async () => (await get('{.status.replicas}', 'deployment', 'web')) === '2')
      await replicas.killB()
      try {
        await cluster.must(['scale', 'deployment', 'web', '-n', NAMESPACE, '--replicas=1'])
        await until('one pod', async () => (await get('{.status.replicas}', 'deployment', 'web')) === '1')
        const left = await podOf(cluster, NAMESPACE, 'web')
        await reportRunning(cluster, NAMESPACE, left, `registry.example/pods/web@sha256:${'1'.repeat(64)}`)
        await cluster.must(['annotate', 'pod', left, '-n', NAMESPACE, 'note=written-while-down'])
        assert.ok(name.startsWith('web-'))

        const change = await cluster.kubectl(['set', 'image', 'deployment/web', '-n', NAMESPACE, 'web=other:2'])
        assert.notEqual(change.code, 0)
        assert.match(change.stderr, /failed calling webhook "verdicts\.drawbridge\.dev"/)
        const created = await apply(cluster, plainPod(NAMESPACE, 'while-down', IMAGE))
        assert.notEqual(created.code, 0)
        assert.match(created.stderr, /failed calling webhook "mutate\.drawbridge\.dev"/)
      } finally {
        await replicas.startB()
      }
      await cluster.must(['set', 'image', 'deployment/web', '-n', NAMESPACE, 'web=registry.example/pods/web:2'])
    })
  })
}
