/** The guard beside the engine: what the guard lets everybody do never makes the engine ask for less. */
import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { LABEL, POD_SECURITY_LABEL } from '../../src/kube/names.ts'
import type { Labels, PodTemplate } from '../../src/kube/types.ts'
import { loadProfile } from '../../src/policy/compileProfile.ts'
import { evaluate, evaluateProfile } from '../../src/policy/evaluate.ts'
import { judge } from '../../src/policy/judge.ts'
import { resolveNamespace } from '../../src/policy/namespace.ts'
import { BUILTIN_PROFILES } from '../../src/policy/registry.ts'
import type { NamespacePolicy, ProfileAtVersion } from '../../src/policy/types.ts'
import { FIXTURES } from '../fixtures/checks/index.ts'
import { realisticPod } from '../policy/realisticPods.ts'
import { guardModel } from './guardModel.ts'

const LATEST = 36
const RUNS = 1000
const PROFILES: readonly (readonly [string, object])[] = [
  ['loose', { extends: { level: 'privileged' }, quarantine: 'off' }],
  ['strict', { extends: { level: 'restricted' }, forbidLatestTag: true }],
  ['old', { extends: { level: 'baseline', version: 'v1.5' }, seccomp: { type: 'RuntimeDefault' }, quarantine: 'warn' }],
]
const profiles = new Map(
  PROFILES.map(([name, spec]) => [
    name,
    loadProfile({
      apiVersion: 'drawbridge.dev/v1alpha1',
      kind: 'AdmissionProfile',
      metadata: { name },
      spec,
    }).profile!,
  ]),
)
const policyOf = (labels: Labels): NamespacePolicy =>
  resolveNamespace(labels, { latest: LATEST, podSecurityLabels: true, profiles: (name) => profiles.get(name) })

const PROFILE_VALUES = [...BUILTIN_PROFILES, ...BUILTIN_PROFILES, 'loose', 'strict', 'old', 'unknown', 'Restricted', '']
const VERSION_VALUES = [
  'latest',
  `v1.${LATEST}`,
  'v1.0',
  'v1.5',
  'v1.18',
  'v1.22',
  'v1.23',
  'v1.30',
  'V1.5',
  'v1.05',
  '',
]
/** Every honoured label with values that mean something, and some that do not. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  [LABEL.enforce]: PROFILE_VALUES,
  [LABEL.enforceVersion]: VERSION_VALUES,
  [LABEL.warn]: PROFILE_VALUES,
  [LABEL.warnVersion]: VERSION_VALUES,
  [LABEL.audit]: PROFILE_VALUES,
  [LABEL.auditVersion]: VERSION_VALUES,
  [LABEL.seccomp]: [
    'RuntimeDefault',
    'localhost.web',
    'localhost.a.b',
    'localhost.',
    'localhost.a..b',
    'off',
    'Off',
    '',
  ],
  [LABEL.quarantine]: ['enforce', 'warn', 'off', 'Enforce', ''],
  [LABEL.whenDown]: ['deny', 'net', 'Deny', ''],
  ...Object.fromEntries(
    Object.values(POD_SECURITY_LABEL).flatMap((label) => [
      [label, PROFILE_VALUES],
      [`${label}-version`, VERSION_VALUES],
    ]),
  ),
}
const LABELS = Object.keys(VALUES)

/** A label and its value; undefined: not there. */
const setting = fc
  .constantFrom(...LABELS)
  .chain((label) => fc.tuple(fc.constant(label), fc.constantFrom(undefined, ...(VALUES[label] ?? []))))
const withSettings = (labels: Labels, settings: readonly (readonly [string, string | undefined])[]): Labels =>
  Object.fromEntries(
    [...new Map([...Object.entries(labels), ...settings])].filter(
      (entry): entry is [string, string] => entry[1] !== undefined,
    ),
  )
/** Most namespaces hold a few labels; a change touches one to three of them. */
const labels = fc.array(setting, { maxLength: 6 }).map((settings) => withSettings({}, settings))
const change = fc
  .tuple(labels, fc.array(setting, { minLength: 1, maxLength: 3 }))
  .map(([before, settings]) => ({ before, after: withSettings(before, settings) }))

