/** Stands between Drawbridge and the API server, and keeps back what the watch of namespaces says. */
import { createServer, request } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { RequestOptions } from 'node:https'

import { loadKubeConfig } from '../../src/adapters/kubernetes/client.ts'
import { selfSigned } from './recorder.ts'

export interface SlowWatch {
  /** The text of a kubeconfig whose cluster is this. */
  readonly kubeconfig: string
  /** From now on no change of a namespace is seen; everything else is passed on. */
  readonly hold: () => void
  /** How many bytes of changes were kept back. */
  readonly held: () => number
  readonly stop: () => Promise<void>
}

/** Listens on a free port of loopback; asks the API server of `kubeconfigFile` with its credentials. */
export async function startSlowWatch(kubeconfigFile: string): Promise<SlowWatch> {
  const config = loadKubeConfig({ file: kubeconfigFile })
  const upstream = new URL(config.getCurrentCluster()?.server ?? '')
  const credentials: RequestOptions = {}
  await config.applyToHTTPSOptions(credentials)
  const { key, cert } = selfSigned()
  let holding = false
  let bytes = 0

  const server = createServer({ key, cert }, (incoming, answer) => {
    const { authorization: _, ...headers } = incoming.headers
    const { hostname, port } = upstream
    const isWatch = /^\/api\/v1\/namespaces\?.*\bwatch=/.test(incoming.url ?? '')
    const asked = request(
      { ...credentials, hostname, port, path: incoming.url, method: incoming.method, headers },
      (answered) => {
        answer.writeHead(answered.statusCode ?? 502, answered.headers)
        answered.on('data', (chunk: Buffer) => {
          if (isWatch && holding) bytes += chunk.length
          else answer.write(chunk)
        })
        answered.on('end', () => answer.end())
        answered.on('error', () => answer.destroy())
      },
    )
    asked.on('error', () => answer.destroy())
    answer.on('close', () => asked.destroy())
    incoming.pipe(asked)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    kubeconfig: JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'slow', cluster: { server: url, 'certificate-authority-data': cert.toString('base64') } }],
      users: [{ name: 'slow', user: { token: 'replaced' } }],
      contexts: [{ name: 'slow', context: { cluster: 'slow', user: 'slow' } }],
      'current-context': 'slow',
    }),
    hold: () => (holding = true),
    held: () => bytes,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
