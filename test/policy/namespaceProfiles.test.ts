import assert from 'node:assert/strict'
import { loadProfile, type FindProfile } from '../../src/policy/compileProfile.ts'
import { evaluateProfile } from '../../src/policy/evaluate.ts'
import { judge } from '../../src/policy/judge.ts'
import { formatProfile, resolveNamespace, type ResolveOptions } from '../../src/policy/namespace.ts'
import type { ProfileAtVersion } from '../../src/policy/types.ts'
import { pod } from '../fixtures/checks/pods.ts'

const compiled = (name: string, spec: object) => {
  const { profile, problems } = loadProfile({
    apiVersion: 'drawbridge.dev/v1alpha1',
    kind: 'AdmissionProfile',
    metadata: { name },
    spec,
  })
  assert.ok(profile, problems?.join('\n'))
  return [name, profile] as const
}
const LOCALHOST = { type: 'Localhost', localhostProfile: 'drawbridge/web.json' } as const
const KNOWN = new Map([
  compiled('web-tier', {
    extends: { level: 'baseline' },
    allowedHostPorts: [{ min: 80, max: 80 }],
    requireDigest: true,
    seccomp: LOCALHOST,
    hardening: { runAsNonRoot: true },
    quarantine: 'warn',
  }),
  compiled('pinned', { extends: { level: 'restricted', version: 'v1.29' } }),
  compiled('newest', { extends: { level: 'restricted', version: 'latest' } }),
])
const profiles: FindProfile = (name) => KNOWN.get(name)

const resolve = (labels: Readonly<Record<string, string>>, options: ResolveOptions = {}) =>
  resolveNamespace(
    Object.fromEntries(
      Object.entries(labels).map(([key, value]) => [key.includes('/') ? key : `drawbridge.dev/${key}`, value]),
    ),
    { profiles, ...options },
  )
const named = (profile: ProfileAtVersion | undefined): string | undefined => profile && formatProfile(profile)
const checksOf = (profile: ProfileAtVersion | undefined, template = pod()): readonly string[] =>
  profile ? [...new Set(evaluateProfile(profile, template.metadata, template.spec).map(({ check }) => check))] : []
const WITH_PORT = pod({ web: { ports: [{ hostPort: 80 }] } })

