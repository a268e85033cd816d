import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import {
  isExpired,
  readAdmissionException,
  requestedExceptions,
  type AdmissionException,
} from '../../src/policy/exceptions.ts'

const A = `sha256:${'a'.repeat(64)}`

const SPEC = {
  namespaces: ['shop'],
  images: ['registry.example/shop/web:*'],
  serviceAccounts: ['web'],
  checks: ['privileged'],
  reason: 'needs it until the rewrite',
  expiresAt: '2026-12-31T00:00:00Z',
}
const object = (spec: unknown, rest: object = {}): unknown => ({
  apiVersion: 'drawbridge.dev/v1alpha1',
  kind: 'AdmissionException',
  metadata: { name: 'legacy' },
  spec,
  ...rest,
})
const problemOf = (spec: object): string | undefined => readAdmissionException(object({ ...SPEC, ...spec })).problem

describe('reading an AdmissionException', () => {
  it('reads a whole one', () => {
    const { exception } = readAdmissionException(object({ ...SPEC, images: [`registry.example/shop/web@${A}`] }))
    assert.deepEqual(exception, {
      name: 'legacy',
      namespaces: ['shop'],
      images: [
        {
          text: `registry.example/shop/web@${A}`,
          mutable: false,
          repository: [['registry.example'], ['shop'], ['web']],
          digest: A,
        },
      ],
      serviceAccounts: ['web'],
      checks: ['privileged'],
      reason: 'needs it until the rewrite',
      expiresAt: Date.UTC(2026, 11, 31),
      suspended: false,
    } satisfies AdmissionException)
  })

  const day = { problem: 'is no time such as 2026-12-31T00:00:00Z' }
  for (const [spec, problem] of [
    // A malformed or missing expiry never means "never".
    [{ expiresAt: undefined }, 'spec.expiresAt: wanted a string, found nothing'],
    [{ expiresAt: null }, 'spec.expiresAt: wanted a string, found nothing'],
    [{ expiresAt: 4_102_444_800 }, 'spec.expiresAt: wanted a string, found a number'],
    [{ expiresAt: '' }, `spec.expiresAt: "" ${day.problem}`],
    [{ expiresAt: 'never' }, `spec.expiresAt: "never" ${day.problem}`],
    [{ expiresAt: '2026-12-31' }, `spec.expiresAt: "2026-12-31" ${day.problem}`],
    [{ expiresAt: '2026-12-31T00:00:00' }, `spec.expiresAt: "2026-12-31T00:00:00" ${day.problem}`],
    [{ expiresAt: '2026-02-30T00:00:00Z' }, `spec.expiresAt: "2026-02-30T00:00:00Z" ${day.problem}`],
    [{ expiresAt: '2026-13-01T00:00:00Z' }, `spec.expiresAt: "2026-13-01T00:00:00Z" ${day.problem}`],
    [{ expiresAt: '2026-12-31T24:00:00Z' }, `spec.expiresAt: "2026-12-31T24:00:00Z" ${day.problem}`],
    [{ expiresAt: '+275761-01-01T00:00:00Z' }, `spec.expiresAt: "+275761-01-01T00:00:00Z" ${day.problem}`],
    [{ expiresAt: ' 2026-12-31T00:00:00Z' }, `spec.expiresAt: " 2026-12-31T00:00:00Z" ${day.problem}`],
    [{ reason: undefined }, 'spec.reason: wanted a string, found nothing'],
    [{ reason: ' \n' }, 'spec.reason: is empty'],
    [{ reason: 'x'.repeat(1025) }, 'spec.reason: is longer than 1024 characters'],
    [{ namespaces: [] }, 'spec.namespaces: wanted a list with at least one element, found an empty list'],
    [{ namespaces: 'shop' }, 'spec.namespaces: wanted a list, found a string'],
    [{ namespaces: ['*'] }, 'spec.namespaces[0]: "*" is no namespace name (there is no wildcard)'],
    [{ namespaces: ['shop-*'] }, 'spec.namespaces[0]: "shop-*" is no namespace name (there is no wildcard)'],
    [{ namespaces: ['shop', 'Shop'] }, 'spec.namespaces[1]: "Shop" is no namespace name (there is no wildcard)'],
    [{ checks: ['*'] }, 'spec.checks[0]: "*" is no check ID (there is no wildcard)'],
    [{ checks: [] }, 'spec.checks: wanted a list with at least one element, found an empty list'],
    [{ serviceAccounts: undefined }, 'spec.serviceAccounts: wanted a list with at least one element, found nothing'],
    [{ serviceAccounts: ['*', 'web'] }, 'spec.serviceAccounts: "*" stands alone'],
    [{ serviceAccounts: ['web*'] }, 'spec.serviceAccounts[0]: "web*" is no service account name; "*" alone means any'],
    [{ images: undefined }, 'spec.images: wanted a list with at least one element, found nothing'],
    [{ images: [null] }, 'spec.images[0]: wanted a string, found nothing'],
    [
      { images: ['nginx:1', '*'] },
      'spec.images[1]: "*" with "*" in it must begin with its registry, for example docker.io/',
    ],
    [{ images: Array(65).fill('nginx:1') }, 'spec.images: has more than 64 items'],
    [{ suspended: 'true' }, 'spec.suspended: wanted a boolean, found a string'],
    // It may be a restriction that this version would ignore.
    [{ suspend: true }, 'spec.suspend: unknown key'],
  ] as const) {
    it(`says ${problem} for ${JSON.stringify(spec).slice(0, 60)}`, () => assert.equal(problemOf(spec), problem))
  }

  it('refuses an own key __proto__, and what a prototype would lend', () => {
    const text = JSON.stringify(object(SPEC)).replace('"spec":{', '"spec":{"__proto__":{"suspended":false},')
    assert.equal(readAdmissionException(JSON.parse(text)).problem, 'spec.__proto__: unknown key')
  })

  for (const [value, problem] of [
    [undefined, 'the document: wanted an object, found nothing'],
    [null, 'the document: wanted an object, found nothing'],
    [[], 'the document: wanted an object, found an empty list'],
    [object(undefined), 'spec: wanted an object, found nothing'],
    [object(SPEC, { metadata: {} }), 'metadata.name: wanted a string, found nothing'],
    [object(SPEC, { metadata: { name: 'Legacy' } }), 'metadata.name: "Legacy" is no DNS label'],
    [object(SPEC, { metadata: { name: 'a.b' } }), 'metadata.name: "a.b" is no DNS label'],
    [
      object(SPEC, { apiVersion: 'drawbridge.dev/v1' }),
      'drawbridge.dev/v1 AdmissionException: wanted drawbridge.dev/v1alpha1 AdmissionException',
    ],
    [
      object(SPEC, { kind: 'PolicyException' }),
      'drawbridge.dev/v1alpha1 PolicyException: wanted drawbridge.dev/v1alpha1 AdmissionException',
    ],
  ] as const) {
    it(`says ${problem}`, () => assert.deepEqual(readAdmissionException(value), { problem }))
  }

  it('never throws, whatever JSON it is given', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(...Object.keys(SPEC)), (value, key) => {
        readAdmissionException(value)
        readAdmissionException(object(value))
        const { exception } = readAdmissionException(object({ ...SPEC, [key]: value }))
        if (exception !== undefined) assert.ok(Number.isFinite(exception.expiresAt))
      }),
    )
  })
})

