/** docs/guides on a cluster without nodes: what they have people do with helm and kubectl, as it stands there. */
import assert from 'node:assert/strict'

import { load } from 'js-yaml'

import { parseConfig } from '../../src/config/config.ts'
import { temporaryFolder } from '../process/server.ts'
import { CHART, chartTools } from './chartTools.ts'
import type { ChartTools } from './chartTools.ts'
import { startCluster } from './harness.ts'
import type { Cluster } from './harness.ts'
import { pageSteps } from './pageShell.ts'

/** As much of the DaemonSet of Tracee's chart as the patch meets: aquasecurity/tracee deploy/helm/tracee/templates/daemonset.yaml at v0.24.1. */
const TRACEE = {
  apiVersion: 'apps/v1',
  kind: 'DaemonSet',
  metadata: { name: 'tracee', namespace: 'tracee' },
  spec: {
    selector: { matchLabels: { app: 'tracee' } },
    template: {
      metadata: { labels: { app: 'tracee' } },
      spec: {
        hostPID: true,
        containers: [
          {
            name: 'tracee',
            image: 'docker.io/aquasec/tracee:0.24.1',
            command: ['/tracee/tracee'],
            args: ['--config', '/tracee/config.yaml'],
            env: [
              { name: 'LIBBPFGO_OSRELEASE_FILE', value: '/etc/os-release-host' },
              { name: 'NODE_NAME', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } },
            ],
            securityContext: { privileged: true },
            volumeMounts: [{ name: 'tracee-config', mountPath: '/tracee/config.yaml', subPath: 'config.yaml' }],
          },
        ],
        volumes: [{ name: 'tracee-config', configMap: { name: 'tracee-config' } }],
      },
    },
  },
}

describe('docs/guides with helm and kubectl', function () {
  this.timeout(180_000)
  let tools: ChartTools
  let cluster: Cluster
  const runPage = (name: string, variables: Readonly<Record<string, string>> = {}): void => {
    const folder = temporaryFolder()
    const steps = pageSteps({
      page: `docs/guides/${name}.md`,
      folder: folder.path,
      kubeconfig: cluster.kubeconfig,
      path: [tools.bin, cluster.bin],
      rewrite: (command) =>
        Object.entries(variables).reduce((text, [key, value]) => text.replaceAll(`$${key}`, value), command),
    })
    assert.ok(steps.length > 0)
    for (const step of steps) step.run()
    folder.remove()
  }
  const data = async (namespace: string, secret: string): Promise<Readonly<Record<string, string>>> => {
    const text = await cluster.must(['-n', namespace, 'get', 'secret', secret, '-o', 'jsonpath={.data}'])
    return Object.fromEntries(
      Object.entries(JSON.parse(text) as Readonly<Record<string, string>>).map(([key, value]) => [
        key,
        Buffer.from(value, 'base64').toString(),
      ]),
    )
  }
  const configuration = async (): Promise<ReturnType<typeof parseConfig>> => {
    const path = ['-n', 'drawbridge', 'get', 'configmap', 'drawbridge-config', '-o', 'json']
    const { data: files } = JSON.parse(await cluster.must(path)) as { readonly data: Readonly<Record<string, string>> }
    return parseConfig(files['drawbridge.yaml']!, 'drawbridge.yaml')
  }

  before(async function () {
    // The first run ever builds Helm.
    this.timeout(30 * 60_000)
    tools = chartTools()
    cluster = await startCluster()
    for (const name of ['drawbridge', 'falco', 'tracee', 'shop']) await cluster.createNamespace(name)
    const { code, stderr } = tools.helm(
      ['install', 'drawbridge', CHART, '--namespace', 'drawbridge'],
      cluster.kubeconfig,
    )
    assert.equal(code, 0, stderr)
    // Drawbridge makes it at its start.
    await cluster.must([
      '-n',
      'drawbridge',
      'create',
      'secret',
      'generic',
      'drawbridge-tls',
      '--from-literal=ca.crt=CA',
    ])
  })
  after(() => cluster?.stop())

  // First: it shows the history of the release.
  it('upgrade.md, and the webhook configurations that were deleted as the way out come back', async () => {
    runPage('upgrade')
    const KINDS = 'validatingwebhookconfiguration,mutatingwebhookconfiguration'
    await cluster.must(['delete', KINDS, 'drawbridge'])
    const args = ['upgrade', 'drawbridge', CHART, '--namespace', 'drawbridge']
    const { code, stderr } = tools.helm(args, cluster.kubeconfig)
    assert.equal(code, 0, stderr)
    const found = await cluster.must(['get', KINDS, 'drawbridge', '-o', 'name'])
    assert.equal(found.trim().split('\n').length, 2)
  })

  it('connect-a-sensor.md', async () => {
    runPage('connect-a-sensor')
    const own = await data('drawbridge', 'drawbridge-tokens')
    assert.match(own['falco-token']!, /^[0-9a-f]{64}$/)
    assert.match(own['sensors-ca.crt']!, /^-----BEGIN CERTIFICATE-----\n/)
    assert.deepEqual(await data('falco', 'drawbridge'), { 'ca.crt': 'CA', token: own['falco-token'] })
    assert.deepEqual(Object.keys(await data('falco', 'drawbridge-client')).sort(), [
      'ca.crt',
      'client.crt',
      'client.key',
    ])
    assert.deepEqual(
      (await configuration()).alerts.credentials.map(({ name, tokenFile }) => [name, tokenFile]),
      [
        ['sensors', '/etc/drawbridge/tokens/alert-token'],
        ['falco', '/etc/drawbridge/tokens/falco-token'],
      ],
    )
  })

  it('falcosidekick.md', async () => {
    runPage('falcosidekick', { TOKEN: 'aabbccdd' })
    assert.deepEqual(await data('falco', 'drawbridge-falcosidekick'), {
      WEBHOOK_CUSTOMHEADERS: 'Authorization:Bearer aabbccdd',
    })
  })

  it('tracee.md: the patch adds to the DaemonSet of the chart and replaces its arguments', async () => {
    await cluster.must(['create', '-f', '-'], JSON.stringify(TRACEE))
    runPage('tracee')
    const text = await cluster.must(['-n', 'tracee', 'get', 'daemonset', 'tracee', '-o', 'yaml'])
    const { containers, volumes } = (load(text) as typeof TRACEE).spec.template.spec
    const [tracee] = containers
    assert.deepEqual(tracee!.args.slice(0, 4), ['--config', '/tracee/config.yaml', '--output', 'json'])
    assert.equal(tracee!.args.length, 6)
    assert.deepEqual(
      [tracee!.env, tracee!.volumeMounts, volumes].map((list) => list.map(({ name }) => name).sort()),
      [
        ['DRAWBRIDGE_TOKEN', 'LIBBPFGO_OSRELEASE_FILE', 'NODE_NAME', 'SSL_CERT_FILE'],
        ['drawbridge', 'tracee-config'],
        ['drawbridge', 'tracee-config'],
      ],
    )
  })

  it('an upgrade and a rollback keep what the guides added', async () => {
    const before = await data('drawbridge', 'drawbridge-tokens')
    for (const args of [
      ['upgrade', 'drawbridge', CHART, '--reset-then-reuse-values', '--set', 'replicas=3'],
      ['rollback', 'drawbridge', '1'],
    ]) {
      const { code, stderr } = tools.helm([...args, '--namespace', 'drawbridge'], cluster.kubeconfig)
      assert.equal(code, 0, stderr)
      assert.deepEqual(await data('drawbridge', 'drawbridge-tokens'), before)
    }
  })
})
