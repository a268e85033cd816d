/** Exceptions in whole answers: what a denied person reads, what counts as a use, and what happens to a pod that changes. */
import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import type { AdmissionRequest } from '../../src/kube/types.ts'
import { judge, type JudgeInput, type Judgement } from '../../src/policy/judge.ts'
import { readAdmissionException, type FindException } from '../../src/policy/exceptions.ts'
import { resolveNamespace } from '../../src/policy/namespace.ts'

const NOW = Date.UTC(2026, 10, 22)
const IMAGE = 'registry.example/shop/web:1'
const policyOf = (labels: Readonly<Record<string, string>>) =>
  resolveNamespace(Object.fromEntries(Object.entries(labels).map(([name, value]) => [`drawbridge.dev/${name}`, value])))
const BASELINE = policyOf({ enforce: 'baseline' })

const exceptions =
  (grants: Readonly<Record<string, object>>): FindException =>
  (name) =>
    Object.hasOwn(grants, name)
      ? readAdmissionException({
          apiVersion: 'drawbridge.dev/v1alpha1',
          kind: 'AdmissionException',
          metadata: { name },
          spec: {
            namespaces: ['shop'],
            images: ['registry.example/shop/*:*'],
            serviceAccounts: ['*'],
            checks: ['hostNamespaces', 'privileged'],
            reason: 'a test',
            expiresAt: '2027-01-01T00:00:00Z',
            ...grants[name],
          },
        })
      : undefined

const pod = (annotation: string, spec: object = { hostPID: true }) => ({
  metadata: { name: 'web', annotations: { 'drawbridge.dev/exception': annotation } },
  spec: { containers: [{ name: 'web', image: IMAGE }], ...spec },
})
const request = (object: unknown, changes: Partial<AdmissionRequest> = {}): AdmissionRequest => ({
  uid: 'u',
  kind: { group: '', version: 'v1', kind: 'Pod' },
  resource: { group: '', version: 'v1', resource: 'pods' },
  operation: 'CREATE',
  namespace: 'shop',
  object,
  ...changes,
})
const judgeWith = (
  object: unknown,
  grants: Readonly<Record<string, object>>,
  changes: Partial<JudgeInput> & { readonly request?: AdmissionRequest } = {},
): Judgement =>
  judge({ request: request(object), policy: BASELINE, exceptions: exceptions(grants), now: NOW, ...changes })

const LINE =
  'host namespaces (hostNamespaces): spec.hostPID is true, must be false or not set; fix: remove hostPID; exception: drawbridge.dev/exception'
const denialOf = (...notes: readonly string[]): string =>
  [`drawbridge: pod "web" breaks profile baseline:latest:`, `- ${LINE}`, ...notes].join('\n')

const deployment = (annotation: string) =>
  request(
    {
      metadata: { name: 'web', annotations: { 'drawbridge.dev/exception': 'legacy' } },
      spec: { template: pod(annotation) },
    },
    {
      kind: { group: 'apps', version: 'v1', kind: 'Deployment' },
      resource: { group: 'apps', version: 'v1', resource: 'deployments' },
    },
  )

