import assert from 'node:assert/strict'
import { join } from 'node:path'

import { manifestsDirectory } from '../../manifests/render.ts'
import { verdictGuardObjects } from '../../manifests/verdictGuard.ts'
import { waitFor, waitForCrds } from './harness.ts'
import type { Cluster, Outcome } from './harness.ts'
import { makeOwnNamespace, sharedCluster } from './shared.ts'

const NAME = `sha256-${'9'.repeat(64)}`
const OTHER = `ref-${'9'.repeat(40)}`
const DRAWBRIDGE = 'system:serviceaccount:drawbridge:drawbridge'
const STATUS = { phase: 'denying', phaseSince: '2026-11-22T05:57:29Z', reason: 'r', expiresAt: '2027-11-22T05:57:29Z' }

const ROLES: readonly object[] = [
  {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: { name: 'verdict-editor' },
    rules: [
      {
        apiGroups: ['drawbridge.dev'],
        resources: ['imageverdicts', 'imageverdicts/status'],
        verbs: ['get', 'create', 'update', 'patch', 'delete', 'deletecollection', 'list'],
      },
    ],
  },
]
const BINDINGS: readonly (readonly [role: string, user: string])[] = [
  ['drawbridge-verdict-releaser', 'verdict-releaser'],
  ['verdict-editor', 'verdict-editor'],
  ['cluster-admin', 'verdict-cluster-admin'],
]
/** kubectl reads and patches where Drawbridge only needs PUT. */
const DRAWBRIDGE_BINDING = 'verdict-drawbridge'

