import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import jsonPatch from 'fast-json-patch'
import { checkPodShape } from '../../src/kube/podShape.ts'
import type { PodTemplate } from '../../src/kube/types.ts'
import { mutatePod } from '../../src/mutation/index.ts'
import type { MutationSettings, PatchOperation } from '../../src/mutation/types.ts'
import { evaluate } from '../../src/policy/evaluate.ts'

const RUNTIME_DEFAULT = { type: 'RuntimeDefault' } as const
const LOCALHOST = { type: 'Localhost', localhostProfile: 'drawbridge/web.json' } as const
const settings = (changes: Partial<MutationSettings> = {}): MutationSettings => ({
  seccomp: RUNTIME_DEFAULT,
  requesterIsNode: false,
  ...changes,
})
const pod = (spec: object, metadata: object = {}): unknown => ({
  metadata,
  spec: { containers: [{ name: 'web' }], ...spec },
})
/** As the API server would: on JSON, and every operation must apply. */
const apply = (document: unknown, patch: readonly PatchOperation[]): unknown =>
  jsonPatch.applyPatch(JSON.parse(JSON.stringify(document)) as unknown, [...patch], true, false).newDocument

const WHOLE: readonly PatchOperation[] = [
  { op: 'add', path: '/spec/securityContext', value: { seccompProfile: RUNTIME_DEFAULT } },
]
const INSIDE: readonly PatchOperation[] = [
  { op: 'add', path: '/spec/securityContext/seccompProfile', value: RUNTIME_DEFAULT },
]

describe('mutatePod', () => {
  const cases: readonly (readonly [string, unknown, Partial<MutationSettings>, readonly PatchOperation[]])[] = [
    ['no security context', pod({}), {}, WHOLE],
    ['a null security context', pod({ securityContext: null }), {}, WHOLE],
    ['an empty security context', pod({ securityContext: {} }), {}, INSIDE],
    ['other settings beside it', pod({ securityContext: { runAsUser: 7 } }), {}, INSIDE],
    ['a null profile', pod({ securityContext: { seccompProfile: null } }), {}, INSIDE],
    [
      'a profile on the node',
      pod({}),
      { seccomp: LOCALHOST },
      [{ op: 'add', path: '/spec/securityContext', value: { seccompProfile: LOCALHOST } }],
    ],
    [
      'a container with its own profile: others inherit',
      pod({ containers: [{ name: 'a', securityContext: { seccompProfile: { type: 'Unconfined' } } }, { name: 'b' }] }),
      {},
      WHOLE,
    ],
    [
      'annotations, which have no effect since 1.27',
      pod({}, { annotations: { 'seccomp.security.alpha.kubernetes.io/pod': 'unconfined' } }),
      {},
      WHOLE,
    ],
    ['an explicit Unconfined', pod({ securityContext: { seccompProfile: { type: 'Unconfined' } } }), {}, []],
    ['an explicit profile', pod({ securityContext: { seccompProfile: { type: 'Localhost' } } }), {}, []],
    ['an explicit profile without type', pod({ securityContext: { seccompProfile: {} } }), {}, []],
    ['nothing to inject', pod({}), { seccomp: undefined }, []],
    ['a Windows pod', pod({ os: { name: 'windows' } }), {}, []],
    ['a Linux pod', pod({ os: { name: 'linux' } }), {}, WHOLE],
    ['a mirror pod', pod({}, { annotations: { 'kubernetes.io/config.mirror': 'x' } }), { requesterIsNode: true }, []],
    [
      'the mirror annotation of somebody else',
      pod({}, { annotations: { 'kubernetes.io/config.mirror': 'x' } }),
      {},
      WHOLE,
    ],
    ['another pod of a node', pod({}), { requesterIsNode: true }, WHOLE],
    ['no metadata', { spec: { containers: [{ name: 'web' }] } }, {}, WHOLE],
    ['a pod that cannot be read', pod({ securityContext: 'x' }), {}, []],
    ['no pod at all', null, {}, []],
  ]
  for (const [name, document, changes, expected] of cases) {
    it(name, () => {
      const patch = mutatePod(document, settings(changes))
      assert.deepEqual(patch, expected)
      if (patch.length > 0) assert.deepEqual(mutatePod(apply(document, patch), settings(changes)), [])
    })
  }

  const nothing = fc.constantFrom(undefined, null)
  const context = fc.oneof(
    nothing,
    fc.record(
      {
        seccompProfile: fc.oneof(
          nothing,
          fc.record({ type: fc.constantFrom('RuntimeDefault', 'Unconfined', 'Localhost') }),
        ),
        runAsUser: fc.oneof(nothing, fc.constantFrom(0, 1)),
      },
      { requiredKeys: [] },
    ),
  )
  const anyPod = fc
    .record({
      podContext: context,
      containers: fc.array(context, { minLength: 1, maxLength: 3 }),
      os: fc.constantFrom(undefined, null, { name: 'linux' }, { name: 'windows' }),
    })
    .map(({ podContext, containers, os }) => ({
      metadata: {},
      spec: {
        os,
        securityContext: podContext,
        containers: containers.map((securityContext, index) => ({ name: `c${index}`, securityContext })),
      },
    }))
  const anySeccomp = fc.constantFrom(RUNTIME_DEFAULT, LOCALHOST)

  it('always applies, is idempotent, and replaces nothing that was said', () => {
    fc.assert(
      fc.property(anyPod, anySeccomp, (document, seccomp) => {
        const patch = mutatePod(document, settings({ seccomp }))
        const after = apply(document, patch) as typeof document
        assert.equal(checkPodShape(after.metadata, after.spec, ''), undefined)
        assert.deepEqual(mutatePod(after, settings({ seccomp })), [])
        const said = document.spec.securityContext?.seccompProfile
        if (said) assert.deepEqual(after.spec.securityContext?.seccompProfile, { ...said })
        assert.deepEqual(after.spec.containers, JSON.parse(JSON.stringify(document.spec.containers)))
      }),
    )
  })

  it('injects nothing that any profile denies', () => {
    fc.assert(
      fc.property(
        anyPod,
        anySeccomp,
        fc.constantFrom('baseline', 'standard', 'restricted'),
        (document, seccomp, profile) => {
          const patch = mutatePod(document, settings({ seccomp }))
          fc.pre(patch.length > 0)
          const { metadata, spec } = apply(document, patch) as PodTemplate
          const about = evaluate(profile, 'latest', metadata, spec).map(({ path }) => path)
          assert.ok(!about.includes('spec.securityContext.seccompProfile.type'))
          // Containers that say nothing themselves inherit it, so none is denied for saying nothing.
          const silent = spec.containers.flatMap(({ securityContext }, index) =>
            securityContext?.seccompProfile == null
              ? [`spec.containers[${index}].securityContext.seccompProfile.type`]
              : [],
          )
          assert.deepEqual(
            silent.filter((path) => about.includes(path)),
            [],
          )
        },
      ),
    )
  })

  it('never throws and changes nothing but readable pods', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (document, spec) => {
        mutatePod(document, settings())
        const candidate = { metadata: {}, spec }
        if (checkPodShape(candidate.metadata, candidate.spec, '') !== undefined) {
          assert.deepEqual(mutatePod(candidate, settings()), [])
        }
      }),
    )
  })
})
