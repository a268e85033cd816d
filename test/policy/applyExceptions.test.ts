import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import type { Container, PodTemplate } from '../../src/kube/types.ts'
import { applyExceptions } from '../../src/policy/applyExceptions.ts'
import { evaluate } from '../../src/policy/evaluate.ts'
import { readAdmissionException, type ExceptionReading } from '../../src/policy/exceptions.ts'

const NOW = Date.UTC(2026, 10, 22)
const R = 'registry.example'

interface Grant {
  readonly namespaces?: readonly string[]
  readonly images?: readonly string[]
  readonly serviceAccounts?: readonly string[]
  readonly checks?: readonly string[]
  readonly expiresAt?: string
  readonly suspended?: boolean
}
const grant = (name: string, spec: Grant = {}): ExceptionReading =>
  readAdmissionException({
    apiVersion: 'drawbridge.dev/v1alpha1',
    kind: 'AdmissionException',
    metadata: { name },
    spec: {
      namespaces: ['shop'],
      images: [`${R}/shop/web:*`],
      serviceAccounts: ['*'],
      checks: ['privileged', 'hostNamespaces'],
      reason: 'a test',
      expiresAt: '2027-01-01T00:00:00Z',
      ...spec,
    },
  })

type Grants = Readonly<Record<string, Grant>>
const privileged = { securityContext: { privileged: true } }
const web: Container = { name: 'web', image: `${R}/shop/web:1`, ...privileged }
const pod = (spec: object, annotation?: string): PodTemplate => ({
  metadata: annotation === undefined ? {} : { annotations: { 'drawbridge.dev/exception': annotation } },
  spec: { containers: [web], ...spec },
})

/** Judges by baseline; what remains as `check path`. */
const apply = (
  template: PodTemplate,
  grants: Grants,
  options: { readonly namespace?: string; readonly flagged?: string; readonly malformed?: Record<string, string> } = {},
) => {
  const known = new Map<string, ExceptionReading>(
    Object.entries(grants).map(([name, spec]) => [name, grant(name, spec)]),
  )
  for (const [name, problem] of Object.entries(options.malformed ?? {})) known.set(name, { problem })
  for (const [name, { problem }] of known) assert.ok(problem === options.malformed?.[name], problem)
  const outcome = applyExceptions(evaluate('baseline', 'latest', template.metadata, template.spec), {
    template,
    namespace: options.namespace ?? 'shop',
    find: (name) => known.get(name),
    now: NOW,
    isFlagged: (image) => (options.flagged !== undefined && image.includes(options.flagged) ? 'sha256-bad' : undefined),
  })
  return {
    remaining: outcome.remaining.map(({ check, path }) => `${check} ${path}`),
    used: outcome.used,
    notes: outcome.notes,
  }
}

const LEFT = ['privileged spec.containers[0].securityContext.privileged']

