/** Service accounts as senders, and forged alerts, on a real API server. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { loadAll } from 'js-yaml'

import { createClient, loadKubeConfig } from '../../src/adapters/kubernetes/client.ts'
import type { KubernetesClient } from '../../src/adapters/kubernetes/client.ts'
import { AUDIENCE, reviewToken } from '../../src/adapters/kubernetes/tokenReview.ts'
import { root, RunningProgram, temporaryFolder, until } from '../process/server.ts'
import type { Answer } from '../process/server.ts'
import { falcoAlert, mustApply, openNamespace, plainPod, podSpec, reportRunning } from './endToEnd/replicas.ts'
import { waitForCrds } from './harness.ts'
import type { Cluster } from './harness.ts'
import { sharedCluster } from './shared.ts'

const SENSORS = 'sender-sensors'
const [SHOP, BANK] = ['sender-shop', 'sender-bank']
/** Has the rights of Drawbridge. */
const USER = 'sender-drawbridge'
const digest = (digit: string): string => `sha256:${digit.repeat(64)}`

interface RoleObject {
  readonly kind: string
  readonly metadata: { readonly name: string }
}

describe('senders of alerts', function () {
  this.timeout(120_000)
  let cluster: Cluster
  let client: KubernetesClient
  let server: RunningProgram
  const folder = temporaryFolder()
  /** Container ids of the pods `web` on node1 and `ledger` on node2. */
  const ids = { web: '', ledger: '' }

  const podOn = (node: string, namespace: string, name: string): Promise<void> =>
    mustApply(cluster, {
      ...plainPod(namespace, name, `registry.example/${namespace}/${name}:1`),
      spec: { ...podSpec(`registry.example/${namespace}/${name}:1`), nodeName: node },
    })
  const token = async (...args: readonly string[]): Promise<string> =>
    (await cluster.must(['create', 'token', '-n', SENSORS, ...args])).trim()
  const sensorToken = (audience = AUDIENCE): Promise<string> =>
    token('falco', `--audience=${audience}`, '--bound-object-kind=Pod', '--bound-object-name=falco-node1')

  before(async () => {
    cluster = sharedCluster()
    await cluster.must(['apply', '-f', join(root, 'manifests/crds')])
    await waitForCrds(cluster, 'imageverdicts.drawbridge.dev')
    await cluster.must(['delete', 'iv', '--all'])
    // No more rights than Drawbridge has.
    const roles = loadAll(readFileSync(join(root, 'manifests/rbac.yaml'), 'utf8')) as readonly RoleObject[]
    const role = roles.find(({ kind, metadata }) => kind === 'ClusterRole' && metadata.name === 'drawbridge')
    await mustApply(cluster, { ...role, metadata: { name: USER } })
    const kubeconfig = await cluster.userKubeconfig(USER)
    await cluster.must(['create', 'clusterrolebinding', USER, `--clusterrole=${USER}`, `--user=${USER}`])
    client = createClient(loadKubeConfig({ file: kubeconfig }))
    for (const name of [SENSORS, SHOP, BANK]) await openNamespace(cluster, name, {})
    for (const name of ['falco', 'sidekick', 'tenant'])
      await cluster.must(['create', 'serviceaccount', name, '-n', SENSORS])
    await mustApply(cluster, {
      ...plainPod(SENSORS, 'falco-node1', 'falco:1'),
      spec: { ...podSpec('falco:1'), nodeName: 'node1', serviceAccountName: 'falco' },
    })
    await podOn('node1', SHOP, 'web')
    await podOn('node2', BANK, 'ledger')
    ids.web = await reportRunning(cluster, SHOP, 'web', `registry.example/web@${digest('a')}`)
    ids.ledger = await reportRunning(cluster, BANK, 'ledger', `registry.example/ledger@${digest('b')}`)
    writeFileSync(
      join(folder.path, 'drawbridge.yaml'),
      `
alerts:
  credentials:
    - { name: falco, serviceAccount: ${SENSORS}/falco, nodeFromToken: true, sources: [falco] }
    - { name: sidekick, serviceAccount: ${SENSORS}/sidekick, sources: [falco] }
drain: 100ms
`,
    )
    server = await RunningProgram.start(folder.path, [], ['--kubeconfig', kubeconfig])
  })
  after(async () => {
    await server?.kill()
    client?.close()
    folder.remove()
    await cluster.kubectl(['delete', 'namespace', SENSORS, SHOP, BANK, '--wait=false'])
    await cluster.kubectl(['delete', 'clusterrolebinding,clusterrole', USER])
    await cluster.kubectl(['delete', 'iv', '--all'])
  })

  const send = (bearer: string, alert: string): Promise<Answer> =>
    server.post(`${server.file.alerts}/alerts/falco`, alert, { Authorization: `Bearer ${bearer}` })
  const decisionOf = async (bearer: string, alert: string): Promise<string> => {
    const { status, text, body } = await send(bearer, alert)
    assert.equal(status, 200, text)
    return body.decisions[0].decision
  }
  const verdicts = async (): Promise<readonly string[]> => {
    const { items } = JSON.parse(await cluster.must(['get', 'iv', '-o', 'json'])) as {
      readonly items: readonly { readonly metadata: { readonly name: string } }[]
    }
    return items.map(({ metadata }) => metadata.name)
  }

  it("are told by the API server: the account, and the node of the token's pod", async () => {
    assert.deepEqual(await reviewToken(client, await sensorToken()), {
      username: `system:serviceaccount:${SENSORS}:falco`,
      node: 'node1',
    })
    assert.deepEqual(await reviewToken(client, await token('sidekick', `--audience=${AUDIENCE}`)), {
      username: `system:serviceaccount:${SENSORS}:sidekick`,
      node: undefined,
    })
  })

  it('are nobody with a token for the API server, a changed one, or none at all', async () => {
    assert.equal(await reviewToken(client, await token('falco')), undefined)
    const good = await sensorToken()
    assert.equal(await reviewToken(client, `${good.slice(0, -8)}AAAAAAAA`), undefined)
    assert.equal(await reviewToken(client, 'no-token'), undefined)
    for (const bearer of [await token('falco'), await token('tenant', `--audience=${AUDIENCE}`)]) {
      const alert = falcoAlert({ containerId: ids.web, namespace: SHOP, pod: 'web' })
      assert.equal((await send(bearer, alert)).status, 401)
    }
  })

  it('may be bound to a node: a token that names none is refused', async () => {
    const alert = falcoAlert({ containerId: ids.web, namespace: SHOP, pod: 'web' })
    const { status, body } = await send(await token('falco', `--audience=${AUDIENCE}`), alert)
    assert.deepEqual(
      [status, body.error],
      [401, 'the token names no node: use a token that is bound to a pod or a node'],
    )
  })

  it("cannot accuse another node's container, nor another tenant's pod by the id of their own", async () => {
    const bearer = await sensorToken()
    const ledger = { containerId: ids.ledger, namespace: BANK, pod: 'ledger' }
    assert.equal(await decisionOf(bearer, falcoAlert(ledger)), 'wrong-node')
    const contradiction = falcoAlert({ containerId: ids.web, namespace: BANK, pod: 'ledger' })
    assert.equal(await decisionOf(bearer, contradiction), 'unattributed')
    const otherWay = falcoAlert({ containerId: ids.ledger, namespace: SHOP, pod: 'web' })
    assert.equal(await decisionOf(bearer, otherWay), 'unattributed')
    assert.deepEqual(await verdicts(), [])
  })

  it('accuse what runs on their node, whatever image they name, once', async () => {
    const bearer = await sensorToken()
    const alert = falcoAlert({
      containerId: ids.web,
      namespace: SHOP,
      pod: 'web',
      image: `registry.example/${BANK}/ledger:1`,
    })
    assert.equal(await decisionOf(bearer, alert), 'contributed')
    assert.deepEqual(await verdicts(), [`sha256-${'a'.repeat(64)}`])
    const sidekick = await token('sidekick', `--audience=${AUDIENCE}`)
    assert.equal(await decisionOf(sidekick, alert), 'duplicate')
  })

  it('are asked to come again, not turned away, while the API server is down', async () => {
    const bearer = await sensorToken()
    await cluster.stopApiServer()
    try {
      const alert = falcoAlert({ containerId: ids.web, namespace: SHOP, pod: 'web' })
      const { status, headers } = await send(bearer, alert)
      assert.deepEqual([status, headers['retry-after']], [503, '1'])
      assert.equal((await send('a-wrong-token-of-length', alert)).status, 401)
    } finally {
      await cluster.startApiServer()
    }
    await until('the token to be accepted', async () => {
      const alert = falcoAlert({ containerId: ids.web, namespace: SHOP, pod: 'web' })
      return (await send(bearer, alert)).status === 200
    })
  })

  it('are refused once the pod of their token is gone', async () => {
    const bearer = await sensorToken()
    await cluster.must(['delete', 'pod', 'falco-node1', '-n', SENSORS, '--grace-period=0', '--force'])
    // The adapter: the server may believe its last answer for a minute.
    await until('the end of the token', async () => (await reviewToken(client, bearer)) === undefined)
    assert.equal((await send(bearer, falcoAlert({ containerId: ids.web, namespace: SHOP, pod: 'web' }))).status, 401)
  })
})
