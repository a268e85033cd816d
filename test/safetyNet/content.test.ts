import assert from 'node:assert/strict'
import { MAX_NET_IMAGES } from '../../src/kube/safetyNet.ts'
import { loadProfile } from '../../src/policy/compileProfile.ts'
import { readAdmissionException } from '../../src/policy/exceptions.ts'
import { createExemptions } from '../../src/policy/exemptions.ts'
import { netContent, type NetSources } from '../../src/safetyNet/content.ts'
import { flaggedOf } from '../../src/verdicts/flagged.ts'
import type { ImageVerdict } from '../../src/verdicts/types.ts'
import { contribution, NOW, verdict } from '../correlator/support.ts'

const DAY = 24 * 3600_000
const NOBODY = { users: [], namespaces: [], runtimeClasses: [] }

type Sources = Omit<Partial<NetSources>, 'verdicts'> & { readonly verdicts?: readonly ImageVerdict[] }

const content = ({ verdicts = [], ...sources }: Sources = {}, now = NOW) =>
  netContent(
    {
      profiles: [],
      namespaces: new Map(),
      minor: 35,
      exceptions: [],
      verdicts: flaggedOf(verdicts),
      brake: 'enforce',
      exemptions: createExemptions(NOBODY),
      podSecurityLabels: false,
      ...sources,
    },
    now,
  )
const exception = (name: string, spec: object = {}): NetSources['exceptions'][number] => ({
  name,
  reading: readAdmissionException({
    apiVersion: 'drawbridge.dev/v1alpha1',
    kind: 'AdmissionException',
    metadata: { name },
    spec: {
      namespaces: ['shop'],
      images: ['registry.example/shop/web:*', 'nginx:1', 'registry.example/x'],
      serviceAccounts: ['*'],
      checks: ['privileged', 'runAsNonRoot'],
      reason: 'a test',
      expiresAt: '2027-01-01T00:00:00Z',
      ...spec,
    },
  }),
})
const profile = (name: string, spec: object): NetSources['profiles'][number] =>
  loadProfile({ apiVersion: 'drawbridge.dev/v1alpha1', kind: 'AdmissionProfile', metadata: { name }, spec }).profile!
const hexOf = (index: number): string => index.toString(16).padStart(64, '0')
const denying = (index: number, fields: Partial<ImageVerdict> = {}): ImageVerdict =>
  verdict({
    name: `sha256-${hexOf(index)}`,
    digests: [`sha256:${hexOf(index)}`],
    references: [],
    phaseSince: NOW + index,
    expiresAt: NOW + 30 * DAY,
    contributions: { a: contribution({ last: NOW }) },
    ...fields,
  })

