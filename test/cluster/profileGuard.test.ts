/** Who may change what an AdmissionProfile says, on a real API server. */
import assert from 'node:assert/strict'
import { join } from 'node:path'

import { guardObjects } from '../../manifests/guard.ts'
import { manifestsDirectory } from '../../manifests/render.ts'
import { waitFor, waitForCrds } from './harness.ts'
import type { Cluster } from './harness.ts'
import { sharedCluster } from './shared.ts'

const ROLES = ['profile-editor', 'profile-weakener-guarded', 'profile-weakener-other'] as const
const USERS = {
  /** May update every profile. */
  editor: 'profile-editor',
  /** And may weaken the namespaces of `guarded`. */
  owner: 'profile-owner',
  /** And may weaken those of another profile. */
  other: 'profile-other',
} as const

const role = (name: string, rule: object): object => ({
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'ClusterRole',
  metadata: { name },
  rules: [{ apiGroups: ['drawbridge.dev'], resources: ['admissionprofiles'], ...rule }],
})
const binding = (name: string, users: readonly string[]): object => ({
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'ClusterRoleBinding',
  metadata: { name },
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name },
  subjects: users.map((user) => ({ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: user })),
})
const [EDITOR, GUARDED, OTHER] = ROLES
const RBAC = [
  role(EDITOR, { verbs: ['get', 'list', 'create', 'update', 'patch'] }),
  role(GUARDED, { resourceNames: ['guarded'], verbs: ['weaken'] }),
  role(OTHER, { resourceNames: ['other'], verbs: ['weaken'] }),
  binding(EDITOR, Object.values(USERS)),
  binding(GUARDED, [USERS.owner]),
  binding(OTHER, [USERS.other]),
]

const documents = (objects: readonly object[]): string =>
  objects.map((object) => JSON.stringify(object)).join('\n---\n')
const profile = (spec: object, metadata: object = {}): string =>
  JSON.stringify({
    apiVersion: 'drawbridge.dev/v1alpha1',
    kind: 'AdmissionProfile',
    metadata: { name: 'guarded', ...metadata },
    spec,
  })
const STRICT = { extends: { level: 'restricted' }, forbidLatestTag: true }
const LOOSE = { extends: { level: 'privileged' } }

describe('the guard of AdmissionProfiles, on a real API server', function () {
  this.timeout(120_000)
  let cluster: Cluster
  const files = new Map<string, string>()
  const guard = guardObjects({ ownNamespace: 'drawbridge' }).filter(
    ({ metadata }) => metadata.name === 'drawbridge-profile-guard',
  )
  const refusal =
    'drawbridge: to change what AdmissionProfile "guarded" says needs the RBAC verb "weaken" on it, as its namespaces may ask for less then: ' +
    'ask a cluster administrator to make the change or to bind you to the ClusterRole drawbridge-namespace-weakener.'

  const attempt = async (user: string, args: readonly string[], stdin?: string): Promise<string> => {
    const { code, stderr } = await cluster.kubectl([...args, '--dry-run=server'], stdin, files.get(user))
    return code === 0 ? 'allowed' : stderr
  }
  const patch = (spec: object): readonly string[] => [
    'patch',
    'admissionprofile',
    'guarded',
    '--type=merge',
    '-p',
    JSON.stringify({ spec }),
  ]

  before(async () => {
    cluster = sharedCluster()
    assert.equal(guard.length, 2)
    await cluster.must(['apply', '-f', join(manifestsDirectory(), 'crds', 'admissionprofiles.yaml')])
    await waitForCrds(cluster, 'admissionprofiles.drawbridge.dev')
    await cluster.must(['apply', '-f', '-'], documents(RBAC))
    await cluster.must(['create', '-f', '-'], profile(STRICT))
    await cluster.must(['apply', '-f', '-'], documents(guard))
    for (const user of Object.values(USERS)) files.set(user, await cluster.userKubeconfig(user))
    await waitFor(
      async () => (await attempt(USERS.editor, patch(LOOSE))).includes('drawbridge-profile-guard'),
      30_000,
      'the guard of profiles to be in force',
    )
  })

  after(async () => {
    await cluster.kubectl(['delete', '-f', '-'], documents([...guard, ...RBAC]))
    await cluster.kubectl(['delete', 'admissionprofile', 'guarded'])
  })

  it('needs the verb on this profile for every change of its spec, and says so', async () => {
    assert.ok((await attempt(USERS.editor, patch({ forbidLatestTag: false }))).includes(refusal))
    for (const spec of [LOOSE, { forbidLatestTag: null }, { quarantine: 'off' }, { requireDigest: true }]) {
      for (const user of [USERS.editor, USERS.other])
        assert.match(
          await attempt(user, patch(spec)),
          /policy 'drawbridge-profile-guard'|Policy 'drawbridge-profile-guard'/,
          user,
        )
      assert.equal(await attempt(USERS.owner, patch(spec)), 'allowed')
      assert.equal(await attempt('admin', patch(spec)), 'allowed')
    }
  })

  it('holds for every way to write it', async () => {
    for (const [args, text] of [
      [['replace', '-f', '-'], profile(LOOSE)],
      [['apply', '--server-side', '--force-conflicts', '--field-manager=other', '-f', '-'], profile(LOOSE)],
      [
        [
          'patch',
          'admissionprofile',
          'guarded',
          '--type=json',
          '-p',
          '[{"op":"remove","path":"/spec/forbidLatestTag"}]',
        ],
      ],
    ] as const)
      assert.ok((await attempt(USERS.editor, args, text)).includes(refusal), args.join(' '))
  })

  it('leaves labels, the same spec and new profiles alone', async () => {
    const label = ['label', 'admissionprofile', 'guarded', 'team=shop']
    assert.equal(await attempt(USERS.editor, label), 'allowed')
    assert.equal(
      await attempt(USERS.editor, ['replace', '-f', '-'], profile(STRICT, { labels: { a: 'b' } })),
      'allowed',
    )
    assert.equal(await attempt(USERS.editor, ['create', '-f', '-'], profile(LOOSE, { name: 'new' })), 'allowed')
  })
})
