/** `drawbridge scan` as a user runs it, against a real API server: what it reads, what it says, and with which rights. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { manifestsDirectory } from '../../manifests/render.ts'
import { createClient, loadKubeConfig } from '../../src/adapters/kubernetes/client.ts'
import { createKubernetesVerdictStore } from '../../src/adapters/kubernetes/imageVerdicts.ts'
import { podPages } from '../../src/adapters/kubernetes/podPages.ts'
import { cli, temporaryFolder } from '../process/server.ts'
import { waitFor, waitForCrds } from './harness.ts'
import type { Cluster } from './harness.ts'
import { sharedCluster } from './shared.ts'

const SHOP = 'scan-shop'
const WARNED = 'scan-warned'
const PLAIN = 'scan-plain'
const GRANTED = 'scan-granted'
const LAPSED = 'scan-lapsed'
const FLAGGED = `sha256:${'e'.repeat(64)}`
const T = Date.UTC(2026, 10, 22)

const podOf = (namespace: string, name: string, changes: object = {}, metadata: object = {}): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace, ...metadata },
  spec: {
    // Keeps them out of every scheduler's and kubelet's way.
    schedulerName: 'none',
    automountServiceAccountToken: false,
    securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
    containers: [{ name: 'web', image: 'registry.example/scan/web:1' }],
    ...changes,
  },
})

/** A Deployment whose pods are the same as those of `replicasOf`. */
const deploymentOf = (name: string, replicas: number): object => {
  const { spec } = podOf(SHOP, name, { hostPID: true }) as { spec: object }
  const labels = { app: name }
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace: SHOP },
    spec: { replicas, selector: { matchLabels: labels }, template: { metadata: { labels }, spec } },
  }
}

/** The pods of a Deployment, where no controller makes them (and no garbage collector asks for their ReplicaSet). */
const replicasOf = (name: string, count: number): object[] =>
  Array.from({ length: count }, (_, index) =>
    podOf(
      SHOP,
      `${name}-5d5-${index}`,
      { hostPID: true },
      {
        labels: { 'pod-template-hash': '5d5' },
        ownerReferences: [
          {
            apiVersion: 'apps/v1',
            kind: 'ReplicaSet',
            name: `${name}-5d5`,
            uid: '7e6e6f0a-0000-4000-8000-000000000001',
            controller: true,
          },
        ],
      },
    ),
  )

