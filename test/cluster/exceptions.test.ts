/** Exceptions on a real API server: what the CRD refuses, who may grant, what a granted one does, and how its uses are shown. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { loadAll } from 'js-yaml'

import { manifestsDirectory } from '../../manifests/render.ts'
import { createClient, loadKubeConfig } from '../../src/adapters/kubernetes/client.ts'
import type { KubernetesClient } from '../../src/adapters/kubernetes/client.ts'
import { watchExceptions } from '../../src/adapters/kubernetes/exceptions.ts'
import { readAdmissionException } from '../../src/policy/exceptions.ts'
import { waitFor, waitForCrds } from './harness.ts'
import type { Cluster, Outcome } from './harness.ts'
import { sharedCluster } from './shared.ts'

const PROGRAM = join(import.meta.dirname, '../../../bin/drawbridge.js')
const SHOP = 'exceptions-shop'
const OTHER = 'exceptions-other'
const A = `sha256:${'a'.repeat(64)}`

const SPEC = {
  namespaces: [SHOP],
  images: ['registry.example/shop/*:*'],
  serviceAccounts: ['*'],
  checks: ['hostNamespaces', 'privileged'],
  reason: 'needs the host until the rewrite',
  expiresAt: '2099-12-31T00:00:00Z',
}
const exception = (name: string, spec: object = {}): string =>
  JSON.stringify({
    apiVersion: 'drawbridge.dev/v1alpha1',
    kind: 'AdmissionException',
    metadata: { name },
    spec: { ...SPEC, ...spec },
  })

const podObject = (name: string, annotation: string | undefined, spec: object = {}, labels: object = {}): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name,
    labels,
    annotations: annotation === undefined ? {} : { 'drawbridge.dev/exception': annotation },
  },
  spec: { hostPID: true, containers: [{ name: 'web', image: 'registry.example/shop/web:1' }], ...spec },
})

describe('the AdmissionException CRD', () => {
  let cluster: Cluster
  before(async () => {
    cluster = sharedCluster()
    await cluster.must(['apply', '-f', join(manifestsDirectory(), 'crds')])
    await waitForCrds(cluster, 'admissionexceptions.drawbridge.dev')
  })
  after(() => cluster.must(['delete', 'admissionexceptions', '--all']))

  it('refuses what the reader refuses, and takes what it takes', async function () {
    this.timeout(60_000)
    const rows: readonly (readonly [object, RegExp | undefined])[] = [
      [{}, undefined],
      [{ images: [`registry.example/shop/web@${A}`, 'nginx:1.27', 'localhost:5000/x*/y:1-*'] }, undefined],
      [{ serviceAccounts: ['web', 'system.web'] }, undefined],
      [{ expiresAt: '2099-12-31T00:00:00.5+01:00' }, undefined],
      [{ expiresAt: undefined }, /spec.expiresAt: Required value/],
      [{ expiresAt: 'never' }, /spec.expiresAt/],
      [{ expiresAt: '2099-12-31' }, /spec.expiresAt/],
      [{ expiresAt: '2099-02-30T00:00:00Z' }, /spec.expiresAt/],
      [{ expiresAt: '2099-12-31T00:00:00' }, /spec.expiresAt/],
      [{ reason: undefined }, /spec.reason: Required value/],
      [{ reason: ' \n' }, /spec.reason: .*must say something/s],
      [{ namespaces: [] }, /spec.namespaces: .*should have at least 1 items/s],
      [{ namespaces: ['*'] }, /spec.namespaces\[0\]/],
      [{ checks: ['*'] }, /spec.checks\[0\]/],
      [{ checks: [] }, /spec.checks/],
      [{ serviceAccounts: undefined }, /spec.serviceAccounts: Required value/],
      [{ serviceAccounts: ['*', 'web'] }, /"\*" stands alone/],
      [{ serviceAccounts: ['web*'] }, /spec.serviceAccounts\[0\]/],
      [{ images: ['*'] }, /spec.images\[0\]/],
      [{ images: ['*/web:1'] }, /must begin with its registry/],
      [{ images: ['shop/*:1'] }, /must begin with its registry/],
      [{ images: ['registry*.example/web:1'] }, /must begin with its registry/],
      [{ images: ['regist*:5000/web:1'] }, /must begin with its registry/],
      [{ images: ['registry.example/**:1'] }, /is not supported/],
      [{ images: ['registry.example/shop/web@sha256:abc'] }, /is no image pattern/],
      [{ images: [`registry.example/shop/web:1@${A}`] }, /a tag beside a digest/],
      [{ images: ['registry.example/shop/we?:1'] }, /is no image pattern/],
      [{ images: [A] }, /a digest needs its repository/],
    ]
    for (const [spec, problem] of rows) {
      const object = exception('table', spec)
      const { code, stderr } = await cluster.kubectl(['create', '--dry-run=server', '-f', '-'], object)
      assert.equal(code === 0, problem === undefined, `${JSON.stringify(spec)}: ${stderr}`)
      if (problem !== undefined) assert.match(stderr, problem)
      const { exception: read } = readAdmissionException(JSON.parse(object))
      assert.equal(read !== undefined, problem === undefined, `the reader of ${JSON.stringify(spec)}`)
    }
    // The reader takes it and says so in a denial; here it is said at once.
    const tagless = await cluster.kubectl(
      ['create', '--dry-run=server', '-f', '-'],
      exception('table', { images: ['registry.example/shop/web'] }),
    )
    assert.match(tagless.stderr, /names neither tag nor digest/)
    const named = await cluster.kubectl(['create', '--dry-run=server', '-f', '-'], exception('a.b'))
    assert.match(named.stderr, /metadata.name/)
    const unknown = await cluster.kubectl(['create', '--dry-run=server', '-f', '-'], exception('a', { suspend: true }))
    assert.match(unknown.stderr, /unknown field "spec.suspend"/)
  })

  it('is cluster-scoped and has one served version, so that no version is a way around', async () => {
    const crd = JSON.parse(await cluster.must(['get', 'crd', 'admissionexceptions.drawbridge.dev', '-o', 'json'])) as {
      readonly spec: { readonly scope: string; readonly versions: readonly { readonly name: string }[] }
    }
    assert.deepEqual([crd.spec.scope, crd.spec.versions.map(({ name }) => name)], ['Cluster', ['v1alpha1']])
    for (const version of ['v1', 'v1beta1', 'v1alpha2']) {
      const object = exception('gap').replace('v1alpha1', version)
      assert.match((await cluster.kubectl(['create', '-f', '-'], object)).stderr, /no matches for kind/)
    }
  })

  it('is out of reach for a tenant with admin in its namespace', async () => {
    await cluster.createNamespace('exceptions-tenant')
    const tenant = await cluster.userKubeconfig('exceptions-tenant')
    await cluster.must([
      'create', 'rolebinding', 'tenant', '-n', 'exceptions-tenant', '--clusterrole=admin', '--user=exceptions-tenant',
    ]) // prettier-ignore
    await cluster.must(['create', '-f', '-'], exception('granted', { namespaces: [OTHER] }))
    const as = (args: readonly string[], stdin?: string): Promise<Outcome> => cluster.kubectl(args, stdin, tenant)
    assert.equal((await as(['auth', 'can-i', 'create', 'pods', '-n', 'exceptions-tenant'])).stdout, 'yes\n')
    const widened = exception('granted', { namespaces: ['exceptions-tenant'] })
    const inNamespace = JSON.stringify({
      ...(JSON.parse(exception('own')) as object),
      metadata: { name: 'own', namespace: 'exceptions-tenant' },
    })
    for (const [args, stdin] of [
      [['create', '-f', '-'], exception('own', { namespaces: ['exceptions-tenant'] })],
      [['create', '-f', '-'], inNamespace],
      [['replace', '-f', '-'], widened],
      [['apply', '-f', '-'], widened],
      [
        [
          'patch',
          'admissionexceptions',
          'granted',
          '--type=merge',
          '-p',
          '{"spec":{"namespaces":["exceptions-tenant"]}}',
        ],
      ],
      [
        [
          'patch',
          'admissionexceptions',
          'granted',
          '--subresource=status',
          '--type=merge',
          '-p',
          '{"status":{"uses":0}}',
        ],
      ],
      [['delete', 'admissionexceptions', 'granted']],
      [['get', 'admissionexceptions']],
    ] as const) {
      const outcome = await as(args, stdin)
      assert.notEqual(outcome.code, 0, args.join(' '))
      assert.match(outcome.stderr, /forbidden/i, args.join(' '))
    }
    // Nor through a role of its own making: nobody can give what he has not.
    const role = await as([
      'create', 'clusterrole', 'mine', '--verb=create', '--resource=admissionexceptions.drawbridge.dev',
    ]) // prettier-ignore
    assert.match(role.stderr, /forbidden/i)
  })
})

