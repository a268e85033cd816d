import assert from 'node:assert/strict'
import * as fc from 'fast-check'

import { readHead, readRevisions, revisedOwner, revisedWorkload, workloadOfRequest } from '../../src/kube/revisions.ts'

const spec = (...images: readonly string[]): object => ({
  template: { metadata: {}, spec: { containers: images.map((image, index) => ({ name: `c${index}`, image })) } },
})

const owned = (kind: string, name: string, uid = 'u'): object => ({
  ownerReferences: [
    { apiVersion: 'v1', kind: 'Other', name: 'other', uid: 'o' },
    { apiVersion: 'apps/v1', kind, name, uid, controller: true },
  ],
})

describe('whose revisions matter to a request', () => {
  const of = (kind: string, object: object, changes: object = {}): string | undefined => {
    const request = {
      kind: { group: ['Pod'].includes(kind) ? '' : 'apps', version: 'v1', kind },
      operation: 'CREATE' as const,
      namespace: 'shop',
      object,
      ...changes,
    }
    const found = workloadOfRequest(request, 0)
    return found && `${found.namespace}/${found.kind}/${found.name}`
  }
  const update = { operation: 'UPDATE', name: 'web' }
  const labels = { 'pod-template-hash': '7d4b9c6f5' }
  const cases: readonly (readonly [string, string | undefined, string | undefined])[] = [
    [
      'a pod of a Deployment',
      of('Pod', { metadata: { labels, ...owned('ReplicaSet', 'web-7d4b9c6f5') } }),
      'shop/Deployment/web',
    ],
    ['a pod of a ReplicaSet of its own', of('Pod', { metadata: owned('ReplicaSet', 'web-1') }), undefined],
    ['a pod of a StatefulSet', of('Pod', { metadata: owned('StatefulSet', 'db') }), 'shop/StatefulSet/db'],
    ['a pod of a DaemonSet', of('Pod', { metadata: owned('DaemonSet', 'agent') }), 'shop/DaemonSet/agent'],
    ['a pod of a Job', of('Pod', { metadata: owned('Job', 'once') }), undefined],
    ['a pod of nobody', of('Pod', { metadata: {} }), undefined],
    [
      'a pod that claims another namespace',
      of('Pod', { metadata: { namespace: 'billing', ...owned('DaemonSet', 'agent') } }),
      'shop/DaemonSet/agent',
    ],
    ['a ReplicaSet of a Deployment', of('ReplicaSet', { metadata: owned('Deployment', 'web') }), 'shop/Deployment/web'],
    ['a ReplicaSet of its own', of('ReplicaSet', { metadata: {} }), undefined],
    ['a ReplicaSet of a Rollout', of('ReplicaSet', { metadata: owned('Rollout', 'web') }), undefined],
    ['a new Deployment', of('Deployment', { metadata: { name: 'web' } }), undefined],
    ['an update of a Deployment', of('Deployment', {}, update), 'shop/Deployment/web'],
    ['an update of a StatefulSet', of('StatefulSet', {}, update), 'shop/StatefulSet/web'],
    ['an update of a Job', of('Job', {}, { ...update, kind: { group: 'batch', kind: 'Job' } }), undefined],
    [
      'a Deployment of another group',
      of('Deployment', {}, { ...update, kind: { group: 'x', kind: 'Deployment' } }),
      undefined,
    ],
    ['an object that is none', of('ReplicaSet', [] as object), undefined],
  ]
  for (const [what, found, expected] of cases) it(what, () => assert.equal(found, expected))

  for (const name of ['-rf', 'a b', '../web', 'web;id', '$(id)', 'Web', 'web\n', 'a'.repeat(254), '', undefined])
    it(`takes no name that no object can have: ${JSON.stringify(name)?.slice(0, 20)}`, () => {
      assert.equal(revisedWorkload('Deployment', 'shop', name), undefined)
      assert.equal(revisedWorkload('Deployment', name, 'web'), undefined)
    })
  it('reads owners as attribution writes them', () => {
    assert.deepEqual(revisedOwner('shop/Deployment/web'), { namespace: 'shop', kind: 'Deployment', name: 'web' })
    for (const other of ['shop/Pod/web', 'shop/web', 'shop/Deployment/a/b', '', 'shop/constructor/web'])
      assert.equal(revisedOwner(other), undefined)
  })
})