describe('the guard of verdicts', () => {
  let cluster: Cluster

  const as = (user: string, args: readonly string[], stdin?: string): Promise<Outcome> =>
    cluster.kubectl([...args, `--as=${user}`], stdin)
  const patch = (user: string, spec: object, name = NAME): Promise<Outcome> =>
    as(user, ['patch', 'iv', name, '--type=merge', '-p', JSON.stringify({ spec })])
  const patchStatus = (user: string, status: object): Promise<Outcome> =>
    as(user, ['patch', 'iv', NAME, '--subresource=status', '--type=merge', '-p', JSON.stringify({ status })])
  const create = (user: string, name: string, spec: object = {}): Promise<Outcome> =>
    as(
      user,
      ['create', '-f', '-'],
      JSON.stringify({ apiVersion: 'drawbridge.dev/v1alpha1', kind: 'ImageVerdict', metadata: { name }, spec }),
    )
  const assertRefused = ({ code, stderr }: Outcome, message: string): void => {
    assert.equal(code, 1, 'was not refused')
    assert.ok(stderr.includes(message), `${message} is missing in:\n${stderr}`)
  }
  const assertAllowed = ({ code, stderr }: Outcome): void => assert.equal(code, 0, stderr)

  before(async () => {
    cluster = sharedCluster()
    const manifests = manifestsDirectory()
    await makeOwnNamespace(cluster)
    await cluster.createNamespace('verdict-tenant')
    await cluster.must(['apply', '-f', join(manifests, 'crds'), '-f', join(manifests, 'rbac.yaml')])
    await waitForCrds(cluster, 'imageverdicts.drawbridge.dev')
    const objects = [...ROLES, ...verdictGuardObjects({ ownNamespace: 'drawbridge' })]
    await cluster.must(['apply', '-f', '-'], objects.map((object) => JSON.stringify(object)).join('\n---\n'))
    for (const [role, user] of BINDINGS)
      await cluster.must(['create', 'clusterrolebinding', user, `--clusterrole=${role}`, `--user=${user}`])
    await cluster.must([
      'create',
      'clusterrolebinding',
      DRAWBRIDGE_BINDING,
      '--clusterrole=verdict-editor',
      `--user=${DRAWBRIDGE}`,
    ])
    const tenant = ['--clusterrole=admin', '--user=verdict-tenant', '-n', 'verdict-tenant']
    await cluster.must(['create', 'rolebinding', 'verdict-tenant', ...tenant])
    await waitFor(
      async () => (await create('verdict-editor', OTHER)).stderr.includes('is made and deleted by Drawbridge'),
      30_000,
      'the policy',
    )
  })

  after(async () => {
    await cluster.kubectl([
      'delete',
      'validatingadmissionpolicybinding,validatingadmissionpolicy',
      'drawbridge-verdicts',
    ])
    // Its end takes a moment: the next file's status writes must not meet it.
    await waitFor(
      async () => !(await patchStatus('verdict-cluster-admin', STATUS)).stderr.includes('only Drawbridge'),
      30_000,
      'the policy to be gone',
    )
    await cluster.must(['delete', 'iv', '--all'])
    await cluster.kubectl(['delete', 'clusterrolebinding', DRAWBRIDGE_BINDING, ...BINDINGS.map(([, user]) => user)])
    await cluster.kubectl(['delete', 'clusterrole', 'verdict-editor'])
    await cluster.kubectl(['delete', '-f', join(manifestsDirectory(), 'rbac.yaml')])
    await cluster.kubectl(['delete', 'namespace', 'verdict-tenant', '--wait=false'])
  })

  beforeEach(async () => {
    await cluster.kubectl(['delete', 'iv', '--all', `--as=verdict-cluster-admin`])
    assertAllowed(await create(DRAWBRIDGE, NAME))
    assertAllowed(await patchStatus(DRAWBRIDGE, STATUS))
  })

  it('lets nobody but Drawbridge write what the sensors said, whatever RBAC grants', async () => {
    for (const user of ['verdict-editor', 'verdict-cluster-admin'])
      assertRefused(
        await patchStatus(user, { phase: 'released' }),
        `drawbridge: only Drawbridge, which is the user "${DRAWBRIDGE}", writes the status of an ImageVerdict, and you are "${user}"`,
      )
    for (const user of ['verdict-releaser', 'verdict-tenant'])
      assertRefused(await patchStatus(user, { phase: 'released' }), 'is forbidden')
    assertAllowed(await patchStatus(DRAWBRIDGE, { phase: 'warning' }))
  })

  it('holds people to their own name in every decision, when it is new and when it changes', async () => {
    const until = '2027-01-01T00:00:00Z'
    const decisions = {
      release: { reason: 'our own updater', as: 'false-positive' },
      confirm: { reason: 'seen twice', until },
      mute: { reason: 'a load test', until },
    }
    for (const [decision, fields] of Object.entries(decisions)) {
      const message = `drawbridge: spec.${decision}.by must be who decides, and you are "verdict-releaser"`
      assertRefused(await patch('verdict-releaser', { [decision]: { by: 'alice', ...fields } }), message)
      assertAllowed(await patch('verdict-releaser', { [decision]: { by: 'verdict-releaser', ...fields } }))
      // Somebody else's decision is not to be changed in their name.
      assertRefused(
        await patch('verdict-editor', { [decision]: { reason: 'another' } }),
        `drawbridge: spec.${decision}.by must be who decides, and you are "verdict-editor"`,
      )
      // What does not touch it passes.
      assertAllowed(await as('verdict-editor', ['label', 'iv', NAME, `touched=${decision}`, '--overwrite']))
      assertAllowed(await patch('verdict-editor', { [decision]: { by: 'verdict-editor', reason: 'another' } }))
    }
    const { spec } = JSON.parse(await cluster.must(['get', 'iv', NAME, '-o', 'json'])) as {
      spec: Record<string, { by: string }>
    }
    assert.deepEqual(
      Object.values(spec).map(({ by }) => by),
      ['verdict-editor', 'verdict-editor', 'verdict-editor'],
    )
    for (const decision of Object.keys(decisions)) assertAllowed(await patch('verdict-releaser', { [decision]: null }))
    assertRefused(
      await patch('verdict-tenant', { release: { by: 'verdict-tenant', ...decisions.release } }),
      'is forbidden',
    )
  })

  it('lets Drawbridge name the person who asked its admin API, and write its part beside their decision', async () => {
    assertAllowed(await patch(DRAWBRIDGE, { release: { by: 'alice', reason: 'rebuilt', as: 'fixed' } }))
    assertAllowed(await patchStatus(DRAWBRIDGE, { phase: 'released' }))
    assertRefused(
      await patch('verdict-cluster-admin', { release: { by: 'alice', reason: 'something else', as: 'fixed' } }),
      'drawbridge: spec.release.by must be who decides, and you are "verdict-cluster-admin"',
    )
  })

  it('lets Drawbridge make and delete them, others only with the verb weaken', async () => {
    const message = 'drawbridge: an ImageVerdict is made and deleted by Drawbridge; others need the RBAC verb "weaken"'
    const spec = { release: { by: 'verdict-editor', reason: 'beforehand', as: 'accepted' } }
    assertRefused(await create('verdict-editor', OTHER, spec), message)
    assertRefused(await as('verdict-editor', ['delete', 'iv', NAME]), message)
    assertRefused(await as('verdict-editor', ['delete', 'iv', '--all']), message)
    assertRefused(await as('verdict-releaser', ['delete', 'iv', NAME]), 'is forbidden')
    assertAllowed(await create('verdict-cluster-admin', OTHER))
    assertAllowed(await as('verdict-cluster-admin', ['delete', 'iv', OTHER]))
    assertAllowed(await as(DRAWBRIDGE, ['delete', 'iv', NAME]))
  })
})
