import assert from 'node:assert/strict'

import { guardObjects, WEAKENER_ROLE } from '../../manifests/guard.ts'
import type { GuardOptions } from '../../manifests/guard.ts'
import { renderManifests } from '../../manifests/render.ts'
import { createClient, loadKubeConfig } from '../../src/adapters/kubernetes/client.ts'
import type { KubernetesClient } from '../../src/adapters/kubernetes/client.ts'
import { waitFor } from './harness.ts'
import type { Cluster } from './harness.ts'
import { sharedCluster } from './shared.ts'

/** Labels without their prefix; `ps:` stands for upstream's. */
type Short = Readonly<Record<string, string>>

const labelsOf = (short: Short): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(short).map(([key, value]) => [
      key.startsWith('ps:') ? `pod-security.kubernetes.io/${key.slice(3)}` : `drawbridge.dev/${key}`,
      value,
    ]),
  )

/** Who may: everybody who may change namespaces; those with `weaken` on baseline; those with `weaken` on everything. */
type Needed = 'nothing' | 'baseline' | 'all'

const USERS = ['guard-manager', 'guard-baseline', 'guard-weakener', 'guard-admin'] as const
type User = (typeof USERS)[number]

const ALLOWED: Readonly<Record<Needed, readonly User[]>> = {
  nothing: USERS,
  baseline: ['guard-baseline', 'guard-weakener', 'guard-admin'],
  all: ['guard-weakener', 'guard-admin'],
}

