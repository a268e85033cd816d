/** What Drawbridge answers, entry by entry: the bundled program beside a real API server that writes an audit log. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { cli, root, RunningProgram, temporaryFolder } from '../process/server.ts'
import { startCluster, waitFor, waitForCrds } from './harness.ts'
import type { Cluster, Outcome } from './harness.ts'

interface AuditEvent {
  readonly verb: string
  readonly objectRef?: {
    readonly resource: string
    readonly subresource?: string
    readonly name?: string
    readonly namespace?: string
  }
  readonly annotations?: Readonly<Record<string, string>>
}

const GOOD = {
  securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
  containers: [{ name: 'c', image: 'shop/web:1', resources: { requests: { cpu: '10m' } } }],
}
const BAD = { ...GOOD, hostPID: true }

const pod = (name: string, spec: object, namespace?: string): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, ...(namespace && { namespace }) },
  spec,
})
const namespaceObject = (name: string, labels: Readonly<Record<string, string>>): object => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: {
    name,
    labels: Object.fromEntries(Object.entries(labels).map(([key, value]) => [`drawbridge.dev/${key}`, value])),
  },
})
const documents = (...objects: readonly object[]): string =>
  objects.map((object) => JSON.stringify(object)).join('\n---\n')

describe('answers on a real API server', function () {
  this.timeout(180_000)
  const folder = temporaryFolder()
  const log = join(folder.path, 'audit.log')
  let cluster: Cluster
  let program: RunningProgram
  let exemptUser: string

  const create = (namespace: string, object: object, as?: string): Promise<Outcome> =>
    cluster.kubectl(['create', '-n', namespace, '-f', '-'], JSON.stringify(object), as)

  /** The annotations that Drawbridge's entries gave the newest request about an object, without the domain. */
  const annotations = (resource: string, name: string): Promise<Readonly<Record<string, string>>> =>
    waitFor(
      () => {
        const events = readFileSync(log, 'utf8')
          .split('\n')
          .filter((line) => line.includes(`"${name}"`))
          .map((line) => JSON.parse(line) as AuditEvent)
        const event = events.findLast(
          ({ objectRef }) =>
            [objectRef?.resource, objectRef?.subresource].filter(Boolean).join('/') === resource &&
            objectRef?.name === name,
        )
        return (
          event &&
          Object.fromEntries(
            Object.entries(event.annotations ?? {})
              .filter(([key]) => /^[a-z-]+\.drawbridge\.dev\//.test(key))
              .map(([key, value]) => [key.replace('.drawbridge.dev', ''), value]),
          )
        )
      },
      10_000,
      `the audit event of ${resource} ${name}`,
    )

  before(async () => {
    assert.ok(existsSync(join(root, 'dist/bundle/drawbridge.js')), 'build the program first: npm run bundle')
    const policy = join(folder.path, 'policy.yaml')
    writeFileSync(
      policy,
      'apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules:\n- level: Metadata\n  verbs: [create, update, patch]\n  resources: [{group: ""}, {group: apps}]\n',
    )
    const config = join(folder.path, 'drawbridge.yaml')
    writeFileSync(
      config,
      'log: {level: error}\ndrain: 0s\nexemptions:\n  users: [exempt-user]\n  namespaces: [exempt-namespace]\n  runtimeClasses: [exempt-class]\n',
    )
    cluster = await startCluster({
      apiArgs: ['--disable-admission-plugins=PodSecurity', `--audit-policy-file=${policy}`, `--audit-log-path=${log}`],
    })
    await cluster.must(['apply', '-f', join(root, 'manifests/crds')])
    await waitForCrds(cluster)
    exemptUser = await cluster.userKubeconfig('exempt-user')
    await cluster.must(['create', 'clusterrolebinding', 'exempt-user', '--clusterrole=edit', '--user=exempt-user'])
    await cluster.must(
      ['create', '-f', '-'],
      documents(
        { apiVersion: 'node.k8s.io/v1', kind: 'RuntimeClass', metadata: { name: 'exempt-class' }, handler: 'x' },
        namespaceObject('standard', { enforce: 'standard', warn: 'restricted', audit: 'restricted' }),
        namespaceObject('exempt-namespace', { enforce: 'standard' }),
        // Made before anybody checked names; the same is left when a profile is deleted.
        namespaceObject('unknown', { enforce: 'a-profile-that-is-gone' }),
        namespaceObject('later', {}),
      ),
    )
    if (cluster.hasControllers)
      await waitFor(
        async () =>
          (await cluster.must(['get', 'sa', '-A', '-o', 'jsonpath={.items[*].metadata.namespace}'])).includes(
            'unknown',
          ),
        20_000,
        'the service accounts',
      )
    const data = join(folder.path, 'data')
    mkdirSync(data)
    program = await RunningProgram.start(data, ['--config', config], ['--kubeconfig', cluster.kubeconfig])
    const manifests = cli(['manifests', '--url', program.file.webhook, '--ca', program.file.ca, '--user', 'admin'])
    assert.equal(manifests.code, 0, manifests.err)
    await cluster.must(['apply', '-f', '-'], manifests.out)
    await waitFor(async () => (await create('standard', pod('probe', BAD))).code !== 0, 20_000, 'the webhooks')
  })

  after(async () => {
    await program?.kill()
    await cluster?.stop()
    folder.remove()
  })

  it('denies a pod and notes the policy, as upstream', async () => {
    const { code, stderr } = await create('standard', pod('bad', BAD))
    assert.equal(code, 1)
    assert.match(
      stderr,
      /drawbridge: pod "bad" breaks profile standard:v1\.\d+:\n- host namespaces \(hostNamespaces\): spec\.hostPID is true/,
    )
    const noted = await annotations('pods', 'bad')
    assert.deepEqual(Object.keys(noted).sort(), ['enforce/audit-violations', 'enforce/enforce-policy'])
    assert.match(noted['enforce/enforce-policy'] ?? '', /^standard:v1\.\d+$/)
    assert.match(
      noted['enforce/audit-violations'] ?? '',
      /^drawbridge: pod "bad" breaks profile restricted:v1\.\d+:\n- /,
    )
  })

  it('warns and audits a workload, and lets it pass', async () => {
    const labels = { app: 'x' }
    const { code, stderr } = await create('standard', {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'work' },
      spec: { replicas: 0, selector: { matchLabels: labels }, template: { metadata: { labels }, spec: BAD } },
    })
    assert.equal(code, 0, stderr)
    assert.match(
      stderr,
      /Warning: drawbridge: Deployment "work": its pods will be denied, they break profile standard:v1\.\d+/,
    )
    assert.match(stderr, /Warning: drawbridge: Deployment "work": its pods would break profile restricted:v1\.\d+/)
    const noted = await annotations('deployments', 'work')
    assert.deepEqual(Object.keys(noted), ['verdicts/audit-violations'])
    assert.match(noted['verdicts/audit-violations'] ?? '', /spec\.template\.spec\.hostPID is true/)
  })

  it('judges what comes by pods/ephemeralcontainers, and lets pods/resize of an unchanged pod pass', async () => {
    assert.equal((await create('standard', pod('web', GOOD))).code, 0)
    const patch = (name: string, namespace: string, subresource: string, spec: object): Promise<Outcome> =>
      cluster.kubectl([
        'patch',
        'pod',
        name,
        '-n',
        namespace,
        `--subresource=${subresource}`,
        '-p',
        JSON.stringify({ spec }),
      ])
    const debug = (name: string, securityContext: object): object => ({
      ephemeralContainers: [{ name, image: 'busybox', targetContainerName: 'c', securityContext }],
    })
    const resize = { containers: [{ name: 'c', resources: { requests: { cpu: '20m' } } }] }
    const denied = await patch('web', 'standard', 'ephemeralcontainers', debug('bad', { privileged: true }))
    assert.match(
      denied.stderr,
      /privileged: container "bad": spec\.ephemeralContainers\[0\]\.securityContext\.privileged is true/,
    )
    assert.equal((await patch('web', 'standard', 'ephemeralcontainers', debug('good', {}))).code, 0)
    assert.match((await annotations('pods/ephemeralcontainers', 'web'))['enforce/enforce-policy'] ?? '', /^standard:/)
    assert.equal((await patch('web', 'standard', 'resize', resize)).code, 0)

    // Older than the profile: it may be resized and relabelled, not extended.
    assert.equal((await create('later', pod('old', BAD))).code, 0)
    const { stderr } = await cluster.kubectl(['label', 'ns', 'later', 'drawbridge.dev/enforce=baseline'])
    assert.match(
      stderr,
      /Warning: drawbridge: 1 existing pod in namespace "later" would be denied by enforce baseline:v1\.\d+, and cannot be replaced when it ends\nWarning: old: host namespaces/,
    )
    await waitFor(async () => (await create('later', pod('probe', BAD))).code !== 0, 10_000, 'the new label')
    assert.equal((await patch('old', 'later', 'resize', resize)).code, 0)
    assert.match(
      (await patch('old', 'later', 'ephemeralcontainers', debug('good', {}))).stderr,
      /breaks profile baseline/,
    )
    assert.match(
      (await cluster.kubectl(['set', 'image', 'pod/old', 'c=shop/web:2', '-n', 'later'])).stderr,
      /breaks profile baseline/,
    )
  })

  it('passes what is exempt, and notes why', async () => {
    for (const [name, namespace, spec, user, exempt] of [
      ['by-namespace', 'exempt-namespace', BAD, undefined, 'namespace'],
      ['by-user', 'standard', BAD, exemptUser, 'user'],
      ['by-class', 'standard', { ...BAD, runtimeClassName: 'exempt-class' }, undefined, 'runtimeClass'],
    ] as const) {
      const { code, stderr } = await create(namespace, pod(name, spec), user)
      assert.equal(code, 0, stderr)
      assert.deepEqual(await annotations('pods', name), { 'enforce/exempt': exempt })
    }
    const seccomp = [
      'get',
      'pod',
      'plain',
      '-n',
      'exempt-namespace',
      '-o',
      'jsonpath={.spec.securityContext.seccompProfile.type}',
    ]
    assert.equal((await create('exempt-namespace', pod('plain', { containers: GOOD.containers }))).code, 0)
    assert.equal(await cluster.must(seccomp), '')
  })

  it('enforces in a namespace that was created in the same kubectl apply', async () => {
    for (const [index, spec] of [BAD, GOOD, BAD].entries()) {
      const name = `fresh-${index}`
      const { code, stderr } = await cluster.kubectl(
        ['apply', '-f', '-'],
        documents(namespaceObject(name, { enforce: 'standard' }), pod('first', spec, name), pod('second', GOOD, name)),
      )
      assert.equal(code, spec === BAD ? 1 : 0, stderr)
      const pods = await cluster.must(['get', 'pods', '-n', name, '-o', 'name'])
      assert.equal(pods, spec === BAD ? 'pod/second\n' : 'pod/first\npod/second\n')
    }
  })

  it('enforces restricted where the profile is unknown, and says so; a new label of that kind is refused', async () => {
    const line = 'namespace label drawbridge.dev/enforce: "a-profile-that-is-gone" is no profile'
    const { code, stderr } = await create('unknown', pod('web', GOOD))
    assert.equal(code, 1)
    assert.match(stderr, new RegExp(`drawbridge: ${line}; restricted:v1\\.\\d+ is enforced until it is corrected\\n`))
    assert.match(stderr, /drawbridge: pod "web" breaks profile restricted:v1\.\d+:\n- /)
    assert.match((await annotations('pods', 'web'))['enforce/error'] ?? '', new RegExp(line))

    const refused = await cluster.kubectl(
      ['create', '-f', '-'],
      JSON.stringify(namespaceObject('new', { enforce: 'a-profile-that-is-gone' })),
    )
    assert.match(
      refused.stderr,
      new RegExp(`admission webhook "namespaces.drawbridge.dev" denied the request: drawbridge: ${line}\n`),
    )
    // It can still be used otherwise, and put right.
    assert.equal((await cluster.kubectl(['label', 'ns', 'unknown', 'team=shop'])).code, 0)
    assert.equal(
      (await cluster.kubectl(['label', 'ns', 'unknown', 'drawbridge.dev/enforce=standard', '--overwrite'])).code,
      0,
    )
  })
})