describe('judge: exceptions', () => {
  for (const [labels, times] of [
    [{ enforce: 'one', warn: 'one', audit: 'one' }, 1],
    [{ enforce: 'one', warn: 'two', audit: 'one' }, 2],
    [{ enforce: 'one', warn: 'two', audit: 'three' }, 3],
  ] as const) {
    it(`checks each profile once: ${Object.values(labels).join(', ')}`, () => {
      let calls = 0
      const checks = [{ id: 'counted', check: () => (calls++, []) }]
      const at = (profile: string) => ({ profile, version: 'latest' as const, checks })
      const policy = {
        enforce: at(labels.enforce),
        warn: at(labels.warn),
        audit: at(labels.audit),
        quarantine: 'off' as const,
        problems: [],
      }
      judgeWith(pod('legacy'), { legacy: {} }, { policy })
      assert.equal(calls, times)
    })
  }

  it('does not take a profile for another of its name with other checks or another version', () => {
    const broken = (check: string) => () => [{ check, reason: check, path: 'spec', found: '', required: '', fix: '' }]
    const at = (version: number, check: string) => ({
      profile: 'one',
      version,
      checks: [{ id: check, check: broken(check) }],
    })
    const policy = {
      enforce: at(35, 'a'),
      warn: at(35, 'b'),
      audit: at(34, 'c'),
      quarantine: 'off' as const,
      problems: [],
    }
    const { violations, auditAnnotations } = judgeWith(pod('legacy'), {}, { policy })
    assert.deepEqual(
      violations.map(({ check }) => check),
      ['a'],
    )
    assert.match(auditAnnotations['audit-violations'] ?? '', /one:v1\.34:\n- c: /)
  })

  it('allows a pod because of an exception, and says which in the audit log', () => {
    const judgement = judgeWith(pod('legacy'), { legacy: {} })
    assert.deepEqual(judgement, {
      allowed: true,
      code: 200,
      message: '',
      warnings: [],
      auditAnnotations: { 'enforce-policy': 'baseline:latest', 'exceptions-used': 'legacy' },
      violations: [],
      flagged: [],
      exceptionsUsed: ['legacy'],
      cannotBePrevented: false,
    })
  })

  for (const [what, grants, note] of [
    ['unknown', {}, 'exception "legacy" does not exist'],
    [
      'malformed',
      { legacy: { expiresAt: 'never' } },
      'exception "legacy" is malformed and counts nowhere: spec.expiresAt: "never" is no time such as 2026-12-31T00:00:00Z',
    ],
    [
      'expired',
      { legacy: { expiresAt: '2026-11-22T00:00:00Z' } },
      'exception "legacy" expired at 2026-11-22T00:00:00Z',
    ],
    ['for another namespace', { legacy: { namespaces: ['sho'] } }, 'exception "legacy" is not for namespace "shop"'],
    [
      'for another check',
      { legacy: { checks: ['privileged'] } },
      'exception "legacy" does not list check hostNamespaces',
    ],
    [
      'for another image',
      { legacy: { images: ['registry.example/shop/db:*'] } },
      'exception "legacy" does not match "registry.example/shop/web:1" of container "web"; for the pod as a whole it must match every image',
    ],
  ] as const) {
    it(`says in the denial that the exception is ${what}`, () => {
      const judgement = judgeWith(pod('legacy'), grants)
      assert.deepEqual([judgement.allowed, judgement.code], [false, 403])
      assert.equal(judgement.message, denialOf(note))
      assert.deepEqual([judgement.warnings, judgement.exceptionsUsed], [[], []])
    })
  }

  it('counts nothing without a clock or without a list', () => {
    assert.equal(
      judgeWith(pod('legacy'), { legacy: {} }, { now: undefined }).message,
      denialOf('exception "legacy" expired at 2027-01-01T00:00:00Z'),
    )
    assert.equal(
      judgeWith(pod('legacy'), { legacy: {} }, { exceptions: undefined }).message,
      denialOf('exception "legacy" does not exist'),
    )
  })

  it('moves what does not fit into the denial to the warnings', () => {
    const names = Array.from({ length: 16 }, (_, index) => `exception-with-a-long-name-${'x'.repeat(20)}-${index}`)
    const { message, warnings } = judgeWith(pod(names.join()), {})
    assert.ok(message.length <= 1024 && message.includes(LINE))
    const inMessage = message.split('\n').filter((line) => line.startsWith('exception '))
    assert.ok(inMessage.length >= 3)
    const all = [...inMessage, ...warnings.map((warning) => warning.replace('drawbridge: ', ''))]
    assert.deepEqual(all.sort(), names.map((name) => `exception "${name}" does not exist`).sort())
  })

  it('is never a requirement: a good pod that asks for an unknown one is allowed with a warning', () => {
    const { allowed, warnings, exceptionsUsed } = judgeWith(pod('gone', {}), {})
    assert.deepEqual([allowed, warnings, exceptionsUsed], [true, ['drawbridge: exception "gone" does not exist'], []])
  })

  it('is not used by a pod that is denied for something else', () => {
    const { allowed, violations, exceptionsUsed } = judgeWith(
      pod('legacy', { hostPID: true, containers: [{ name: 'web', image: IMAGE, ports: [{ hostPort: 80 }] }] }),
      { legacy: {} },
    )
    assert.deepEqual([allowed, violations.map(({ check }) => check), exceptionsUsed], [false, ['hostPorts'], []])
  })

  it('takes violations out of warnings and audit too', () => {
    const policy = policyOf({ warn: 'baseline', audit: 'baseline' })
    const { warnings, auditAnnotations, exceptionsUsed } = judgeWith(pod('legacy'), { legacy: {} }, { policy })
    assert.deepEqual([warnings, auditAnnotations, exceptionsUsed], [[], {}, []])
  })

  it('reads the annotation of a template, for its warnings', () => {
    const covered = judgeWith(undefined, { legacy: {} }, { request: deployment('legacy') })
    assert.deepEqual([covered.warnings, covered.exceptionsUsed], [[], []])
    // The Deployment's own annotation is nobody's: its pods do not carry it.
    const { warnings } = judgeWith(undefined, { legacy: {} }, { request: deployment('gone') })
    assert.deepEqual(warnings, [
      'drawbridge: Deployment "web": its pods will be denied, they break profile baseline:latest',
      LINE.replace('spec.hostPID', 'spec.template.spec.hostPID'),
      'drawbridge: exception "gone" does not exist',
    ])
  })

  it('reports malformed names', () => {
    assert.deepEqual(judgeWith(pod('legacy, Legacy'), { legacy: {} }).warnings, [
      'drawbridge: exception "Legacy" is no name of an AdmissionException',
    ])
  })
})

const update = (object: unknown, oldObject: unknown, subResource?: string) =>
  request(object, { operation: 'UPDATE', oldObject, ...(subResource === undefined ? {} : { subResource }) })

const withEphemeral = (image: string, securityContext: object = {}) =>
  pod('legacy', { hostPID: true, ephemeralContainers: [{ name: 'debug', image, securityContext }] })

