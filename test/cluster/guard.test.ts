import assert from 'node:assert/strict'

import { guardObjects, WEAKENER_ROLE } from '../../manifests/guard.ts'
import type { GuardOptions } from '../../manifests/guard.ts'
import { renderManifests } from '../../manifests/render.ts'
import { createClient, loadKubeConfig } from '../../src/adapters/kubernetes/client.ts'
import type { KubernetesClient } from '../../src/adapters/kubernetes/client.ts'
import { waitFor } from './harness.ts'
import type { Cluster } from './harness.ts'
import { sharedCluster } from './shared.ts'
import { ALLOWED, CREATIONS, labelsOf, show, UPDATES, USERS } from '../manifests/guardCases.ts'
import type { Short } from '../manifests/guardCases.ts'

const RBAC = [
  {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: { name: 'guard-manager' },
    rules: [
      {
        apiGroups: [''],
        resources: ['namespaces', 'namespaces/status', 'namespaces/finalize'],
        verbs: ['get', 'list', 'create', 'update', 'patch'],
      },
    ],
  },
  {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: { name: 'guard-baseline' },
    rules: [
      {
        apiGroups: ['drawbridge.dev'],
        resources: ['admissionprofiles'],
        resourceNames: ['baseline'],
        verbs: ['weaken'],
      },
    ],
  },
]

const BINDINGS: readonly (readonly [string, readonly string[]])[] = [
  ['guard-manager', ['guard-manager', 'guard-baseline', 'guard-weakener', 'guard-tenant-manager']],
  ['guard-baseline', ['guard-baseline']],
  [WEAKENER_ROLE, ['guard-weakener']],
  ['cluster-admin', ['guard-admin']],
]