describe('the parameters of the safety net', () => {
  it('hold the built-in profiles, each by the checks that it has', () => {
    const { profiles, checks } = content().spec
    assert.deepEqual(
      Object.entries(profiles).map(([name, { checks: held, quarantine }]) => [name, quarantine, held]),
      [
        [
          'baseline',
          'enforce',
          {
            capabilities: ['capabilities_baseline'],
            hostNamespaces: ['hostNamespaces'],
            hostPath: ['hostPathVolumes'],
            privileged: ['privileged'],
          },
        ],
        ['privileged', 'enforce', {}],
        [
          'restricted',
          'enforce',
          {
            capabilities: ['capabilities_restricted'],
            hostNamespaces: ['hostNamespaces'],
            hostPath: ['restrictedVolumes'],
            privileged: ['privileged'],
          },
        ],
        [
          'standard',
          'enforce',
          {
            capabilities: ['capabilities_baseline'],
            hostNamespaces: ['hostNamespaces'],
            hostPath: ['hostPathVolumes'],
            privileged: ['privileged'],
          },
        ],
      ],
    )
    assert.deepEqual(checks, {
      capabilities: ['capabilities_baseline', 'capabilities_restricted'],
      hostNamespaces: ['hostNamespaces'],
      hostPath: ['allowedHostPaths', 'hostPathVolumes', 'restrictedVolumes'],
      privileged: ['privileged'],
    })
  })

  it('hold what a profile allows', () => {
    const { profiles } = content({
      profiles: [
        profile('net', {
          extends: { level: 'baseline' },
          allowedCapabilities: ['NET_ADMIN'],
          allowedHostPathPrefixes: [{ path: '//data/./x' }],
          quarantine: 'warn',
        }),
        profile('loose', { extends: { level: 'privileged' } }),
      ],
    }).spec
    assert.equal(profiles['net']?.quarantine, 'warn')
    assert.deepEqual(profiles['net']?.hostPaths, ['/data/x/'])
    assert.deepEqual(profiles['net']?.checks.hostPath, ['allowedHostPaths'])
    assert.deepEqual(
      profiles['net']?.capabilities.filter((name) => !profiles['baseline']?.capabilities.includes(name)),
      ['NET_ADMIN'],
    )
    assert.deepEqual(profiles['loose']?.checks, {})
  })

  it('hold restricted for names that namespaces enforce and nobody knows, those with the net first', () => {
    const named = (prefix: string, more = {}) =>
      Array.from({ length: 90 }, (_, index): [string, object] => [
        `${prefix}${index}`,
        { 'drawbridge.dev/enforce': `${prefix}${index}`, ...more },
      ])
    const sources = {
      profiles: [profile('known', { extends: { level: 'privileged' } })],
      namespaces: new Map([
        ...named('a'),
        ...named('b', { 'drawbridge.dev/when-down': 'net' }),
        ['known', { 'drawbridge.dev/enforce': 'known' }],
        ['level', { 'drawbridge.dev/enforce': 'privileged' }],
        ['none', {}],
      ] as [string, Readonly<Record<string, string>>][]),
    }
    const { spec, counts } = content(sources)
    const names = Object.keys(spec.profiles)
    assert.deepEqual(spec.profiles['b0'], spec.profiles['restricted'])
    assert.deepEqual([spec.profiles['known']?.checks, spec.profiles['privileged']?.checks], [{}, {}])
    assert.deepEqual(
      [names.filter((name) => /^b\d/.test(name)).length, names.filter((name) => /^a\d/.test(name)).length],
      [90, 10],
    )
    assert.deepEqual([counts.profilesLeftOut, spec.profilesComplete], [80, true])
  })

  it('hold every profile where only paths need room, and those of enforced ones first', () => {
    const paths = Array.from({ length: 64 }, (_, index) => ({ path: `/${'d'.repeat(240)}/${index}` }))
    const fat = (name: string) => profile(name, { extends: { level: 'baseline' }, allowedHostPathPrefixes: paths })
    const profiles = [...Array.from({ length: 20 }, (_, index) => fat(`aaa-${index}`)), fat('enforced'), fat('net')]
    const many = Array.from({ length: 10 }, (_, index): [string, object] => [
      `x${index}`,
      { 'drawbridge.dev/enforce': `aaa-${index}` },
    ])
    const namespaces = new Map([
      ...many,
      ['a', { 'drawbridge.dev/enforce': 'net', 'drawbridge.dev/when-down': 'net' }],
    ] as [string, Readonly<Record<string, string>>][])
    const { spec, counts } = content({ profiles, namespaces })
    assert.equal(Object.keys(spec.profiles).length, 4 + profiles.length)
    assert.equal(spec.profiles['net']?.hostPaths.length, 64)
    assert.deepEqual(spec.profiles['net']?.checks.hostPath, ['allowedHostPaths'])
    // Not held of it: what it allows is not known here.
    assert.deepEqual(spec.profiles['enforced']?.hostPaths, [])
    assert.deepEqual(Object.keys(spec.profiles['enforced']?.checks ?? {}), [
      'capabilities',
      'hostNamespaces',
      'privileged',
    ])
    assert.ok(counts.profilesLeftOut > 10 && spec.profilesComplete === true)
    assert.ok(Buffer.byteLength(JSON.stringify(spec.profiles)) < 100 * 1024)
  })

  it('hold an exception of very many patterns for any image', () => {
    const images = (length: number) =>
      Array.from({ length: 32 }, (_, index) => `registry.example/${'p'.repeat(length)}-${index}/*:*`)
    const { exceptions } = content({
      exceptions: [exception('few', { images: images(1) }), exception('many', { images: images(60) })],
    }).spec
    assert.deepEqual([exceptions['few']?.patterns.length, exceptions['many']?.patterns], [32, ['^']])
  })

  it('hold exceptions for what is held, until a minute after their end', () => {
    const { exceptions } = content({
      exceptions: [
        exception('b'),
        exception('a', { expiresAt: new Date(NOW - 30_000).toISOString() }),
        exception('over', { expiresAt: new Date(NOW - 90_000).toISOString() }),
        exception('suspended', { suspended: true }),
        exception('else', { checks: ['runAsNonRoot'] }),
        { name: 'malformed', reading: { problem: 'x' } },
      ],
    }).spec
    assert.deepEqual(Object.keys(exceptions), ['a', 'b'])
    assert.deepEqual(exceptions['b'], {
      namespaces: ['shop'],
      serviceAccounts: ['*'],
      checks: ['privileged'],
      images: ['docker.io/library/nginx:1'],
      patterns: ['^registry\\.example/shop/web:[^/:@]*$'],
      until: '2027-01-01T00:01:00Z',
    })
  })

  it('hold what denies, where it denies, and until when', () => {
    const other = { references: ['registry.example/a:1'] }
    const { images } = content({
      verdicts: [
        denying(2, { ...other, reach: { elsewhere: 'denying', denying: [], warning: ['spared'] } }),
        denying(1, { ...other, reach: { elsewhere: 'warning', denying: ['here'], warning: [] } }),
        denying(3, { phase: 'warning' }),
        denying(4, { phase: 'pending' }),
        denying(5, { expiresAt: NOW + 30_000 }),
        denying(6, { expiresAt: NOW + 3600_000 }),
        denying(7, { release: { by: 'me', reason: 'r', as: 'fixed', at: NOW + 1 } }),
        denying(8, { reach: { elsewhere: 'warning', denying: [], warning: [] } }),
      ],
    }).spec
    const until = '2026-12-22T06:00:00Z'
    const [first, second] = [
      { verdict: 'sha256-000000000000', until, namespaces: ['here'] },
      { verdict: 'sha256-000000000000', until, except: ['spared'] },
    ]
    assert.deepEqual(images[`sha256:${hexOf(1)}`], [first])
    assert.deepEqual(images[`sha256:${hexOf(2)}`], [second])
    assert.equal(images['registry.example/a:1']?.length, 2)
    assert.deepEqual(images[`sha256:${hexOf(6)}`], [{ verdict: 'sha256-000000000000', until: '2026-11-22T07:09:00Z' }])
    assert.equal(Object.keys(images).length, 4)
  })

  it('hold no image while the brake is on', () => {
    for (const brake of ['warn', 'off'] as const) {
      const { spec } = content({ verdicts: [denying(1)], brake })
      assert.deepEqual([spec.images, spec.quarantine], [{}, brake])
    }
  })

  it('are the same text for the same facts, in whatever order they came and however often a sensor repeats itself', () => {
    const verdicts = [denying(1), denying(2), denying(3, { references: ['registry.example/a:1'] })]
    const exceptions = [exception('a'), exception('b')]
    const text = JSON.stringify(content({ verdicts, exceptions }).spec)
    assert.equal(
      JSON.stringify(content({ verdicts: verdicts.toReversed(), exceptions: exceptions.toReversed() }).spec),
      text,
    )
    const repeated = verdicts.map((one) => ({ ...one, expiresAt: one.expiresAt + 60_000 }))
    assert.equal(JSON.stringify(content({ verdicts: repeated, exceptions }, NOW + 60_000).spec), text)
  })

  it('tell an end a little earlier, so that an alert each second is no write', () => {
    for (const [hours, writes] of [
      [0.1, 4],
      [1, 2],
      [12, 2],
      [24, 2],
      [720, 2],
    ] as const) {
      const ends = Array.from({ length: 30 }, (_, second) => {
        const expiresAt = NOW + 60_000 + hours * 3600_000 + second * 1000
        const { images } = content({ verdicts: [denying(1, { expiresAt })] }, NOW + second * 1000).spec
        const until = Date.parse(images[`sha256:${hexOf(1)}`]![0]!.until)
        const early = expiresAt - 60_000 - until
        assert.ok(early >= 0 && early <= Math.max(10_000, hours * 3600_000 * 0.05), `${hours} h: ${early}`)
        return until
      })
      assert.ok(new Set(ends).size <= writes, `${hours} h: ${new Set(ends).size} writes`)
    }
  })

  it(`hold ${MAX_NET_IMAGES} images at most: confirmed, worst, newest`, () => {
    const verdicts = Array.from({ length: MAX_NET_IMAGES + 10 }, (_, index) =>
      denying(index, {
        ...(index === 0 && { confirm: { by: 'me', reason: 'r', at: NOW } }),
        ...(index === 1 && { contributions: { a: contribution({ weight: 200, last: NOW }) } }),
      }),
    )
    const { spec, counts } = content({ verdicts })
    assert.deepEqual([counts.images, counts.imagesLeftOut], [MAX_NET_IMAGES, 10])
    const left = verdicts.map((_, index) => index).filter((index) => !(`sha256:${hexOf(index)}` in spec.images))
    assert.deepEqual(left, [2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
  })

  it('stay below what etcd takes, whatever there is, and leave out denials rather than what allows', () => {
    const long = 'x'.repeat(120)
    const verdicts = Array.from({ length: 5000 }, (_, index) =>
      denying(index, { references: [`registry.example/${long}/${long}/${index}:${long}`] }),
    )
    const exceptions = Array.from({ length: 5000 }, (_, index) => exception(`e${index}`))
    const profiles = Array.from({ length: 500 }, (_, index) => profile(`p${index}`, { extends: { level: 'baseline' } }))
    const users = Array.from({ length: 1000 }, (_, index) => `${long}${long}${index}`)
    const { spec, counts } = content({
      verdicts,
      exceptions,
      profiles,
      exemptions: createExemptions({ ...NOBODY, users }),
    })
    assert.ok(Buffer.byteLength(JSON.stringify(spec)) < 1.3 * 1024 * 1024)
    assert.ok(counts.imagesLeftOut > 0 && counts.exceptionsLeftOut > 0 && counts.profilesLeftOut > 0)
    assert.equal(spec.exceptionsComplete, false)
    // Who is exempt did not fit, so no check is held of anybody; verdicts are.
    assert.ok(Object.values(spec.profiles).every(({ checks }) => Object.keys(checks).length === 0))
    assert.ok(counts.images > 1000)
  })
})
