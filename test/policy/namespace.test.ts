import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { formatProfile, resolveNamespace, type ResolveOptions } from '../../src/policy/namespace.ts'
import type { NamespacePolicy } from '../../src/policy/types.ts'

const RUNTIME_DEFAULT = { type: 'RuntimeDefault' } as const
const at = (profile: string, version: number | 'latest' = 'latest') => ({ profile, version })

const NOTHING: NamespacePolicy = {
  enforce: undefined,
  warn: undefined,
  audit: undefined,
  seccomp: undefined,
  quarantine: 'off',
  problems: [],
}
const ENFORCING: NamespacePolicy = {
  ...NOTHING,
  enforce: at('standard'),
  seccomp: RUNTIME_DEFAULT,
  quarantine: 'enforce',
}
const RESTRICTED: NamespacePolicy = { ...ENFORCING, enforce: at('restricted') }

const own = (labels: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(labels).map(([name, value]) => [`drawbridge.dev/${name}`, value]))
const upstream = (labels: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(labels).map(([name, value]) => [`pod-security.kubernetes.io/${name}`, value]))

type Case = readonly [string, Readonly<Record<string, string>>, ResolveOptions, NamespacePolicy]

describe('resolveNamespace', () => {
  const cases: readonly Case[] = [
    ['no labels', {}, {}, NOTHING],
    ['foreign labels', { team: 'shop', 'drawbridge.dev/enforced': 'standard' }, {}, NOTHING],
    ['versions alone ask for nothing', own({ 'enforce-version': 'v1.30', 'when-down': 'net' }), {}, NOTHING],
    ['enforce', own({ enforce: 'standard' }), {}, ENFORCING],
    ['latest as text', own({ enforce: 'standard', 'enforce-version': 'latest' }), {}, ENFORCING],
    [
      'a version',
      own({ enforce: 'standard', 'enforce-version': 'v1.29' }),
      {},
      { ...ENFORCING, enforce: at('standard', 29) },
    ],
    [
      'version zero',
      own({ enforce: 'standard', 'enforce-version': 'v1.0' }),
      {},
      { ...ENFORCING, enforce: at('standard', 0) },
    ],
    [
      "the cluster's version as latest",
      own({ enforce: 'standard' }),
      { latest: 35 },
      { ...ENFORCING, enforce: at('standard', 35) },
    ],
    ['privileged is enforcing too', own({ enforce: 'privileged' }), {}, { ...ENFORCING, enforce: at('privileged') }],
    [
      'warn and audit, each with its version',
      own({ warn: 'baseline', 'warn-version': 'v1.30', audit: 'restricted' }),
      {},
      { ...NOTHING, warn: at('baseline', 30), audit: at('restricted') },
    ],
    ['seccomp alone', own({ seccomp: 'RuntimeDefault' }), {}, { ...NOTHING, seccomp: RUNTIME_DEFAULT }],
    ['seccomp off', own({ enforce: 'standard', seccomp: 'off' }), {}, { ...ENFORCING, seccomp: undefined }],
    [
      'a profile on the node',
      own({ seccomp: 'localhost.audit-1.2' }),
      {},
      { ...NOTHING, seccomp: { type: 'Localhost', localhostProfile: 'drawbridge/audit-1.2.json' } },
    ],
    ['quarantine alone', own({ quarantine: 'warn' }), {}, { ...NOTHING, quarantine: 'warn' }],
    ['quarantine off', own({ enforce: 'standard', quarantine: 'off' }), {}, { ...ENFORCING, quarantine: 'off' }],
    ['upstream labels are not read by default', upstream({ enforce: 'restricted' }), {}, NOTHING],
    [
      'upstream labels bring checks only',
      upstream({ enforce: 'baseline', 'enforce-version': 'v1.20', warn: 'restricted' }),
      { podSecurityLabels: true },
      { ...NOTHING, enforce: at('baseline', 20), warn: at('restricted') },
    ],
    ['no upstream labels', {}, { podSecurityLabels: true }, NOTHING],
    [
      'the stricter of both: upstream',
      { ...own({ enforce: 'privileged' }), ...upstream({ enforce: 'restricted', 'enforce-version': 'v1.30' }) },
      { podSecurityLabels: true },
      { ...ENFORCING, enforce: at('restricted', 30) },
    ],
    [
      'the stricter of both: own, also at a tie',
      { ...own({ enforce: 'baseline' }), ...upstream({ enforce: 'baseline' }) },
      { podSecurityLabels: true },
      { ...ENFORCING, enforce: at('baseline') },
    ],
  ]
  for (const [name, labels, options, expected] of cases) {
    it(name, () => {
      assert.deepEqual({ ...NOTHING, ...resolveNamespace(labels, options) }, expected)
    })
  }

  it('runs the checks of both where neither is surely the stricter one: another version may check less', () => {
    const labels = {
      ...own({ enforce: 'standard' }),
      ...upstream({ enforce: 'restricted', 'enforce-version': 'v1.0' }),
    }
    const { enforce } = resolveNamespace(labels, { podSecurityLabels: true })
    const ids = (enforce?.checks ?? []).map(({ id }) => id)
    for (const id of ['seccompProfile_standard', 'runAsNonRoot_standard', 'runAsNonRoot', 'restrictedVolumes']) {
      assert.ok(ids.includes(id), `${id} is missing in ${ids.join(', ')}`)
    }
    assert.equal(enforce?.profile, 'restricted:v1.0+standard')
  })

  it('does not take restricted for stricter than standard where upstream asks for less: before 1.23', () => {
    for (const [minor, isBoth] of [
      [18, true],
      [22, true],
      [23, false],
    ] as const) {
      const version = { 'enforce-version': `v1.${minor}` }
      const labels = { ...own({ enforce: 'standard', ...version }), ...upstream({ enforce: 'restricted', ...version }) }
      const { enforce } = resolveNamespace(labels, { podSecurityLabels: true })
      assert.equal(enforce?.checks !== undefined, isBoth, String(minor))
    }
  })

  it('lets what resolves go on holding beside restricted, when another label does not resolve', () => {
    const { enforce } = resolveNamespace(own({ enforce: 'restricted', 'enforce-version': 'v1.30', quarantine: 'x' }))
    assert.equal(enforce?.profile, 'restricted:latest+restricted')
    assert.ok((enforce?.checks ?? []).some(({ id }) => id === 'runAsUser'))
  })

  const UNTIL = '; restricted:latest is enforced until it is corrected'
  const unresolvable: readonly (readonly [string, Readonly<Record<string, string>>, NamespacePolicy])[] = [
    [
      'a profile that nobody knows',
      own({ enforce: 'strict' }),
      { ...RESTRICTED, problems: [`namespace label drawbridge.dev/enforce: "strict" is no profile${UNTIL}`] },
    ],
    [
      'an empty profile',
      own({ enforce: '' }),
      { ...RESTRICTED, problems: [`namespace label drawbridge.dev/enforce: "" is no profile${UNTIL}`] },
    ],
    [
      'a name of Object.prototype',
      own({ enforce: 'constructor' }),
      { ...RESTRICTED, problems: [`namespace label drawbridge.dev/enforce: "constructor" is no profile${UNTIL}`] },
    ],
    ...['1.30', 'v1', 'v1.', 'v1.030', 'v2.1', 'v1.99999', 'Latest'].map(
      (version) =>
        [
          `version ${version}`,
          own({ enforce: 'baseline', 'enforce-version': version }),
          {
            ...RESTRICTED,
            problems: [
              `namespace label drawbridge.dev/enforce-version: "${version}" is no version (latest or v1.N)${UNTIL}`,
            ],
          },
        ] as const,
    ),
    ...[
      'localhost.',
      'localhost.a/b',
      'localhost...',
      'localhost.a..b',
      'Localhost.a',
      'runtimedefault',
      'Unconfined',
      '',
    ].map(
      (value) =>
        [
          `seccomp ${value}`,
          own({ enforce: 'baseline', seccomp: value }),
          {
            ...RESTRICTED,
            problems: [
              `namespace label drawbridge.dev/seccomp: "${value}" is no setting (RuntimeDefault, localhost.<name> or off)${UNTIL}`,
            ],
          },
        ] as const,
    ),
    [
      'quarantine',
      own({ quarantine: 'Off' }),
      {
        ...RESTRICTED,
        seccomp: undefined,
        problems: [`namespace label drawbridge.dev/quarantine: "Off" is no setting (enforce, warn or off)${UNTIL}`],
      },
    ],
    [
      'warn and audit only say so',
      own({ warn: 'x', audit: 'baseline', 'audit-version': 'y' }),
      {
        ...NOTHING,
        audit: at('baseline'),
        problems: [
          'namespace label drawbridge.dev/warn: "x" is no profile; correct it to be warned',
          'namespace label drawbridge.dev/audit-version: "y" is no version (latest or v1.N); correct it to be warned',
        ],
      },
    ],
  ]
  for (const [name, labels, expected] of unresolvable) {
    it(`enforces restricted, or says so: ${name}`, () => {
      assert.deepEqual({ ...NOTHING, ...resolveNamespace(labels) }, expected)
    })
  }

  it('knows no standard profile under the upstream labels', () => {
    const policy = resolveNamespace(upstream({ enforce: 'standard' }), { podSecurityLabels: true })
    assert.deepEqual(policy.enforce, at('restricted'))
    assert.equal(policy.problems.length, 1)
  })

  it('never enforces less than restricted for an enforce label that is no built-in profile, and never throws', () => {
    fc.assert(
      fc.property(fc.string(), fc.option(fc.string(), { nil: 'latest' }), (name, version) => {
        const policy = resolveNamespace({ 'drawbridge.dev/enforce': name, 'drawbridge.dev/enforce-version': version })
        if (!['privileged', 'baseline', 'standard', 'restricted'].includes(name)) {
          assert.deepEqual(policy.enforce, at('restricted'))
          assert.equal(policy.problems.length, 1)
        }
      }),
    )
  })
})

describe('formatProfile', () => {
  it('writes versions as labels do', () => {
    assert.equal(formatProfile(at('standard')), 'standard:latest')
    assert.equal(formatProfile(at('restricted', 29)), 'restricted:v1.29')
  })
})
