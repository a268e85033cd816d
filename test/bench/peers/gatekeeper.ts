/** Gatekeeper (Go): the webhook of its manager, with the template gatekeeperTemplate.yaml. */
import { join } from 'node:path'

import { freePorts, waitForCrds } from '../../cluster/harness.ts'
import { root, until } from '../../process/server.ts'
import { answers, buildPeer, flagsOf, startProcess } from './peer.ts'
import type { Peer } from './peer.ts'

const CONSTRAINT = {
  apiVersion: 'constraints.gatekeeper.sh/v1beta1',
  kind: 'Bench',
  metadata: { name: 'pods' },
  spec: { match: { kinds: [{ apiGroups: [''], kinds: ['Pod'] }] } },
}

export const gatekeeper: Peer = {
  name: 'Gatekeeper 3.23',
  times: 10,
  validatePath: '/v1/admit',
  build: () => buildPeer('gatekeeper'),
  async start({ folder, data, cluster }) {
    await cluster.must(['apply', '--server-side', '-f', join(folder, 'crds')])
    await waitForCrds(cluster)
    await cluster.createNamespace('gatekeeper-system')
    const [port, health, metrics] = await freePorts(3)
    const running = await startProcess({
      program: join(folder, 'gatekeeper'),
      args: flagsOf({
        kubeconfig: cluster.kubeconfig,
        host: '127.0.0.1',
        port: port!,
        'cert-dir': join(data, 'tls'),
        'disable-cert-rotation': true,
        'health-addr': `127.0.0.1:${health}`,
        'prometheus-port': metrics!,
        // As its chart has them; `generate` makes the definitions of constraints.
        operation: 'webhook,generate',
        // There is no pod of its own here, and nobody to be told that it goes.
        'debug-use-fake-pod': true,
        'shutdown-delay': 0,
      }),
      env: { POD_NAMESPACE: 'gatekeeper-system' },
      log: join(data, 'peer.log'),
      isReady: () => answers(`http://127.0.0.1:${health}/readyz`),
    })
    try {
      await cluster.must(['apply', '-f', join(root, 'test/bench/peers/gatekeeperTemplate.yaml')])
      // It makes a definition of the template, and the constraint needs that.
      const constraint = JSON.stringify(CONSTRAINT)
      await until(
        'the definition of the constraint',
        async () => (await cluster.kubectl(['apply', '-f', '-'], constraint)).code === 0,
        60_000,
      )
    } catch (error) {
      await running.stop()
      throw error
    }
    return { ...running, url: `https://127.0.0.1:${port}`, ca: join(data, 'tls/ca.crt') }
  },
}