const at = (expiresAt: string): AdmissionException =>
  readAdmissionException(object({ ...SPEC, expiresAt })).exception as AdmissionException

describe('expiry', () => {
  const noon = Date.UTC(2026, 11, 31, 12)
  for (const [what, expiresAt, now, expired] of [
    ['a second ahead', '2026-12-31T12:00:01Z', noon, false],
    ['a millisecond ahead, in the next second', '2026-12-31T12:00:00Z', noon - 1, false],
    ['this very second', '2026-12-31T12:00:00Z', noon, true],
    ['later in this very second', '2026-12-31T12:00:00.999Z', noon, true],
    ['the past', '2026-12-31T11:59:59Z', noon, true],
    ['another zone, ahead', '2026-12-31T13:00:01+01:00', noon, false],
    ['another zone, this second', '2026-12-31T13:00:00+01:00', noon, true],
    ['the far future, by a clock that is broken', '9999-12-31T12:00:00Z', Number.NaN, true],
    ['the far future, without a clock', '9999-12-31T12:00:00Z', Number.POSITIVE_INFINITY, true],
  ] as const) {
    it(`${what}: ${expired ? 'expired' : 'holds'}`, () => assert.equal(isExpired(at(expiresAt), now), expired))
  }
})

const read = (text: unknown) =>
  requestedExceptions({ annotations: { 'drawbridge.dev/exception': text as string, other: 'x' } })

describe('the annotation', () => {
  for (const [text, names, problems] of [
    ['', [], []],
    [' ', [], []],
    [null, [], []],
    ['legacy', ['legacy'], []],
    [' a , b,a', ['a', 'b'], []],
    ['a,', ['a'], ['exception "" is no name of an AdmissionException']],
    ['*', [], ['exception "*" is no name of an AdmissionException']],
    ['Legacy', [], ['exception "Legacy" is no name of an AdmissionException']],
    ['a;b', [], ['exception "a;b" is no name of an AdmissionException']],
    ['__proto__', [], ['exception "__proto__" is no name of an AdmissionException']],
    ['a\u202eb', [], ['exception "a\\u{202e}b" is no name of an AdmissionException']],
    ['\ud800', [], ['exception "\\u{d800}" is no name of an AdmissionException']],
    ['../a', [], ['exception "../a" is no name of an AdmissionException']],
    ['a'.repeat(1025), [], ['annotation drawbridge.dev/exception is longer than 1 KiB and was not read']],
  ] as const) {
    it(JSON.stringify(text)?.slice(0, 40), () => assert.deepEqual(read(text), { names, problems }))
  }

  it('reads at most 16 names', () => {
    const names = Array.from({ length: 17 }, (_, index) => `e${index}`)
    assert.deepEqual(read(names.join()), {
      names: names.slice(0, 16),
      problems: ['the pod asks for 17 exceptions; only the first 16 were read'],
    })
  })

  it('is looked for among own keys only', () => {
    const annotations = Object.create({ 'drawbridge.dev/exception': 'legacy' }) as Record<string, string>
    assert.deepEqual(requestedExceptions({ annotations }).names, [])
    assert.deepEqual(requestedExceptions({}).names, [])
  })
})
