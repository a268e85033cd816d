/** A real kube-apiserver posts its audit events to the bundled program: `kubectl exec` and `kubectl debug` arrive as alerts. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createAuthority, issueLeaf } from '../../certs/authority.ts'
import { root, RunningProgram, temporaryFolder, until } from '../process/server.ts'
import { openNamespace, reportRunning } from './endToEnd/replicas.ts'
import { startCluster, waitForCrds } from './harness.ts'
import type { Cluster } from './harness.ts'

const NAMESPACE = 'audited'
const IMAGE = 'registry.example/shop/web:1.4.2'

const POLICY = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: Metadata
    verbs: [get, create, patch, update]
    resources:
      - group: ""
        resources: [pods/exec, pods/attach, pods/portforward, pods/ephemeralcontainers]
  - level: None
`

/** As docs/sensors.md has it. */
const webhookConfig = (server: string, ca: string, token: string): string => `apiVersion: v1
kind: Config
clusters: [{ name: drawbridge, cluster: { server: "${server}", certificate-authority: "${ca}" } }]
users: [{ name: kube-apiserver, user: { token: "${token}" } }]
contexts: [{ name: drawbridge, context: { cluster: drawbridge, user: kube-apiserver } }]
current-context: drawbridge
`

/** Agrees to every upgrade and hangs up: enough for the API server to let an exec happen. */
async function startKubelet(): Promise<Server> {
  const { certificate, key } = await issueLeaf(await createAuthority(Date.now()), ['127.0.0.1'], Date.now())
  const kubelet = createServer({ cert: certificate, key }, (_request, response) => response.writeHead(404).end())
  kubelet.on('upgrade', (request, socket) => {
    const protocol = request.headers['x-stream-protocol-version']
    const chosen = (Array.isArray(protocol) ? protocol[0] : protocol)?.split(',')[0] ?? 'v4.channel.k8s.io'
    socket.end(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: ${chosen}\r\n\r\n`,
    )
  })
  await new Promise<void>((resolve) => kubelet.listen(0, '127.0.0.1', resolve))
  return kubelet
}

describe('the audit webhook of a real API server', function () {
  this.timeout(180_000)
  const folder = temporaryFolder()
  let cluster: Cluster
  let program: RunningProgram
  let kubelet: Server

  /** A counter of the alert thread; 0 while nothing was counted. */
  const counter = async (name: string, ...labels: readonly string[]): Promise<number> => {
    const { text } = await program.admin('/metrics')
    const line = text
      .split('\n')
      .find((one) => one.startsWith(`${name}{`) && labels.every((label) => one.includes(label)))
    return Number(line?.split(' ').at(-1) ?? 0)
  }
  const findings = (): Promise<number> => counter('drawbridge_alerts_total', 'source="k8s-audit"', 'result="finding"')

  before(async () => {
    assert.ok(existsSync(join(root, 'dist/bundle/drawbridge.js')), 'build the program first: npm run bundle')
    const data = join(folder.path, 'data')
    mkdirSync(data)
    // The API server wants to know address, CA and token before Drawbridge can be told about the API server.
    const first = await RunningProgram.start(data)
    const { alerts, ca, alertToken } = first.file
    await first.kill()
    const [policy, config] = [join(folder.path, 'policy.yaml'), join(folder.path, 'webhook.yaml')]
    writeFileSync(policy, POLICY)
    writeFileSync(config, webhookConfig(`${alerts}/alerts/k8s-audit`, ca, alertToken))
    cluster = await startCluster({
      apiArgs: [
        `--audit-policy-file=${policy}`,
        `--audit-webhook-config-file=${config}`,
        '--audit-webhook-batch-max-wait=1s',
      ],
    })
    await cluster.must(['apply', '-f', join(root, 'manifests/crds')])
    await waitForCrds(cluster)
    program = await RunningProgram.start(
      data,
      ['--alerts-port', new URL(alerts).port],
      ['--kubeconfig', cluster.kubeconfig],
    )
    kubelet = await startKubelet()
    const { port } = kubelet.address() as AddressInfo
    await cluster.must(['create', '-f', '-'], '{"apiVersion":"v1","kind":"Node","metadata":{"name":"fake"}}')
    const status = {
      addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
      daemonEndpoints: { kubeletEndpoint: { Port: port } },
    }
    await cluster.must([
      'patch',
      'node',
      'fake',
      '--subresource=status',
      '--type=merge',
      '-p',
      JSON.stringify({ status }),
    ])
    await openNamespace(cluster, NAMESPACE, {})
    const spec = { nodeName: 'fake', containers: [{ name: 'web', image: IMAGE }] }
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web', namespace: NAMESPACE }, spec }
    await cluster.must(['create', '-f', '-'], JSON.stringify(pod))
    await reportRunning(cluster, NAMESPACE, 'web', `registry.example/shop/web@sha256:${'a'.repeat(64)}`)
  })

  after(async () => {
    await program?.kill()
    await cluster?.stop()
    kubelet?.closeAllConnections()
    kubelet?.close()
    folder.remove()
  })

  it('reports one exec once, with its stages, as evidence that weighs nothing', async () => {
    // The kubelet hangs up, so kubectl fails; the connection was made all the same.
    await cluster.kubectl(['exec', '-n', NAMESPACE, 'web', '-c', 'web', '--', 'id'])
    await until('the exec', async () => (await findings()) === 1)
    await until('the end of it', async () => (await counter('drawbridge_alerts_total', 'result="telemetry"')) >= 1)
    assert.equal(await findings(), 1)
    assert.equal(await counter('drawbridge_alerts_total', 'result="refused"'), 0)
    assert.equal(await counter('drawbridge_alert_decisions_total', 'decision="no-weight"'), 1)
  })

  it('reports an ephemeral container, and no exec that RBAC refused', async () => {
    const stranger = await cluster.userKubeconfig('stranger')
    const refused = await cluster.kubectl(['exec', '-n', NAMESPACE, 'web', '--', 'id'], undefined, stranger)
    assert.match(refused.stderr, /[Ff]orbidden/)
    const debug = ['debug', '-n', NAMESPACE, 'web', '--image', IMAGE, '--container', 'debug']
    await cluster.must(debug)
    await until('the ephemeral container', async () => (await findings()) >= 2)
    assert.equal(await findings(), 2)
  })
})
