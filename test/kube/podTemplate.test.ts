import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { carriesPodTemplate, findPodTemplate } from '../../src/kube/podTemplate.ts'

const metadata = { labels: { app: 'web' } }
const spec = { containers: [{ name: 'web' }] }
const template = { metadata, spec }

describe('findPodTemplate', () => {
  const kinds: readonly (readonly [string, string, object, string])[] = [
    ['', 'Pod', template, ''],
    ['', 'PodTemplate', { template }, 'template'],
    ['', 'ReplicationController', { spec: { template } }, 'spec.template'],
    ['apps', 'ReplicaSet', { spec: { template } }, 'spec.template'],
    ['apps', 'Deployment', { spec: { template } }, 'spec.template'],
    ['apps', 'DaemonSet', { spec: { template } }, 'spec.template'],
    ['apps', 'StatefulSet', { spec: { template } }, 'spec.template'],
    ['batch', 'Job', { spec: { template } }, 'spec.template'],
    ['batch', 'CronJob', { spec: { jobTemplate: { spec: { template } } } }, 'spec.jobTemplate.spec.template'],
  ]
  for (const [group, kind, object, path] of kinds) {
    it(`finds the pod of ${kind}`, () => {
      assert.equal(carriesPodTemplate({ group, kind }), true)
      assert.deepEqual(findPodTemplate({ group, kind }, object), { metadata, spec, path })
    })
  }

  it('finds nothing in other kinds, nor in a kind of the same name in another group', () => {
    assert.equal(findPodTemplate({ group: '', kind: 'Service' }, template), undefined)
    assert.equal(findPodTemplate({ group: 'example.com', kind: 'Deployment' }, { spec: { template } }), undefined)
    assert.equal(carriesPodTemplate({ group: '', kind: '__proto__' }), false)
  })

  it('finds nothing where there is no template', () => {
    const kind = { group: '', kind: 'ReplicationController' }
    assert.equal(findPodTemplate(kind, { spec: { template: null } }), undefined)
    assert.equal(findPodTemplate(kind, { spec: {} }), undefined)
    assert.equal(findPodTemplate(kind, {}), undefined)
  })

  it('takes absent metadata for empty', () => {
    assert.deepEqual(findPodTemplate({ group: 'apps', kind: 'Deployment' }, { spec: { template: { spec } } }), {
      metadata: {},
      spec,
      path: 'spec.template',
    })
  })

  it('hands on what it cannot read, so that it is refused and not skipped', () => {
    const deployment = { group: 'apps', kind: 'Deployment' }
    assert.deepEqual(findPodTemplate(deployment, 'x'), { metadata: {}, spec: 'x', path: '' })
    assert.deepEqual(findPodTemplate(deployment, { spec: [] }), { metadata: {}, spec: [], path: '' })
    assert.deepEqual(findPodTemplate(deployment, { spec: { template: 7 } }), {
      metadata: {},
      spec: 7,
      path: 'spec.template',
    })
    assert.deepEqual(findPodTemplate({ group: '', kind: 'Pod' }, null), { metadata: {}, spec: null, path: '' })
  })

  it('takes nothing from an own __proto__ key', () => {
    const object = JSON.parse('{"__proto__":{"spec":{"containers":[]}}}') as unknown
    assert.deepEqual(findPodTemplate({ group: '', kind: 'Pod' }, object), { metadata: {}, spec: undefined, path: '' })
  })

  it('never throws', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(...kinds), (object, [group, kind]) => {
        findPodTemplate({ group, kind }, object)
      }),
    )
  })
})