describe('exceptions: one violation at a time', () => {
  it('covers a violation of a container', () =>
    assert.deepEqual(apply(pod({}, 'legacy'), { legacy: {} }), { remaining: [], used: ['legacy'], notes: [] }))

  it('covers a violation of the pod when it matches every image', () =>
    assert.deepEqual(
      apply(pod({ hostPID: true, containers: [{ ...web, securityContext: {} }] }, 'legacy'), { legacy: {} }),
      {
        remaining: [],
        used: ['legacy'],
        notes: [],
      },
    ))

  for (const [what, template, grants, options, note] of [
    ['nobody asked for it', pod({}), { legacy: {} }, {}, undefined],
    ['there is no such object', pod({}, 'legacy'), {}, {}, 'exception "legacy" does not exist'],
    ['the name has an ending more', pod({}, 'legacy-2'), { legacy: {} }, {}, 'exception "legacy-2" does not exist'],
    ['the name has an ending less', pod({}, 'leg'), { legacy: {} }, {}, 'exception "leg" does not exist'],
    ['the name has a beginning more', pod({}, 'a-legacy'), { legacy: {} }, {}, 'exception "a-legacy" does not exist'],
    [
      'the name is a prototype key',
      pod({}, 'constructor'),
      { legacy: {} },
      {},
      'exception "constructor" does not exist',
    ],
    ['the name is a wildcard', pod({}, '*'), { legacy: {} }, {}, 'exception "*" is no name of an AdmissionException'],
    [
      'the object is malformed',
      pod({}, 'legacy'),
      {},
      { malformed: { legacy: 'spec.expiresAt: "never" is no time' } },
      'exception "legacy" is malformed and counts nowhere: spec.expiresAt: "never" is no time',
    ],
    [
      'a person suspended it',
      pod({}, 'legacy'),
      { legacy: { suspended: true } },
      {},
      'exception "legacy" is suspended (spec.suspended)',
    ],
    [
      'it has expired',
      pod({}, 'legacy'),
      { legacy: { expiresAt: '2026-11-21T23:59:59Z' } },
      {},
      'exception "legacy" expired at 2026-11-21T23:59:59Z',
    ],
    [
      'it expires at this very second',
      pod({}, 'legacy'),
      { legacy: { expiresAt: '2026-11-22T00:00:00Z' } },
      {},
      'exception "legacy" expired at 2026-11-22T00:00:00Z',
    ],
    [
      'the namespace is another',
      pod({}, 'legacy'),
      { legacy: {} },
      { namespace: 'shop-2' },
      'exception "legacy" is not for namespace "shop-2"',
    ],
    [
      'the namespace is the beginning of another',
      pod({}, 'legacy'),
      { legacy: { namespaces: ['shop-2'] } },
      {},
      'exception "legacy" is not for namespace "shop"',
    ],
    [
      'the service account is another',
      pod({ serviceAccountName: 'admin' }, 'legacy'),
      { legacy: { serviceAccounts: ['web'] } },
      {},
      'exception "legacy" is not for service account "admin"',
    ],
    [
      'the deprecated service account field is another',
      pod({ serviceAccount: 'admin' }, 'legacy'),
      { legacy: { serviceAccounts: ['default'] } },
      {},
      'exception "legacy" is not for service account "admin"',
    ],
    [
      'the pod names no service account and default is not listed',
      pod({}, 'legacy'),
      { legacy: { serviceAccounts: ['web'] } },
      {},
      'exception "legacy" is not for service account "default"',
    ],
    [
      'the check is another',
      pod({}, 'legacy'),
      { legacy: { checks: ['hostNamespaces', 'Privileged', 'privileged2'] } },
      {},
      'exception "legacy" does not list check privileged',
    ],
    [
      'the image is another',
      pod({ containers: [{ ...web, image: `${R}/shop/webs:1` }] }, 'legacy'),
      { legacy: {} },
      {},
      'exception "legacy" does not match "registry.example/shop/webs:1" of container "web"',
    ],
    [
      'the pattern is only the beginning of the image',
      pod({ containers: [{ ...web, image: `${R}/shop/web:1.2` }] }, 'legacy'),
      { legacy: { images: [`${R}/shop/web:1`] } },
      {},
      'exception "legacy" does not match "registry.example/shop/web:1.2" of container "web"',
    ],
    [
      'the pattern names no tag',
      pod({}, 'legacy'),
      { legacy: { images: [`${R}/shop/web`] } },
      {},
      'exception "legacy" does not match "registry.example/shop/web:1" of container "web": its pattern names no tag (write :* for any)',
    ],
    [
      'the pattern names a tag and the pod a digest',
      pod({ containers: [{ ...web, image: `${R}/shop/web@sha256:${'0'.repeat(64)}` }] }, 'legacy'),
      { legacy: {} },
      {},
      `exception "legacy" does not match "registry.example/shop/web@sha256:00000000000...0000000000000000000000000000000000000000000" of container "web": its pattern names a tag, the pod a digest`,
    ],
    [
      'the container names no image',
      pod({ containers: [{ name: 'web', ...privileged }] }, 'legacy'),
      { legacy: {} },
      {},
      'exception "legacy" does not match container "web": no image',
    ],
    [
      'the image is no reference',
      pod({ containers: [{ ...web, image: `${R}/shop/web:1 ` }] }, 'legacy'),
      { legacy: {} },
      {},
      'exception "legacy" does not match "registry.example/shop/web:1 " of container "web"',
    ],
    [
      'a verdict denies the image',
      pod({}, 'legacy'),
      { legacy: {} },
      { flagged: 'web:1' },
      'exception "legacy" is suspended: verdict sha256-bad denies the image of container "web"',
    ],
  ] as const) {
    it(`leaves the violation when ${what}`, () =>
      assert.deepEqual(apply(template, grants, options), {
        remaining: LEFT,
        used: [],
        notes: note === undefined ? [] : [note],
      }))
  }

  it('says of each exception the worst that it left over: a verdict before an image before a check, the first of each', () => {
    const spec = {
      hostPID: true,
      containers: [
        { ...web, name: 'a', image: 'evil:1' },
        { ...web, name: 'b', image: 'evil:2' },
        { ...web, name: 'c', image: `${R}/shop/web:bad` },
      ],
    }
    const grants = { checks: { checks: ['hostPorts'] }, images: { images: [`${R}/other:*`] }, verdict: {} }
    assert.deepEqual(apply(pod(spec, 'checks,images,verdict'), grants, { flagged: ':bad' }).notes, [
      'exception "checks" does not list check hostNamespaces',
      'exception "images" does not match "evil:1" of container "a"; for the pod as a whole it must match every image',
      'exception "verdict" is suspended: verdict sha256-bad denies the image of container "c"',
    ])
  })

  it('names at most what is asked: one note for each exception', () => {
    const { notes } = apply(pod({}, 'c,a,b'), { a: { checks: ['hostPorts'] }, b: { suspended: true } })
    assert.deepEqual(notes, [
      'exception "a" does not list check privileged',
      'exception "b" is suspended (spec.suspended)',
      'exception "c" does not exist',
    ])
  })

  it('does not become a requirement: a pod that needs none keeps none of the blame', () => {
    const good = pod({ containers: [{ ...web, securityContext: {} }] }, 'gone,other,fine')
    assert.deepEqual(apply(good, { fine: {}, other: { checks: ['hostPorts'] } }), {
      remaining: [],
      used: [],
      notes: ['exception "gone" does not exist'],
    })
  })
})

