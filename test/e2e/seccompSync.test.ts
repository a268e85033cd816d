/** `seccompSync.enabled` of the chart: profiles come to the node, the node says so, and only then are pods told to use them. */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { dump, load } from 'js-yaml'

import { CHART } from '../cluster/chartTools.ts'
import { waitFor } from '../cluster/harness.ts'
import type { NodeCluster } from '../cluster/harness.ts'
import { root } from '../docs/markdown.ts'
import { IMAGE } from './image.ts'
import { installation, podOf, runPod } from './shared.ts'
import { upgrade } from './upgrade.ts'

const NAMESPACE = 'drawbridge-seccomp'
const SHIPPED = join(root, 'manifests/seccomp')

describe('seccomp profiles synced to nodes', function () {
  this.timeout(180_000)
  let cluster: NodeCluster
  let folder: string
  const temporary = mkdtempSync(join(tmpdir(), 'drawbridge-sync-'))

  const fileIs = (name: string, text: string): Promise<boolean> =>
    waitFor(
      () => existsSync(join(folder, name)) && readFileSync(join(folder, name), 'utf8') === text,
      30_000,
      `${name} to say what it should`,
    )
  const shipped = (name: string): string => readFileSync(join(SHIPPED, name), 'utf8')
  const profileOf = (pod: string): Promise<string> =>
    cluster.must(['-n', 'synced', 'get', 'pod', pod, '-o', 'jsonpath={.spec.securityContext.seccompProfile}'])

  before(async () => {
    ;({ cluster } = installation())
    folder = join(cluster.kubeletRoot, 'seccomp/drawbridge')
    // What other tests put there.
    rmSync(folder, { recursive: true, force: true })
    await upgrade(
      'seccompSync.enabled=true',
      'seccompSync.exceptionUntil=2099-12-31T00:00:00Z',
      `seccompSync.kubeletRoot=${cluster.kubeletRoot}`,
    )
    await cluster.createNamespace('synced', {
      'drawbridge.dev/enforce': 'standard',
      'drawbridge.dev/seccomp': 'localhost.web',
    })
  })
  after(async () => {
    rmSync(temporary, { recursive: true })
    if (cluster !== undefined) await upgrade()
  })

  it('runs under an exception of its own in a namespace that enforces restricted', async () => {
    await cluster.must(['-n', NAMESPACE, 'rollout', 'status', 'daemonset/drawbridge-seccomp', '--timeout=120s'])
    const plain = podOf('plain', { serviceAccountName: 'drawbridge-seccomp', securityContext: { runAsUser: 0 } })
    const { stderr } = await cluster.kubectl(['-n', NAMESPACE, 'create', '-f', '-'], JSON.stringify(plain))
    assert.match(stderr, /breaks profile restricted/)
  })

  it('writes every profile, for everybody to read', async () => {
    for (const name of readdirSync(SHIPPED)) {
      await fileIs(name, shipped(name))
      assert.equal(statSync(join(folder, name)).mode & 0o777, 0o644, name)
    }
  })

  it('reports what the node has, in a Lease that belongs to the Node', async () => {
    const lease = await waitFor(
      async () => {
        const { code, stdout } = await cluster.kubectl(['-n', NAMESPACE, 'get', 'lease', 'node1', '-o', 'json'])
        const found = code === 0 && (JSON.parse(stdout) as { metadata: Record<string, any> }) // oxlint-disable-line typescript/no-explicit-any
        return found && found.metadata['annotations']['drawbridge.dev/seccomp-profiles'].includes('web') && found
      },
      30_000,
      'the report',
    )
    const uid = await cluster.must(['get', 'node', 'node1', '-o', 'jsonpath={.metadata.uid}'])
    assert.deepEqual(lease.metadata['ownerReferences'], [{ apiVersion: 'v1', kind: 'Node', name: 'node1', uid }])
    const profiles = JSON.parse(lease.metadata['annotations']['drawbridge.dev/seccomp-profiles'] as string) as object
    assert.deepEqual(
      Object.keys(profiles).sort(),
      readdirSync(SHIPPED)
        .map((name) => name.replace('.json', ''))
        .sort(),
    )
  })

  it('lets pods have the profile, which then binds them', async () => {
    await runPod(cluster, 'synced', podOf('bound'))
    assert.deepEqual(JSON.parse(await profileOf('bound')), {
      type: 'Localhost',
      localhostProfile: 'drawbridge/web.json',
    })
    const status = await cluster.must(['-n', 'synced', 'exec', 'bound', '--', 'grep', 'Seccomp:', '/proc/self/status'])
    assert.match(status, /Seccomp:\s+2/)
  })

  it('injects RuntimeDefault, with a warning, into pods that may run on a node without it', async () => {
    await cluster.must(['create', '-f', '-'], '{"apiVersion":"v1","kind":"Node","metadata":{"name":"node2"}}')
    const create = (name: string, more: object): ReturnType<NodeCluster['kubectl']> =>
      cluster.kubectl(['-n', 'synced', 'create', '-f', '-'], JSON.stringify(podOf(name, { ...more })))
    let attempts = 0
    await waitFor(
      async () => {
        attempts += 1
        const { code, stderr } = await create(`anywhere-${attempts}`, {})
        assert.equal(code, 0, stderr)
        return stderr.includes(
          'Warning: drawbridge: RuntimeDefault instead of the seccomp profile "web": 1 of 2 nodes that this pod may run on lack it: node2',
        )
      },
      30_000,
      'the webhook to know node2',
    )
    assert.deepEqual(JSON.parse(await profileOf(`anywhere-${attempts}`)), { type: 'RuntimeDefault' })
    const chosen = await create('chosen', { nodeSelector: { 'kubernetes.io/hostname': 'node1' } })
    assert.equal(chosen.stderr, '')
    assert.match(await profileOf('chosen'), /drawbridge\/web\.json/)
    await cluster.must(['delete', 'node', 'node2'])
  })

  it('lets a pod report for its own node only, and nobody else at all', async () => {
    const here = '--field-selector=spec.nodeName=node1'
    const pods = await cluster.must(['-n', NAMESPACE, 'get', 'pods', here, '-o', 'json'])
    const [pod] = (JSON.parse(pods) as { items: { metadata: { name: string; uid: string } }[] }).items
    const bound = ['--bound-object-kind=Pod', `--bound-object-name=${pod!.metadata.name}`]
    const token = await cluster.must([
      '-n',
      NAMESPACE,
      'create',
      'token',
      'drawbridge-seccomp',
      ...bound,
      `--bound-object-uid=${pod!.metadata.uid}`,
    ])
    const kubeconfig = join(temporary, 'pod.kubeconfig')
    const config = load(readFileSync(cluster.kubeconfig, 'utf8')) as object
    writeFileSync(kubeconfig, dump({ ...config, users: [{ name: 'user', user: { token: token.trim() } }] }))
    const report = (name: string, as?: string): ReturnType<NodeCluster['kubectl']> => {
      const lease = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name, namespace: NAMESPACE } }
      const apply = ['apply', '--server-side', '--force-conflicts', '--field-manager=test', '-f', '-']
      return cluster.kubectl(apply, JSON.stringify(lease), as)
    }
    const own = await report('node1', kubeconfig)
    assert.equal(own.code, 0, own.stderr)
    assert.match((await report('node2', kubeconfig)).stderr, /nobody reports for another/)
    assert.match((await report('node1')).stderr, /nobody reports for another/)
    const elsewhere = await cluster.kubectl(['-n', 'drawbridge', 'get', 'secrets'], undefined, kubeconfig)
    assert.match(elsewhere.stderr, /[Ff]orbidden/)
  })

  it('is there after an upgrade to another image that is waited for, and after the way back', async () => {
    const { helm } = installation()
    const run = async (...args: readonly string[]): Promise<void> => {
      const { code, stderr } = helm(...args, '--namespace', 'drawbridge', '--wait', '--timeout', '120s')
      assert.equal(code, 0, stderr)
      assert.doesNotMatch(stderr, /will be denied/)
      await cluster.must(['-n', NAMESPACE, 'rollout', 'status', 'daemonset/drawbridge-seccomp', '--timeout=60s'])
    }
    await cluster.nameImage(IMAGE, IMAGE.replace(/:[^:]*$/, ':again'))
    await run('upgrade', 'drawbridge', CHART, '--reuse-values', '--set', 'image.tag=again')
    await run('rollback', 'drawbridge')
  })

  it('repairs its own files and leaves those of others alone', async () => {
    writeFileSync(join(folder, 'others.json'), 'theirs')
    writeFileSync(join(folder, 'web.json'), '{}')
    await fileIs('web.json', shipped('web.json'))
    assert.equal(readFileSync(join(folder, 'others.json'), 'utf8'), 'theirs')
  })
})
