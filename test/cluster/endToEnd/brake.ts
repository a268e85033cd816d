/** The brake on the whole server: kubectl alone lets a flagged image in again, and back. */
import assert from 'node:assert/strict'

import type { Cluster } from '../harness.ts'
import {
  apply,
  assertAllowed,
  assertDenied,
  denialBy,
  hexOf,
  openNamespace,
  plainPod,
  runDeployment,
  sendAlert,
  untilDenied,
} from './replicas.ts'
import { until } from '../../process/server.ts'
import type { Replicas, Stage } from './replicas.ts'

const NAMESPACE = 'e2e-brake'
const IMAGE = 'registry.example/brake/web:1'
const CONFIG_MAP = ['configmap', 'drawbridge', '-n', 'drawbridge'] as const

/** Registers the tests; `stage` is called when they run. */
export function testBrake(stage: () => Stage): void {
  describe('the brake', () => {
    let cluster: Cluster
    let replicas: Replicas
    const metrics = async (): Promise<string> => (await replicas.b.admin('/metrics')).text
    const allowedBy = async (): Promise<boolean> => (await denialBy(replicas.b, NAMESPACE, IMAGE)) === undefined

    before(async () => {
      ;({ cluster, replicas } = stage())
      await openNamespace(cluster, NAMESPACE)
      const running = await runDeployment(cluster, NAMESPACE, 'web', IMAGE, `${IMAGE}@sha256:${hexOf('brake')}`)
      await sendAlert(replicas.a, { namespace: NAMESPACE, ...running })
      await untilDenied(replicas.b, NAMESPACE, IMAGE)
      // The replica that alerts go to is gone: nothing of the correlator is needed.
      await replicas.killA()
    })
    after(async () => {
      await cluster?.kubectl(['delete', ...CONFIG_MAP])
      await replicas?.startA()
      await cluster?.kubectl(['delete', 'namespace', NAMESPACE, '--wait=false'])
    })

    it('lets the image in within five seconds, with a warning or silently, and denies again', async () => {
      assertDenied(await apply(cluster, plainPod(NAMESPACE, 'denied', IMAGE)), 'enforce', 'is denied')
      await cluster.must(['create', ...CONFIG_MAP, '--from-literal=quarantine=warn'])
      await until('the brake at warn', allowedBy, 5000)
      const warned = await apply(cluster, plainPod(NAMESPACE, 'warned', IMAGE))
      assertAllowed(warned)
      assert.match(warned.stderr, /Warning: .*allowed while the brake is on \(quarantine: warn\): image /)
      assert.match(await metrics(), /drawbridge_quarantine_mode\{mode="warn"\} 1/)

      await cluster.must(['patch', ...CONFIG_MAP, '-p', '{"data":{"quarantine":"off"}}'])
      await until('the brake at off', async () => (await metrics()).includes('mode="off"} 1'), 5000)
      const silent = await apply(cluster, plainPod(NAMESPACE, 'silent', IMAGE))
      assertAllowed(silent)
      assert.ok(!silent.stderr.includes('brake'), silent.stderr)

      await cluster.must(['delete', ...CONFIG_MAP])
      await untilDenied(replicas.b, NAMESPACE, IMAGE, 5000)
      assertDenied(await apply(cluster, plainPod(NAMESPACE, 'denied-again', IMAGE)), 'enforce', 'is denied')
    })
  })
}
