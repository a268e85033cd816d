/**
 * Ways in which exceptions were misused elsewhere (CVE-2024-48921 and GHSA-gg4x-fgg2-h9w9 of Kyverno and others), from the bytes of a review
 * to the bytes of the answer. Who may grant, and which requests are sent at all, is in test/cluster/exceptions.test.ts.
 */
import assert from 'node:assert/strict'
import { readAdmissionException } from '../../src/policy/exceptions.ts'
import { createValidate } from '../../webhooks/validate.ts'
import { admissionContext, answerIn, podReview } from './admission.ts'
import type { ReviewAnswer } from './admission.ts'

const NOW = Date.UTC(2026, 10, 22)
const R = 'registry.example'
const A = `sha256:${'a'.repeat(64)}`

interface Grant {
  readonly apiVersion?: string
  readonly [field: string]: unknown
}
type Grants = Readonly<Record<string, Grant>>

const read = (name: string, { apiVersion = 'drawbridge.dev/v1alpha1', ...changes }: Grant) =>
  readAdmissionException({
    apiVersion,
    kind: 'AdmissionException',
    metadata: { name },
    spec: {
      namespaces: ['shop'],
      images: [`${R}/shop/web:1`],
      serviceAccounts: ['*'],
      checks: ['hostNamespaces', 'privileged'],
      reason: 'a test',
      expiresAt: '2026-12-31T00:00:00Z',
      ...changes,
    },
  })

const PRIVILEGED = { securityContext: { privileged: true } }
const web = { name: 'web', image: `${R}/shop/web:1` }
const pod = (spec: object = { hostPID: true }, annotation = 'legacy', metadata: object = {}): object => ({
  metadata: { name: 'web', annotations: { 'drawbridge.dev/exception': annotation }, ...metadata },
  spec: { containers: [web], ...spec },
})

/** A pod with a violation of its own and one container. */
const using = (image: string): object => pod({ hostPID: true, containers: [{ name: 'web', image }] })

interface Asked extends ReviewAnswer {
  readonly used: readonly string[]
}

async function ask(
  object: unknown,
  grants: Grants,
  changes: object = {},
  labels: Readonly<Record<string, string>> = { 'drawbridge.dev/enforce': 'baseline' },
): Promise<Asked> {
  const used: string[] = []
  const validate = createValidate({
    ...admissionContext({
      labels,
      findFlagged: (image) =>
        image === `${R}/shop/flagged:1` ? { verdict: 'sha256-bad', phase: 'denying', text: 'is denied' } : undefined,
    }),
    findException: (name) => (Object.hasOwn(grants, name) ? read(name, grants[name] ?? {}) : undefined),
    exceptionsUsed: (names) => used.push(...names),
    clock: () => NOW,
  })
  const reply = await validate(Buffer.from(JSON.stringify(podReview(object, changes))), 5000)
  assert.equal(reply.status, 200)
  return { ...answerIn(reply.body), used }
}

/** What the denial says of exceptions; fails where the request is allowed, or a use is counted. */
async function notesOf(object: unknown, grants: Grants, changes: object = {}): Promise<readonly string[]> {
  const { allowed, status, used } = await ask(object, grants, changes)
  assert.deepEqual([allowed, status?.code, used], [false, 403, []])
  return (status?.message ?? '').split('\n').filter((line) => line.startsWith('exception '))
}

const update = (oldObject: object, subResource?: string): object => ({ operation: 'UPDATE', oldObject, subResource })
const foreign = (what: string, image: string): string =>
  `exception "legacy" does not match "${image}" of container "${what}"; for the pod as a whole it must match every image`

