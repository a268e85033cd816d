import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import type { AdmissionRequest } from '../../src/kube/types.ts'
import { createExemptions, findExemption } from '../../src/policy/exemptions.ts'
import { judge } from '../../src/policy/judge.ts'
import { resolveNamespace } from '../../src/policy/namespace.ts'

const EXEMPTIONS = createExemptions({ users: ['jane'], namespaces: ['infra'], runtimeClasses: ['kata'] })

const request = (changes: Partial<AdmissionRequest> = {}, runtimeClassName?: unknown): AdmissionRequest => ({
  uid: 'u',
  kind: { group: '', version: 'v1', kind: 'Pod' },
  resource: { group: '', version: 'v1', resource: 'pods' },
  operation: 'CREATE',
  namespace: 'shop',
  userInfo: { username: 'joe', groups: ['jane', 'infra'] },
  object: {
    metadata: { name: 'kata', namespace: 'infra', labels: { exempt: 'user' } },
    spec: { runtimeClassName, hostPID: true, containers: [{ name: 'c', image: 'bad' }] },
  },
  ...changes,
})

describe('findExemption', () => {
  const cases: readonly (readonly [string, AdmissionRequest, string | undefined])[] = [
    ['nothing exempt', request(), undefined],
    ['an exempt namespace', request({ namespace: 'infra' }), 'namespace'],
    ['an exempt user', request({ userInfo: { username: 'jane' } }), 'user'],
    ['an exempt RuntimeClass', request({}, 'kata'), 'runtimeClass'],
    ['all of them', request({ namespace: 'infra', userInfo: { username: 'jane' } }, 'kata'), 'namespace'],
    ['a longer namespace', request({ namespace: 'infra-2' }), undefined],
    ['another case', request({ userInfo: { username: 'Jane' } }), undefined],
    ['a user with a space', request({ userInfo: { username: 'jane ' } }), undefined],
    ['a RuntimeClass that is no text', request({}, ['kata']), undefined],
    ['no user', request({ userInfo: undefined }), undefined],
    ['no object', request({ object: undefined }), undefined],
    ['__proto__', request({ namespace: '__proto__', userInfo: { username: 'constructor' } }, 'toString'), undefined],
    [
      'the RuntimeClass of a template',
      request({
        kind: { group: 'apps', version: 'v1', kind: 'Deployment' },
        resource: { group: 'apps', version: 'v1', resource: 'deployments' },
        object: { spec: { template: { spec: { runtimeClassName: 'kata' } } } },
      }),
      'runtimeClass',
    ],
    [
      'an unknown kind',
      request(
        { kind: { group: 'x', version: 'v1', kind: 'X' }, resource: { group: 'x', version: 'v1', resource: 'xs' } },
        'kata',
      ),
      undefined,
    ],
  ]
  for (const [what, input, exemption] of cases)
    it(`${what}: ${exemption ?? 'not exempt'}`, () => assert.equal(findExemption(EXEMPTIONS, input), exemption))

  it('never throws, and exempts nobody when no name is listed', () => {
    const none = createExemptions({ users: [], namespaces: [], runtimeClasses: [] })
    fc.assert(
      fc.property(fc.jsonValue(), fc.string(), (object, text) => {
        const input = request({ object, namespace: text, userInfo: { username: text } })
        assert.equal(findExemption(none, input), undefined)
        findExemption(EXEMPTIONS, input)
      }),
    )
  })
})

describe('judge: exemptions', () => {
  const policy = resolveNamespace({
    'drawbridge.dev/enforce': 'standard',
    'drawbridge.dev/warn': 'restricted',
    'drawbridge.dev/audit': 'restricted',
  })
  const flag = () => ({ verdict: 'sha256-b', phase: 'denying', text: 'flagged' }) as const

  it('passes what is exempt, with the annotation alone', () => {
    for (const [changes, runtimeClass, exempt] of [
      [{ namespace: 'infra' }, undefined, 'namespace'],
      [{ userInfo: { username: 'jane' } }, undefined, 'user'],
      [{}, 'kata', 'runtimeClass'],
    ] as const) {
      const judgement = judge({ request: request(changes, runtimeClass), policy, exemptions: EXEMPTIONS })
      assert.deepEqual(
        [judgement.allowed, judgement.warnings, judgement.violations, judgement.auditAnnotations],
        [true, [], [], { exempt }],
      )
    }
    assert.equal(judge({ request: request(), policy, exemptions: EXEMPTIONS }).allowed, false)
  })

  it('denies a flagged image all the same', () => {
    const judgement = judge({
      request: request({ namespace: 'infra' }),
      policy,
      exemptions: EXEMPTIONS,
      findFlagged: flag,
    })
    assert.deepEqual(
      [judgement.allowed, judgement.violations, judgement.auditAnnotations],
      [false, [], { 'flagged-images': 'sha256-b', exempt: 'namespace' }],
    )
  })

  it('says nothing where nothing is judged', () => {
    const input = request({ namespace: 'infra', subResource: 'exec', operation: 'CONNECT' })
    assert.deepEqual(judge({ request: input, policy, exemptions: EXEMPTIONS }).auditAnnotations, {})
  })
})