const denies = (object: PodTemplate, policy: NamespacePolicy, flagged: boolean): boolean =>
  !judge({
    policy,
    findFlagged: () => (flagged ? { verdict: 'sha256-e', phase: 'denying', text: 'flagged' } : undefined),
    request: {
      uid: 'u',
      operation: 'CREATE',
      kind: { group: '', version: 'v1', kind: 'Pod' },
      resource: { group: '', version: 'v1', resource: 'pods' },
      namespace: 'shop',
      object,
    },
  }).allowed
const breaks = ({ metadata, spec }: PodTemplate, profile: ProfileAtVersion | undefined): boolean =>
  profile !== undefined && evaluateProfile(profile, metadata, spec).length > 0

const allows = guardModel({ podSecurityLabels: true })
const isFree = (before: Labels, after: Labels): boolean => allows({ before, after })

const HARDENED = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ['ALL'] },
  runAsNonRoot: true,
  seccompProfile: { type: 'RuntimeDefault' },
}

/** The same pod, its containers hardened where they say nothing: it breaks the rule of its fixture and few others. */
const hardened = ({ metadata, spec }: PodTemplate): PodTemplate => ({
  metadata,
  spec: {
    ...spec,
    containers: spec.containers.map((container) => ({
      ...container,
      securityContext: { ...HARDENED, ...container.securityContext },
    })),
  },
})

/** The pods of every check's fixtures, as they are and hardened, and as many as people write them. */
const FIXTURE_PODS = FIXTURES.flatMap(({ versions }) =>
  versions.flatMap(({ pass, fail }) => [...Object.values(pass), ...Object.values(fail).map(([failing]) => failing)]),
)
const PODS: readonly PodTemplate[] = [
  ...FIXTURE_PODS,
  ...FIXTURE_PODS.map(hardened),
  ...fc.sample(realisticPod, { numRuns: 250, seed: 4 }),
]

/** Fails where a pod that was denied, warned about or audited no longer is. */
const assertNoLess = (object: PodTemplate, before: NamespacePolicy, after: NamespacePolicy): void => {
  for (const flagged of [false, true])
    if (denies(object, before, flagged)) assert.ok(denies(object, after, flagged), flagged ? 'flagged' : 'denied')
  for (const mode of ['warn', 'audit'] as const)
    if (breaks(object, before[mode])) assert.ok(breaks(object, after[mode]), mode)
}

describe('the guard beside the engine', function () {
  this.timeout(60_000)

  it('lets nobody without the verb make a change after which a pod is allowed that was denied', () => {
    let free = 0
    fc.assert(
      fc.property(
        change,
        fc.array(fc.nat(PODS.length - 1), { minLength: 8, maxLength: 8 }),
        ({ before, after }, pods) => {
          fc.pre(isFree(before, after))
          free++
          const [old, next] = [policyOf(before), policyOf(after)]
          for (const index of pods) assertNoLess(PODS[index]!, old, next)
          // What is injected stays; only nothing is replaced.
          if (old.seccomp !== undefined) assert.deepEqual(next.seccomp, old.seccomp)
        },
      ),
      { numRuns: RUNS },
    )
    assert.ok(free >= RUNS)
  })

  const MINORS = Array.from({ length: LATEST + 2 }, (_, minor) => minor)
  /** By profile and version, for each of the pods: whether it is denied. */
  const denied = new Map(
    BUILTIN_PROFILES.flatMap((profile) =>
      MINORS.map((minor) => [
        `${profile}:${minor}`,
        PODS.map(({ metadata, spec }) => evaluate(profile, minor, metadata, spec).length > 0),
      ]),
    ),
  )
  /** Whether a pod that the first denies passes the second. */
  const asksForMore = (one: string, other: string, minor: number): boolean =>
    denied.get(`${one}:${minor}`)!.some((isDenied, index) => isDenied && !denied.get(`${other}:${minor}`)![index])
  for (const [index, weak] of BUILTIN_PROFILES.entries())
    for (const strong of BUILTIN_PROFILES.slice(index + 1))
      it(`whoever raises ${weak} to ${strong} for free denies all that was denied, at every version`, () => {
        for (const minor of MINORS) {
          const versioned = { [LABEL.enforceVersion]: `v1.${minor}` }
          const free = isFree({ ...versioned, [LABEL.enforce]: weak }, { ...versioned, [LABEL.enforce]: strong })
          const covered = weak !== 'standard' || minor >= 23
          assert.equal(free, covered, `v1.${minor}`)
          // Where it is not free there is a reason: a pod that only the weaker one denies.
          assert.equal(!asksForMore(weak, strong, minor), covered, `v1.${minor}`)
        }
      })
})