describe('counting uses in the status', () => {
  let cluster: Cluster
  let client: KubernetesClient
  before(async () => {
    cluster = sharedCluster()
    client = createClient(loadKubeConfig({ file: cluster.kubeconfig }))
    await cluster.must(['apply', '-f', join(manifestsDirectory(), 'crds')])
    await waitForCrds(cluster, 'admissionexceptions.drawbridge.dev')
  })
  after(async () => {
    await cluster.must(['delete', 'admissionexceptions', '--all'])
    client.close()
  })

  it('sums the uses of two replicas, in far fewer writes than uses', async () => {
    await cluster.must(['create', '-f', '-'], exception('busy'))
    const writes: string[] = []
    const counting: typeof client = {
      ...client,
      request: (method, path, settings) => {
        if (method === 'PATCH') writes.push(path)
        return client.request(method, path, settings)
      },
    }
    const problems: string[] = []
    const replicas = [1, 2].map(() =>
      watchExceptions({
        client: counting,
        now: () => Date.UTC(2026, 10, 22),
        flushMs: 200,
        onProblem: (problem) => problems.push(problem),
      }),
    )
    for (const replica of replicas) await replica.synced(10_000)
    for (let use = 0; use < 500; use += 1)
      for (const replica of replicas) replica.recordUse(['busy', 'unknown'], `${SHOP}/Deployment/web`)
    const uses = async (): Promise<unknown> =>
      (
        JSON.parse(await cluster.must(['get', 'admissionexceptions', 'busy', '-o', 'json'])) as {
          status?: { uses?: number }
        }
      ).status?.uses
    await waitFor(async () => (await uses()) === 1000, 10_000, 'both sums')
    // Two rounds, and at most a lost race in each.
    assert.ok(writes.length <= 8, `${writes.length} writes`)
    replicas[0]?.recordUse(['busy'], `${SHOP}/Deployment/last`)
    // What is still in memory is written at the end.
    for (const replica of replicas) await replica.stop()
    assert.equal(await uses(), 1001)
    assert.deepEqual(problems, [])
    const table = await cluster.must(['get', 'admissionexceptions', '-o', 'wide'])
    assert.match(table, /^NAME\s+USES\s+LAST-USE\s+EXPIRES\s+REASON\s+LAST-USED-BY\s+SUSPENDED/)
    assert.match(
      table,
      /\nbusy\s+1001\s+\S+\s+2099-12-31T00:00:00Z\s+needs the host until the rewrite\s+exceptions-shop\/Deployment\/last/,
    )
  })

  it('reports a malformed object once and lets it grant nothing', async () => {
    const problems: string[] = []
    const replica = watchExceptions({
      // An object that an older CRD let in.
      client: {
        watch: (...args) => client.watch(...args),
        request: async (method, path, settings) => {
          const answer = (await client.request(method, path, settings)) as { items?: { spec: object }[] }
          for (const item of answer.items ?? []) item.spec = { ...item.spec, expiresAt: 'never' }
          return answer
        },
      },
      now: () => 0,
      onProblem: (problem) => problems.push(problem),
    })
    await replica.synced(10_000)
    assert.deepEqual(problems, [
      'AdmissionException busy is malformed and grants nothing: spec.expiresAt: "never" is no time such as 2026-12-31T00:00:00Z',
    ])
    assert.equal(replica.find('busy')?.exception, undefined)
    await replica.stop()
  })
})

