import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { contradictions } from '../../src/policy/contradictions.ts'
import { loadProfile } from '../../src/policy/compileProfile.ts'
import { readAdmissionProfile } from '../../src/policy/profile.ts'

const object = (spec: unknown, name = 'web-tier'): unknown => ({
  apiVersion: 'drawbridge.dev/v1alpha1',
  kind: 'AdmissionProfile',
  metadata: { name },
  spec,
})
const baseline = (settings: object = {}) => object({ extends: { level: 'baseline' }, ...settings })

describe('readAdmissionProfile', () => {
  it('reads every setting, and normalises paths and registries', () => {
    const spec = {
      extends: { level: 'standard', version: 'v1.35' },
      allowedCapabilities: ['NET_RAW', 'ALL'],
      allowedHostPorts: [{ min: 8000, max: 8080 }],
      allowedVolumeTypes: ['nfs'],
      allowedHostPathPrefixes: [{ path: '//data/./x/', readOnly: true }, { path: '/' }],
      runAsUser: [{ min: 0, max: 2147483647 }],
      runAsGroup: [{ min: 1000, max: 1000 }],
      allowedRegistries: ['Registry.example:5000/team', 'index.docker.io', 'localhost'],
      requireDigest: true,
      forbidLatestTag: false,
      automountServiceAccountToken: false,
      readOnlyRootFilesystem: true,
      seccomp: { type: 'Localhost', localhostProfile: 'drawbridge/web.json' },
      hardening: { allowPrivilegeEscalation: false, dropAllCapabilities: true, runAsNonRoot: false },
      quarantine: 'warn',
    }
    assert.deepEqual(readAdmissionProfile(object(spec)), {
      profile: {
        name: 'web-tier',
        spec: {
          ...spec,
          extends: { level: 'standard', version: 35 },
          allowedHostPathPrefixes: [{ path: '/data/x', readOnly: true }, { path: '/' }],
          allowedRegistries: ['registry.example:5000/team', 'docker.io', 'localhost'],
        },
      },
    })
  })

  it('takes null for absent, as the API server does', () => {
    const read = readAdmissionProfile(baseline({ runAsUser: null, seccomp: null }))
    assert.deepEqual(read.profile?.spec, { extends: { level: 'baseline' } })
  })

  const refused: readonly (readonly [string, unknown, string])[] = [
    ['nothing', undefined, 'wanted an AdmissionProfile, found nothing'],
    ['a list', [], 'wanted an AdmissionProfile, found an empty list'],
    ['no spec', { ...(object({}) as object), spec: undefined }, 'spec: wanted an object, found nothing'],
    ['another kind', { ...(baseline() as object), kind: 'Pod' }, 'kind: wanted AdmissionProfile, found "Pod"'],
    [
      'another version',
      { ...(baseline() as object), apiVersion: 'drawbridge.dev/v1' },
      'apiVersion: wanted drawbridge.dev/v1alpha1, found "drawbridge.dev/v1"',
    ],
    ['no name', { ...(baseline() as object), metadata: {} }, 'metadata.name: wanted a name'],
    ['no level', object({}), 'spec.extends: is required'],
    [
      'an unknown level',
      object({ extends: { level: 'strict' } }),
      'spec.extends.level: wanted privileged, baseline, standard, restricted, found "strict"',
    ],
    [
      'a version that is none',
      object({ extends: { level: 'baseline', version: '1.35' } }),
      'spec.extends.version: wanted latest or v1.N, found "1.35"',
    ],
    ['a misspelt setting', baseline({ requiredDigest: true }), 'spec: unknown field "requiredDigest"'],
    [
      '__proto__',
      JSON.parse(
        '{"apiVersion":"drawbridge.dev/v1alpha1","kind":"AdmissionProfile","metadata":{"name":"a"},"spec":{"extends":{"level":"baseline"},"__proto__":{"requireDigest":true}}}',
      ),
      'spec: unknown field "__proto__"',
    ],
    [
      'a setting of a wrong type',
      baseline({ requireDigest: 'yes' }),
      'spec.requireDigest: wanted true, false, found "yes"',
    ],
    [
      'an automounted token',
      baseline({ automountServiceAccountToken: true }),
      'spec.automountServiceAccountToken: wanted false, found a boolean',
    ],
    [
      'CAP_',
      baseline({ allowedCapabilities: ['CAP_NET_RAW'] }),
      'spec.allowedCapabilities[0]: wanted a capability in capitals and without CAP_, or ALL, found "CAP_NET_RAW"',
    ],
    [
      'an empty list',
      baseline({ allowedCapabilities: [] }),
      'spec.allowedCapabilities: wanted a list of 1 to 64, found 0',
    ],
    [
      'the same twice',
      baseline({ allowedCapabilities: ['NET_RAW', 'NET_RAW'] }),
      'spec.allowedCapabilities: holds something twice',
    ],
    [
      'the same path twice',
      baseline({ allowedHostPathPrefixes: [{ path: '/a' }, { path: '/a/' }] }),
      'spec.allowedHostPathPrefixes: holds something twice',
    ],
    [
      'too much',
      baseline({ runAsUser: Array.from({ length: 65 }, (_, index) => ({ min: index, max: index })) }),
      'spec.runAsUser: wanted a list of 1 to 64, found 65',
    ],
    [
      'a port that is none',
      baseline({ allowedHostPorts: [{ min: 0, max: 1 }] }),
      'spec.allowedHostPorts[0].min: wanted a whole number from 1 to 65535, found 0',
    ],
    ['half a range', baseline({ runAsUser: [{ min: 1 }] }), 'spec.runAsUser[0].max: is required'],
    [
      'half a number',
      baseline({ runAsUser: [{ min: 1.5, max: 2 }] }),
      'spec.runAsUser[0].min: wanted a whole number from 0 to 2147483647, found 1.5',
    ],
    [
      'hostPath as a type',
      baseline({ allowedVolumeTypes: ['hostPath'] }),
      'spec.allowedVolumeTypes[0]: wanted a volume type that restricted forbids (for hostPath use allowedHostPathPrefixes), found "hostPath"',
    ],
    [
      'a step back',
      baseline({ allowedHostPathPrefixes: [{ path: '/data/../etc' }] }),
      'spec.allowedHostPathPrefixes[0].path: wanted an absolute path without .., found "/data/../etc"',
    ],
    ...[
      'team',
      'https://registry.example',
      'registry.example/',
      'registry.example/team:1',
      'registry.example/Team',
      'registry.example/a//b',
      '*.example',
      ' registry.example',
    ].map(
      (registry) =>
        [
          `the registry "${registry}"`,
          baseline({ allowedRegistries: [registry] }),
          `spec.allowedRegistries[0]: wanted a registry such as registry.example, or registry.example/team, found "${registry}"`,
        ] as const,
    ),
    [
      'Unconfined',
      baseline({ seccomp: { type: 'Unconfined' } }),
      'spec.seccomp.type: wanted RuntimeDefault, Localhost, found "Unconfined"',
    ],
    [
      'Localhost without a name',
      baseline({ seccomp: { type: 'Localhost' } }),
      'spec.seccomp.localhostProfile: is required for type Localhost',
    ],
    [
      'a name without Localhost',
      baseline({ seccomp: { type: 'RuntimeDefault', localhostProfile: 'a' } }),
      'spec.seccomp.localhostProfile: is for type Localhost only',
    ],
    [
      'a seccomp file elsewhere',
      baseline({ seccomp: { type: 'Localhost', localhostProfile: '../a' } }),
      'spec.seccomp.localhostProfile: wanted a path below the seccomp folder of the node, without .., found "../a"',
    ],
    [
      'hardening that loosens',
      baseline({ hardening: { allowPrivilegeEscalation: true } }),
      'spec.hardening.allowPrivilegeEscalation: wanted false, found a boolean',
    ],
    [
      'unprintable text',
      baseline({ quarantine: 'o\u202eff' }),
      'spec.quarantine: wanted enforce, warn, off, found "o\\u{202e}ff"',
    ],
  ]
  for (const [name, document, problem] of refused) {
    it(`refuses ${name}`, () => assert.deepEqual(readAdmissionProfile(document), { problems: [problem] }))
  }

  it('never throws, whatever it is given, and never takes what it does not know', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (document, settings) => {
        loadProfile(document)
        loadProfile(object(settings))
        loadProfile(baseline(settings !== null && typeof settings === 'object' ? settings : {}))
      }),
    )
  })
})

