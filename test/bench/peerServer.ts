/** The webhook of pod-security-admission (Go), built from its module and run beside Drawbridge and the floor. */
import { spawn, spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { freePorts } from '../cluster/harness.ts'
import { call, root, until } from '../process/server.ts'

const SCRIPT = join(root, 'test/bench/peerServers.sh')

/** Every namespace is held to `restricted`, as Drawbridge holds it. */
const CONFIG = `
apiVersion: pod-security.admission.config.k8s.io/v1
kind: PodSecurityConfiguration
defaults: { enforce: restricted, enforce-version: latest }
`

export interface PeerServer {
  readonly url: string
  readonly pid: number
  stop(): Promise<void>
}

/** Builds it if it is not there yet, which its script announces on stderr. Throws where that fails. Returns the program. */
export function buildPodSecurityWebhook(): string {
  const build = spawnSync('bash', [SCRIPT], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
  if (build.status !== 0) throw new Error('test/bench/peerServers.sh failed; it needs Go >= 1.25 and a Go module proxy')
  return join(build.stdout.trim(), 'pod-security-webhook')
}

/** @param data of a Drawbridge: the peer has its certificate */
export async function startPodSecurityWebhook(program: string, data: string, kubeconfig: string): Promise<PeerServer> {
  const [port] = await freePorts(1)
  const config = join(data, 'pod-security.yaml')
  writeFileSync(config, CONFIG)
  const child = spawn(
    program,
    Object.entries({
      kubeconfig,
      config,
      'bind-address': '127.0.0.1',
      'secure-port': port,
      'tls-cert-file': join(data, 'tls/tls.crt'),
      'tls-private-key-file': join(data, 'tls/tls.key'),
    }).map(([flag, value]) => `--${flag}=${value}`),
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => (said = `${said}${chunk.toString()}`.slice(-2000)))
  let isOver = false
  const ended = new Promise<void>((resolve) => {
    child.once('error', (error) => (said = error.message))
    child.once('close', () => {
      isOver = true
      resolve()
    })
  })
  const url = `https://127.0.0.1:${port}`
  const stop = async (): Promise<void> => {
    child.kill()
    await ended
  }
  try {
    await until('an answer of pod-security-admission', async () => {
      if (isOver) throw new Error(`pod-security-admission ended: ${said}`)
      const ca = join(data, 'tls/ca.crt')
      return call(`${url}/readyz`, { ca, method: 'GET' }).then(
        ({ status }) => status === 200,
        () => false,
      )
    })
  } catch (error) {
    await stop()
    throw error
  }
  return { url, pid: child.pid!, stop }
}
