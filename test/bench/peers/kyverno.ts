/** Kyverno (Go): its admission controller, with the policy kyvernoPolicy.yaml. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { freePorts, waitForCrds } from '../../cluster/harness.ts'
import { root } from '../../process/server.ts'
import { answers, buildPeer, flagsOf, startProcess } from './peer.ts'
import type { Peer } from './peer.ts'

const CA_SECRET = 'kyverno-svc.kyverno.svc.kyverno-tls-ca'

/** Names of what it looks for in its namespace, as its chart sets them. */
const ENVIRONMENT = {
  KYVERNO_NAMESPACE: 'kyverno',
  KYVERNO_SERVICEACCOUNT_NAME: 'kyverno-admission-controller',
  KYVERNO_DEPLOYMENT: 'kyverno-admission-controller',
  KYVERNO_POD_NAME: 'kyverno-admission-controller-0',
  KYVERNO_SVC: 'kyverno-svc',
  INIT_CONFIG: 'kyverno',
  METRICS_CONFIG: 'kyverno-metrics',
}

export const kyverno: Peer = {
  name: 'Kyverno 1.19',
  times: 6,
  // By the name of the policy, as it registers it.
  validatePath: '/vpol/bench',
  runs: 'one process',
  warmMilliseconds: 0,
  build: () => buildPeer('kyverno'),
  async start({ folder, data, cluster }) {
    await cluster.must(['apply', '--server-side', '--recursive', '-f', join(folder, 'crds')])
    await waitForCrds(cluster)
    await cluster.createNamespace('kyverno')
    for (const name of ['kyverno', 'kyverno-metrics'])
      await cluster.must(['create', 'configmap', name, '--namespace', 'kyverno'])
    // Before it runs: from then on the API server asks it about policies.
    await cluster.must(['apply', '-f', join(root, 'test/bench/peers/kyvernoPolicy.yaml')])
    const [port, metrics] = await freePorts(2)
    const url = `https://127.0.0.1:${port}`
    // It makes its certificates by itself, and answers with them once they are there.
    const ca = join(data, 'kyverno-ca.crt')
    const isReady = async (): Promise<boolean> => {
      const path = String.raw`jsonpath={.data.tls\.crt}`
      const { code, stdout } = await cluster.kubectl(['get', 'secret', CA_SECRET, '--namespace', 'kyverno', '-o', path])
      if (code !== 0 || stdout === '') return false
      writeFileSync(ca, Buffer.from(stdout, 'base64'))
      return answers(`${url}/health/readiness`, ca)
    }
    const running = await startProcess({
      program: join(folder, 'kyverno'),
      args: flagsOf({
        kubeconfig: cluster.kubeconfig,
        caSecretName: CA_SECRET,
        tlsSecretName: 'kyverno-svc.kyverno.svc.kyverno-tls-pair',
        serverIP: `127.0.0.1:${port}`,
        webhookServerHost: '127.0.0.1',
        webhookServerPort: port!,
        metricsHost: '127.0.0.1',
        metricsPort: metrics!,
        controllerRuntimeMetricsAddress: '0',
        omitEvents: 'PolicyApplied,PolicySkipped',
        // A write to the API server beside every review: that would measure the API server, and Kyverno is quicker without.
        admissionReports: false,
      }),
      env: ENVIRONMENT,
      log: join(data, 'peer.log'),
      isReady,
    })
    return { ...running, url, ca }
  },
}