describe('misuse of exceptions: through the webhook', () => {
  it('is compared with a use that is none: what is granted is allowed and counted', async () => {
    const { allowed, used, auditAnnotations } = await ask(pod(), { legacy: {} })
    assert.deepEqual([allowed, used, auditAnnotations?.['exceptions-used']], [true, ['legacy'], 'legacy'])
  })

  for (const [what, object, grants, changes, notes] of [
    // A violation of the pod, and somebody else's container in it.
    [
      'a foreign second container under an exception for the pod',
      pod({ hostPID: true, containers: [web, { name: 'x', image: 'evil:1' }] }),
      { legacy: {} },
      {},
      [foreign('x', 'evil:1')],
    ],
    [
      'a foreign init container',
      pod({ hostPID: true, initContainers: [{ name: 'x', image: 'evil:1' }] }),
      { legacy: {} },
      {},
      [foreign('x', 'evil:1')],
    ],
    [
      'a foreign second container that is privileged itself',
      pod({
        containers: [
          { ...web, ...PRIVILEGED },
          { name: 'x', image: 'evil:1', ...PRIVILEGED },
        ],
      }),
      { legacy: {} },
      {},
      ['exception "legacy" does not match "evil:1" of container "x"'],
    ],
    // Later.
    [
      'an ephemeral container that is added later',
      pod({ hostPID: true, ephemeralContainers: [{ name: 'x', image: 'evil:1' }] }),
      { legacy: {} },
      update(pod(), 'ephemeralcontainers'),
      [foreign('x', 'evil:1')],
    ],
    ['an image that is changed later', using('evil:1'), { legacy: {} }, update(pod()), [foreign('web', 'evil:1')]],
    [
      'a change after the expiry',
      pod(),
      { legacy: { expiresAt: '2026-11-01T00:00:00Z' } },
      update(using(`${R}/shop/web:0`)),
      ['exception "legacy" expired at 2026-11-01T00:00:00Z'],
    ],
    // Names.
    ['a name with an ending', pod(undefined, 'legacy-2'), { legacy: {} }, {}, ['exception "legacy-2" does not exist']],
    ['the beginning of a name', pod(undefined, 'lega'), { legacy: {} }, {}, ['exception "lega" does not exist']],
    [
      'a name with a beginning',
      pod(undefined, 'x-legacy'),
      { legacy: {} },
      {},
      ['exception "x-legacy" does not exist'],
    ],
    [
      'a wildcard as a name',
      pod(undefined, '*'),
      { legacy: {} },
      {},
      ['exception "*" is no name of an AdmissionException'],
    ],
    [
      'a name in capitals',
      pod(undefined, 'Legacy'),
      { legacy: {} },
      {},
      ['exception "Legacy" is no name of an AdmissionException'],
    ],
    [
      '__proto__ as a name',
      pod(undefined, '__proto__'),
      { legacy: {} },
      {},
      ['exception "__proto__" is no name of an AdmissionException'],
    ],
    [
      'a name with a letter that looks like another',
      pod(undefined, 'leg\u0430cy'),
      { legacy: {} },
      {},
      ['exception "leg\\u{430}cy" is no name of an AdmissionException'],
    ],
    [
      'a lone surrogate as a name',
      pod(undefined, '\ud800'),
      { legacy: {} },
      {},
      ['exception "\\u{d800}" is no name of an AdmissionException'],
    ],
    // Images: both ends are anchored, and no star is understood.
    ['an image with an ending', using(`${R}/shop/web:12`), { legacy: {} }, {}, [foreign('web', `${R}/shop/web:12`)]],
    [
      'an image under the one that is granted',
      using(`${R}/shop/web/evil:1`),
      { legacy: {} },
      {},
      [foreign('web', `${R}/shop/web/evil:1`)],
    ],
    [
      'an image with the registry as its path',
      using(`evil.example/${R}/shop/web:1`),
      { legacy: {} },
      {},
      [foreign('web', `evil.example/${R}/shop/web:1`)],
    ],
    [
      'a granted name that stops short',
      pod(),
      { legacy: { images: [`${R}/shop/we:1`] } },
      {},
      [foreign('web', `${R}/shop/web:1`)],
    ],
    [
      'a digest under a tag',
      using(`${R}/shop/web:1@${A}`),
      { legacy: {} },
      {},
      [
        `exception "legacy" does not match "${R}/shop/web:1@sha256:aaaaaaaaa...aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" of container "web": its pattern names a tag, the pod a digest`,
      ],
    ],
    // Another namespace, or a review that claims one.
    [
      'an exception of another namespace',
      pod(),
      { legacy: { namespaces: ['billing'] } },
      {},
      ['exception "legacy" is not for namespace "shop"'],
    ],
    [
      'an exception of a namespace with an ending',
      pod(),
      { legacy: { namespaces: ['shop-2'] } },
      {},
      ['exception "legacy" is not for namespace "shop"'],
    ],
    [
      'a pod that names the namespace of the exception, in another',
      pod(undefined, 'legacy', { namespace: 'shop' }),
      { legacy: {} },
      { namespace: 'billing' },
      ['exception "legacy" is not for namespace "billing"'],
    ],
    // Two that only together would be enough.
    [
      'two exceptions that would have to combine',
      pod({ hostPID: true, containers: [web, { name: 'x', image: 'evil:1' }] }, 'legacy,other'),
      { legacy: {}, other: { images: ['evil:1'] } },
      {},
      [foreign('x', 'evil:1'), foreign('web', `${R}/shop/web:1`).replace('legacy', 'other')],
    ],
    // Versions of the API.
    [
      'an exception of another version',
      pod(),
      { legacy: { apiVersion: 'drawbridge.dev/v1' } },
      {},
      [
        'exception "legacy" is malformed and counts nowhere: drawbridge.dev/v1 AdmissionException: wanted drawbridge.dev/v1alpha1 AdmissionException',
      ],
    ],
    [
      'a pod of a version that does not exist',
      pod(),
      {},
      { kind: { group: '', version: 'v2', kind: 'Pod' }, resource: { group: '', version: 'v2', resource: 'pods' } },
      ['exception "legacy" does not exist'],
    ],
    [
      'a subresource that does not exist',
      pod(),
      {},
      update(pod({}), 'newcontainers'),
      ['exception "legacy" does not exist'],
    ],
    // Time.
    [
      'an expiry in the past',
      pod(),
      { legacy: { expiresAt: '2026-11-21T23:59:59Z' } },
      {},
      ['exception "legacy" expired at 2026-11-21T23:59:59Z'],
    ],
    [
      'an expiry at this second',
      pod(),
      { legacy: { expiresAt: '2026-11-22T00:00:00Z' } },
      {},
      ['exception "legacy" expired at 2026-11-22T00:00:00Z'],
    ],
    [
      'an expiry within this second',
      pod(),
      { legacy: { expiresAt: '2026-11-22T00:00:00.999Z' } },
      {},
      ['exception "legacy" expired at 2026-11-22T00:00:00Z'],
    ],
    [
      'an expiry at this second in another zone',
      pod(),
      { legacy: { expiresAt: '2026-11-22T05:00:00+05:00' } },
      {},
      ['exception "legacy" expired at 2026-11-22T00:00:00Z'],
    ],
    [
      'an expiry that is no time',
      pod(),
      { legacy: { expiresAt: 'never' } },
      {},
      [
        'exception "legacy" is malformed and counts nowhere: spec.expiresAt: "never" is no time such as 2026-12-31T00:00:00Z',
      ],
    ],
    [
      'no expiry',
      pod(),
      { legacy: { expiresAt: null } },
      {},
      ['exception "legacy" is malformed and counts nowhere: spec.expiresAt: wanted a string, found nothing'],
    ],
    [
      'a restriction that this version does not know',
      pod(),
      { legacy: { nodes: ['a'] } },
      {},
      ['exception "legacy" is malformed and counts nowhere: spec.nodes: unknown key'],
    ],
    // Switched off.
    [
      'one that a person suspended',
      pod(),
      { legacy: { suspended: true } },
      {},
      ['exception "legacy" is suspended (spec.suspended)'],
    ],
    [
      'an image that a verdict denies',
      using(`${R}/shop/flagged:1`),
      { legacy: { images: [`${R}/shop/*:*`] } },
      {},
      ['exception "legacy" is suspended: verdict sha256-bad denies the image of container "web"'],
    ],
    // Labels of the pod's author.
    [
      'labels that look like an exemption',
      pod(undefined, '', { labels: { 'drawbridge.dev/exception': 'legacy', 'drawbridge.dev/exempt': 'true' } }),
      { legacy: {} },
      {},
      [],
    ],
    [
      'the annotation on nothing but a label',
      {
        metadata: { name: 'web', labels: { 'drawbridge.dev/exception': 'legacy' } },
        spec: { hostPID: true, containers: [web] },
      },
      { legacy: {} },
      {},
      [],
    ],
  ] as const) {
    it(`gets nothing by ${what}`, async () => assert.deepEqual(await notesOf(object, grants, changes), notes))
  }

  it('allows it until the second before the expiry', async () =>
    assert.equal((await ask(pod(), { legacy: { expiresAt: '2026-11-22T00:00:01Z' } })).allowed, true))

  it('makes no exception a requirement: a pod that needs none is allowed whatever it asks for', async () => {
    for (const [grants, warnings] of [
      [{}, ['drawbridge: exception "legacy" does not exist']],
      [{ legacy: { expiresAt: '2026-01-01T00:00:00Z' } }, undefined],
      [{ legacy: { suspended: true } }, undefined],
      [{ legacy: {} }, undefined],
    ] as const) {
      const answer = await ask(pod({}), grants)
      assert.deepEqual([answer.allowed, answer.used], [true, []])
      if (warnings !== undefined) assert.deepEqual(answer.warnings, warnings)
    }
  })

  it('honours an expired or suspended one in warnings and templates neither', async () => {
    const warn = { 'drawbridge.dev/warn': 'baseline' }
    const deployment = {
      kind: { group: 'apps', version: 'v1', kind: 'Deployment' },
      resource: { group: 'apps', version: 'v1', resource: 'deployments' },
    }
    const template = { metadata: { name: 'web' }, spec: { template: pod() } }
    for (const [grant, warned] of [
      [{}, false],
      [{ expiresAt: '2026-11-22T00:00:00Z' }, true],
      [{ suspended: true }, true],
      [{ expiresAt: 'never' }, true],
    ] as const) {
      const asPod = await ask(pod(), { legacy: grant }, {}, warn)
      const asTemplate = await ask(template, { legacy: grant }, deployment)
      const asAudit = await ask(pod(), { legacy: grant }, {}, { 'drawbridge.dev/audit': 'baseline' })
      const warns = ({ warnings = [] }: Asked): boolean => warnings.some((line) => line.includes('hostNamespaces'))
      assert.deepEqual(
        [warns(asPod), warns(asTemplate), asAudit.auditAnnotations?.['audit-violations'] !== undefined],
        [warned, warned, warned],
        JSON.stringify(grant),
      )
      assert.deepEqual([asPod.allowed, asTemplate.allowed, asAudit.allowed], [true, true, true])
    }
  })
})
