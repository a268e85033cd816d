import assert from 'node:assert/strict'
import { join } from 'node:path'

import { manifestsDirectory } from '../../manifests/render.ts'
import { watchBrake } from '../../src/adapters/kubernetes/brake.ts'
import type { Brake } from '../../src/adapters/kubernetes/brake.ts'
import { createClient, loadKubeConfig } from '../../src/adapters/kubernetes/client.ts'
import type { KubernetesClient } from '../../src/adapters/kubernetes/client.ts'
import { waitFor } from './harness.ts'
import type { Cluster } from './harness.ts'
import { makeOwnNamespace, sharedCluster } from './shared.ts'

/** What rule 19 promises. */
const EFFECTIVE_MS = 5000
const USER = 'brake-reader'

describe('the ConfigMap of the brake', () => {
  let cluster: Cluster
  let client: KubernetesClient
  const told: string[] = []
  const problems: string[] = []
  const brakes: Brake[] = []

  const open = async (by: Pick<KubernetesClient, 'request' | 'watch'> = client): Promise<Brake> => {
    told.length = 0
    const brake = await watchBrake({
      client: by,
      namespace: 'drawbridge',
      fallback: 'enforce',
      onMode: (mode, problem) => told.push(problem === undefined ? mode : `${mode}: ${problem}`),
      onProblem: (problem) => problems.push(problem),
    })
    brakes.push(brake)
    return brake
  }
  const set = (value: string): Promise<string> =>
    cluster.must([
      'patch',
      'configmap',
      'drawbridge',
      '-n',
      'drawbridge',
      '-p',
      JSON.stringify({ data: { quarantine: value } }),
    ])
  const becomes = (brake: Brake, mode: string): Promise<boolean> =>
    waitFor(() => brake.mode() === mode, EFFECTIVE_MS, `the brake at ${mode}`)

  before(async () => {
    cluster = sharedCluster()
    await makeOwnNamespace(cluster)
    await cluster.must(['apply', '-f', join(manifestsDirectory(), 'rbac.yaml')])
    await cluster.must(['create', 'rolebinding', USER, '--role=drawbridge', `--user=${USER}`, '-n', 'drawbridge'])
    client = createClient(loadKubeConfig({ file: await cluster.userKubeconfig(USER) }))
  })

  afterEach(async () => {
    await Promise.all(brakes.splice(0).map((brake) => brake.stop()))
    await cluster.kubectl(['delete', 'configmap', 'drawbridge', '-n', 'drawbridge'])
  })

  after(async () => {
    client?.close()
    await cluster.kubectl(['delete', '-f', join(manifestsDirectory(), 'rbac.yaml')])
  })

  it('is followed with no more rights than rbac.yaml grants: absent, set, changed, misspelt, without the key, deleted', async () => {
    const brake = await open()
    assert.equal(brake.mode(), 'enforce')
    await cluster.must(['create', 'configmap', 'drawbridge', '-n', 'drawbridge', '--from-literal=quarantine=off'])
    await becomes(brake, 'off')
    await set('warn')
    await becomes(brake, 'warn')
    await set('wran')
    await becomes(brake, 'enforce')
    await set('off')
    await becomes(brake, 'off')
    await cluster.must([
      'patch',
      'configmap',
      'drawbridge',
      '-n',
      'drawbridge',
      '-p',
      '{"data":{"quarantine":null,"other":"off"}}',
    ])
    await becomes(brake, 'enforce')
    await set('off')
    await becomes(brake, 'off')
    await cluster.must(['delete', 'configmap', 'drawbridge', '-n', 'drawbridge'])
    await becomes(brake, 'enforce')
    assert.deepEqual(told, [
      'enforce',
      'off',
      'warn',
      'enforce: "wran" is none of enforce, warn, off: enforce holds',
      'off',
      'enforce',
      'off',
      'enforce',
    ])
    assert.deepEqual(problems, [])
  })

  it('holds from the start, and is no other ConfigMap', async () => {
    await cluster.must(['create', 'configmap', 'other', '-n', 'drawbridge', '--from-literal=quarantine=off'])
    assert.equal((await open()).mode(), 'enforce')
    await cluster.must(['create', 'configmap', 'drawbridge', '-n', 'drawbridge', '--from-literal=quarantine=warn'])
    assert.equal((await open()).mode(), 'warn')
  })

  it('works within five seconds when the watch is dead and does not know it', async () => {
    const deaf: Pick<KubernetesClient, 'request' | 'watch'> = {
      request: (...request) => client.request(...request),
      watch: (_path, _query, _onEvent, signal) =>
        new Promise((resolve) => signal.addEventListener('abort', () => resolve())),
    }
    const brake = await open(deaf)
    await cluster.must(['create', 'configmap', 'drawbridge', '-n', 'drawbridge', '--from-literal=quarantine=off'])
    await becomes(brake, 'off')
    await cluster.must(['delete', 'configmap', 'drawbridge', '-n', 'drawbridge'])
    await becomes(brake, 'enforce')
  })

  it('keeps what it knows, and says why, when it may not be read any more', async () => {
    await cluster.must(['create', 'configmap', 'drawbridge', '-n', 'drawbridge', '--from-literal=quarantine=warn'])
    const brake = await open()
    await cluster.must(['delete', 'rolebinding', USER, '-n', 'drawbridge'])
    await waitFor(() => problems.length > 0, 20_000, 'a problem')
    assert.match(
      problems[0] ?? '',
      /^the brake \(ConfigMap drawbridge\/drawbridge\) cannot be read, warn holds: not allowed/,
    )
    assert.equal(brake.mode(), 'warn')
  })
})