const problemsOf = (document: unknown): readonly string[] => {
  const { profile } = readAdmissionProfile(document)
  assert.ok(profile)
  return contradictions(profile)
}

describe('contradictions', () => {
  const extending = (level: string, settings: object, name?: string) =>
    object({ extends: { level }, ...settings }, name)

  const cases: readonly (readonly [string, unknown, string])[] = [
    [
      'the name of a built-in profile',
      object({ extends: { level: 'baseline' } }, 'restricted'),
      'metadata.name: restricted is a built-in profile',
    ],
    [
      'a name that no label can hold',
      object({ extends: { level: 'baseline' } }, 'Web_1'),
      'metadata.name: "Web_1" is no DNS label (small letters, digits, dashes; at most 63), and no namespace label could name it',
    ],
    [
      'an empty range',
      baseline({ allowedHostPorts: [{ min: 9, max: 8 }] }),
      'spec.allowedHostPorts[0]: is empty, min 9 is larger than max 8',
    ],
    [
      'only user 0 beside runAsNonRoot',
      baseline({ runAsUser: [{ min: 0, max: 0 }], hardening: { runAsNonRoot: true } }),
      'spec.runAsUser: holds only user 0, and hardening.runAsNonRoot injects that nobody is user 0',
    ],
    [
      'only user 0 in standard',
      extending('standard', { runAsUser: [{ min: 0, max: 0 }] }),
      'spec.runAsUser: holds only user 0, and standard forbids user 0',
    ],
    [
      'ports in privileged',
      extending('privileged', { allowedHostPorts: [{ min: 1, max: 2 }] }),
      'spec.allowedHostPorts: changes nothing, privileged forbids nothing',
    ],
    [
      'volume types in baseline',
      baseline({ allowedVolumeTypes: ['nfs'] }),
      'spec.allowedVolumeTypes: changes nothing, baseline does not restrict volume types (only restricted does)',
    ],
    [
      'ALL in restricted',
      extending('restricted', { allowedCapabilities: ['ALL'] }),
      'spec.allowedCapabilities: allows adding ALL, and restricted requires dropping ALL',
    ],
    [
      'ALL that hardening drops',
      baseline({ allowedCapabilities: ['ALL'], hardening: { dropAllCapabilities: true } }),
      'spec.allowedCapabilities: allows adding ALL, and hardening.dropAllCapabilities drops ALL',
    ],
    [
      'host paths in restricted',
      extending('restricted', { allowedHostPathPrefixes: [{ path: '/data' }] }),
      'spec.allowedHostPathPrefixes: restricted forbids every hostPath; extend standard or baseline',
    ],
    [
      'read-only inside writable',
      baseline({ allowedHostPathPrefixes: [{ path: '/data/x', readOnly: true }, { path: '/data' }] }),
      'spec.allowedHostPathPrefixes[0]: /data/x is read-only inside /data, which may be written',
    ],
  ]
  for (const [name, document, problem] of cases) {
    it(`finds ${name}`, () => {
      assert.deepEqual(problemsOf(document), [problem])
      assert.deepEqual(loadProfile(document), { problems: [problem] })
    })
  }

  const fine: readonly (readonly [string, unknown])[] = [
    [
      'writable inside read-only',
      baseline({ allowedHostPathPrefixes: [{ path: '/data', readOnly: true }, { path: '/data/x' }] }),
    ],
    [
      'read-only beside a longer name',
      baseline({ allowedHostPathPrefixes: [{ path: '/database', readOnly: true }, { path: '/data' }] }),
    ],
    [
      'one capability added where all are dropped',
      extending('restricted', { allowedCapabilities: ['NET_RAW'], hardening: { dropAllCapabilities: true } }),
    ],
    ['user 0 among others', baseline({ runAsUser: [{ min: 0, max: 9 }], hardening: { runAsNonRoot: true } })],
    ['a name of 63 characters', object({ extends: { level: 'privileged' } }, 'a'.repeat(63))],
  ]
  for (const [name, document] of fine) {
    it(`has nothing against ${name}`, () => assert.deepEqual(problemsOf(document), []))
  }
})
