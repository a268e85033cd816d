import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { loadProfile, type CompiledProfile } from '../../src/policy/compileProfile.ts'
import { evaluate, evaluateProfile } from '../../src/policy/evaluate.ts'
import type { BuiltinProfile, MinorVersion } from '../../src/policy/types.ts'
import { FIXTURES } from '../fixtures/checks/index.ts'
import { pod, type Tweak } from '../fixtures/checks/pods.ts'

const profile = (level: BuiltinProfile, settings: object = {}): CompiledProfile => {
  const loaded = loadProfile({
    apiVersion: 'drawbridge.dev/v1alpha1',
    kind: 'AdmissionProfile',
    metadata: { name: 'web-tier' },
    spec: { extends: { level }, ...settings },
  })
  assert.ok(loaded.profile, loaded.problems?.join('\n'))
  return loaded.profile
}
const judged = (compiled: CompiledProfile, template = pod(), version: MinorVersion = 'latest') =>
  evaluateProfile(
    { profile: compiled.name, version, checks: compiled.checksAt(version) },
    template.metadata,
    template.spec,
  )
/** `check path=found, wanted`, for the checks that are about what the test is about. */
const findings = (compiled: CompiledProfile, tweak: Tweak, ...checks: readonly string[]) =>
  judged(compiled, pod(tweak))
    .filter(({ check }) => checks.includes(check))
    .map(({ check, path, found, required }) => `${check} ${path}=${found}, wanted ${required}`)
const adding = (...add: readonly string[]): Tweak => ({ web: { securityContext: { capabilities: { add } } } })
const volumes = (...list: readonly object[]): Tweak => ({
  spec: { volumes: list.map((volume, index) => ({ name: `v${index}`, ...volume })) },
})