const UPDATES: readonly (readonly [Short, Short, Needed])[] = [
  // Nothing honoured changes.
  [{}, {}, 'nothing'],
  [{ enforce: 'restricted', seccomp: 'off' }, { enforce: 'restricted', seccomp: 'off' }, 'nothing'],
  [{ enforce: 'restricted' }, { enforce: 'restricted', other: 'x' }, 'nothing'],
  // A first enforce label, in any shape.
  [{}, { enforce: 'baseline' }, 'nothing'],
  [{}, { enforce: 'my-profile' }, 'nothing'],
  [{}, { enforce: 'Privileged' }, 'nothing'],
  [{}, { enforce: 'baseline', 'enforce-version': 'v1.20', seccomp: 'localhost.web' }, 'nothing'],
  [{}, { enforce: 'privileged' }, 'all'],
  [{ warn: 'baseline' }, { warn: 'baseline', enforce: 'baseline' }, 'nothing'],
  // Raising and lowering.
  [{ enforce: 'privileged' }, { enforce: 'baseline' }, 'nothing'],
  [{ enforce: 'baseline' }, { enforce: 'standard' }, 'nothing'],
  [{ enforce: 'baseline' }, { enforce: 'restricted' }, 'nothing'],
  [{ enforce: 'standard' }, { enforce: 'restricted' }, 'nothing'],
  [
    { enforce: 'baseline', 'enforce-version': 'v1.20' },
    { enforce: 'restricted', 'enforce-version': 'v1.20' },
    'nothing',
  ],
  [{ enforce: 'baseline' }, { enforce: 'restricted', 'enforce-version': 'latest' }, 'nothing'],
  [{ enforce: 'baseline' }, { enforce: 'privileged' }, 'baseline'],
  [{ enforce: 'baseline' }, {}, 'baseline'],
  [{ enforce: 'restricted' }, { enforce: 'standard' }, 'all'],
  [{ enforce: 'standard' }, { enforce: 'baseline' }, 'all'],
  [{ enforce: 'restricted' }, {}, 'all'],
  // Names that cannot be compared.
  [{ enforce: 'baseline' }, { enforce: 'my-profile' }, 'baseline'],
  [{ enforce: 'my-profile' }, { enforce: 'restricted' }, 'all'],
  [{ enforce: 'my-profile' }, { enforce: 'other-profile' }, 'all'],
  [{ enforce: 'baseline' }, { enforce: 'Restricted' }, 'baseline'],
  [{ enforce: 'baseline' }, { enforce: 'restricted.x' }, 'baseline'],
  [{ enforce: 'baseline' }, { enforce: '' }, 'baseline'],
  [{ enforce: '' }, { enforce: 'restricted' }, 'all'],
  // Versions.
  [{ enforce: 'baseline' }, { enforce: 'baseline', 'enforce-version': 'latest' }, 'nothing'],
  [{ enforce: 'baseline' }, { enforce: 'baseline', 'enforce-version': 'v1.20' }, 'baseline'],
  [{ enforce: 'baseline' }, { enforce: 'restricted', 'enforce-version': 'v1.0' }, 'baseline'],
  [
    { enforce: 'baseline', 'enforce-version': 'v1.30' },
    { enforce: 'baseline', 'enforce-version': 'v1.29' },
    'baseline',
  ],
  [
    { enforce: 'baseline', 'enforce-version': 'v1.29' },
    { enforce: 'baseline', 'enforce-version': 'v1.30' },
    'baseline',
  ],
  [{ enforce: 'baseline', 'enforce-version': 'v1.29' }, { enforce: 'baseline' }, 'baseline'],
  [{ enforce: 'baseline', 'enforce-version': 'latest' }, { enforce: 'baseline' }, 'baseline'],
  [
    { enforce: 'baseline', 'enforce-version': 'V1.29' },
    { enforce: 'baseline', 'enforce-version': 'latest' },
    'baseline',
  ],
  [{ 'enforce-version': 'v1.0' }, { 'enforce-version': 'v1.30', enforce: 'baseline' }, 'nothing'],
  // Warn and audit.
  [{ enforce: 'baseline' }, { enforce: 'baseline', warn: 'restricted', audit: 'my-profile' }, 'nothing'],
  [{ warn: 'baseline' }, { warn: 'restricted' }, 'nothing'],
  [{ warn: 'restricted' }, { warn: 'baseline' }, 'all'],
  [{ audit: 'restricted' }, {}, 'all'],
  [{ enforce: 'baseline', audit: 'restricted' }, { enforce: 'baseline' }, 'baseline'],
  [{ warn: 'restricted' }, { warn: 'restricted', 'warn-version': 'v1.0' }, 'all'],
  [{ audit: 'restricted' }, { audit: 'restricted', 'audit-version': 'v1.0' }, 'all'],
  // Seccomp.
  [{ enforce: 'baseline' }, { enforce: 'baseline', seccomp: 'RuntimeDefault' }, 'nothing'],
  [{ enforce: 'baseline' }, { enforce: 'baseline', seccomp: 'off' }, 'baseline'],
  [{ enforce: 'baseline' }, { enforce: 'baseline', seccomp: 'localhost.loose' }, 'baseline'],
  [{ enforce: 'my-profile' }, { enforce: 'my-profile', seccomp: 'RuntimeDefault' }, 'all'],
  [{ enforce: 'baseline', seccomp: 'off' }, { enforce: 'baseline', seccomp: 'RuntimeDefault' }, 'nothing'],
  [{ enforce: 'baseline', seccomp: 'off' }, { enforce: 'baseline' }, 'baseline'],
  [{ enforce: 'baseline', seccomp: 'localhost.web' }, { enforce: 'baseline', seccomp: 'RuntimeDefault' }, 'baseline'],
  [{ enforce: 'baseline' }, { enforce: 'restricted', seccomp: 'off' }, 'baseline'],
  [{}, { seccomp: 'RuntimeDefault' }, 'nothing'],
  [{}, { seccomp: 'off' }, 'all'],
  // Quarantine.
  [{ enforce: 'baseline' }, { enforce: 'baseline', quarantine: 'enforce' }, 'nothing'],
  [{ enforce: 'baseline' }, { enforce: 'baseline', quarantine: 'warn' }, 'baseline'],
  [{ enforce: 'baseline' }, { enforce: 'baseline', quarantine: 'off' }, 'baseline'],
  [{ quarantine: 'off' }, { quarantine: 'warn' }, 'nothing'],
  [{ quarantine: 'warn' }, { quarantine: 'enforce' }, 'nothing'],
  [{ quarantine: 'enforce' }, { quarantine: 'warn' }, 'all'],
  [{ quarantine: 'enforce' }, { quarantine: 'Off' }, 'all'],
  [{ quarantine: 'Off' }, { quarantine: 'off' }, 'all'],
  [{ quarantine: 'enforce' }, {}, 'all'],
  [{}, { quarantine: 'warn' }, 'all'],
  // When down.
  [{ enforce: 'baseline' }, { enforce: 'baseline', 'when-down': 'deny' }, 'nothing'],
  [{ enforce: 'baseline', 'when-down': 'net' }, { enforce: 'baseline', 'when-down': 'deny' }, 'nothing'],
  [{ enforce: 'baseline', 'when-down': 'deny' }, { enforce: 'baseline', 'when-down': 'net' }, 'baseline'],
  [{ enforce: 'baseline' }, { enforce: 'baseline', 'when-down': 'net' }, 'baseline'],
  // Upstream's labels, and both kinds together: leaving two profiles needs the verb on both.
  [{}, { 'ps:enforce': 'baseline', 'ps:enforce-version': 'v1.20' }, 'nothing'],
  [{ 'ps:enforce': 'baseline' }, { 'ps:enforce': 'restricted' }, 'nothing'],
  [{ 'ps:enforce': 'baseline' }, {}, 'baseline'],
  [{ 'ps:warn': 'restricted' }, { 'ps:warn': 'baseline' }, 'all'],
  [{ enforce: 'baseline', 'ps:enforce': 'restricted' }, { 'ps:enforce': 'restricted' }, 'all'],
  [{ enforce: 'baseline', 'ps:enforce': 'baseline' }, { enforce: 'baseline' }, 'baseline'],
  [{ enforce: 'baseline' }, { enforce: 'baseline', 'ps:enforce': 'restricted' }, 'nothing'],
  [
    { enforce: 'baseline' },
    { enforce: 'baseline', 'ps:enforce': 'restricted', 'ps:enforce-version': 'v1.0' },
    'baseline',
  ],
  [
    { 'ps:enforce': 'baseline' },
    { 'ps:enforce': 'baseline', enforce: 'restricted', 'enforce-version': 'v1.0' },
    'baseline',
  ],
  [
    { enforce: 'baseline', 'enforce-version': 'v1.0', 'ps:enforce': 'baseline' },
    { enforce: 'restricted', 'enforce-version': 'v1.0', 'ps:enforce': 'baseline' },
    'baseline',
  ],
]