describe('labels that name an AdmissionProfile', () => {
  it('bring its checks, seccomp, hardening and quarantine', () => {
    const policy = resolve({ enforce: 'web-tier' })
    assert.equal(named(policy.enforce), 'web-tier:latest')
    assert.deepEqual(checksOf(policy.enforce, WITH_PORT), ['imageDigest'])
    assert.deepEqual(
      [policy.seccomp, policy.hardening, policy.quarantine, policy.problems],
      [LOCALHOST, { runAsNonRoot: true }, 'warn', []],
    )
  })

  it("lose to the namespace's own labels for seccomp and quarantine", () => {
    const policy = resolve({ enforce: 'web-tier', seccomp: 'off', quarantine: 'enforce' })
    assert.deepEqual([policy.seccomp, policy.quarantine], [undefined, 'enforce'])
  })

  it('inject nothing where they only warn or audit', () => {
    const policy = resolve({ warn: 'web-tier', audit: 'web-tier' })
    assert.deepEqual(
      [named(policy.warn), named(policy.audit), policy.seccomp, policy.hardening, policy.quarantine],
      ['web-tier:latest', 'web-tier:latest', undefined, undefined, 'off'],
    )
    assert.deepEqual(checksOf(policy.warn), ['imageDigest'])
  })

  const versions: readonly (readonly [string, Readonly<Record<string, string>>, number | undefined, string])[] = [
    [
      'the label where the profile fixes none',
      { enforce: 'web-tier', 'enforce-version': 'v1.20' },
      35,
      'web-tier:v1.20',
    ],
    ['the cluster where nobody fixes one', { enforce: 'web-tier' }, 35, 'web-tier:v1.35'],
    ['the profile, whatever the label says', { enforce: 'pinned', 'enforce-version': 'v1.0' }, 35, 'pinned:v1.29'],
    ['the cluster where the profile says latest', { enforce: 'newest', 'enforce-version': 'v1.0' }, 35, 'newest:v1.35'],
    [
      'the profile, beside restricted, where the label is unreadable',
      { enforce: 'pinned', 'enforce-version': 'new' },
      35,
      'restricted:v1.35+pinned:v1.29',
    ],
  ]
  for (const [name, labels, latest, expected] of versions) {
    it(`take the version from ${name}`, () => assert.equal(named(resolve(labels, { latest }).enforce), expected))
  }

  it('enforce restricted where nobody knows the profile, and say so', () => {
    const policy = resolve({ enforce: 'gone', warn: 'gone-too', audit: 'web-tier' })
    assert.equal(named(policy.enforce), 'restricted:latest')
    assert.equal(policy.enforce?.checks, undefined)
    assert.deepEqual(policy.unknownProfiles, ['gone', 'gone-too'])
    assert.deepEqual(policy.problems, [
      'namespace label drawbridge.dev/enforce: "gone" is no profile; restricted:latest is enforced until it is corrected',
      'namespace label drawbridge.dev/warn: "gone-too" is no profile; correct it to be warned',
    ])
    assert.deepEqual(
      [policy.seccomp, policy.hardening, policy.quarantine],
      [{ type: 'RuntimeDefault' }, undefined, 'enforce'],
    )
  })

  it('cannot take the place of a built-in profile, whatever the look-up says', () => {
    const [, profile] = compiled('loose', { extends: { level: 'privileged' } })
    assert.equal(resolve({ enforce: 'restricted' }, { profiles: () => profile }).enforce?.checks, undefined)
  })

  it('are no names for the upstream labels', () => {
    const policy = resolve({ 'pod-security.kubernetes.io/enforce': 'web-tier' }, { podSecurityLabels: true })
    assert.equal(named(policy.enforce), 'restricted:latest')
  })

  it('hold beside an upstream label, each with its own checks and each finding once', () => {
    const labels = { enforce: 'web-tier', 'pod-security.kubernetes.io/enforce': 'restricted' }
    const policy = resolve(labels, { podSecurityLabels: true })
    assert.equal(named(policy.enforce), 'web-tier+restricted:latest')
    const checks = checksOf(policy.enforce, WITH_PORT)
    for (const check of ['imageDigest', 'hostPorts', 'runAsNonRoot', 'seccompProfile_restricted']) {
      assert.ok(checks.includes(check), check)
    }
    assert.deepEqual(checks, [...checks].sort())
    const { metadata, spec } = pod({ spec: { hostPID: true } })
    const found = policy.enforce ? evaluateProfile(policy.enforce, metadata, spec) : []
    assert.equal(found.filter(({ check }) => check === 'hostNamespaces').length, 1)
    assert.ok(!checksOf(resolve(labels).enforce, WITH_PORT).includes('hostPorts'))
  })

  it('are named in the denial, with what they want', () => {
    const judgement = judge({
      policy: resolve({ enforce: 'web-tier' }),
      request: {
        uid: 'u',
        kind: { group: '', version: 'v1', kind: 'Pod' },
        resource: { group: '', version: 'v1', resource: 'pods' },
        operation: 'CREATE',
        namespace: 'shop',
        object: { metadata: { name: 'web' }, spec: { containers: [{ name: 'web', image: 'nginx:1' }] } },
      },
    })
    assert.equal(
      judgement.message,
      'drawbridge: pod "web" breaks profile web-tier:latest:\n' +
        '- image digest (imageDigest): container "web": spec.containers[0].image is nginx:1, must be named by @sha256:...; fix: add the digest; exception: drawbridge.dev/exception',
    )
    assert.deepEqual(judgement.auditAnnotations, { 'enforce-policy': 'web-tier:latest' })
  })
})
