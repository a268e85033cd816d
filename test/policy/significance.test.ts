import assert from 'node:assert/strict'
import type { PodSpec } from '../../src/kube/types.ts'
import { isSignificantUpdate } from '../../src/policy/significance.ts'

const before: PodSpec = {
  initContainers: [{ name: 'setup', image: 'i:1' }],
  containers: [{ name: 'web', image: 'w:1', securityContext: { runAsUser: 1 } }],
  ephemeralContainers: [{ name: 'debug', image: 'd:1' }],
  volumes: [{ name: 'a', emptyDir: { sizeLimit: '1Gi' } }],
}
const deep = (depth: number): unknown => JSON.parse(`${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`)

describe('isSignificantUpdate', () => {
  const [web] = before.containers
  const significant: Readonly<Record<string, object>> = {
    'an image': { containers: [{ ...web, image: 'w:2' }] },
    'an image of an init container': { initContainers: [{ name: 'setup', image: 'i:2' }] },
    'an image of an ephemeral container': { ephemeralContainers: [{ name: 'debug', image: 'd:2' }] },
    'a new ephemeral container': {
      ephemeralContainers: [...(before.ephemeralContainers ?? []), { name: 'debug2', image: 'd:1' }],
    },
    'a new container': { containers: [web, { name: 'x', image: 'w:1' }] },
    'a container less': { initContainers: [] },
    'a container that changes its kind': {
      initContainers: [],
      containers: [{ name: 'setup', image: 'i:1' }, web],
    },
    'a security context': { containers: [{ ...web, securityContext: { runAsUser: 0 } }] },
    'a field that is added to a security context': {
      containers: [{ ...web, securityContext: { runAsUser: 1, privileged: true } }],
    },
    'a host namespace': { hostPID: true },
    'a volume': { volumes: [{ name: 'a', hostPath: { path: '/' } }] },
    'a probe': { containers: [{ ...web, livenessProbe: { httpGet: { host: 'h' } } }] },
    'the user namespace': { hostUsers: false },
    'the token of the service account': { automountServiceAccountToken: true },
    'how a volume is mounted': { containers: [{ ...web, volumeMounts: [{ name: 'a' }] }] },
    'what lies deeper than any check reads': { volumes: [{ name: 'a', emptyDir: deep(100_000) }] },
  }
  for (const [name, change] of Object.entries(significant)) {
    it(`is significant: ${name}`, () => {
      assert.equal(isSignificantUpdate({ ...before, ...change }, before), true)
    })
  }

  const insignificant: Readonly<Record<string, object>> = {
    nothing: {},
    'a copy with other nulls': JSON.parse(
      JSON.stringify({ ...before, hostPID: null, securityContext: null }),
    ) as object,
    resources: { containers: [{ ...web, resources: { limits: { cpu: '2' } } }] },
    tolerations: { tolerations: [{ operator: 'Exists' }] },
    'an ephemeral container less': { ephemeralContainers: [] },
  }
  for (const [name, change] of Object.entries(insignificant)) {
    it(`is not significant: ${name}`, () => {
      assert.equal(isSignificantUpdate({ ...before, ...change }, before), false)
    })
  }

  it('takes equal values that lie too deep for different, in both objects', () => {
    const both = { ...before, volumes: [{ name: 'a', emptyDir: deep(100) }] } as PodSpec
    assert.equal(isSignificantUpdate(both, JSON.parse(JSON.stringify(both)) as PodSpec), true)
  })
})
