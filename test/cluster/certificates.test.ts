import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { get } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { X509Certificate } from 'node:crypto'

import { createAuthority, issueLeaf } from '../../certs/authority.ts'
import { describeGeneration } from '../../certs/generation.ts'
import { createKeeper } from '../../certs/keeper.ts'
import type { Keeper } from '../../certs/keeper.ts'
import { certificatesIn } from '../../certs/pem.ts'
import { manifestsDirectory } from '../../manifests/render.ts'
import { webhookConfigurations } from '../../manifests/webhooks.ts'
import { readCaBundles } from '../../src/adapters/kubernetes/caBundles.ts'
import { readCertificateSecret } from '../../src/adapters/kubernetes/certificateSecret.ts'
import { createClient, loadKubeConfig } from '../../src/adapters/kubernetes/client.ts'
import type { KubernetesClient } from '../../src/adapters/kubernetes/client.ts'
import { startListener } from '../../src/server/listener.ts'
import type { Listener } from '../../src/server/listener.ts'
import { startServer } from '../../src/serve.ts'
import { waitFor } from './harness.ts'
import type { Cluster } from './harness.ts'
import { makeOwnNamespace, sharedCluster } from './shared.ts'

const USER = 'certificate-keeper'
const NAMESPACE = 'certs-stream'
const SECRET = 'drawbridge-tls'
const PATCHED = 'certs.drawbridge.dev/seen'
/** Certificates start an hour before they are made; due with a third left. So these are due after seconds, and valid for half an hour all the same. */
const HOUR = 3_600_000
const dueAfter = (milliseconds: number): number => HOUR / 2 + 1.5 * milliseconds
const PROPAGATION = 3000
const STREAM_MS = 75_000

interface Review {
  readonly request: { readonly uid: string; readonly kind: { readonly kind: string } }
}

/** Allows everything, and marks a pod on its way through /mutate: a pod without the mark was not sent. */
function answer(path: string, body: string): string {
  const { request } = JSON.parse(body) as Review
  const patch = [{ op: 'add', path: '/metadata/annotations', value: { [PATCHED]: 'yes' } }]
  const isPatched = path.startsWith('/mutate') && request.kind.kind === 'Pod'
  const response = {
    uid: request.uid,
    allowed: true,
    ...(isPatched && { patchType: 'JSONPatch', patch: Buffer.from(JSON.stringify(patch)).toString('base64') }),
  }
  return JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response })
}

interface Replica {
  readonly port: number
  readonly steps: string[]
  readonly problems: string[]
  /** Serving certificates that were taken into use, in order. */
  readonly served: { readonly leaf: string; readonly authority: string }[]
  repairs: number
  stop(): Promise<void>
}