/** The watch of the server is behind by a moment: ask until the answer is the one that it must become. */
const eventually = (what: string, ask: () => Promise<Outcome>, done: (outcome: Outcome) => boolean): Promise<Outcome> =>
  waitFor(
    async () => {
      const outcome = await ask()
      return done(outcome) ? outcome : undefined
    },
    10_000,
    what,
  )

/** One request as anybody on the network can send it: GET, or POST where there is a body. */
const talk = (url: string, caFile: string, body?: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const method = body === undefined ? 'GET' : 'POST'
    const settings = { method, ca: readFileSync(caFile), headers: { 'content-type': 'application/json' } }
    const sent = request(url, settings, (answer) => {
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => chunks.push(chunk))
      answer.on('end', () => resolve(Buffer.concat(chunks).toString()))
    })
    sent.on('error', reject)
    sent.end(body)
  })

const podReview = (object: object, namespace: string): object => ({
  apiVersion: 'admission.k8s.io/v1',
  kind: 'AdmissionReview',
  request: {
    uid: '705ab4f5-6393-11e8-b7cc-42010a800002',
    kind: { group: '', version: 'v1', kind: 'Pod' },
    resource: { group: '', version: 'v1', resource: 'pods' },
    namespace,
    operation: 'CREATE',
    object,
  },
})

