/** What must survive on a real API server: a replica killed right after its 200, alerts that wait, the API server gone and back. */
import assert from 'node:assert/strict'

import type { ImageVerdict } from '../../../src/verdicts/types.ts'
import { until } from '../../process/server.ts'
import type { RunningProgram } from '../../process/server.ts'
import type { Cluster } from '../harness.ts'
import {
  apply,
  assertAllowed,
  assertDenied,
  denialBy,
  hexOf,
  mustApply,
  openNamespace,
  plainPod,
  postAlert,
  randomHex,
  reportRunning,
  runDeployment,
  sendAlert,
  untilDenied,
} from './replicas.ts'
import type { Replicas, Stage } from './replicas.ts'

const NAMESPACE = 'e2e-failures'
const imageOf = (app: string): string => `registry.example/failures/${app}:1`
const imageIdOf = (app: string): string => `registry.example/failures/${app}@sha256:${hexOf(app)}`
const verdictOf = (app: string): string => `sha256-${hexOf(app)}`

async function denyingAt(replica: RunningProgram): Promise<readonly string[]> {
  const { body } = await replica.admin('/api/v1/verdicts')
  return (body.items as ImageVerdict[]).filter(({ phase }) => phase === 'denying').map(({ name }) => name)
}

/** Registers the tests; `stage` is called when they run. */
export function testFailures(stage: () => Stage): void {
  describe('failures', () => {
    let cluster: Cluster
    let replicas: Replicas
    before(async () => {
      ;({ cluster, replicas } = stage())
      await openNamespace(cluster, NAMESPACE)
    })
    after(async () => {
      await cluster?.kubectl(['delete', 'namespace', NAMESPACE, '--wait=false'])
    })

    it('keeps what it answered 200 when it is killed at once, and knows it when it starts again', async () => {
      for (const app of ['killed-1', 'killed-2']) {
        const running = await runDeployment(cluster, NAMESPACE, app, imageOf(app), imageIdOf(app))
        assert.match(await sendAlert(replicas.a, { namespace: NAMESPACE, ...running }), /contributed|parked/)
        await replicas.killA()
        await replicas.startA()
        await untilDenied(replicas.b, NAMESPACE, imageOf(app))
        await until('the verdict at A', async () => (await denyingAt(replicas.a)).includes(verdictOf(app)))
      }
      assertDenied(
        await apply(cluster, plainPod(NAMESPACE, 'killed', imageOf('killed-1'))),
        'enforce',
        verdictOf('killed-1'),
      )
    })

    it('keeps an alert that waits for its pod over a kill', async () => {
      await mustApply(cluster, plainPod(NAMESPACE, 'waits', imageOf('waits')))
      const containerId = randomHex()
      assert.equal(await sendAlert(replicas.a, { containerId, namespace: NAMESPACE, pod: 'waits' }), 'parked')
      await replicas.killA()
      await reportRunning(cluster, NAMESPACE, 'waits', imageIdOf('waits'), containerId)
      await replicas.startA()
      await untilDenied(replicas.b, NAMESPACE, imageOf('waits'))
    })

    it('denies again as soon as it is ready after a kill of the replica that answers reviews', async () => {
      await replicas.killB()
      await replicas.startB()
      assert.ok((await denialBy(replicas.b, NAMESPACE, imageOf('killed-1')))?.includes(verdictOf('killed-1')))
    })

    it('denies all the time while the API server is away, refuses what it cannot keep, and goes on afterwards', async function () {
      const [old, late] = ['before-restart', 'during-restart']
      const running = await runDeployment(cluster, NAMESPACE, old, imageOf(old), imageIdOf(old))
      await sendAlert(replicas.a, { namespace: NAMESPACE, ...running })
      await untilDenied(replicas.b, NAMESPACE, imageOf(old))
      const next = await runDeployment(cluster, NAMESPACE, late, imageOf(late), imageIdOf(late))
      const shell = { namespace: NAMESPACE, ...next, fixture: 'pod.terminal_shell' }
      await until('the second pod at A', async () =>
        (await postAlert(replicas.a, shell)).body.decisions[0].reason.startsWith('shell (person)'),
      )

      const watching = new AbortController()
      const gaps: string[] = []
      const asking = (async () => {
        while (!watching.signal.aborted) {
          if ((await denialBy(replicas.b, NAMESPACE, imageOf(old))) === undefined) gaps.push(new Date().toISOString())
          await new Promise((resolve) => setTimeout(resolve, 20))
        }
      })()
      try {
        await cluster.stopApiServer()
        // Not durable, so not acknowledged.
        assert.equal((await postAlert(replicas.a, { namespace: NAMESPACE, ...next })).status, 503)
        // A namespace that B has not seen cannot be looked up now: refused, not let through.
        assert.match(
          (await denialBy(replicas.b, 'never-seen', imageOf('innocent'))) ?? 'allowed',
          /^drawbridge: the labels of namespace "never-seen" could not be read: /,
        )
        await cluster.startApiServer()
        const answered = await until(
          'a 200 from A',
          async () => (await postAlert(replicas.a, { namespace: NAMESPACE, ...next })).status === 200,
        )
        assert.ok(answered)
        await untilDenied(replicas.b, NAMESPACE, imageOf(late), 30_000)
      } finally {
        watching.abort()
        await asking
      }
      assert.deepEqual(gaps, [])

      // It refuses by itself until it has found the parameters of its policies again: it looks for new kinds of objects twice a minute.
      const denied = await until(
        'the API server to have its policies',
        async () => {
          const outcome = await apply(cluster, plainPod(NAMESPACE, 'after-1', imageOf(old)))
          return outcome.stderr.includes('failed to configure policy') ? undefined : outcome
        },
        60_000,
      )
      assertDenied(denied, 'enforce', verdictOf(old))
      assertDenied(await apply(cluster, plainPod(NAMESPACE, 'after-2', imageOf(late))), 'enforce', verdictOf(late))
      assertAllowed(await apply(cluster, plainPod(NAMESPACE, 'after-3', imageOf('innocent'))))
      const fresh = await runDeployment(cluster, NAMESPACE, 'fresh', imageOf('fresh'), imageIdOf('fresh'))
      await sendAlert(replicas.a, { namespace: NAMESPACE, ...fresh })
      await untilDenied(replicas.b, NAMESPACE, imageOf('fresh'), 30_000)
      const names = ['killed-1', 'killed-2', 'waits', old, late, 'fresh'].map(verdictOf)
      for (const replica of [replicas.a, replicas.b]) {
        const denying = await denyingAt(replica)
        assert.deepEqual(
          names.filter((name) => !denying.includes(name)),
          [],
        )
      }
    })

    it('ends on SIGTERM with 0', async () => {
      assert.equal(await replicas.a.stop(), 0, replicas.a.output())
      await replicas.startA()
    })
  })
}
