import assert from 'node:assert/strict'
import { loadProfile } from '../../src/policy/compileProfile.ts'
import { cachePolicies } from '../../src/policy/policyCache.ts'

const web = loadProfile({
  apiVersion: 'drawbridge.dev/v1alpha1',
  kind: 'AdmissionProfile',
  metadata: { name: 'web-tier' },
  spec: { extends: { level: 'baseline' } },
}).profile

const start = () => {
  const state = { minor: 35, generation: 0, exists: true, asked: 0 }
  const resolve = cachePolicies({
    podSecurityLabels: false,
    minor: () => state.minor,
    profiles: {
      get: () => {
        state.asked += 1
        return state.exists ? web : undefined
      },
      generation: () => state.generation,
    },
  })
  return { state, resolve }
}

describe('cachePolicies', () => {
  const labels = { 'drawbridge.dev/enforce': 'web-tier' }
  it('resolves one set of labels once', () => {
    const { state, resolve } = start()
    const first = resolve(labels)
    assert.equal(resolve(labels), first)
    assert.equal(state.asked, 1)
    assert.notEqual(resolve({ ...labels }), first)
  })

  it('forgets everything when a profile changes', () => {
    const { state, resolve } = start()
    assert.deepEqual([resolve(labels).enforce?.profile, resolve(labels).problems.length], ['web-tier', 0])
    state.exists = false
    state.generation += 1
    assert.deepEqual([resolve(labels).enforce?.profile, resolve(labels).problems.length], ['restricted', 1])
    assert.equal(state.asked, 2)
  })

  it('forgets everything when the cluster is upgraded', () => {
    const { state, resolve } = start()
    assert.equal(resolve(labels).enforce?.version, 35)
    state.minor = 36
    assert.equal(resolve(labels).enforce?.version, 36)
  })
})