describe('certificates in a cluster', function () {
  this.timeout(180_000)
  let cluster: Cluster
  let client: KubernetesClient
  let admin: KubernetesClient
  const replicas: Replica[] = []

  const startReplica = async (lifetimes?: { readonly authority: number; readonly leaf: number }): Promise<Replica> => {
    let listener: Listener | undefined
    let first: { readonly certificate: string; readonly key: string } | undefined
    const state = { steps: [] as string[], problems: [] as string[], served: [] as Replica['served'], repairs: 0 }
    const names = ['drawbridge.drawbridge.svc', 'localhost', '127.0.0.1']
    const keeper: Keeper = createKeeper({
      readStored: () => readCertificateSecret({ client, namespace: 'drawbridge', name: SECRET }),
      readBundles: () => readCaBundles(client),
      managesBundles: true,
      createAuthority: (now) => createAuthority(now, lifetimes?.authority),
      issueLeaf: (authority, covered, now) => issueLeaf(authority, covered, now, lifetimes?.leaf),
      describe: (material) => describeGeneration(material, names),
      names,
      now: () => client.serverTime() ?? Date.now(),
      tick: () => performance.now(),
      propagation: PROPAGATION,
      keepPrevious: PROPAGATION,
      bundleWriteInterval: 1000,
      async serve(held) {
        const { leaf } = held.material
        if (state.served.at(-1)?.leaf === held.leaf) return
        state.served.push({ leaf: held.leaf, authority: held.authority })
        first = leaf
        listener?.setCertificate(leaf.certificate, leaf.key)
      },
      onStep: (step) => state.steps.push(step.kind),
      onBundles: (repaired) => (state.repairs += repaired ? 1 : 0),
      onProblem: (problem) => state.problems.push(problem),
    })
    await keeper.round()
    listener = await startListener({
      name: 'test',
      portOption: '',
      host: '127.0.0.1',
      port: 0,
      ...first!,
      handler: (request, response) => {
        const chunks: Buffer[] = []
        request.on('data', (chunk: Buffer) => chunks.push(chunk))
        request.on('end', () => {
          response.setHeader('content-type', 'application/json')
          // The next request is another handshake: connections that were verified before a rotation prove nothing.
          response.setHeader('connection', 'close')
          response.end(answer(request.url ?? '', Buffer.concat(chunks).toString()))
        })
      },
    })
    let running = Promise.resolve()
    let stopped = false
    const timer = setInterval(() => {
      running = running.then(async () => {
        if (stopped) return
        await keeper.round().catch((error: Error) => void state.problems.push(error.message))
      })
    }, 500)
    const replica = Object.assign(state, {
      port: listener.port,
      async stop() {
        stopped = true
        clearInterval(timer)
        await running
        await listener?.drain(0)
      },
    })
    replicas.push(replica)
    return replica
  }

  /** Mutating webhooks call the first replica, validating ones the second; as Helm does it, without a caBundle. */
  const register = async (first: number, second: number): Promise<void> => {
    const objects = [first, second].map((port, index) => {
      const endpoint = { url: `https://127.0.0.1:${port}` }
      return webhookConfigurations({ endpoint, ownNamespace: 'drawbridge', scope: 'namespaces' })[index]
    })
    const text = objects.map((object) => JSON.stringify(object)).join('\n---\n')
    await cluster.must(['apply', '--server-side', '--field-manager=helm', '-f', '-'], text)
  }

  const bundles = async (): Promise<readonly (readonly string[])[]> => (await readCaBundles(client)).bundles
  const trusts = async (authority: string | undefined): Promise<boolean> =>
    (await bundles()).every((bundle) => bundle.includes(authority ?? ''))
  const secrets = async (): Promise<string> =>
    cluster.must(['get', 'secret', SECRET, '-n', 'drawbridge', '-o', 'jsonpath={.data.tls\\.crt}'])

  const pod = (name: string): object => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: { containers: [{ name: 'c', image: 'shop/web:1' }] },
  })
  /** Creates a pod as a dry run; resolves to why that is not as it should be. */
  const tryPod = async (name: string, by: KubernetesClient): Promise<string | undefined> => {
    try {
      const path = `/api/v1/namespaces/${NAMESPACE}/pods`
      const created = await by.request('POST', path, { query: { dryRun: 'All' }, body: pod(name) })
      const { annotations } = (created as { metadata: { annotations?: Record<string, string> } }).metadata
      return annotations?.[PATCHED] === 'yes' ? undefined : 'unmutated'
    } catch (error) {
      return (error as Error).message
    }
  }

  before(async () => {
    cluster = sharedCluster()
    await makeOwnNamespace(cluster)
    await cluster.must([
      'apply',
      '-f',
      join(manifestsDirectory(), 'rbac.yaml'),
      '-f',
      join(manifestsDirectory(), 'crds'),
    ])
    await cluster.must(['create', 'rolebinding', USER, '--role=drawbridge', `--user=${USER}`, '-n', 'drawbridge'])
    await cluster.must(['create', 'clusterrolebinding', USER, '--clusterrole=drawbridge', `--user=${USER}`])
    client = createClient(loadKubeConfig({ file: await cluster.userKubeconfig(USER) }))
    admin = createClient(loadKubeConfig({ file: cluster.kubeconfig }))
    await cluster.createNamespace(NAMESPACE, { 'drawbridge.dev/enforce': 'standard' })
    await waitFor(
      async () =>
        (await cluster.kubectl(['get', 'sa', 'default', '-n', NAMESPACE])).code === 0 || !cluster.hasControllers,
      30_000,
      'the service account',
    )
  })

  afterEach(async () => {
    await Promise.all(replicas.splice(0).map((replica) => replica.stop()))
    await cluster.kubectl(['delete', 'validatingwebhookconfiguration,mutatingwebhookconfiguration', 'drawbridge'])
    await cluster.kubectl(['delete', 'secret', SECRET, '-n', 'drawbridge'])
  })

  after(async () => {
    client?.close()
    admin?.close()
    await cluster.kubectl(['delete', 'namespace', NAMESPACE, '--wait=false'])
    await cluster.kubectl(['delete', 'clusterrolebinding', USER])
    await cluster.kubectl(['delete', 'rolebinding', USER, '-n', 'drawbridge'])
    await cluster.kubectl(['delete', '-f', join(manifestsDirectory(), 'rbac.yaml')])
  })

  it('are made once, whoever starts at the same time, and need no rights but those of rbac.yaml', async () => {
    const started = await Promise.all([startReplica(), startReplica(), startReplica()])
    assert.equal(started.flatMap(({ steps }) => steps).join(), 'create')
    assert.equal(new Set(started.map(({ served }) => served.at(-1)?.leaf)).size, 1)
    assert.deepEqual(
      started.flatMap(({ problems }) => problems),
      [],
    )
    await assert.rejects(() => client.request('GET', '/api/v1/namespaces/drawbridge/secrets'), { status: 403 })
    await assert.rejects(() => client.request('GET', '/api/v1/namespaces/drawbridge/secrets/other'), { status: 403 })
  })

  it('rotate under a stream of requests, leaf and authority several times, and not one request fails', async () => {
    const lifetimes = { authority: dueAfter(8000), leaf: dueAfter(3000) }
    const [first, second] = [await startReplica(lifetimes), await startReplica(lifetimes)]
    await register(first.port, second.port)
    await waitFor(async () => (await tryPod('probe', admin)) === undefined, 30_000, 'a first request to pass')
    const start = { first: first.served.length, second: second.served.length }
    const failures: string[] = []
    let requests = 0
    const end = performance.now() + STREAM_MS
    await Promise.all(
      [0, 1, 2, 3].map(async (lane) => {
        while (performance.now() < end) {
          const problem = await tryPod(`lane-${lane}`, admin)
          requests += 1
          if (problem !== undefined) failures.push(problem)
        }
      }),
    )
    const steps = [...first.steps, ...second.steps]
    const count = (kind: string): number => steps.filter((step) => step === kind).length
    process.stdout.write(
      `      ${requests} requests, ${failures.length} failed; ${count('renew')} new leaves, ${count('promote')} new authorities; swaps ${first.served.length - start.first} and ${second.served.length - start.second}\n`,
    )
    assert.deepEqual(failures.slice(0, 3), [])
    assert.ok(requests > 300, `${requests} requests`)
    assert.ok(count('promote') >= 3, steps.join())
    assert.ok(count('renew') >= 3, steps.join())
    for (const { served } of [first, second]) assert.ok(new Set(served.map(({ authority }) => authority)).size >= 4)
  })

  it('put caBundle back when somebody overwrites it, and touch nothing else', async () => {
    const replica = await startReplica()
    await register(replica.port, replica.port)
    const authority = replica.served.at(-1)?.authority
    await waitFor(() => trusts(authority), 20_000, 'caBundle to be written')
    const other = await createAuthority(Date.now())
    const path = '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/drawbridge'
    for (const caBundle of [Buffer.from(other.certificate).toString('base64'), '']) {
      const patch = [{ op: 'add', path: '/webhooks/0/clientConfig/caBundle', value: caBundle }]
      await cluster.must([
        'patch',
        'validatingwebhookconfiguration',
        'drawbridge',
        '--type=json',
        '-p',
        JSON.stringify(patch),
      ])
      const before = replica.repairs
      await waitFor(
        async () => replica.repairs > before && (await trusts(authority)),
        20_000,
        'caBundle to be put back',
      )
    }
    const stored = (await client.request('GET', path)) as {
      metadata: { managedFields: { manager: string; operation: string; fieldsV1: { 'f:webhooks': object } }[] }
    }
    const own = stored.metadata.managedFields.filter(({ manager }) => manager === 'drawbridge')
    assert.equal(own.length, 1)
    assert.equal(own[0]?.operation, 'Apply')
    for (const fields of Object.values(own[0]?.fieldsV1['f:webhooks'] ?? {}))
      assert.deepEqual(fields, { '.': {}, 'f:name': {}, 'f:clientConfig': { 'f:caBundle': {} } })
    // Who owns the rest applies it again, as an upgrade does: no conflict, and caBundle stays.
    await register(replica.port, replica.port)
    assert.ok(await trusts(authority))
  })

  it('heal an expired Secret, a damaged one and a deleted one', async () => {
    const replica = await startReplica()
    await register(replica.port, replica.port)
    await waitFor(() => trusts(replica.served.at(-1)?.authority), 20_000, 'caBundle to be written')
    // Deleted under a replica that runs: what it remembers comes back.
    const before = await secrets()
    await cluster.must(['delete', 'secret', SECRET, '-n', 'drawbridge'])
    await waitFor(
      async () => (await cluster.kubectl(['get', 'secret', SECRET, '-n', 'drawbridge'])).code === 0,
      20_000,
      'the Secret',
    )
    assert.equal(await secrets(), before)
    await replica.stop()
    // Nobody ran while it expired.
    const past = Date.now() - 4 * HOUR
    const authority = await createAuthority(past, HOUR)
    const leaf = await issueLeaf(authority, ['localhost'], past, HOUR)
    const set = async (data: Readonly<Record<string, string>>): Promise<void> => {
      const encoded = Object.entries(data).map(([key, text]) => [key, Buffer.from(text).toString('base64')])
      await cluster.must([
        'patch',
        'secret',
        SECRET,
        '-n',
        'drawbridge',
        '-p',
        JSON.stringify({ data: Object.fromEntries(encoded) }),
      ])
    }
    for (const [data, reason] of [
      [
        {
          'authority.crt': authority.certificate,
          'authority.key': authority.key,
          'tls.crt': leaf.certificate,
          'tls.key': leaf.key,
        },
        'expired',
      ],
      [{ 'authority.key': 'rubbish' }, 'damaged'],
      [{ 'authority.crt': '' }, 'missing'],
    ] as const) {
      await set(data)
      const woken = await startReplica()
      assert.equal(woken.steps.join(), 'replace', reason)
      await register(woken.port, woken.port)
      await waitFor(() => trusts(woken.served.at(-1)?.authority), 20_000, `caBundle after ${reason}`)
      await waitFor(async () => (await tryPod('healed', admin)) === undefined, 20_000, 'a request to pass')
      await woken.stop()
    }
  })

  it('are what a whole server serves that is told of the Secret, ready when caBundle trusts it', async () => {
    const data = mkdtempSync(join(tmpdir(), 'drawbridge-certificates-'))
    const configFile = join(data, 'drawbridge.yaml')
    writeFileSync(configFile, `tls: { secret: ${SECRET}, names: [drawbridge.example] }\n`)
    const server = await startServer({
      standalone: false,
      kubeconfig: await cluster.userKubeconfig(USER),
      configFile,
      data: join(data, 'data'),
      host: '127.0.0.1',
      port: 0,
    })
    try {
      const port = Number(new URL(server.file.webhook).port)
      assert.deepEqual(server.notReady(), [])
      const certificate = new X509Certificate(Buffer.from(await secrets(), 'base64'))
      for (const name of ['drawbridge.drawbridge.svc', 'drawbridge.example'])
        assert.notEqual(certificate.checkHost(name), undefined, name)
      await register(port, port)
      await waitFor(() => trustsFile(server.file.ca), 20_000, 'caBundle to be written')
      await waitFor(
        async () => (await tryPod('refused', admin))?.includes('runAsNonRoot') ?? false,
        20_000,
        'a denial by the profile standard',
      )
    } finally {
      await server.stop()
      rmSync(data, { recursive: true })
    }
  })

  it('gate the first readiness of a server that may not write caBundle, and only the first', async () => {
    const data = mkdtempSync(join(tmpdir(), 'drawbridge-certificates-'))
    const configFile = join(data, 'drawbridge.yaml')
    writeFileSync(configFile, `tls: { secret: ${SECRET}, caBundle: leave }\n`)
    const setBundle = async (pem: string): Promise<void> => {
      const objects = webhookConfigurations({
        endpoint: { url: 'https://127.0.0.1:1' },
        caBundle: pem,
        ownNamespace: 'drawbridge',
        scope: 'namespaces',
      })
      await cluster.must(['apply', '-f', '-'], objects.map((object) => JSON.stringify(object)).join('\n---\n'))
    }
    const other = await createAuthority(Date.now())
    await setBundle(other.certificate)
    const server = await startServer({
      standalone: false,
      kubeconfig: await cluster.userKubeconfig(USER),
      configFile,
      data: join(data, 'data'),
      host: '127.0.0.1',
      port: 0,
    })
    const metrics = async (): Promise<string> => {
      return new Promise((resolve, reject) => {
        const settings = { rejectUnauthorized: false, headers: { authorization: `Bearer ${server.file.adminToken}` } }
        get(`${server.file.admin}/metrics`, settings, (response) => {
          let text = ''
          response.on('data', (chunk) => (text += String(chunk)))
          response.on('end', () => resolve(text))
        }).on('error', reject)
      })
    }
    try {
      const reason = 'caBundle of the webhook configurations does not trust the serving certificate'
      assert.deepEqual(server.notReady(), [reason])
      assert.match(await metrics(), /^drawbridge_ca_bundle_trusted 0$/m)
      await setBundle(readFileSync(server.file.ca, 'utf8'))
      await waitFor(() => server.notReady().length === 0, 20_000, 'the server to be ready')
      assert.match(await metrics(), /^drawbridge_certificate_expiry_seconds\{certificate="leaf"\} 31[45]\d{5}$/m)
      await setBundle(other.certificate)
      await waitFor(async () => /^drawbridge_ca_bundle_trusted 0$/m.test(await metrics()), 20_000, 'the metric')
      assert.deepEqual(server.notReady(), [])
    } finally {
      await server.stop()
      rmSync(data, { recursive: true })
    }
  })

  async function trustsFile(file: string): Promise<boolean> {
    const trusted = certificatesIn(readFileSync(file, 'utf8'))
    const live = await bundles()
    return live.length > 0 && live.every((bundle) => trusted.every((one) => bundle.includes(one)))
  }
})