const note = (image: string, place: string): readonly string[] => [
  `exception "legacy" does not match "${image}" of ${place}; for the pod as a whole it must match every image`,
]

describe('exceptions: the pod as a whole', () => {
  const calm = { ...web, securityContext: {} }
  const grants = { legacy: {} }

  for (const [what, spec, place] of [
    ['a second container', { containers: [calm, { name: 'x', image: 'evil:1' }] }, 'container "x"'],
    ['an init container', { containers: [calm], initContainers: [{ name: 'x', image: 'evil:1' }] }, 'container "x"'],
    [
      'an ephemeral container',
      { containers: [calm], ephemeralContainers: [{ name: 'x', image: 'evil:1' }] },
      'container "x"',
    ],
    ['an image volume', { containers: [calm], volumes: [{ name: 'v', image: { reference: 'evil:1' } }] }, 'volume "v"'],
  ] as const) {
    it(`is not covered with ${what} of another image`, () =>
      assert.deepEqual(apply(pod({ hostPID: true, ...spec }, 'legacy'), grants), {
        remaining: ['hostNamespaces spec.hostPID'],
        used: [],
        notes: note('evil:1', place),
      }))
  }

  it('is not covered beside a container or an image volume without an image', () => {
    for (const spec of [
      { containers: [calm, { name: 'x' }] },
      { containers: [calm], volumes: [{ name: 'x', image: {} }] },
    ])
      assert.deepEqual(apply(pod({ hostPID: true, ...spec }, 'legacy'), grants).used, [])
  })

  it('is not covered when a verdict denies one of the images', () => {
    const spec = { hostPID: true, containers: [calm, { ...calm, name: 'x', image: `${R}/shop/web:bad` }] }
    assert.deepEqual(apply(pod(spec, 'legacy'), grants, { flagged: ':bad' }), {
      remaining: ['hostNamespaces spec.hostPID'],
      used: [],
      notes: ['exception "legacy" is suspended: verdict sha256-bad denies the image of container "x"'],
    })
  })

  it('does not stop a foreign container from being judged, nor the exception from covering its own', () => {
    const spec = { containers: [web, { name: 'x', image: 'evil:1', ...privileged }] }
    assert.deepEqual(apply(pod(spec, 'legacy'), grants), {
      remaining: ['privileged spec.containers[1].securityContext.privileged'],
      used: ['legacy'],
      notes: ['exception "legacy" does not match "evil:1" of container "x"'],
    })
  })

  it('goes by the place of a container, not by its name', () => {
    const spec = { containers: [web, { name: 'web', image: 'evil:1', ...privileged }] }
    assert.deepEqual(apply(pod(spec, 'legacy'), grants).remaining, [
      'privileged spec.containers[1].securityContext.privileged',
    ])
  })
})

describe('two exceptions never combine', () => {
  for (const [what, spec, grants] of [
    [
      'images of one pod',
      {
        hostPID: true,
        containers: [
          { name: 'a', image: 'a:1' },
          { name: 'b', image: 'b:1' },
        ],
      },
      { one: { images: ['a:1'] }, two: { images: ['b:1'] } },
    ],
    [
      'image and check',
      { hostPID: true, containers: [{ name: 'a', image: 'a:1' }] },
      { one: { images: ['a:1'], checks: ['privileged'] }, two: { images: ['b:1'], checks: ['hostNamespaces'] } },
    ],
    [
      'namespace and check',
      { hostPID: true, containers: [{ name: 'a', image: 'a:1' }] },
      { one: { images: ['a:1'], checks: ['privileged'] }, two: { images: ['a:1'], namespaces: ['other'] } },
    ],
    [
      'service account and image',
      { hostPID: true, serviceAccountName: 'x', containers: [{ name: 'a', image: 'a:1' }] },
      { one: { images: ['a:1'], serviceAccounts: ['y'] }, two: { images: ['b:1'], serviceAccounts: ['x'] } },
    ],
  ] as const) {
    it(what, () => {
      const { remaining, used } = apply(pod(spec, 'one,two'), grants)
      assert.deepEqual([remaining, used], [['hostNamespaces spec.hostPID'], []])
    })
  }
})