const excepted = pod('legacy')
const addEphemeral = (image: string) =>
  judgeWith(undefined, { legacy: {} }, { request: update(withEphemeral(image), excepted, 'ephemeralcontainers') })

describe('judge: pods that change after they were excepted', () => {
  const old = excepted

  it('judges the whole pod again when an ephemeral container joins', () => {
    assert.equal(addEphemeral('registry.example/shop/tools:1').allowed, true)
    assert.equal(
      addEphemeral('busybox:1').message,
      denialOf(
        'exception "legacy" does not match "busybox:1" of container "debug"; for the pod as a whole it must match every image',
      ),
    )
  })

  it('lends an ephemeral container nothing of another container', () => {
    const { violations } = judgeWith(
      undefined,
      { legacy: { images: [IMAGE] } },
      {
        request: update(
          pod('legacy', {
            ephemeralContainers: [{ name: 'debug', image: 'busybox:1', securityContext: { privileged: true } }],
          }),
          pod('legacy', {}),
          'ephemeralcontainers',
        ),
      },
    )
    assert.deepEqual(
      violations.map(({ path }) => path),
      ['spec.ephemeralContainers[0].securityContext.privileged'],
    )
  })

  it('judges again when an image changes', () => {
    const changed = pod('legacy', { hostPID: true, containers: [{ name: 'web', image: 'evil.example/shop/web:1' }] })
    assert.equal(judgeWith(undefined, { legacy: {} }, { request: update(changed, old) }).allowed, false)
  })

  it('lets a running pod finish after the expiry: labels and finalizers are no reason to judge', () => {
    const labelled = { ...old, metadata: { ...old.metadata, labels: { a: 'b' } } }
    const expired = { legacy: { expiresAt: '2026-11-01T00:00:00Z' } }
    assert.equal(judgeWith(undefined, expired, { request: update(labelled, old) }).allowed, true)
    assert.equal(judgeWith(labelled, expired).allowed, false)
  })

  it('judges again when the service account changes, should a version ever allow that', () => {
    const grants = { legacy: { serviceAccounts: ['default'] } }
    const changed = pod('legacy', { hostPID: true, serviceAccountName: 'admin' })
    assert.equal(judgeWith(undefined, grants, { request: update(changed, old) }).allowed, false)
  })
})

const findFlagged = (image: string) =>
  image === IMAGE ? ({ verdict: 'sha256-bad', phase: 'denying', text: 'is denied' } as const) : undefined

describe('judge: exceptions and verdicts', () => {
  it('suspends an exception where a verdict denies its image', () => {
    const { message } = judgeWith(pod('legacy'), { legacy: {} }, { findFlagged })
    assert.match(message, /is denied/)
    assert.ok(message.includes(LINE))
    assert.ok(
      message.endsWith('\nexception "legacy" is suspended: verdict sha256-bad denies the image of container "web"'),
    )
  })

  for (const quarantine of ['warn', 'off']) {
    it(`leaves it alone where quarantine is ${quarantine}: there the verdict denies nothing`, () => {
      const policy = policyOf({ enforce: 'baseline', quarantine })
      assert.equal(judgeWith(pod('legacy'), { legacy: {} }, { findFlagged, policy }).allowed, true)
    })
  }

  it('never gives more than the verdict allows', () =>
    assert.equal(judgeWith(pod('legacy', {}), { legacy: {} }, { findFlagged }).allowed, false))
})

describe('judge: hostile exceptions', () => {
  it('adding an exception never turns an allowance into a denial, nor one denial into a longer list', () => {
    const spec = fc.record({
      hostPID: fc.boolean(),
      containers: fc.array(
        fc.record({
          name: fc.constantFrom('a', 'b'),
          image: fc.constantFrom(IMAGE, 'evil:1', ''),
          securityContext: fc.record({ privileged: fc.boolean() }),
        }),
        { minLength: 1, maxLength: 3 },
      ),
    })
    const grant = fc.record(
      {
        namespaces: fc.constantFrom(['shop'], ['other']),
        checks: fc.constantFrom(['privileged'], ['hostNamespaces'], ['privileged', 'hostNamespaces']),
        images: fc.constantFrom(['evil:1'], [IMAGE], ['evil:1', IMAGE]),
        expiresAt: fc.constantFrom('never', '2026-01-01T00:00:00Z', '2027-01-01T00:00:00Z'),
      },
      { requiredKeys: [] },
    )
    fc.assert(
      fc.property(spec, grant, grant, (pods, one, two) => {
        const before = judgeWith(pod('one,two', pods), { one })
        const after = judgeWith(pod('one,two', pods), { one, two })
        assert.ok(!before.allowed || after.allowed)
        assert.ok(after.violations.length <= before.violations.length)
        assert.ok(after.message.length <= 1024)
      }),
    )
  })

  it('stays within every bound, whatever the annotation holds', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 1100 }), (annotation) => {
        const { message, warnings } = judgeWith(pod(annotation), {})
        assert.match(message, /^[\x20-\x7e\n]{1,1024}$/)
        assert.ok(warnings.every((warning) => /^[\x20-\x7e]{1,255}$/.test(warning)))
      }),
    )
  })
})
