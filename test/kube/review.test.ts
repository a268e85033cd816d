import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import {
  answerReview,
  decisionResponse,
  isNodeRequest,
  patchResponse,
  readAdmissionReview,
} from '../../src/kube/review.ts'

const request = {
  uid: 'u-1',
  kind: { group: '', version: 'v1', kind: 'Pod' },
  resource: { group: '', version: 'v1', resource: 'pods' },
  operation: 'CREATE',
  object: { metadata: {} },
}
const review = (changes: object = {}): object => ({
  apiVersion: 'admission.k8s.io/v1',
  kind: 'AdmissionReview',
  request: { ...request, ...changes },
})

describe('readAdmissionReview', () => {
  it('reads a review into a new object, without nulls and unknown fields', () => {
    const { request: read } = readAdmissionReview(
      review({
        name: 'web',
        namespace: 'shop',
        subResource: '',
        dryRun: true,
        oldObject: null,
        userInfo: { username: 'system:node:a', groups: ['system:nodes'], extra: {} },
        options: { kind: 'CreateOptions' },
      }),
    )
    assert.deepEqual(read, {
      ...request,
      oldObject: undefined,
      name: 'web',
      namespace: 'shop',
      dryRun: true,
      userInfo: { username: 'system:node:a', groups: ['system:nodes'] },
    })
  })

  it('takes an absent group for the core group, as JSON from Go leaves it out', () => {
    const { request: read } = readAdmissionReview(
      review({ kind: { version: 'v1', kind: 'Pod' }, resource: { version: 'v1', resource: 'pods' } }),
    )
    assert.equal(read?.kind.group, '')
    assert.equal(read?.resource.group, '')
  })

  const wrong: readonly (readonly [string, unknown, string])[] = [
    ['a list', [], 'not an AdmissionReview: wanted a JSON object'],
    ['null', null, 'not an AdmissionReview: wanted a JSON object'],
    ['a pod', { kind: 'Pod', apiVersion: 'v1' }, 'not an AdmissionReview: kind is "Pod"'],
    ['no kind', {}, 'not an AdmissionReview: kind is not a string'],
    [
      'another version',
      { ...review(), apiVersion: 'admission.k8s.io/v1beta1' },
      'wanted apiVersion admission.k8s.io/v1, found "admission.k8s.io/v1beta1"',
    ],
    [
      'no request',
      { ...review(), request: null },
      'malformed AdmissionReview: request: wanted an object, found nothing',
    ],
    ['no uid', review({ uid: null }), 'malformed AdmissionReview: request.uid: wanted a string, found nothing'],
    ['an empty uid', review({ uid: '' }), 'malformed AdmissionReview: request.uid is empty'],
    [
      'a uid of any length',
      review({ uid: 'u'.repeat(129) }),
      'malformed AdmissionReview: request.uid has over 128 characters',
    ],
    [
      'a kind that is text',
      review({ kind: 'Pod' }),
      'malformed AdmissionReview: request.kind: wanted an object, found a string',
    ],
    [
      'an operation that nobody knows',
      review({ operation: 'PATCH\n' }),
      'malformed AdmissionReview: request.operation is "PATCH\\u{a}", must be one of CREATE, UPDATE, DELETE, CONNECT',
    ],
    [
      'a namespace that is a number',
      review({ namespace: 1 }),
      'malformed AdmissionReview: request.namespace: wanted a string, found a number',
    ],
    [
      'groups that are text',
      review({ userInfo: { groups: 'system:nodes' } }),
      'malformed AdmissionReview: request.userInfo.groups: wanted a list, found a string',
    ],
  ]
  for (const [name, json, error] of wrong) {
    it(`refuses ${name}`, () => {
      assert.equal(readAdmissionReview(json).error, error)
    })
  }

  it('gives the uid beside an error when there is one, so that the review can be answered', () => {
    assert.deepEqual(readAdmissionReview(review({ dryRun: 'yes' })), {
      error: 'malformed AdmissionReview: request.dryRun: wanted a boolean, found a string',
      uid: 'u-1',
    })
  })

  it('gives no long uid beside an error: it would be as long in the answer', () => {
    for (const changes of [{}, { dryRun: 'yes' }, { operation: 'PATCH' }]) {
      const read = readAdmissionReview(review({ ...changes, uid: 'u'.repeat(129) }))
      assert.ok(read.error !== undefined && read.uid === undefined)
    }
    assert.equal(readAdmissionReview(review({ uid: 'u'.repeat(128) })).request?.uid.length, 128)
  })

  it('never throws', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (json, inner) => {
        readAdmissionReview(json)
        readAdmissionReview({ ...review(), request: inner })
        const { request: read } = readAdmissionReview(review({ object: inner, userInfo: null }))
        assert.deepEqual(read?.object ?? null, inner)
      }),
    )
  })
})

describe('answers', () => {
  it('denies with a Status as the API server expects it', () => {
    assert.deepEqual(answerReview(decisionResponse('u-1', { allowed: false, code: 403, message: 'no' })), {
      apiVersion: 'admission.k8s.io/v1',
      kind: 'AdmissionReview',
      response: { uid: 'u-1', allowed: false, status: { code: 403, reason: 'Forbidden', message: 'no' } },
    })
    assert.equal(decisionResponse('u', { allowed: false, code: 400, message: 'x' }).status?.reason, 'BadRequest')
  })

  it('allows without a status and leaves out what is empty', () => {
    const decision = { allowed: true, code: 200, message: '', warnings: [], auditAnnotations: {} }
    assert.deepEqual(decisionResponse('u', decision), { uid: 'u', allowed: true })
    assert.deepEqual(decisionResponse('u', { ...decision, warnings: ['w'], auditAnnotations: { a: 'b' } }), {
      uid: 'u',
      allowed: true,
      warnings: ['w'],
      auditAnnotations: { a: 'b' },
    })
  })

  it('encodes a patch, and none as none', () => {
    assert.deepEqual(patchResponse('u', []), { uid: 'u', allowed: true })
    const { patch, patchType } = patchResponse('u', [{ op: 'add', path: '/a', value: 'ä' }])
    assert.equal(patchType, 'JSONPatch')
    assert.equal(Buffer.from(patch ?? '', 'base64').toString(), '[{"op":"add","path":"/a","value":"ä"}]')
  })

  it('knows a kubelet by its group alone', () => {
    assert.equal(isNodeRequest({ userInfo: { username: 'x', groups: ['a', 'system:nodes'] } }), true)
    assert.equal(isNodeRequest({ userInfo: { username: 'system:node:a', groups: ['system:authenticated'] } }), false)
    assert.equal(isNodeRequest({}), false)
  })
})