describe('the guard of the namespace labels, on a real API server', function () {
  this.timeout(120_000)
  let cluster: Cluster
  const clients = new Map<string, KubernetesClient>()
  const files = new Map<string, string>()
  const made = new Map<string, { readonly name: string }>()

  const client = (user: string): KubernetesClient => clients.get(user)!

  /** Allowed, or the API server's words. */
  const attempt = async (run: Promise<unknown>): Promise<string> => {
    try {
      await run
      return 'allowed'
    } catch (error) {
      return (error as Error).message
    }
  }
  const deniedByGuard = /ValidatingAdmissionPolicy 'drawbridge-guard'/

  const update = (
    user: string,
    object: object,
    subresource = '',
    dryRun: string | undefined = 'All',
  ): Promise<string> =>
    attempt(
      client(user).request(
        'PUT',
        `/api/v1/namespaces/${(object as { metadata: { name: string } }).metadata.name}${subresource}`,
        {
          body: object,
          query: { dryRun },
        },
      ),
    )
  const create = (user: string, name: string, short: Short, dryRun: string | undefined = 'All'): Promise<string> =>
    attempt(
      client(user).request('POST', '/api/v1/namespaces', {
        body: { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels: labelsOf(short) } },
        query: { dryRun },
      }),
    )

  /** A namespace with these labels, made once. */
  const namespaceWith = async (short: Short): Promise<string> => {
    const key = show(short)
    const known = made.get(key)
    if (known !== undefined) return known.name
    const name = `guard-${made.size}`
    await cluster.createNamespace(name, labelsOf(short))
    made.set(key, { name })
    return name
  }

  const withLabels = (name: string, short: Short): object => ({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name, labels: { 'kubernetes.io/metadata.name': name, ...labelsOf(short) } },
  })

  const install = async (options: Omit<GuardOptions, 'ownNamespace'>): Promise<void> => {
    const objects = guardObjects({ ownNamespace: 'drawbridge', ...options })
    await cluster.must(['apply', '-f', '-'], objects.map((object) => JSON.stringify(object)).join('\n---\n'))
  }

  before(async () => {
    cluster = sharedCluster()
    await cluster.must(['apply', '-f', '-'], RBAC.map((object) => JSON.stringify(object)).join('\n---\n'))
    await install({ podSecurityLabels: true })
    for (const user of [...USERS, 'guard-tenant', 'guard-tenant-manager']) {
      const file = await cluster.userKubeconfig(user)
      files.set(user, file)
      clients.set(user, createClient(loadKubeConfig({ file })))
    }
    for (const [role, users] of BINDINGS)
      await cluster.must([
        'create',
        'clusterrolebinding',
        `of-${role}-guard`,
        `--clusterrole=${role}`,
        ...users.map((user) => `--user=${user}`),
      ])
    const probe = await namespaceWith({ enforce: 'restricted' })
    await waitFor(
      async () => deniedByGuard.test(await update('guard-manager', withLabels(probe, {}))),
      20_000,
      'the guard to be in force',
    )
  })

  after(async () => {
    for (const one of clients.values()) one.close()
    const kinds = 'validatingadmissionpolicy,validatingadmissionpolicybinding'
    await cluster.kubectl(['delete', kinds, 'drawbridge-guard', 'drawbridge-profile-guard'])
    await cluster.kubectl(['delete', 'clusterrolebinding', ...BINDINGS.map(([role]) => `of-${role}-guard`)])
    await cluster.kubectl(['delete', 'clusterrole', 'guard-manager', 'guard-baseline', WEAKENER_ROLE])
    await cluster.kubectl(['delete', 'namespace', '--wait=false', ...[...made.values()].map(({ name }) => name)])
  })

  /**
   * The API server's own Pod Security plugin refuses values under upstream's labels that it does not know, before the guard is asked or after.
   * Where it is switched off the guard is alone: test/manifests/guard.test.ts asks its text.
   */
  const isKnownUpstream = (short: Short): boolean =>
    Object.entries(short).every(([key, value]) => {
      if (!key.startsWith('ps:')) return true
      return key.endsWith('-version')
        ? /^(latest|v1\.(0|[1-9][0-9]*))$/.test(value)
        : ['privileged', 'baseline', 'restricted'].includes(value)
    })
  const refusedUpstream = /Invalid value|ValidatingAdmissionPolicy 'drawbridge-guard'/

  for (const [old, next, needed] of UPDATES) {
    if (!isKnownUpstream(old)) continue
    if (!isKnownUpstream(next)) {
      it(`${show(old)} to ${show(next)} is refused to everybody: there is no such value`, async () => {
        const object = withLabels(await namespaceWith(old), next)
        for (const user of USERS) assert.match(await update(user, object), refusedUpstream, user)
      })
      continue
    }
    it(`${show(old)} to ${show(next)} needs ${needed}`, async () => {
      const object = withLabels(await namespaceWith(old), next)
      for (const user of USERS) {
        const answer = await update(user, object)
        if (ALLOWED[needed].includes(user)) assert.equal(answer, 'allowed', user)
        else assert.match(answer, deniedByGuard, user)
      }
    })
  }

  for (const [labels, needed] of CREATIONS) {
    if (!isKnownUpstream(labels)) continue
    it(`creating ${show(labels)} needs ${needed}`, async () => {
      for (const user of USERS) {
        const answer = await create(user, 'guard-new', labels)
        if (ALLOWED[needed].includes(user)) assert.equal(answer, 'allowed', user)
        else assert.match(answer, deniedByGuard, user)
      }
    })
  }

  it('says what is needed and how to get it', async () => {
    const name = await namespaceWith({ enforce: 'restricted' })
    const lowered = await update('guard-manager', withLabels(name, { enforce: 'baseline', seccomp: 'off' }))
    const how =
      'ask a cluster administrator to make the change or to bind you to the ClusterRole drawbridge-namespace-weakener. ' +
      'Free to everybody who may change the namespace: a first enforce, warn or audit label, and privileged to baseline to standard to restricted at the same version.'
    assert.equal(
      lowered.slice(lowered.indexOf('drawbridge: ')),
      `drawbridge: namespace "${name}" may ask for less after this change: drawbridge.dev/enforce from restricted to baseline, ` +
        'drawbridge.dev/seccomp from (not set) to off; this needs the RBAC verb "weaken" on admissionprofiles.drawbridge.dev "restricted": ' +
        how,
    )
    const answer = await create('guard-manager', 'guard-new', { quarantine: 'off' })
    assert.equal(
      answer.slice(answer.indexOf('drawbridge: ')),
      'drawbridge: namespace "guard-new" may ask for less after this change: drawbridge.dev/quarantine from (not set) to off; ' +
        'this needs the RBAC verb "weaken" on admissionprofiles.drawbridge.dev (all of them): ' +
        how,
    )
  })

  it('guards the subresources too, and leaves what they are for alone', async () => {
    const name = await namespaceWith({ enforce: 'restricted' })
    const current = (await client('guard-admin').request('GET', `/api/v1/namespaces/${name}`)) as {
      metadata: { labels: Readonly<Record<string, string>> }
    }
    const { 'drawbridge.dev/enforce': _enforce, ...without } = current.metadata.labels
    for (const subresource of ['/status', '/finalize']) {
      assert.equal(await update('guard-manager', current, subresource), 'allowed', subresource)
      const unlabelled = { ...current, metadata: { ...current.metadata, labels: without } }
      const added = { ...without, 'drawbridge.dev/enforce': 'restricted', 'drawbridge.dev/quarantine': 'off' }
      const loosened = { ...current, metadata: { ...current.metadata, labels: added } }
      assert.match(await update('guard-manager', loosened, subresource), deniedByGuard, subresource)
      assert.match(await update('guard-manager', unlabelled, subresource), deniedByGuard, subresource)
      assert.equal(await update('guard-weakener', unlabelled, subresource), 'allowed', subresource)
    }
  })

  it('holds for every way to write a label', async () => {
    const name = await namespaceWith({ enforce: 'restricted' })
    const key = 'drawbridge.dev/enforce'
    const as = async (user: string, args: readonly string[], stdin?: string): Promise<string> => {
      const { code, stderr } = await cluster.kubectl([...args, '--dry-run=server'], stdin, files.get(user))
      return code === 0 ? 'allowed' : stderr
    }
    const merge = (value: unknown): string => JSON.stringify({ metadata: { labels: { [key]: value } } })
    const ways: readonly (readonly [string, readonly string[], string?])[] = [
      ['label', ['label', 'ns', name, `${key}=baseline`, '--overwrite']],
      ['label removed', ['label', 'ns', name, `${key}-`]],
      ['merge patch', ['patch', 'ns', name, '--type=merge', '-p', merge('privileged')]],
      ['merge patch with null', ['patch', 'ns', name, '--type=merge', '-p', merge(null)]],
      ['all labels null', ['patch', 'ns', name, '--type=merge', '-p', '{"metadata":{"labels":null}}']],
      ['strategic patch with null', ['patch', 'ns', name, '--type=strategic', '-p', merge(null)]],
      [
        'strategic replace',
        ['patch', 'ns', name, '--type=strategic', '-p', '{"metadata":{"labels":{"$patch":"replace"}}}'],
      ],
      [
        'JSON patch',
        [
          'patch',
          'ns',
          name,
          '--type=json',
          '-p',
          `[{"op":"remove","path":"/metadata/labels/${key.replace('/', '~1')}"}]`,
        ],
      ],
      [
        'JSON patch of everything',
        ['patch', 'ns', name, '--type=json', '-p', '[{"op":"remove","path":"/metadata/labels"}]'],
      ],
      ['status patch', ['patch', 'ns', name, '--subresource=status', '--type=merge', '-p', merge(null)]],
      [
        'server-side apply',
        ['apply', '--server-side', '--force-conflicts', '-f', '-'],
        JSON.stringify(withLabels(name, { enforce: 'baseline' })),
      ],
      ['apply', ['apply', '-f', '-'], JSON.stringify(withLabels(name, { enforce: 'baseline' }))],
      ['replace', ['replace', '-f', '-'], JSON.stringify(withLabels(name, {}))],
    ]
    for (const [what, args, stdin] of ways) assert.match(await as('guard-manager', args, stdin), deniedByGuard, what)
    assert.equal(
      await as('guard-manager', ['label', 'ns', name, 'team=shop', `${key}=restricted`, '--overwrite']),
      'allowed',
    )
    assert.equal(await as('guard-weakener', ['label', 'ns', name, `${key}-`]), 'allowed')
  })

  it('sees server-side apply leave out a label that it owned', async () => {
    const apply = (user: string, short: Short): ReturnType<Cluster['kubectl']> =>
      cluster.kubectl(
        ['apply', '--server-side', '-f', '-'],
        JSON.stringify({
          apiVersion: 'v1',
          kind: 'Namespace',
          metadata: { name: 'guard-applied', labels: labelsOf(short) },
        }),
        files.get(user),
      )
    made.set('applied', { name: 'guard-applied' })
    assert.equal((await apply('guard-manager', { enforce: 'baseline', warn: 'restricted' })).code, 0)
    assert.equal((await apply('guard-manager', { enforce: 'standard', warn: 'restricted' })).code, 0)
    assert.match((await apply('guard-manager', { enforce: 'standard' })).stderr, deniedByGuard)
  })

  it('sees a label of server-side apply go with its last owner, and another owner change it', async () => {
    const name = 'guard-owned'
    const apply = async (user: string, manager: string, short: Short): Promise<string> => {
      const { code, stderr } = await cluster.kubectl(
        ['apply', '--server-side', '--force-conflicts', `--field-manager=${manager}`, '-f', '-'],
        JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels: labelsOf(short) } }),
        files.get(user),
      )
      return code === 0 ? 'allowed' : stderr
    }
    made.set('owned', { name })
    assert.equal(await apply('guard-manager', 'first', { enforce: 'restricted' }), 'allowed')
    assert.equal(await apply('guard-manager', 'second', { enforce: 'restricted' }), 'allowed')
    assert.match(await apply('guard-manager', 'third', { enforce: 'privileged' }), deniedByGuard)
    assert.match(await apply('guard-baseline', 'third', { enforce: 'baseline' }), deniedByGuard)
    // The first gives it up: the second still owns it, so it stays.
    assert.equal(await apply('guard-manager', 'first', {}), 'allowed')
    assert.match(await apply('guard-manager', 'second', {}), deniedByGuard)
    assert.equal(await apply('guard-weakener', 'second', {}), 'allowed')
  })

  it('grants the verb for the profile that is left, not for the one that is next', async () => {
    // From baseline, for which there is a right, to another profile: from there back to nothing there is none.
    const name = await namespaceWith({ enforce: 'baseline', note: 'step-by-step' })
    const step = (short: Short): Promise<string> => update('guard-baseline', withLabels(name, short))
    assert.equal(await step({ enforce: 'my-profile' }), 'allowed')
    const label = ['label', 'ns', name, 'drawbridge.dev/enforce=my-profile', '--overwrite']
    assert.equal((await cluster.kubectl(label, undefined, files.get('guard-baseline'))).code, 0)
    assert.match(await step({}), deniedByGuard)
    assert.match(await step({ enforce: 'baseline' }), deniedByGuard)
    assert.match(await step({ enforce: 'my-profile', quarantine: 'off' }), deniedByGuard)
  })

  it('asks the same of a name that the API server makes', async () => {
    const generate = (user: string, short: Short): Promise<string> =>
      attempt(
        client(user).request('POST', '/api/v1/namespaces', {
          body: {
            apiVersion: 'v1',
            kind: 'Namespace',
            metadata: { generateName: 'guard-made-', labels: labelsOf(short) },
          },
          query: { dryRun: 'All' },
        }),
      )
    assert.equal(await generate('guard-manager', { enforce: 'baseline' }), 'allowed')
    const answer = await generate('guard-manager', { enforce: 'privileged' })
    assert.match(answer, deniedByGuard)
    assert.match(answer, /namespace "guard-made-[a-z0-9]+" may ask for less/)
    assert.equal(await generate('guard-weakener', { enforce: 'privileged' }), 'allowed')
  })

  it('does not know labels by other spellings, and the API server refuses spaces', async () => {
    for (const labels of [
      { 'drawbridge.dev/enforce': ' baseline' },
      { 'drawbridge.dev/enforce ': 'baseline' },
      { 'Drawbridge.dev/enforce': 'baseline' },
    ]) {
      const body = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'guard-odd', labels } }
      assert.match(
        await attempt(client('guard-admin').request('POST', '/api/v1/namespaces', { body })),
        /metadata\.labels: Invalid value/,
      )
    }
    const name = await namespaceWith({ enforce: 'restricted' })
    assert.equal(
      await update('guard-manager', withLabels(name, { enforce: 'restricted', Enforce: 'privileged' })),
      'allowed',
    )
  })

  it('a tenant with admin in its namespace cannot touch its labels, whatever roles the namespace holds', async () => {
    const name = await namespaceWith({ enforce: 'baseline' })
    await cluster.must([
      'create',
      'rolebinding',
      'tenant',
      '-n',
      name,
      '--clusterrole=admin',
      '--user=guard-tenant',
      '--user=guard-tenant-manager',
    ])
    assert.match(
      await update('guard-tenant', withLabels(name, { enforce: 'restricted' })),
      /cannot update resource "namespaces"/,
    )
    // The right to change namespaces, and the verb granted inside the namespace: profiles are cluster-scoped, so that is no grant.
    const rules = [{ apiGroups: ['drawbridge.dev'], resources: ['admissionprofiles'], verbs: ['weaken'] }]
    const role = {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'Role',
      metadata: { name: 'weaken', namespace: name },
      rules,
    }
    await cluster.must(['create', '-f', '-'], JSON.stringify(role))
    await cluster.must(['create', 'rolebinding', 'weaken', '-n', name, '--role=weaken', '--user=guard-tenant-manager'])
    assert.match(await update('guard-tenant-manager', withLabels(name, {})), deniedByGuard)
    // And nobody can hand out a verb that they do not have.
    const outcome = await cluster.kubectl(
      ['create', 'clusterrolebinding', 'mine', `--clusterrole=${WEAKENER_ROLE}`, '--user=guard-tenant'],
      undefined,
      files.get('guard-tenant'),
    )
    assert.match(outcome.stderr, /cannot create resource "clusterrolebindings"/)
  })

  it('holds while no webhook answers, and lets everything pass that it should', async () => {
    const manifests = renderManifests({
      endpoint: { url: 'https://127.0.0.1:9' },
      ownNamespace: 'drawbridge',
      scope: 'namespaces',
      podSecurityLabels: true,
    })
    await cluster.must(['apply', '-f', '-'], manifests)
    try {
      const name = await namespaceWith({ enforce: 'restricted' })
      await waitFor(
        async () =>
          (await cluster.kubectl(['run', 'p', '--image=i', '-n', name, '--dry-run=server'])).stderr.includes(
            'failed calling webhook',
          ),
        20_000,
        'the webhooks to be called',
      )
      assert.match(await update('guard-manager', withLabels(name, {})), deniedByGuard)
      assert.equal(
        await update('guard-manager', withLabels(name, { enforce: 'restricted', warn: 'restricted' })),
        'allowed',
      )
      assert.equal(await create('guard-manager', 'guard-new', { enforce: 'restricted' }), 'allowed')
      assert.match(await create('guard-manager', 'guard-new', { enforce: 'privileged' }), deniedByGuard)
    } finally {
      await cluster.must(['delete', 'validatingwebhookconfiguration,mutatingwebhookconfiguration', 'drawbridge'])
      await cluster.must([
        'delete',
        'validatingadmissionpolicy,validatingadmissionpolicybinding',
        'drawbridge-verdicts',
      ])
    }
  })

  it("where upstream labels are not honoured, they are nobody's business here", async () => {
    const name = await namespaceWith({ enforce: 'restricted', 'ps:enforce': 'restricted' })
    await install({})
    await waitFor(
      async () => (await update('guard-manager', withLabels(name, { enforce: 'restricted' }))) === 'allowed',
      20_000,
      'the other guard',
    )
    assert.match(await update('guard-manager', withLabels(name, { 'ps:enforce': 'restricted' })), deniedByGuard)
  })

  it('requireLabels: a new namespace must have an enforce label, unless it is listed', async () => {
    await install({ requireLabels: { except: ['guard-listed'] } })
    const isRefused = async (): Promise<boolean> => (await create('guard-manager', 'guard-new', {})) !== 'allowed'
    await waitFor(isRefused, 20_000, 'the guard that requires labels')
    const answer = await create('guard-manager', 'guard-new', { warn: 'restricted' })
    assert.equal(
      answer.slice(answer.indexOf('drawbridge: ')),
      'drawbridge: namespace "guard-new" has no drawbridge.dev/enforce label, and every new namespace must have one, for example drawbridge.dev/enforce=standard; ' +
        'without it, this needs the RBAC verb "weaken" on admissionprofiles.drawbridge.dev (all of them): ' +
        'ask a cluster administrator to make the change or to bind you to the ClusterRole drawbridge-namespace-weakener.',
    )
    assert.equal(await create('guard-manager', 'guard-listed', {}), 'allowed')
    assert.equal(await create('guard-manager', 'guard-new', { enforce: 'baseline' }), 'allowed')
    assert.match(await create('guard-manager', 'guard-new', { enforce: 'privileged' }), deniedByGuard)
    assert.match(await create('guard-baseline', 'guard-new', {}), deniedByGuard)
    assert.equal(await create('guard-weakener', 'guard-new', {}), 'allowed')
    const generated = client('guard-manager').request('POST', '/api/v1/namespaces', {
      body: { apiVersion: 'v1', kind: 'Namespace', metadata: { generateName: 'guard-listed' } },
      query: { dryRun: 'All' },
    })
    assert.match(await attempt(generated), deniedByGuard)
    // One that is older than the rule stays as it is.
    const old = await namespaceWith({})
    assert.equal(await update('guard-manager', withLabels(old, { note: 'x' })), 'allowed')
  })
})
