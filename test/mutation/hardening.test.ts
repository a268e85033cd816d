import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import jsonPatch from 'fast-json-patch'
import { checkPodShape } from '../../src/kube/podShape.ts'
import type { PodTemplate } from '../../src/kube/types.ts'
import { asCreated, mutatePod } from '../../src/mutation/index.ts'
import { patchOf } from '../../src/mutation/patch.ts'
import type { PatchOperation } from '../../src/mutation/types.ts'
import { evaluate } from '../../src/policy/evaluate.ts'
import { loadProfile } from '../../src/policy/compileProfile.ts'
import type { Hardening } from '../../src/policy/types.ts'

const ALL: Hardening = {
  allowPrivilegeEscalation: false,
  dropAllCapabilities: true,
  runAsNonRoot: true,
  readOnlyRootFilesystem: true,
}
const SECCOMP = { type: 'RuntimeDefault' } as const
const mutate = (pod: unknown, hardening: Hardening, seccomp?: typeof SECCOMP, requesterIsNode = false) =>
  mutatePod(pod, { seccomp, hardening, requesterIsNode })
const pod = (spec: object, metadata: object = {}): unknown => ({
  metadata,
  spec: { containers: [{ name: 'web' }], ...spec },
})
const web = (securityContext: unknown): unknown => pod({ containers: [{ name: 'web', securityContext }] })
const apply = (document: unknown, patch: readonly PatchOperation[]): unknown =>
  jsonPatch.applyPatch(
    JSON.parse(JSON.stringify(document)) as unknown,
    structuredClone(patch) as PatchOperation[],
    true,
    false,
  ).newDocument
const add = (path: string, value: unknown): PatchOperation => ({ op: 'add', path, value })
const WEB = '/spec/containers/0/securityContext'

const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.oneof(fc.constantFrom(undefined, null), arbitrary)

const named = (list: readonly unknown[]) =>
  list.map((securityContext, index) => ({ name: `c${index}`, securityContext }))

