/** The webhook of pod-security-admission (Go), which holds every namespace to `restricted`, as Drawbridge does. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { freePorts } from '../../cluster/harness.ts'
import { answers, buildPeer, flagsOf, startProcess } from './peer.ts'
import type { Peer } from './peer.ts'

const CONFIG = `
apiVersion: pod-security.admission.config.k8s.io/v1
kind: PodSecurityConfiguration
defaults: { enforce: restricted, enforce-version: latest }
`

export const podSecurityAdmission: Peer = {
  name: 'pod-security-admission 0.35',
  times: 2,
  validatePath: '/',
  runs: 'one process',
  warmMilliseconds: 0,
  build: () => buildPeer('pod-security-admission'),
  async start({ folder, data, cluster }) {
    const [port] = await freePorts(1)
    const config = join(data, 'pod-security.yaml')
    writeFileSync(config, CONFIG)
    const url = `https://127.0.0.1:${port}`
    const ca = join(data, 'tls/ca.crt')
    const running = await startProcess({
      program: join(folder, 'pod-security-webhook'),
      args: flagsOf({
        kubeconfig: cluster.kubeconfig,
        config,
        'bind-address': '127.0.0.1',
        'secure-port': port!,
        'tls-cert-file': join(data, 'tls/tls.crt'),
        'tls-private-key-file': join(data, 'tls/tls.key'),
      }),
      log: join(data, 'peer.log'),
      isReady: () => answers(`${url}/readyz`, ca),
    })
    return { ...running, url, ca }
  },
}
