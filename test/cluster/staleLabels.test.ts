/** Labels that just changed: what Drawbridge remembers is old, and the path by which the API server called says so (rule 8). */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { manifestsDirectory } from '../../manifests/render.ts'
import { webhookConfigurations } from '../../manifests/webhooks.ts'
import { startServer } from '../../src/serve.ts'
import type { RunningServer } from '../../src/serve.ts'
import { waitFor, waitForCrds } from './harness.ts'
import type { Cluster, Outcome } from './harness.ts'
import { sharedCluster } from './shared.ts'
import { startSlowWatch } from './slowWatch.ts'
import type { SlowWatch } from './slowWatch.ts'

const WEBHOOKS = 'drawbridge-stale-test'

/** Labels before `enforce` is added, so that another entry, or none, was the right one until now. */
const BEFORE: readonly Readonly<Record<string, string>>[] = [
  { 'drawbridge.dev/warn': 'privileged' },
  { 'drawbridge.dev/audit': 'privileged' },
  { 'drawbridge.dev/quarantine': 'enforce' },
  { 'drawbridge.dev/seccomp': 'RuntimeDefault' },
  {},
]
const TIGHTENED = Array.from({ length: 20 }, (_, index) => `stale-tight-${index}`)
const LOOSENED = Array.from({ length: 5 }, (_, index) => `stale-loose-${index}`)
const ALL = [...TIGHTENED, ...LOOSENED, 'stale-probe']

describe('labels that changed a moment ago, on a real API server', function () {
  this.timeout(120_000)
  let cluster: Cluster
  let server: RunningServer | undefined
  let watch: SlowWatch | undefined
  const data = mkdtempSync(join(tmpdir(), 'drawbridge-stale-'))

  const createBad = (namespace: string): Promise<Outcome> =>
    cluster.kubectl(
      ['create', '-f', '-'],
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'bad', namespace },
        spec: { hostPID: true, containers: [{ name: 'web', image: 'registry.example/stale/web:1' }] },
      }),
    )

  before(async () => {
    cluster = sharedCluster()
    await cluster.must(['apply', '-f', join(manifestsDirectory(), 'crds')])
    await waitForCrds(cluster, 'imageverdicts.drawbridge.dev')
    const labelsOf = (name: string): Readonly<Record<string, string>> => {
      if (name === 'stale-probe') return { 'drawbridge.dev/enforce': 'baseline' }
      if (name.startsWith('stale-loose'))
        return { 'drawbridge.dev/enforce': 'baseline', 'drawbridge.dev/warn': 'baseline' }
      return BEFORE[TIGHTENED.indexOf(name) % BEFORE.length] ?? {}
    }
    const objects = ALL.map((name) => ({
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name, labels: labelsOf(name) },
    }))
    await cluster.must(['create', '-f', '-'], objects.map((object) => JSON.stringify(object)).join('\n---\n'))
    if (cluster.hasControllers) {
      await waitFor(
        async () => {
          const accounts = await cluster.must(['get', 'sa', '-A', '-o', 'jsonpath={.items[*].metadata.namespace}'])
          return ALL.every((name) => accounts.split(' ').includes(name))
        },
        30_000,
        'the service accounts',
      )
    }
    watch = await startSlowWatch(cluster.kubeconfig)
    const [kubeconfig, configFile] = [join(data, 'kubeconfig'), join(data, 'drawbridge.yaml')]
    writeFileSync(kubeconfig, watch.kubeconfig)
    writeFileSync(configFile, 'drain: 0ms\nlog: { level: error }\n')
    server = await startServer({
      standalone: false,
      kubeconfig,
      configFile,
      data,
      port: 0,
      alertsPort: 0,
      adminPort: 0,
    })
    const configurations = webhookConfigurations({
      endpoint: { url: server.file.webhook },
      caBundle: readFileSync(server.file.ca, 'utf8'),
      ownNamespace: 'drawbridge',
      scope: 'namespaces',
    })
    for (const configuration of configurations) {
      const named = { ...configuration, metadata: { ...configuration.metadata, name: WEBHOOKS } }
      await cluster.must(['create', '-f', '-'], JSON.stringify(named))
    }
    await waitFor(async () => (await createBad('stale-probe')).code === 1, 30_000, 'the webhooks to be in force')
    watch.hold()
  })

  after(async () => {
    await cluster?.kubectl(['delete', 'validatingwebhookconfiguration,mutatingwebhookconfiguration', WEBHOOKS])
    await cluster?.kubectl(['delete', 'namespace', ...ALL, '--wait=false'])
    await server?.stop()
    await watch?.stop()
    rmSync(data, { recursive: true, force: true })
  })

  it('lets no bad pod into a namespace that enforces since a moment', async () => {
    for (const name of TIGHTENED) {
      await cluster.must(['label', 'namespace', name, 'drawbridge.dev/enforce=baseline'])
      const { code, stderr } = await createBad(name)
      assert.equal(code, 1, `${name} let a bad pod in`)
      assert.match(
        stderr,
        /webhook "enforce\.drawbridge\.dev" denied the request: drawbridge: pod "bad" breaks profile/,
      )
    }
    const pods = await cluster.must(['get', 'pods', '-A', '-o', 'jsonpath={.items[*].metadata.namespace}'])
    assert.deepEqual(
      pods.split(' ').filter((name) => name.startsWith('stale-')),
      [],
    )
  })

  it('denies nothing in a namespace that enforces no longer, and warns as it still asks', async () => {
    for (const name of LOOSENED) {
      await cluster.must(['label', 'namespace', name, 'drawbridge.dev/enforce-'])
      const { code, stderr } = await createBad(name)
      assert.equal(code, 0, stderr)
      assert.match(stderr, /^Warning: .*host namespaces/m)
    }
  })

  it('did all this while the changes were kept back', () => {
    assert.ok((watch?.held() ?? 0) > 0)
  })
})