describe('hardening', () => {
  const escalation: Hardening = { allowPrivilegeEscalation: false }
  const drop: Hardening = { dropAllCapabilities: true }
  const nonRoot: Hardening = { runAsNonRoot: true }
  const readOnly: Hardening = { readOnlyRootFilesystem: true }
  const cases: readonly (readonly [string, unknown, Hardening, readonly PatchOperation[]])[] = [
    ['nothing asked', web(undefined), {}, []],
    [
      'asked not to',
      web(undefined),
      { dropAllCapabilities: false, runAsNonRoot: false, readOnlyRootFilesystem: false },
      [],
    ],
    ['escalation: no security context', web(undefined), escalation, [add(WEB, { allowPrivilegeEscalation: false })]],
    [
      'escalation: null',
      web({ allowPrivilegeEscalation: null }),
      escalation,
      [add(`${WEB}/allowPrivilegeEscalation`, false)],
    ],
    ['escalation: explicit', web({ allowPrivilegeEscalation: true }), escalation, []],
    ['escalation: a privileged container, where the API server refuses it', web({ privileged: true }), escalation, []],
    [
      'escalation: CAP_SYS_ADMIN, where the API server refuses it',
      web({ capabilities: { add: ['CAP_SYS_ADMIN'] } }),
      escalation,
      [],
    ],
    [
      'escalation: SYS_ADMIN',
      web({ capabilities: { add: ['SYS_ADMIN'] } }),
      escalation,
      [add(`${WEB}/allowPrivilegeEscalation`, false)],
    ],
    ['capabilities: none', web({}), drop, [add(`${WEB}/capabilities`, { drop: ['ALL'] })]],
    [
      'capabilities: only added',
      web({ capabilities: { add: ['CHOWN'] } }),
      drop,
      [add(`${WEB}/capabilities/drop`, ['ALL'])],
    ],
    ['capabilities: an explicit drop', web({ capabilities: { drop: ['KILL'] } }), drop, []],
    ['capabilities: an explicit empty drop', web({ capabilities: { drop: [] } }), drop, []],
    ['capabilities: all added', web({ capabilities: { add: ['ALL'] } }), drop, []],
    ['root: for the pod', web(undefined), nonRoot, [add('/spec/securityContext', { runAsNonRoot: true })]],
    ['root: explicit in the pod', pod({ securityContext: { runAsNonRoot: false } }), nonRoot, []],
    ['root: a container that chose root', web({ runAsUser: 0 }), nonRoot, []],
    ['root: a pod that chose root', pod({ securityContext: { runAsUser: 0 } }), nonRoot, []],
    [
      'root: one that chose root beside others',
      pod({
        initContainers: [{ name: 'setup' }],
        containers: [
          { name: 'web' },
          { name: 'root', securityContext: { runAsUser: 0 } },
          { name: 'own', securityContext: { runAsNonRoot: false } },
        ],
      }),
      nonRoot,
      [add(WEB, { runAsNonRoot: true }), add('/spec/initContainers/0/securityContext', { runAsNonRoot: true })],
    ],
    [
      'root: one that chose root and says so',
      web({ runAsUser: 0, runAsNonRoot: false }),
      nonRoot,
      [add('/spec/securityContext', { runAsNonRoot: true })],
    ],
    ['file system: none', web({}), readOnly, [add(`${WEB}/readOnlyRootFilesystem`, true)]],
    ['file system: explicit', web({ readOnlyRootFilesystem: false }), readOnly, []],
    [
      'everything, in every kind of container, one operation for each place',
      pod({ initContainers: [{ name: 'setup', securityContext: { runAsUser: 5 } }] }),
      ALL,
      [
        add(WEB, { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] }, readOnlyRootFilesystem: true }),
        add('/spec/initContainers/0/securityContext/allowPrivilegeEscalation', false),
        add('/spec/initContainers/0/securityContext/capabilities', { drop: ['ALL'] }),
        add('/spec/initContainers/0/securityContext/readOnlyRootFilesystem', true),
        add('/spec/securityContext', { runAsNonRoot: true }),
      ],
    ],
    ['a Windows pod', pod({ os: { name: 'windows' } }), ALL, []],
    ['a pod that cannot be read', pod({ securityContext: 'x' }), ALL, []],
  ]
  for (const [name, document, hardening, expected] of cases) {
    it(name, () => {
      const patch = mutate(document, hardening)
      assert.deepEqual(patch, expected)
      assert.deepEqual(mutate(apply(document, patch), hardening), [])
    })
  }

  it('leaves mirror pods alone', () => {
    const mirror = pod({}, { annotations: { 'kubernetes.io/config.mirror': 'x' } })
    assert.deepEqual(mutate(mirror, ALL, SECCOMP, true), [])
    assert.notDeepEqual(mutate(mirror, ALL, SECCOMP, false), [])
  })

  it('joins seccomp and runAsNonRoot in one operation', () => {
    assert.deepEqual(mutate(pod({}), { runAsNonRoot: true }, SECCOMP), [
      add('/spec/securityContext', { runAsNonRoot: true, seccompProfile: SECCOMP }),
    ])
  })

  const names = fc.array(fc.constantFrom('ALL', 'CHOWN', 'NET_RAW', 'CAP_SYS_ADMIN'), { maxLength: 2 })
  const context = maybe(
    fc.record(
      {
        privileged: maybe(fc.boolean()),
        allowPrivilegeEscalation: maybe(fc.boolean()),
        capabilities: maybe(fc.record({ add: maybe(names), drop: maybe(names) }, { requiredKeys: [] })),
        runAsNonRoot: maybe(fc.boolean()),
        runAsUser: maybe(fc.constantFrom(0, 1)),
        readOnlyRootFilesystem: maybe(fc.boolean()),
      },
      { requiredKeys: [] },
    ),
  )
  const contexts = (minLength: number) => fc.array(context, { minLength, maxLength: 3 })
  const anyPod = fc
    .record({ podContext: context, init: maybe(contexts(0)), containers: contexts(1) })
    .map(({ podContext, init, containers }) => ({
      metadata: {},
      spec: { securityContext: podContext, initContainers: init && named(init), containers: named(containers) },
    }))
  const anyHardening = fc.record({
    allowPrivilegeEscalation: fc.constantFrom(false as const, undefined),
    dropAllCapabilities: fc.boolean(),
    runAsNonRoot: fc.boolean(),
    readOnlyRootFilesystem: fc.boolean(),
  })

  /** Every value that was said is still there. */
  const keeps = (before: unknown, after: unknown): boolean =>
    before == null ||
    (typeof before === 'object'
      ? Object.entries(before).every(([key, value]) => keeps(value, (after as Record<string, unknown>)[key]))
      : before === after)

  it('always applies, is idempotent, keeps what was said, and adds only what was asked', () => {
    fc.assert(
      fc.property(anyPod, anyHardening, (document, hardening) => {
        const patch = mutate(document, hardening, SECCOMP)
        const after = apply(document, patch) as PodTemplate
        assert.equal(checkPodShape(after.metadata, after.spec, ''), undefined)
        assert.deepEqual(mutate(after, hardening, SECCOMP), [])
        assert.ok(keeps(document, after))
        const paths = patch.map(({ path }) => path)
        assert.equal(new Set(paths).size, paths.length)
        assert.ok(!paths.some((path) => paths.some((other) => other.startsWith(`${path}/`))))
      }),
    )
  })

  it('makes of a template what the patch makes of its pods, and leaves the template itself alone', () => {
    fc.assert(
      fc.property(anyPod, anyHardening, fc.boolean(), (document, hardening, withSeccomp) => {
        const template = document as unknown as PodTemplate
        assert.equal(checkPodShape(template.metadata, template.spec, ''), undefined)
        const before = JSON.stringify(template)
        const seccomp = withSeccomp ? SECCOMP : undefined
        const patched = apply(template, mutate(template, hardening, seccomp))
        assert.deepEqual(JSON.parse(JSON.stringify(asCreated(template, { seccomp, hardening }))), patched)
        assert.equal(JSON.stringify(template), before)
      }),
    )
  })

  it('gives one patch whatever the order of the additions', () => {
    const document = pod({ initContainers: [{ name: 'a' }, { name: 'b', securityContext: {} }] })
    const additions = [
      { path: ['spec', 'securityContext', 'runAsNonRoot'], value: true },
      { path: ['spec', 'securityContext', 'seccompProfile'], value: SECCOMP },
      { path: ['spec', 'initContainers', 1, 'securityContext', 'capabilities', 'drop'], value: ['ALL'] },
      { path: ['spec', 'initContainers', 1, 'securityContext', 'readOnlyRootFilesystem'], value: true },
      { path: ['spec', 'containers', 0, 'securityContext', 'readOnlyRootFilesystem'], value: true },
    ]
    const expected = patchOf(document, additions)
    assert.equal(expected.length, 4)
    fc.assert(
      fc.property(fc.shuffledSubarray(additions, { minLength: additions.length }), (shuffled) => {
        assert.equal(JSON.stringify(patchOf(document, shuffled)), JSON.stringify(expected))
      }),
    )
  })

  it('is for no template that says it is for Windows', () => {
    const template = pod({ os: { name: 'windows' } }) as PodTemplate
    assert.equal(asCreated(template, { seccomp: SECCOMP, hardening: ALL }), template)
  })

  it('orders the tenth container after the second', () => {
    const document = pod({ containers: Array.from({ length: 11 }, (_, index) => ({ name: `c${index}` })) })
    const paths = mutate(document, { readOnlyRootFilesystem: true }).map(({ path }) => path)
    assert.deepEqual(
      paths,
      Array.from({ length: 11 }, (_, index) => `/spec/containers/${index}/securityContext`),
    )
  })

  it('injects nothing that the checks of the same fields deny', () => {
    const readOnlyProfile = loadProfile({
      apiVersion: 'drawbridge.dev/v1alpha1',
      kind: 'AdmissionProfile',
      metadata: { name: 'a' },
      spec: { extends: { level: 'restricted' }, readOnlyRootFilesystem: true },
    }).profile
    assert.ok(readOnlyProfile)
    const own = readOnlyProfile.checksAt('latest')
    fc.assert(
      fc.property(anyPod, (document) => {
        const patch = mutate(document, ALL, SECCOMP)
        const { metadata, spec } = apply(document, patch) as PodTemplate
        const injected = new Set(
          patch
            .flatMap(({ path, value }) => leaves(path, value))
            .map((path) =>
              path
                .slice(1)
                .replace(/\/(\d+)/gu, '[$1]')
                .replaceAll('/', '.'),
            ),
        )
        const denied = [
          ...evaluate('restricted', 'latest', metadata, spec),
          ...evaluate('standard', 'latest', metadata, spec),
          ...own.flatMap(({ check }) => check(metadata, spec)),
        ].map(({ path }) => path)
        assert.deepEqual(
          denied.filter((path) => injected.has(path)),
          [],
        )
      }),
    )
  })

  it('makes restricted of a pod that says nothing', () => {
    const document = pod({})
    const { metadata, spec } = apply(document, mutate(document, ALL, SECCOMP)) as PodTemplate
    assert.deepEqual(evaluate('restricted', 'latest', metadata, spec), [])
  })
})

/** The paths of the fields that a value sets; a list is one field. */
const leaves = (path: string, value: unknown): readonly string[] =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.entries(value).flatMap(([key, inner]) => leaves(`${path}/${key}`, inner))
    : [path]
