/** The Helm chart against Kubernetes: its schemas, its API server, and a release's life from installation to after its end. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { manifestsDirectory } from '../../manifests/render.ts'
import { CHART, chartTools, objectsOf, VALUES, valuesOf } from './chartTools.ts'
import type { ChartTools } from './chartTools.ts'
import { startCluster, waitFor } from './harness.ts'
import type { Cluster, Outcome } from './harness.ts'
import { writeSchemas } from './openApiSchemas.ts'

const SERVICE_MONITOR = 'monitoring.coreos.com/v1/ServiceMonitor'
const POD = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { generateName: 'web-' },
  spec: { automountServiceAccountToken: false, containers: [{ name: 'web', image: 'registry.example/web:1' }] },
}
/** What the chart makes beside what lies in its namespace. */
const CLUSTER_WIDE = [
  'mutatingwebhookconfigurations',
  'validatingwebhookconfigurations',
  'validatingadmissionpolicies',
  'validatingadmissionpolicybindings',
  'clusterroles',
  'clusterrolebindings',
]

describe('the Helm chart on a real API server', function () {
  this.timeout(180_000)
  let tools: ChartTools
  let cluster: Cluster
  const helm = (...args: readonly string[]): Outcome => tools.helm(args, cluster.kubeconfig)

  before(async function () {
    // The first run ever builds Helm.
    this.timeout(30 * 60_000)
    tools = chartTools()
    cluster = await startCluster()
    // So that the API server's own PodSecurity plugin judges Drawbridge's pods.
    await cluster.createNamespace('drawbridge', { 'pod-security.kubernetes.io/enforce': 'restricted' })
  })
  after(() => cluster.stop())

  it('is valid by the schemas of Kubernetes', async () => {
    const openApi: unknown = JSON.parse(await cluster.must(['get', '--raw', '/openapi/v2']))
    const schemas = mkdtempSync(join(tmpdir(), 'drawbridge-schemas-'))
    const location = join(schemas, '{{ .ResourceKind }}{{ .KindSuffix }}.json')
    const check = (text: string, ...more: readonly string[]): { readonly code: number; readonly said: string } => {
      const { code, stdout, stderr } = tools.kubeconform(
        ['-strict', '-summary', '-schema-location', location, ...more],
        text,
      )
      return { code, said: stdout + stderr }
    }
    const texts = VALUES.map((file) => tools.template(valuesOf(file)))
    for (const text of [...texts, readFileSync(join(manifestsDirectory(), 'install.yaml'), 'utf8')]) {
      const kinds = objectsOf(text).map(({ apiVersion, kind }) => `${apiVersion}/${kind}`)
      const unknown = writeSchemas(openApi, kinds, schemas)
      // Of the Prometheus operator, of which this API server knows nothing.
      assert.deepEqual(unknown, kinds.includes(SERVICE_MONITOR) ? [SERVICE_MONITOR] : [])
      const { code, said } = check(text, '-skip', 'ServiceMonitor')
      assert.equal(code, 0, said)
      assert.match(said, new RegExp(`Valid: ${kinds.length - unknown.length}, Invalid: 0, Errors: 0`))
    }
    const wrong = [
      ['readOnlyRootFilesystem: true', 'readOnlyRootFileSystem: true'],
      ['replicas: 2', 'replicas: two'],
    ] as const
    for (const [right, mistake] of wrong) {
      const { code, said } = check(tools.template([]).replace(right, mistake))
      assert.notEqual(code, 0)
      assert.match(said, /Deployment drawbridge is invalid/)
    }
  })

  for (const file of VALUES)
    it(`is accepted by the API server, with ${file ?? 'the defaults'}`, async () => {
      const items = objectsOf(tools.template(valuesOf(file))).filter(({ kind }) => kind !== 'ServiceMonitor')
      const out = await cluster.must(
        ['apply', '--dry-run=server', '--validate=strict', '-f', '-'],
        JSON.stringify({ apiVersion: 'v1', kind: 'List', items }),
      )
      assert.equal(out.trim().split('\n').length, items.length, out)
    })

  describe('as a release', () => {
    const CONFIGURATION = ['get', 'validatingwebhookconfiguration', 'drawbridge', '-o', 'json']
    interface Configuration {
      readonly webhooks: readonly { readonly name: string; readonly clientConfig: { readonly caBundle?: string } }[]
    }
    const bundles = async (): Promise<ReadonlyMap<string, string | undefined>> => {
      const { webhooks } = JSON.parse(await cluster.must(CONFIGURATION)) as Configuration
      return new Map(webhooks.map(({ name, clientConfig }) => [name, clientConfig.caBundle]))
    }
    const tokens = (): Promise<string> =>
      cluster.must(['-n', 'drawbridge', 'get', 'secret', 'drawbridge-tokens', '-o', 'jsonpath={.data}'])
    const create = (namespace: string): Promise<Outcome> =>
      cluster.kubectl(['-n', namespace, 'create', '-f', '-'], JSON.stringify(POD))

    before(async () => {
      const { code, stdout, stderr } = helm('install', 'drawbridge', CHART, '--namespace', 'drawbridge')
      assert.equal(code, 0, stderr)
      assert.match(stdout, /kubectl label namespace NAME drawbridge\.dev\/enforce=standard/)
    })

    it('makes two pods, which the API server’s own Pod Security takes at restricted', async function () {
      if (!cluster.hasControllers) this.skip()
      const pods = (): Promise<string> => cluster.must(['-n', 'drawbridge', 'get', 'pods', '-o', 'name'])
      await waitFor(async () => (await pods()).trim().split('\n').length === 2, 60_000, 'two pods of the Deployment')
    })

    it('keeps tokens and the caBundle through an upgrade that changes the webhooks, and back', async () => {
      const before = await tokens()
      for (const token of Object.values(JSON.parse(before) as Readonly<Record<string, string>>))
        assert.match(Buffer.from(token, 'base64').toString(), /^[A-Za-z0-9]{43}$/)
      const names = [...(await bundles()).keys()]
      assert.deepEqual(
        [...(await bundles()).values()].filter((bundle) => bundle !== undefined),
        [],
      )

      // As Drawbridge does it: nothing but this one field.
      const caBundle = Buffer.from('-----BEGIN CERTIFICATE-----\n').toString('base64')
      const apply = {
        apiVersion: 'admissionregistration.k8s.io/v1',
        kind: 'ValidatingWebhookConfiguration',
        metadata: { name: 'drawbridge' },
        webhooks: names.map((name) => ({ name, clientConfig: { caBundle } })),
      }
      await cluster.must(['apply', '--server-side', '--field-manager=drawbridge', '-f', '-'], JSON.stringify(apply))
      const args = ['--namespace', 'drawbridge', '--set', 'quarantineScope=cluster']
      const { code, stderr } = helm('upgrade', 'drawbridge', CHART, ...args)
      assert.equal(code, 0, stderr)

      const after = await bundles()
      assert.ok(after.has('verdicts-cluster.drawbridge.dev'))
      for (const [name, bundle] of after) assert.equal(bundle, names.includes(name) ? caBundle : undefined, name)
      assert.equal(await tokens(), before)

      const back = helm('rollback', 'drawbridge', '--namespace', 'drawbridge')
      assert.equal(back.code, 0, back.stderr)
      assert.deepEqual([...(await bundles()).keys()].sort(), names.toSorted())
      assert.equal(await tokens(), before)
    })

    it('refuses a second one', () => {
      for (const name of ['drawbridge', 'second']) {
        const { code, stderr } = helm('install', name, CHART, '--namespace', 'elsewhere', '--create-namespace')
        assert.notEqual(code, 0)
        assert.match(
          stderr,
          /Drawbridge is installed already, as the release drawbridge\/drawbridge \(namespace\/name\)\. There is one in a cluster: upgrade or uninstall that one/,
        )
      }
    })

    it('leaves nothing behind that blocks, and can be installed again', async () => {
      await cluster.createNamespace('opted-in', { 'drawbridge.dev/enforce': 'standard' })
      // Nothing answers at the Service: there is no node.
      await waitFor(
        async () => /failed calling webhook "mutate\.drawbridge\.dev"/.test((await create('opted-in')).stderr),
        20_000,
        'a pod that is refused because nobody answers',
      )
      const gone = helm('uninstall', 'drawbridge', '--namespace', 'drawbridge', '--wait')
      assert.equal(gone.code, 0, gone.stderr)
      assert.match(gone.stdout, /\[CustomResourceDefinition\] imageverdicts\.drawbridge\.dev/)
      await waitFor(async () => (await create('opted-in')).code === 0, 20_000, 'a pod that is created')

      const left = await cluster.must(['get', CLUSTER_WIDE.join(','), '-o', 'name'])
      assert.deepEqual(
        left.split('\n').filter((name) => name.includes('drawbridge')),
        [],
      )
      const kinds =
        'deployments,services,secrets,configmaps,networkpolicies,poddisruptionbudgets,roles,rolebindings,serviceaccounts'
      const inside = await cluster.must(['-n', 'drawbridge', 'get', kinds, '-o', 'name'])
      assert.deepEqual(
        inside.split('\n').filter((name) => name.includes('drawbridge')),
        [],
      )
      await cluster.must(['get', 'imageverdicts,admissionprofiles,admissionexceptions'])

      const again = helm('install', 'drawbridge', CHART, '--namespace', 'drawbridge')
      assert.equal(again.code, 0, again.stderr)
    })

    it('can be uninstalled without a moment in which pods are refused: the webhook configurations first', async () => {
      await cluster.must(['delete', 'validatingwebhookconfiguration,mutatingwebhookconfiguration', 'drawbridge'])
      await waitFor(async () => (await create('opted-in')).code === 0, 20_000, 'a pod that is created')
      const { code, stderr } = helm('uninstall', 'drawbridge', '--namespace', 'drawbridge')
      assert.equal(code, 0, stderr)
      assert.equal((await create('opted-in')).code, 0)
    })

    it('takes over CRDs that were applied without Helm, when it is told to', async () => {
      await cluster.must(['annotate', 'crd', '--all', 'meta.helm.sh/release-name-', 'meta.helm.sh/release-namespace-'])
      const install = ['install', 'drawbridge', CHART, '--namespace', 'drawbridge']
      assert.match(
        helm(...install).stderr,
        /CustomResourceDefinition "[a-z.]+" in namespace "" exists and cannot be imported/,
      )
      const { code, stderr } = helm(...install, '--take-ownership')
      assert.equal(code, 0, stderr)
    })
  })
})