describe('drawbridge scan on a real API server', function () {
  this.timeout(60_000)
  let cluster: Cluster
  const scan = (...argv: readonly string[]): ReturnType<typeof cli> =>
    cli(['scan', '--kubeconfig', cluster.kubeconfig, ...argv])
  const create = (...objects: readonly object[]): Promise<string> =>
    cluster.must(['create', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }))

  before(async () => {
    cluster = sharedCluster()
    await cluster.must(['apply', '-f', join(manifestsDirectory(), 'crds')])
    await waitForCrds(cluster)
    await cluster.createNamespace(SHOP, { 'drawbridge.dev/enforce': 'standard' })
    await cluster.createNamespace(WARNED, { 'drawbridge.dev/warn': 'baseline' })
    await cluster.createNamespace(PLAIN)
    if (cluster.hasControllers) await create(deploymentOf('bad', 5))
    else await create(...replicasOf('bad', 5))
    await create(
      podOf(SHOP, 'good'),
      podOf(SHOP, 'flagged', { containers: [{ name: 'web', image: `registry.example/scan/evil@${FLAGGED}` }] }),
      podOf(WARNED, 'bad', { hostPID: true }),
      podOf(PLAIN, 'bad', { hostPID: true }),
    )
    await waitFor(
      async () => (await cluster.must(['get', 'pods', '-n', SHOP, '-o', 'name'])).split('\n').length === 8,
      30_000,
      'the 7 pods of the test',
    )
    const client = createClient(loadKubeConfig({ file: cluster.kubeconfig }))
    const store = createKubernetesVerdictStore({ client, now: () => performance.now() })
    await store.write(`sha256-${'e'.repeat(64)}`, () => ({
      name: `sha256-${'e'.repeat(64)}`,
      digests: [FLAGGED],
      references: [],
      contributions: {},
      evidence: [],
      phase: 'denying',
      phaseSince: T,
      reason: 'score 100 reached 100',
      expiresAt: Date.UTC(2200, 0, 1),
    }))
    await store.close()
    client.close()
  })

  after(async () => {
    await cluster?.kubectl(['delete', 'namespace', SHOP, WARNED, PLAIN, '--wait=false'])
    await cluster?.kubectl(['delete', 'imageverdict', `sha256-${'e'.repeat(64)}`])
  })

  it('judges what opted in: by workload, with verdicts, in words and numbers', () => {
    const { code, out, err } = scan('-n', SHOP, '-n', WARNED)
    assert.equal(code, 1, err)
    assert.match(out, /^scan-shop +Deployment\/bad +5 +denied +standard:v1\.\d+ +hostNamespaces$/m)
    assert.match(out, /^scan-shop +Pod\/flagged +1 +denied +- +flagged image registry\.example\/scan\/evil@sha256:e+$/m)
    assert.match(out, /^scan-warned +Pod\/bad +1 +warned +baseline:v1\.\d+ +hostNamespaces$/m)
    assert.match(out, /\n8 pods in 2 namespaces: 1 clean, 6 would be denied, 1 would be warned about\n$/)
  })

  it('finds by itself who opted in, and leaves the others alone', () => {
    const { out } = scan('-o', 'json')
    const { complete, findings, namespaces } = JSON.parse(out) as {
      complete: boolean
      findings: { namespace: string }[]
      namespaces: { name: string }[]
    }
    const names = namespaces.map(({ name }) => name)
    assert.deepEqual(
      [complete, names.includes(SHOP), names.includes(WARNED), names.includes(PLAIN)],
      [true, true, true, false],
    )
    assert.ok(!findings.some(({ namespace }) => namespace === PLAIN))
  })

  it('says what a profile would find everywhere', () => {
    const { code, out } = scan('-A', '--profile', 'baseline')
    assert.equal(code, 1)
    for (const [namespace, workload] of [
      [SHOP, 'Deployment/bad'],
      [WARNED, 'Pod/bad'],
      [PLAIN, 'Pod/bad'],
    ])
      assert.match(out, new RegExp(`^${namespace} +${workload} +\\d +denied +baseline`, 'm'))
    assert.equal(scan('-n', PLAIN, '--profile', 'privileged').code, 0)
  })

  it('judges by profiles and exceptions of the cluster', async () => {
    const kind = (name: string, spec: object, what: string): object => ({
      apiVersion: 'drawbridge.dev/v1alpha1',
      kind: what,
      metadata: { name },
      spec,
    })
    const asking = podOf(
      GRANTED,
      'granted',
      { hostPID: true },
      { annotations: { 'drawbridge.dev/exception': 'scan-granted' } },
    )
    await create(
      kind('scan-profile', { extends: { level: 'standard' }, requireDigest: true }, 'AdmissionProfile'),
      kind(
        'scan-granted',
        {
          namespaces: [GRANTED],
          serviceAccounts: ['*'],
          images: ['registry.example/scan/web:1'],
          checks: ['hostNamespaces', 'imageDigest'],
          reason: 'a test',
          expiresAt: '2199-01-01T00:00:00Z',
        },
        'AdmissionException',
      ),
    )
    try {
      await cluster.createNamespace(GRANTED, { 'drawbridge.dev/enforce': 'scan-profile' })
      await create(asking, podOf(GRANTED, 'tagged'))
      const { code, out, err } = scan('-n', GRANTED)
      assert.deepEqual([code, err], [1, ''])
      assert.match(out, /^scan-granted +Pod\/tagged +1 +denied +scan-profile:v1\.\d+ +imageDigest$/m)
      assert.match(out, /\n2 pods in 1 namespace: 1 clean, 1 would be denied\n$/)
      assert.equal(scan('-n', PLAIN, '--profile', 'scan-profile').code, 1)
    } finally {
      await cluster.kubectl(['delete', 'namespace', GRANTED, '--wait=false'])
      await cluster.kubectl(['delete', 'admissionprofile', 'scan-profile'])
      await cluster.kubectl(['delete', 'admissionexception', 'scan-granted'])
    }
  })

  it('lets no expired, suspended or foreign exception count, and none for an image that a verdict denies', async () => {
    const images = ['registry.example/scan/*:*', `registry.example/scan/evil@${FLAGGED}`]
    const grant = (name: string, changes: object): object => ({
      apiVersion: 'drawbridge.dev/v1alpha1',
      kind: 'AdmissionException',
      metadata: { name },
      spec: {
        namespaces: [LAPSED],
        serviceAccounts: ['*'],
        images,
        checks: ['hostNamespaces'],
        reason: 'a test',
        expiresAt: '2199-01-01T00:00:00Z',
        ...changes,
      },
    })
    const asking = (name: string, exception: string, image = 'registry.example/scan/web:1'): object =>
      podOf(
        LAPSED,
        name,
        { hostPID: true, containers: [{ name: 'web', image }] },
        { annotations: { 'drawbridge.dev/exception': exception } },
      )
    const grants = [
      grant('scan-active', {}),
      grant('scan-expired', { expiresAt: '2026-01-01T00:00:00Z' }),
      grant('scan-suspended', { suspended: true }),
      grant('scan-foreign', { namespaces: [PLAIN] }),
    ]
    const folder = temporaryFolder()
    try {
      await cluster.createNamespace(LAPSED, { 'drawbridge.dev/enforce': 'baseline' })
      await create(
        ...grants,
        asking('active', 'scan-active'),
        asking('expired', 'scan-expired'),
        asking('flagged', 'scan-active', `registry.example/scan/evil@${FLAGGED}`),
        asking('foreign', 'scan-foreign'),
        asking('suspended', 'scan-suspended'),
      )
      const { code, out, err } = scan('-n', LAPSED)
      assert.deepEqual([code, err], [1, ''])
      const rows = out.split('\n').flatMap((line) => {
        const [namespace, workload, , result, , why] = line.split(/ {2,}/)
        return namespace === LAPSED ? [[workload, result, why]] : []
      })
      assert.deepEqual(rows, [
        ['Pod/expired', 'denied', 'hostNamespaces'],
        ['Pod/flagged', 'denied', `flagged image registry.example/scan/evil@${FLAGGED}, hostNamespaces`],
        ['Pod/foreign', 'denied', 'hostNamespaces'],
        ['Pod/suspended', 'denied', 'hostNamespaces'],
      ])
      // Exempt from checks, not from verdicts.
      const config = join(folder.path, 'drawbridge.yaml')
      writeFileSync(config, `exemptions: { namespaces: [${LAPSED}] }\n`)
      const exempt = scan('-n', LAPSED, '--config', config)
      assert.match(exempt.err, /^drawbridge: namespace scan-lapsed is exempt by the configuration/)
      assert.match(exempt.out, /\n5 pods in 1 namespace: 4 clean, 1 would be denied\n$/)
    } finally {
      folder.remove()
      await cluster.kubectl(['delete', 'namespace', LAPSED, '--wait=false'])
      await cluster.kubectl([
        'delete', 'admissionexception', 'scan-active', 'scan-expired', 'scan-suspended', 'scan-foreign',
      ]) // prettier-ignore
    }
  })

  it('reads in pages that the API server makes, each pod once', async () => {
    const client = createClient(loadKubeConfig({ file: cluster.kubeconfig }))
    try {
      const pages: string[][] = []
      for await (const page of podPages(client, SHOP, { pageSize: 3 })) pages.push(page.map(({ name }) => name))
      assert.deepEqual(
        pages.map(({ length }) => length),
        [3, 3, 1],
      )
      assert.equal(new Set(pages.flat()).size, 7)
    } finally {
      client.close()
    }
  })

  it('ends with 2 and one line for what does not exist or may not be read', async () => {
    assert.deepEqual(scan('-n', 'scan-none'), {
      code: 2,
      out: '',
      err: 'drawbridge: there is no namespace scan-none\n',
    })
    const nobody = await cluster.userKubeconfig('scan-nobody')
    const refused = cli(['scan', '--kubeconfig', nobody])
    assert.equal(refused.code, 2)
    assert.match(refused.err, /^drawbridge: not allowed .*scan-nobody.*\n$/)
  })

  it('needs no more than to list pods, namespaces and our own objects', async () => {
    const scanner = await cluster.userKubeconfig('scan-reader')
    await cluster.must([
      'create',
      'clusterrole',
      'scan-reader',
      '--verb=get,list',
      '--resource=pods,namespaces,imageverdicts.drawbridge.dev,admissionprofiles.drawbridge.dev,admissionexceptions.drawbridge.dev',
    ])
    await cluster.must([
      'create',
      'clusterrolebinding',
      'scan-reader',
      '--clusterrole=scan-reader',
      '--user=scan-reader',
    ])
    try {
      const { code, err } = cli(['scan', '--kubeconfig', scanner, '-n', SHOP])
      assert.deepEqual([code, err], [1, ''])
    } finally {
      await cluster.must(['delete', 'clusterrole,clusterrolebinding', 'scan-reader'])
    }
  })
})