describe('an AdmissionProfile', () => {
  const levels: readonly BuiltinProfile[] = ['privileged', 'baseline', 'standard', 'restricted']
  for (const level of levels) {
    it(`without settings is ${level}, at every version`, () => {
      const compiled = profile(level)
      for (const version of [0, 21, 25, 35, 'latest'] as const) {
        for (const { versions } of FIXTURES) {
          for (const [template] of versions.flatMap(({ fail }) => Object.values(fail))) {
            assert.deepEqual(
              judged(compiled, template, version),
              evaluate(level, version, template.metadata, template.spec),
            )
          }
        }
      }
    })
  }

  it('compiles the checks of one version once', () => {
    const compiled = profile('baseline', { requireDigest: true })
    assert.equal(compiled.checksAt('latest'), compiled.checksAt('latest'))
    assert.ok(!compiled.checksAt(30).some(({ id }) => id === 'hostProbesAndHostLifecycle'))
    assert.ok(compiled.checksAt(34).some(({ id }) => id === 'hostProbesAndHostLifecycle'))
    const ids = compiled.checksAt('latest').map(({ id }) => id)
    assert.deepEqual(ids, [...ids].sort())
    assert.ok(ids.includes('imageDigest'))
  })

  const CAPABILITIES = ['capabilities_baseline', 'capabilities_restricted'] as const
  const ADD = 'spec.containers[0].securityContext.capabilities.add'
  const cases: readonly (readonly [string, CompiledProfile, Tweak, readonly string[], readonly string[]])[] = [
    [
      'an allowed capability',
      profile('baseline', { allowedCapabilities: ['NET_RAW'] }),
      adding('NET_RAW', 'CHOWN'),
      CAPABILITIES,
      [],
    ],
    [
      'another capability beside it',
      profile('baseline', { allowedCapabilities: ['NET_RAW'] }),
      adding('NET_RAW', 'SYS_ADMIN'),
      CAPABILITIES,
      [`capabilities_baseline ${ADD}=SYS_ADMIN, wanted default ones only, or NET_RAW`],
    ],
    [
      'small letters',
      profile('baseline', { allowedCapabilities: ['NET_RAW'] }),
      adding('net_raw'),
      CAPABILITIES,
      [`capabilities_baseline ${ADD}=net_raw, wanted default ones only, or NET_RAW`],
    ],
    [
      'ALL, when one is allowed',
      profile('baseline', { allowedCapabilities: ['NET_RAW'] }),
      adding('ALL'),
      CAPABILITIES,
      [`capabilities_baseline ${ADD}=ALL, wanted default ones only, or NET_RAW`],
    ],
    [
      'dropping ALL, which the allowance does not name',
      profile('restricted', { allowedCapabilities: ['NET_RAW'] }),
      { every: { securityContext: { capabilities: { drop: ['ALL'] } } }, ...adding('NET_RAW') },
      CAPABILITIES,
      ['capabilities_restricted spec.containers[0].securityContext.capabilities.drop=not set, wanted a list with ALL'],
    ],
    [
      'an allowed port',
      profile('baseline', { allowedHostPorts: [{ min: 80, max: 81 }] }),
      { web: { ports: [{ hostPort: 80 }, { hostPort: 81 }] } },
      ['hostPorts'],
      [],
    ],
    [
      'the port after it',
      profile('baseline', {
        allowedHostPorts: [
          { min: 80, max: 81 },
          { min: 90, max: 90 },
        ],
      }),
      { web: { ports: [{ hostPort: 80 }, { hostPort: 82 }] } },
      ['hostPorts'],
      ['hostPorts spec.containers[0].ports[1].hostPort=82, wanted not set, or 80-81, 90'],
    ],
    [
      'an allowed volume type',
      profile('restricted', { allowedVolumeTypes: ['nfs'] }),
      volumes({ nfs: {} }),
      ['restrictedVolumes'],
      [],
    ],
    [
      'a forbidden type beside an allowed one',
      profile('restricted', { allowedVolumeTypes: ['nfs'] }),
      volumes({ emptyDir: {} }, { nfs: {}, hostPath: { path: '/' } }),
      ['restrictedVolumes'],
      ['restrictedVolumes spec.volumes[1].hostPath=hostPath, wanted an allowed type, or nfs'],
    ],
    [
      'a host path instead of hostPathVolumes',
      profile('baseline', { allowedHostPathPrefixes: [{ path: '/data' }] }),
      volumes({ hostPath: { path: '/data/x' } }, { hostPath: { path: '/etc' } }),
      ['hostPathVolumes', 'allowedHostPaths'],
      ['allowedHostPaths spec.volumes[1].hostPath=/etc, wanted in /data'],
    ],
  ]
  for (const [name, compiled, tweak, checks, expected] of cases) {
    it(`judges ${name}`, () => assert.deepEqual(findings(compiled, tweak, ...checks), expected))
  }

  it('says in the denial why a capability is dangerous', () => {
    const [violation] = judged(profile('baseline'), pod(adding('NET_RAW', 'SYS_ADMIN')))
    assert.equal(violation?.fix, 'remove it from add (SYS_ADMIN: mounts and namespaces, nearly root)')
  })

  const ALLOWANCES = [
    [
      { allowedCapabilities: ['NET_RAW', 'SYS_ADMIN', 'SYS_PTRACE'] },
      ['capabilities_baseline', 'capabilities_restricted'],
    ],
    [{ allowedHostPorts: [{ min: 1, max: 65535 }] }, ['hostPorts']],
    [{ allowedHostPathPrefixes: [{ path: '/' }] }, ['hostPathVolumes', 'allowedHostPaths']],
    [{ allowedVolumeTypes: ['nfs', 'iscsi'] }, ['restrictedVolumes']],
  ] as const
  const failing = FIXTURES.flatMap(({ versions }) =>
    versions.flatMap(({ fail }) => Object.values(fail).map(([template]) => template)),
  )

  it('loosens only the check that the allowance names, whatever the pod', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...ALLOWANCES),
        fc.constantFrom(...failing),
        fc.constantFrom(0, 22, 'latest' as const),
        ([settings, named], template, version) => {
          const level = 'allowedVolumeTypes' in settings ? 'restricted' : 'baseline'
          const others = ({ check }: { readonly check: string }) => !(named as readonly string[]).includes(check)
          const plain = evaluate(level, version, template.metadata, template.spec)
          const loosened = judged(profile(level, settings), template, version)
          assert.deepEqual(loosened.filter(others), plain.filter(others))
          assert.ok(loosened.length <= plain.length)
        },
      ),
    )
  })

  it('is never weaker than its level by what it requires', () => {
    const requiring = profile('baseline', {
      runAsUser: [{ min: 1, max: 2 }],
      runAsGroup: [{ min: 1, max: 2 }],
      allowedRegistries: ['registry.example'],
      requireDigest: true,
      forbidLatestTag: true,
      automountServiceAccountToken: false,
      readOnlyRootFilesystem: true,
    })
    fc.assert(
      fc.property(fc.constantFrom(...failing), (template) => {
        const all = judged(requiring, template).map(({ check, path }) => `${check} ${path}`)
        for (const { check, path } of evaluate('baseline', 'latest', template.metadata, template.spec)) {
          assert.ok(all.includes(`${check} ${path}`))
        }
      }),
    )
  })
})
