/** Pepr (TypeScript) with the module peprModule.cjs, on Node 20, where it is quicker than on later ones; two replicas, as it is deployed. */
import { join } from 'node:path'

import { freePorts, waitForCrds } from '../../cluster/harness.ts'
import { root } from '../../process/server.ts'
import { answers, buildPeer, startProcess } from './peer.ts'
import type { Peer, PeerServer, Place } from './peer.ts'

/** Part of the path of its webhooks; Pepr generates one for each module. */
const TOKEN = 'token-of-the-measurement'

/** Where it keeps its state: it does not answer before it has that. As src/lib/assets/store.ts of Pepr has it. */
const STORE = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'peprstores.pepr.dev' },
  spec: {
    group: 'pepr.dev',
    scope: 'Namespaced',
    names: { plural: 'peprstores', singular: 'peprstore', kind: 'PeprStore' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: { data: { type: 'object', additionalProperties: { type: 'string' } } },
          },
        },
      },
    ],
  },
}

export const pepr: Peer = {
  name: 'Pepr 20',
  times: 4,
  validatePath: `/validate/${TOKEN}`,
  runs: 'two replicas',
  // Some 50,000 reviews for each replica.
  warmMilliseconds: 60_000,
  build: () => buildPeer('pepr'),
  async start({ folder, data, cluster }) {
    await cluster.must(['apply', '-f', '-'], JSON.stringify(STORE))
    await waitForCrds(cluster, STORE.metadata.name)
    await cluster.createNamespace('pepr-system')
    const [first, second] = await freePorts(2)
    const running = await startModule(first!, { folder, data, cluster })
    try {
      const replica = await startModule(second!, { folder, data, cluster })
      const stop = async (): Promise<void> => void (await Promise.all([running.stop(), replica.stop()]))
      return { ...running, replica, stop }
    } catch (error) {
      await running.stop()
      throw error
    }
  },
}

/** One of the replicas of its admission controller. */
async function startModule(port: number, { folder, data, cluster }: Place): Promise<PeerServer> {
  const url = `https://127.0.0.1:${port}`
  const ca = join(data, 'tls/ca.crt')
  const running = await startProcess({
    program: join(folder, 'runtime/node_modules/node/bin/node'),
    // Its controller does no more than check the digest of a module and start it as a process of its own.
    args: [join(root, 'test/bench/peers/peprModule.cjs')],
    env: {
      NODE_PATH: join(folder, 'node_modules'),
      KUBECONFIG: cluster.kubeconfig,
      PORT: String(port),
      PEPR_API_TOKEN: TOKEN,
      SSL_CERT_PATH: join(data, 'tls/tls.crt'),
      SSL_KEY_PATH: join(data, 'tls/tls.key'),
      // As a built module is deployed.
      PEPR_WATCH_MODE: 'false',
      LOG_LEVEL: 'info',
    },
    log: join(data, `peer-${port}.log`),
    isReady: () => answers(`${url}/healthz`, ca),
  })
  return { ...running, url, ca }
}