const CREATIONS: readonly (readonly [Short, Needed])[] = [
  [{}, 'nothing'],
  [{ enforce: 'baseline' }, 'nothing'],
  [{ enforce: 'restricted', 'enforce-version': 'v1.29', warn: 'privileged', quarantine: 'enforce' }, 'nothing'],
  [{ enforce: 'nobody-made-this' }, 'nothing'],
  [{ enforce: 'baseline', seccomp: 'localhost.web', 'when-down': 'deny' }, 'nothing'],
  [{ enforce: 'privileged' }, 'all'],
  [{ enforce: 'baseline', seccomp: 'off' }, 'all'],
  [{ enforce: 'baseline', quarantine: 'off' }, 'all'],
  [{ enforce: 'baseline', quarantine: 'warn' }, 'all'],
  [{ quarantine: 'off' }, 'all'],
  [{ enforce: 'baseline', 'when-down': 'net' }, 'all'],
  [{ 'ps:enforce': 'privileged' }, 'all'],
]

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

const show = (short: Short): string => JSON.stringify(short).replaceAll('"', '')

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
    await cluster.kubectl(['delete', 'validatingadmissionpolicy,validatingadmissionpolicybinding', 'drawbridge-guard'])
    await cluster.kubectl(['delete', 'clusterrolebinding', ...BINDINGS.map(([role]) => `of-${role}-guard`)])
    await cluster.kubectl(['delete', 'clusterrole', 'guard-manager', 'guard-baseline', WEAKENER_ROLE])
    await cluster.kubectl(['delete', 'namespace', '--wait=false', ...[...made.values()].map(({ name }) => name)])
  })

  for (const [old, next, needed] of UPDATES) {
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
      await cluster.must(['delete', 'mutatingwebhookconfiguration,validatingwebhookconfiguration', 'drawbridge'])
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
    // One that is older than the rule stays as it is.
    const old = await namespaceWith({})
    assert.equal(await update('guard-manager', withLabels(old, { note: 'x' })), 'allowed')
  })
})
