import assert from 'node:assert/strict'
import { BUILTIN_CHECKS, compileRegistry } from '../../src/policy/registry.ts'
import type { BuiltinProfile, Check, MinorVersion } from '../../src/policy/types.ts'

const nothing = () => []
const check = (id: string, changes: Partial<Check> = {}): Check => ({
  id,
  profiles: ['baseline'],
  versions: [{ since: 0, check: nothing }],
  ...changes,
})

const BASELINE_1_0 = [
  'appArmorProfile',
  'capabilities_baseline',
  'hostNamespaces',
  'hostPathVolumes',
  'hostPorts',
  'privileged',
  'procMount',
  'seLinuxOptions',
  'seccompProfile_baseline',
  'sysctls',
  'windowsHostProcess',
]

const ids = (profile: BuiltinProfile, version: MinorVersion) => BUILTIN_CHECKS(profile, version).map(({ id }) => id)
const without = (list: readonly string[], ...removed: readonly string[]) => list.filter((id) => !removed.includes(id))

describe('the built-in profiles', () => {
  const cases: readonly (readonly [BuiltinProfile, MinorVersion, readonly string[]])[] = [
    ['privileged', 'latest', []],
    ['baseline', 0, BASELINE_1_0],
    ['baseline', 33, BASELINE_1_0],
    ['baseline', 34, [...BASELINE_1_0, 'hostProbesAndHostLifecycle']],
    ['baseline', 'latest', [...BASELINE_1_0, 'hostProbesAndHostLifecycle']],
    ['baseline', 9999, [...BASELINE_1_0, 'hostProbesAndHostLifecycle']],
    [
      'standard',
      'latest',
      [
        ...without(BASELINE_1_0, 'seccompProfile_baseline'),
        'hostProbesAndHostLifecycle',
        'runAsNonRoot_standard',
        'seccompProfile_standard',
      ],
    ],
    ['restricted', 0, [...without(BASELINE_1_0, 'hostPathVolumes'), 'restrictedVolumes', 'runAsNonRoot']],
    [
      'restricted',
      18,
      [...without(BASELINE_1_0, 'hostPathVolumes'), 'allowPrivilegeEscalation', 'restrictedVolumes', 'runAsNonRoot'],
    ],
    [
      'restricted',
      22,
      [
        ...without(BASELINE_1_0, 'hostPathVolumes', 'seccompProfile_baseline', 'capabilities_baseline'),
        'allowPrivilegeEscalation',
        'capabilities_restricted',
        'restrictedVolumes',
        'runAsNonRoot',
        'seccompProfile_restricted',
      ],
    ],
    [
      'restricted',
      'latest',
      [
        ...without(BASELINE_1_0, 'hostPathVolumes', 'seccompProfile_baseline', 'capabilities_baseline', 'procMount'),
        'allowPrivilegeEscalation',
        'capabilities_restricted',
        'hostProbesAndHostLifecycle',
        'procMount_restricted',
        'restrictedVolumes',
        'runAsNonRoot',
        'runAsUser',
        'seccompProfile_restricted',
      ],
    ],
  ]
  for (const [profile, version, expected] of cases) {
    it(`${profile} at ${version}`, () => {
      assert.deepEqual(ids(profile, version), [...expected].sort())
    })
  }
})

describe('compileRegistry', () => {
  const refused: readonly (readonly [string, readonly Check[], RegExp])[] = [
    ['a repeated ID', [check('a'), check('a')], /^Error: check a: registered twice$/u],
    ['no profile', [check('a', { profiles: [] })], /^Error: check a: belongs to no profile$/u],
    [
      'privileged',
      [check('a', { profiles: ['privileged'] })],
      /^Error: check a: cannot belong to profile privileged$/u,
    ],
    [
      'an unknown profile',
      [check('a', { profiles: ['strict' as BuiltinProfile] })],
      /^Error: check a: cannot belong to profile strict$/u,
    ],
    ['no versions', [check('a', { versions: [] })], /^Error: check a: has no versions$/u],
    [
      'versions out of order',
      [check('a', { versions: [2, 1].map((since) => ({ since, check: nothing })) })],
      /^Error: check a: versions must ascend$/u,
    ],
    [
      'a repeated version',
      [check('a', { versions: [1, 1].map((since) => ({ since, check: nothing })) })],
      /^Error: check a: versions must ascend$/u,
    ],
    [
      'half a version',
      [check('a', { versions: [{ since: 1.5, check: nothing }] })],
      /^Error: check a: 1\.5 is no minor version$/u,
    ],
    ['an unknown replaced check', [check('a', { replaces: ['b'] })], /^Error: check a: cannot replace b$/u],
    ['a check that replaces itself', [check('a', { replaces: ['a'] })], /^Error: check a: cannot replace a$/u],
    [
      'a replacement without a common profile',
      [check('a', { replaces: ['b'], profiles: ['standard'] }), check('b')],
      /^Error: check a: shares no profile with b, which it replaces$/u,
    ],
  ]
  for (const [name, checks, message] of refused) {
    it(`refuses ${name}`, () => {
      assert.throws(() => compileRegistry(checks), message)
    })
  }

  it('replaces only where the replacing check is active', () => {
    const registry = compileRegistry([
      check('weak', { profiles: ['baseline', 'restricted'] }),
      check('strong', { profiles: ['restricted'], replaces: ['weak'], versions: [{ since: 5, check: nothing }] }),
    ])
    const idsOf = (profile: BuiltinProfile, version: MinorVersion) => registry(profile, version).map(({ id }) => id)
    assert.deepEqual(idsOf('restricted', 4), ['weak'])
    assert.deepEqual(idsOf('restricted', 5), ['strong'])
    assert.deepEqual(idsOf('baseline', 5), ['weak'])
  })
})
