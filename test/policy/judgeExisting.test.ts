import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { findingLines, judgeExisting } from '../../src/policy/judgeExisting.ts'
import { resolveNamespace } from '../../src/policy/namespace.ts'
import type { FindFlagged } from '../../src/policy/types.ts'

const policyOf = (labels: Readonly<Record<string, string>>) =>
  resolveNamespace(Object.fromEntries(Object.entries(labels).map(([name, value]) => [`drawbridge.dev/${name}`, value])))

const STANDARD = policyOf({ enforce: 'standard' })

const pod = (spec: object = {}, metadata: object = {}): unknown => ({
  metadata: { name: 'web', namespace: 'shop', ...metadata },
  spec: {
    securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
    containers: [{ name: 'web', image: 'nginx:1' }],
    ...spec,
  },
})
const BAD = pod({ hostPID: true })
const STATIC_METADATA = {
  annotations: { 'kubernetes.io/config.mirror': 'x' },
  ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: 'node-1', controller: true }],
}
const findFlagged: FindFlagged = (image, namespace) =>
  image.includes('bad')
    ? { verdict: 'sha256-b', phase: 'denying', text: `${image} is denied in ${namespace}` }
    : image.includes('odd')
      ? { verdict: 'sha256-o', phase: 'warning', text: `${image} is odd` }
      : undefined
const using = (image: string): unknown => pod({ containers: [{ name: 'web', image }] })

/** Result, profile and checks: what a line of the table says. */
const summary = (object: unknown, labels: Readonly<Record<string, string>>): readonly unknown[] | undefined => {
  const finding = judgeExisting(object, 'shop', policyOf(labels), { findFlagged })
  return (
    finding && [
      finding.result,
      finding.profile,
      finding.violations.map(({ check }) => check),
      finding.flagged.map(({ verdict }) => verdict),
    ]
  )
}

describe('judgeExisting', () => {
  const cases: readonly (readonly [
    string,
    unknown,
    Readonly<Record<string, string>>,
    readonly unknown[] | undefined,
  ])[] = [
    ['a good pod', pod(), { enforce: 'standard' }, undefined],
    ['a bad pod', BAD, { enforce: 'standard' }, ['denied', 'standard:latest', ['hostNamespaces'], []]],
    ['a bad pod where nothing is asked', BAD, {}, undefined],
    ['a bad pod where only injection is asked', BAD, { seccomp: 'RuntimeDefault' }, undefined],
    ['a bad pod under warn', BAD, { warn: 'baseline' }, ['warned', 'baseline:latest', ['hostNamespaces'], []]],
    ['a bad pod under audit', BAD, { audit: 'baseline' }, ['audited', 'baseline:latest', ['hostNamespaces'], []]],
    [
      'a bad pod under warn and audit: the stronger answer',
      BAD,
      { audit: 'baseline', warn: 'standard' },
      ['warned', 'standard:latest', ['hostNamespaces'], []],
    ],
    [
      'a denied pod is not warned about as well',
      BAD,
      { enforce: 'baseline', warn: 'restricted' },
      ['denied', 'baseline:latest', ['hostNamespaces'], []],
    ],
    ['a flagged image', using('bad:1'), { enforce: 'standard' }, ['denied', undefined, [], ['sha256-b']]],
    ['a flagged image under warn', using('bad:1'), { quarantine: 'warn' }, ['warned', undefined, [], ['sha256-b']]],
    ['a flagged image under off', using('bad:1'), { enforce: 'standard', quarantine: 'off' }, undefined],
    ['a suspicious image', using('odd:1'), { enforce: 'standard' }, ['warned', undefined, [], ['sha256-o']]],
    [
      'a suspicious image of a pod that breaks the audit profile',
      using('odd:1'),
      { enforce: 'standard', audit: 'restricted' },
      ['warned', 'restricted:latest', ['allowPrivilegeEscalation', 'capabilities_restricted'], ['sha256-o']],
    ],
    [
      'a label that nobody understands enforces restricted',
      pod(),
      { enforce: 'standart' },
      ['denied', 'restricted:latest', ['allowPrivilegeEscalation', 'capabilities_restricted'], []],
    ],
  ]
  for (const [name, object, labels, expected] of cases) {
    it(name, () => assert.deepEqual(summary(object, labels), expected))
  }

  it('says it in the words of the webhook', () => {
    const finding = judgeExisting(BAD, 'shop', STANDARD, {})
    assert.deepEqual(finding && findingLines(finding), [
      'host namespaces (hostNamespaces): spec.hostPID is true, must be false or not set; fix: remove hostPID; exception: drawbridge.dev/exception',
    ])
    const flagged = judgeExisting(using('bad:1'), 'shop', STANDARD, { findFlagged })
    assert.deepEqual(flagged && findingLines(flagged), ['spec.containers[0].image: bad:1 is denied in shop'])
  })

  for (const [name, metadata, expected] of [
    ['a static pod', STATIC_METADATA, true],
    ['the annotation alone', { annotations: STATIC_METADATA.annotations }, false],
    ['the owner alone', { ownerReferences: STATIC_METADATA.ownerReferences }, false],
    [
      'another owner',
      { ...STATIC_METADATA, ownerReferences: [{ kind: 'ReplicaSet', name: 'x', controller: true }] },
      false,
    ],
  ] as const) {
    it(`${name} ${expected ? 'cannot' : 'can'} be prevented, and is judged in any case`, () => {
      const finding = judgeExisting(pod({ hostPID: true }, metadata), 'shop', STANDARD, {})
      assert.deepEqual([finding?.result, finding?.cannotBePrevented], ['denied', expected])
    })
  }

  it('never throws, and never finds nothing wrong with what is no pod', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (metadata, spec) => {
        for (const object of [metadata, { metadata, spec: 1 }, { metadata: {}, spec: { containers: [spec, null] } }]) {
          const finding = judgeExisting(object, 'shop', STANDARD, {})
          assert.equal(finding?.result, 'denied')
        }
      }),
    )
    assert.deepEqual(findingLines(judgeExisting({ metadata: { name: 'x' }, spec: null }, 'shop', STANDARD, {})!), [
      'drawbridge: pod "x" cannot be judged: spec: wanted an object, found nothing',
    ])
  })
})
