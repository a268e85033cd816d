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

/** The pod that it takes itself for: no node runs it. Its status objects belong to that pod: without, they are collected as garbage and made again, all the time. */
const OWN_POD = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'gatekeeper', namespace: 'gatekeeper-system' },
  spec: { automountServiceAccountToken: false, containers: [{ name: 'manager', image: 'gatekeeper' }] },
}

export const gatekeeper: Peer = {
  name: 'Gatekeeper 3.23',
  times: 10,
  validatePath: '/v1/admit',
  runs: 'one process',
  warmMilliseconds: 0,
  build: () => buildPeer('gatekeeper'),
  async start({ folder, data, cluster }) {
    await cluster.must(['apply', '--server-side', '-f', join(folder, 'crds')])
    await waitForCrds(cluster)
    await cluster.createNamespace(OWN_POD.metadata.namespace)
    const pod = JSON.stringify(OWN_POD)
    // Not before the namespace has its service account.
    await until('its own pod', async () => (await cluster.kubectl(['create', '-f', '-'], pod)).code === 0, 60_000)
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
        // Nobody has to be told that it goes.
        'shutdown-delay': 0,
      }),
      env: { POD_NAMESPACE: OWN_POD.metadata.namespace, POD_NAME: OWN_POD.metadata.name },
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
