/** What a user has after `helm install`: the image, and a webhook that the API server reaches through its Service. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { waitFor } from '../cluster/harness.ts'
import type { NodeCluster } from '../cluster/harness.ts'
import { root } from '../docs/markdown.ts'
import { BUSYBOX, installation, podOf, runPod } from './shared.ts'

describe('the image', () => {
  interface Config {
    readonly config: { readonly User: string; readonly Entrypoint: readonly string[]; readonly Env?: readonly string[] }
  }
  let folder: string
  let files: readonly string[]
  let config: Config

  /** Layers come in order; the first one is the stand-in for the runtime base. */
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'drawbridge-image-'))
    execFileSync('tar', ['-xf', installation().archive, '-C', folder])
    const [manifest] = JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8')) as {
      readonly Config: string
      readonly Layers: readonly string[]
    }[]
    config = JSON.parse(readFileSync(join(folder, manifest!.Config), 'utf8')) as Config
    const layers = manifest!.Layers.slice(1).map((layer) => join(folder, layer))
    files = layers.flatMap((layer) => execFileSync('tar', ['-tf', layer], { encoding: 'utf8' }).split('\n'))
    for (const layer of layers) execFileSync('tar', ['-xf', layer, '-C', folder])
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  it('adds the bundle, its manifests and its bill of materials to the base, and nothing else', () => {
    const expected = [
      /^app\/$/,
      /^app\/package\.json$/,
      /^app\/bin\/(drawbridge\.js)?$/,
      /^app\/dist\/(bundle\/([\w-]+\.js(\.map)?|sbom\.cdx\.json)?)?$/,
      /^app\/manifests\//,
      /^data\/$/,
    ]
    const added = files.filter((file) => file !== '')
    assert.deepEqual(
      added.filter((file) => !expected.some((pattern) => pattern.test(file))),
      [],
    )
    assert.ok(added.includes('app/dist/bundle/drawbridge.js'))
  })

  it('runs as a numeric user that is not root, and starts Node without a shell', () => {
    assert.equal(config.config.User, '65532:65532')
    const flags = ['--disable-sigusr1', '--max-semi-space-size=8']
    assert.deepEqual(config.config.Entrypoint, ['/nodejs/bin/node', ...flags, '/app/bin/drawbridge.js'])
    assert.ok(config.config.Env?.includes('MALLOC_ARENA_MAX=1'))
  })

  it('says in CycloneDX which packages are in the bundle, and which Node runs it', () => {
    const sbom = JSON.parse(readFileSync(join(folder, 'app/dist/bundle/sbom.cdx.json'), 'utf8')) as {
      readonly bomFormat: string
      readonly components: readonly { readonly type: string; readonly name: string; readonly version: string }[]
    }
    assert.equal(sbom.bomFormat, 'CycloneDX')
    const { version } = JSON.parse(readFileSync(join(root, 'node_modules/node/package.json'), 'utf8')) as {
      readonly version: string
    }
    assert.deepEqual(
      sbom.components.filter(({ type }) => type === 'platform').map((part) => `${part.name}@${part.version}`),
      [`node@${version}`],
    )
    const names = new Set(sbom.components.map(({ name }) => name))
    for (const name of ['express', 'node-forge', '@kubernetes/client-node']) assert.ok(names.has(name), name)
    for (const name of ['mocha', 'esbuild', 'typescript']) assert.ok(!names.has(name), name)
  })
})

describe('installed by the chart on a real node', () => {
  let cluster: NodeCluster
  before(async () => {
    ;({ cluster } = installation())
    await cluster.createNamespace('shop', { 'drawbridge.dev/enforce': 'standard' })
  })

  it('runs two replicas, none of them restarted', async () => {
    const out = await cluster.must(['-n', 'drawbridge', 'get', 'pods', '-o', 'json'])
    const { items } = JSON.parse(out) as {
      readonly items: readonly {
        readonly status: { readonly containerStatuses: readonly { restartCount: number }[] }
      }[]
    }
    assert.deepEqual(
      items.map(({ status }) => status.containerStatuses[0]?.restartCount),
      [0, 0],
    )
  })

  it('denies a privileged pod, reached by the API server through its Service', async () => {
    const privileged = podOf('privileged', {
      containers: [{ name: 'main', image: BUSYBOX, securityContext: { privileged: true } }],
    })
    const { code, stderr } = await cluster.kubectl(['-n', 'shop', 'apply', '-f', '-'], JSON.stringify(privileged))
    assert.notEqual(code, 0)
    assert.match(stderr, /admission webhook "enforce\.drawbridge\.dev" denied the request/)
    assert.match(stderr, /privileged/)
  })

  it('gives a pod the seccomp profile that then binds it: unshare fails in the container', async () => {
    const script = 'grep Seccomp: /proc/self/status; unshare --map-root-user true; echo "unshare: $?"; sleep 3600'
    const containers = [{ name: 'main', image: BUSYBOX, imagePullPolicy: 'Never', args: ['sh', '-c', script] }]
    await runPod(cluster, 'shop', podOf('bound', { containers }))
    const logs = await waitFor(
      async () => {
        const text = await cluster.must(['-n', 'shop', 'logs', 'bound'])
        return text.includes('unshare:') && text
      },
      30_000,
      'what the container says',
    )
    assert.match(logs, /^Seccomp:\s+2$/m)
    assert.match(logs, /Operation not permitted/)
    assert.match(logs, /^unshare: 1$/m)
  })
})