const ask = (grantsAsked: Grants): string => Object.keys(grantsAsked).join(',')

describe('exceptions: properties', () => {
  const images = ['a:1', 'b:1', `${R}/c:1`]
  const container = fc.record({
    name: fc.constantFrom('x', 'y'),
    image: fc.constantFrom(...images),
    securityContext: fc.record({ privileged: fc.boolean() }),
  })
  const spec = fc.record({
    containers: fc.array(container, { minLength: 1, maxLength: 3 }),
    initContainers: fc.array(container, { maxLength: 2 }),
    hostPID: fc.boolean(),
    serviceAccountName: fc.constantFrom('default', 'web'),
  })
  const oneGrant = fc.record({
    namespaces: fc.constantFrom(['shop'], ['other'], ['shop', 'other']),
    images: fc.subarray([...images, `${R}/*:1`], { minLength: 1 }),
    serviceAccounts: fc.constantFrom(['*'], ['web'], ['default']),
    checks: fc.subarray(['privileged', 'hostNamespaces', 'hostPorts'], { minLength: 1 }),
    suspended: fc.boolean(),
    expiresAt: fc.constantFrom('2026-11-22T00:00:00Z', '2027-01-01T00:00:00Z'),
  })
  const grants = fc.dictionary(fc.constantFrom('a', 'b', 'c'), oneGrant, { noNullPrototype: true })

  it('adding an exception only ever takes violations away', () => {
    fc.assert(
      fc.property(spec, grants, oneGrant, (pods, some, more) => {
        const before = new Set(apply(pod(pods, `${ask(some)},new`), some).remaining)
        const after = apply(pod(pods, `${ask(some)},new`), { ...some, new: more }).remaining
        assert.ok(after.every((violation) => before.has(violation)))
      }),
    )
  })

  it('removing a container leaves no more violations than before', () => {
    fc.assert(
      fc.property(spec, grants, (pods, some) => {
        fc.pre(pods.containers.length > 1)
        const shorter = { ...pods, containers: pods.containers.slice(0, -1) }
        const before = new Set(apply(pod(pods, ask(some)), some).remaining)
        assert.ok(apply(pod(shorter, ask(some)), some).remaining.every((violation) => before.has(violation)))
      }),
    )
  })

  it('the order of names does not matter', () => {
    fc.assert(
      fc.property(spec, grants, (pods, some) => {
        const names = Object.keys(some)
        assert.deepEqual(apply(pod(pods, names.join()), some), apply(pod(pods, names.toReversed().join()), some))
      }),
    )
  })

  it('an exception for another check, namespace or image changes nothing', () => {
    const elsewhere = fc.oneof(
      oneGrant.map((one) => ({ ...one, checks: ['hostPorts'] })),
      oneGrant.map((one) => ({ ...one, namespaces: ['other'] })),
      oneGrant.map((one) => ({ ...one, images: [`${R}/elsewhere:*`] })),
      oneGrant.map((one) => ({ ...one, serviceAccounts: ['nobody'] })),
    )
    fc.assert(
      fc.property(spec, grants, elsewhere, (pods, some, other) => {
        const without = apply(pod(pods, ask(some)), some)
        const { remaining, used } = apply(pod(pods, `${ask(some)},z`), { ...some, z: other })
        assert.deepEqual({ remaining, used }, { remaining: without.remaining, used: without.used })
      }),
    )
  })

  it('what remains is what no single exception covers alone', () => {
    fc.assert(
      fc.property(spec, grants, (pods, some) => {
        const alone = Object.keys(some).map((name) => new Set(apply(pod(pods, name), some).remaining))
        const all = apply(pod(pods), {}).remaining
        assert.deepEqual(
          apply(pod(pods, ask(some)), some).remaining,
          all.filter((violation) => alone.every((left) => left.has(violation))),
        )
      }),
    )
  })

  it('judges 1,000 containers against 16 exceptions of 64 patterns in well under the deadline', () => {
    const many = Object.fromEntries(
      Array.from({ length: 16 }, (_, index) => [
        `e${index}`,
        { images: Array.from({ length: 64 }, (__, pattern) => `${R}/x*y*z${pattern}*:*`) },
      ]),
    )
    const containers = Array.from({ length: 1000 }, (_, index) => ({
      name: `c${index}`,
      image: `${R}/${'xy'.repeat(90)}${index}:1`,
      ...privileged,
    }))
    const { remaining, notes } = apply(pod({ containers }, ask(many)), many)
    assert.deepEqual([remaining.length, notes.length], [1000, 16])
    assert.ok(notes.every((text) => text.length <= 240))
  })
})