describe('the revisions of a workload', () => {
  const replicaSet = (revision: string, image: string, uid = 'u'): object => ({
    metadata: { annotations: { 'deployment.kubernetes.io/revision': revision }, ...owned('Deployment', 'web', uid) },
    spec: spec(image),
  })

  it('are the ReplicaSets of this Deployment, by their annotation', () => {
    const objects = [
      replicaSet('1', 'a'),
      replicaSet('3', 'b'),
      replicaSet('9', 'of-another', 'other'),
      { metadata: {}, spec: spec('of-nobody') },
    ]
    assert.deepEqual(readRevisions('Deployment', 'u', objects), [
      { number: 1, images: ['a'] },
      { number: 3, images: ['b'] },
    ])
  })

  it('are left out where their number or template says nothing', () => {
    const objects = [
      ...['0', '-1', '01', '1.5', '1e3', '', 'x', '99999999999999999999', '2; id'].map((text) => replicaSet(text, 'a')),
      { ...replicaSet('4', 'a'), spec: { template: { spec: { containers: 'none' } } } },
      { metadata: owned('Deployment', 'web'), spec: spec('a') },
      null,
      7,
    ]
    assert.deepEqual(readRevisions('Deployment', 'u', objects), [])
  })

  it('are not believed where two claim one number', () => {
    const objects = [replicaSet('2', 'clean'), replicaSet('2', 'other'), replicaSet('2', 'clean'), replicaSet('1', 'a')]
    assert.deepEqual(readRevisions('Deployment', 'u', objects), [{ number: 1, images: ['a'] }])
  })

  it('are ControllerRevisions of a StatefulSet or DaemonSet', () => {
    const object = (revision: unknown, data: object): object => ({
      metadata: owned('StatefulSet', 'db'),
      revision,
      data,
    })
    const objects = [object(2, { spec: spec('a', 'b', 'a') }), object('3', { spec: spec('c') }), object(4, {})]
    for (const kind of ['StatefulSet', 'DaemonSet'] as const)
      assert.deepEqual(readRevisions(kind, 'u', objects), [{ number: 2, images: ['a', 'b'] }])
  })

  it('are found by the selector of the workload', () => {
    const head = (selector: unknown, more: object = {}) =>
      readHead('Deployment', { metadata: { uid: 'u' }, spec: { selector, ...spec('a'), ...more } })
    assert.deepEqual(head({ matchLabels: { app: 'web', tier: 'front' } }), {
      uid: 'u',
      selector: 'app=web,tier=front',
      images: ['a'],
    })
    const matchExpressions = [
      { key: 'app', operator: 'In', values: ['a', 'b'] },
      { key: 'tier', operator: 'NotIn', values: ['back'] },
      { key: 'x', operator: 'Exists' },
      { key: 'y', operator: 'DoesNotExist' },
    ]
    assert.equal(head({ matchExpressions })?.selector, 'app in (a,b),tier notin (back),x,!y')
    // What selects everything is no selector of a Deployment, and kubectl does not roll back a paused one.
    for (const found of [head({}), head(undefined), head({ matchExpressions: [{ key: 'a', operator: 'Gt' }] })])
      assert.equal(found, undefined)
    assert.equal(head({ matchLabels: { app: 'web' } }, { paused: true }), undefined)
  })

  it('never throw', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.array(fc.jsonValue()), (head, objects) => {
        for (const kind of ['Deployment', 'DaemonSet'] as const) {
          readHead(kind, head)
          readRevisions(kind, 'u', objects)
        }
      }),
    )
  })
})