describe('exceptions through the webhook', () => {
  let cluster: Cluster
  let data: string
  let server: ChildProcess | undefined
  let listening: { readonly webhook: string; readonly admin: string; readonly ca: string }
  const output: string[] = []

  const create = (object: object, namespace = SHOP, args: readonly string[] = []): Promise<Outcome> =>
    cluster.kubectl(['create', '-n', namespace, ...args, '-f', '-'], JSON.stringify(object))
  const status = async (name: string): Promise<{ readonly uses?: number; readonly lastUsedBy?: string }> =>
    (JSON.parse(await cluster.must(['get', 'admissionexceptions', name, '-o', 'json'])) as { status?: object })
      .status ?? {}
  const debug = (name: string, image: string): Promise<Outcome> =>
    cluster.kubectl([
      'debug',
      'changing',
      '-n',
      SHOP,
      `--image=${image}`,
      '-c',
      name,
      '--profile=general',
      '--attach=false',
    ])
  const setImage = (image: string): Promise<Outcome> =>
    cluster.kubectl(['set', 'image', 'pod/changing', `web=${image}`, '-n', SHOP])
  const askLate = (): Promise<Outcome> => create(podObject('late', 'legacy'), SHOP, ['--dry-run=server'])

  before(async function () {
    this.timeout(60_000)
    cluster = sharedCluster()
    data = mkdtempSync(join(tmpdir(), 'drawbridge-exceptions-'))
    await cluster.must(['apply', '-f', join(manifestsDirectory(), 'crds')])
    await waitForCrds(cluster)
    await cluster.createNamespace(SHOP, { 'drawbridge.dev/enforce': 'baseline' })
    await cluster.createNamespace(OTHER, { 'drawbridge.dev/enforce': 'baseline' })
    // With the rights of manifests/rbac.yaml and no others.
    const kubeconfig = await cluster.userKubeconfig('drawbridge-exceptions')
    const roles = (loadAll(readFileSync(join(manifestsDirectory(), 'rbac.yaml'), 'utf8')) as { kind: string }[])
      .filter(({ kind }) => kind === 'ClusterRole')
      .map((role) => JSON.stringify(role))
    await cluster.must(['apply', '-f', '-'], roles.join('\n'))
    await cluster.must([
      'create', 'clusterrolebinding', 'drawbridge-exceptions', '--clusterrole=drawbridge', '--user=drawbridge-exceptions',
    ]) // prettier-ignore
    server = spawn(
      process.execPath,
      [PROGRAM, 'serve', '--kubeconfig', kubeconfig, '--data', data, '--port', '0', '--admin-port', '0'],
      { stdio: ['ignore', 'pipe', 'pipe'], cwd: data },
    )
    for (const stream of [server.stdout, server.stderr]) stream?.on('data', (chunk) => output.push(String(chunk)))
    const file = join(data, 'server.json')
    await waitFor(() => existsSync(file), 40_000, `the server to start: ${output.join('')}`).catch((error: Error) => {
      throw new Error(`${error.message}\n${output.join('')}`)
    })
    listening = JSON.parse(readFileSync(file, 'utf8')) as typeof listening
    const { webhook, ca } = listening
    const manifests = spawnSync(
      process.execPath,
      [PROGRAM, 'manifests', '--url', webhook, '--ca', ca, '--user', 'admin'],
      {
        encoding: 'utf8',
      },
    )
    await cluster.must(['apply', '-f', '-'], manifests.stdout)
    await eventually(
      'the webhook to be called',
      () => create(podObject('probe', undefined), SHOP, ['--dry-run=server']),
      ({ stderr }) => stderr.includes('breaks profile baseline'),
    )
  })

  after(async function () {
    this.timeout(60_000)
    await cluster.kubectl(['delete', 'validatingwebhookconfiguration,mutatingwebhookconfiguration', 'drawbridge'])
    await cluster.kubectl([
      'delete',
      'validatingadmissionpolicy,validatingadmissionpolicybinding',
      'drawbridge-verdicts',
    ])
    server?.kill('SIGKILL')
    await cluster.kubectl(['delete', 'clusterrolebinding', 'drawbridge-exceptions'])
    await cluster.kubectl(['delete', 'namespace', SHOP, OTHER, '--wait=false'])
    await cluster.kubectl(['delete', 'admissionexceptions', '--all'])
    rmSync(data, { recursive: true, force: true })
  })

  it('allows what is granted, and nothing beside it', async function () {
    this.timeout(60_000)
    assert.match((await create(podObject('a', 'legacy'))).stderr, /exception "legacy" does not exist/)
    await cluster.must(['create', '-f', '-'], exception('legacy'))
    await eventually(
      'the exception to be known',
      () => create(podObject('dry', 'legacy'), SHOP, ['--dry-run=server']),
      ({ code }) => code === 0,
    )
    const deny = async (object: object, message: RegExp, namespace = SHOP): Promise<void> => {
      const { code, stderr } = await create(object, namespace)
      assert.equal(code, 1, stderr)
      assert.match(stderr, message)
    }
    await deny(podObject('a', undefined), /host namespaces \(hostNamespaces\)/)
    await deny(podObject('a', 'legacy-2'), /exception "legacy-2" does not exist/)
    await deny(podObject('a', 'legacy'), /exception "legacy" is not for namespace "exceptions-other"/, OTHER)
    await deny(
      podObject('a', 'legacy', { containers: [{ name: 'web', image: 'evil.example/registry.example/shop/web:1' }] }),
      /exception "legacy" does not match "evil.example\/registry.example\/shop\/web:1" of container "web"/,
    )
    await deny(
      podObject('a', 'legacy', {
        containers: [
          { name: 'web', image: 'registry.example/shop/web:1' },
          { name: 'x', image: 'evil:1' },
        ],
      }),
      /of container "x"; for the pod as a whole it must match every image/,
    )
    // A label of the pod's author changes nothing: no selector asks for it.
    await deny(
      podObject('a', undefined, {}, { 'drawbridge.dev/exempt': 'true', 'drawbridge.dev/enforce': 'privileged' }),
      /host namespaces/,
    )
    const good = await create(podObject('good', 'gone', { hostPID: false }))
    assert.equal(good.code, 0)
    assert.match(good.stderr, /Warning: drawbridge: exception "gone" does not exist/)
  })

  it('asks for every pod, whatever its labels and its version', async () => {
    const live = JSON.parse(
      await cluster.must(['get', 'validatingwebhookconfiguration', 'drawbridge', '-o', 'json']),
    ) as {
      readonly webhooks: readonly { readonly objectSelector: object; readonly matchPolicy: string }[]
    }
    assert.ok(live.webhooks.length > 0)
    for (const { objectSelector, matchPolicy } of live.webhooks)
      assert.deepEqual([objectSelector, matchPolicy], [{}, 'Equivalent'])
  })

  it('judges a pod again when an ephemeral container joins or an image changes', async function () {
    this.timeout(60_000)
    assert.equal((await create(podObject('changing', 'legacy'))).code, 0)
    const foreign = await debug('one', 'busybox:1')
    assert.equal(foreign.code, 1, foreign.stdout)
    assert.match(foreign.stderr, /does not match "busybox:1" of container "one"/)
    assert.match((await setImage('evil:1')).stderr, /does not match "evil:1" of container "web"/)
    assert.equal((await setImage('registry.example/shop/web:2')).code, 0)
  })

  it('counts admitted pods by their workload, and no dry run', async function () {
    this.timeout(60_000)
    if (!cluster.hasControllers) this.skip()
    await cluster.must(['create', '-f', '-'], exception('counted', { images: ['registry.example/shop/counted:*'] }))
    const containers = [{ name: 'web', image: 'registry.example/shop/counted:1' }]
    const dryRun = (): Promise<Outcome> =>
      create(podObject('dry', 'counted', { containers }), SHOP, ['--dry-run=server'])
    await eventually('the exception to be known', dryRun, ({ code }) => code === 0)
    for (let run = 0; run < 3; run += 1) assert.equal((await dryRun()).code, 0)
    const { metadata, spec } = podObject('', 'counted', { containers }) as { metadata: object; spec: object }
    const deployment = {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'counted' },
      spec: {
        replicas: 3,
        selector: { matchLabels: { app: 'counted' } },
        template: { spec, metadata: { ...metadata, name: undefined, labels: { app: 'counted' } } },
      },
    }
    const created = await create(deployment)
    assert.deepEqual([created.code, created.stderr], [0, ''])
    await waitFor(async () => (await status('counted')).uses === 3, 30_000, 'three uses')
    assert.equal((await status('counted')).lastUsedBy, `${SHOP}/Deployment/counted`)
  })

  it('counts no use because of a review that anybody sent, and a real pod with a generated name once', async function () {
    this.timeout(60_000)
    await cluster.must(['create', '-f', '-'], exception('forged', { images: ['registry.example/shop/forged:*'] }))
    const containers = [{ name: 'web', image: 'registry.example/shop/forged:1' }]
    await eventually(
      'the exception to be known',
      () => create(podObject('dry', 'forged', { containers }), SHOP, ['--dry-run=server']),
      ({ code }) => code === 0,
    )
    const unconfirmed = async (): Promise<number> =>
      Number(
        /^drawbridge_exception_uses_unconfirmed_total\{reason="no-such-pod"\} (\d+)$/m.exec(
          await talk(`${listening.admin}/metrics`, listening.ca),
        )?.[1] ?? 0,
      )
    const claim = async (metadata: object): Promise<void> => {
      const object = podObject('x', 'forged', { containers }) as { metadata: object }
      const review = podReview({ ...object, metadata: { ...object.metadata, namespace: SHOP, ...metadata } }, SHOP)
      const answer = await talk(`${listening.webhook}/validate`, listening.ca, JSON.stringify(review))
      assert.equal((JSON.parse(answer) as { response: { allowed: boolean } }).response.allowed, true)
    }
    const before = await unconfirmed()
    await claim({ name: 'not-there', uid: '00000000-0000-4000-8000-000000000000' })
    await claim({ name: undefined, generateName: 'not-there-' })
    // A pod that exists, but has no part in it.
    const other = await cluster.must(['get', 'pod', 'changing', '-n', SHOP, '-o', 'jsonpath={.metadata.uid}'])
    await claim({ name: 'changing', uid: other })
    const { metadata, ...rest } = podObject('', 'forged', { containers }) as { metadata: object }
    const real = await create({ ...rest, metadata: { ...metadata, name: undefined, generateName: 'web-' } }, SHOP, [
      '-o',
      'json',
    ])
    assert.equal(real.code, 0, real.stderr)
    const { name, uid } = (JSON.parse(real.stdout) as { metadata: { name: string; uid: string } }).metadata
    // The review of the real pod, sent again.
    for (let copy = 0; copy < 3; copy += 1) await claim({ name, uid })
    // The last of the forged ones has been given up on: nothing is left that could still count.
    await waitFor(async () => (await unconfirmed()) >= before + 2, 50_000, 'the forged reviews to be given up on')
    await waitFor(async () => (await status('forged')).uses !== undefined, 20_000, 'the real use')
    assert.deepEqual([(await status('forged')).uses, (await status('forged')).lastUsedBy], [1, `${SHOP}/Pod/${name}`])
  })

  it('lists who is exempt from what, until when, why', () => {
    const list = spawnSync(process.execPath, [PROGRAM, 'exceptions', 'list', '--kubeconfig', cluster.kubeconfig], {
      encoding: 'utf8',
    })
    assert.equal(list.status, 0, list.stderr)
    assert.match(
      list.stdout,
      /\nlegacy\s+active\s+exceptions-shop\s+\*\s+registry\.example\/shop\/\*:\* \(mutable\)\s+hostNamespaces,privileged\s+2099-12-31T00:00:00Z \(in \d+d\)\s+\d+.*needs the host until the rewrite\n/,
    )
  })

  it('honours an expired or suspended exception nowhere', async function () {
    this.timeout(60_000)
    const patch = (spec: object): Promise<string> =>
      cluster.must(['patch', 'admissionexceptions', 'legacy', '--type=merge', '-p', JSON.stringify({ spec })])
    await patch({ suspended: true })
    await eventually('the suspension', askLate, ({ stderr }) =>
      stderr.includes('exception "legacy" is suspended (spec.suspended)'),
    )
    await patch({ suspended: false, expiresAt: '2026-01-01T00:00:00Z' })
    await eventually('the expiry', askLate, ({ stderr }) =>
      stderr.includes('exception "legacy" expired at 2026-01-01T00:00:00Z'),
    )
    await cluster.must(['delete', 'admissionexceptions', 'legacy'])
    await eventually('the deletion', askLate, ({ stderr }) => stderr.includes('exception "legacy" does not exist'))
  })
})
