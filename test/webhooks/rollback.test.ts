/** The way back in answers of the validating endpoint. */
import assert from 'node:assert/strict'
import type { RevisedWorkload, RevisionHistory } from '../../src/kube/revisions.ts'
import type { FindFlagged } from '../../src/policy/types.ts'
import { withBrake } from '../../src/verdicts/brake.ts'
import { createValidate } from '../../webhooks/validate.ts'
import { admissionContext, answerIn, podReview } from './admission.ts'
import type { ReviewAnswer } from './admission.ts'

const HISTORY: RevisionHistory = {
  uid: 'u',
  images: ['bad:2'],
  revisions: [
    { number: 1, images: ['web:1'] },
    { number: 2, images: ['bad:2'] },
  ],
}
const LINE = 'back to revision 1 (web:1, not flagged): kubectl rollout undo deployment/web --to-revision=1 -n shop'
const findFlagged: FindFlagged = (image) =>
  image.startsWith('bad') ? { verdict: 'v', phase: 'denying', text: `image "${image}" is denied` } : undefined

const spec = (image: string, extra: object = {}): object => ({
  containers: [{ name: 'web', image }],
  securityContext: { runAsNonRoot: true, runAsUser: 1, seccompProfile: { type: 'RuntimeDefault' } },
  ...extra,
})
const pod = (image: string, extra: object = {}): object => ({
  metadata: {
    name: 'web-7d4b9c6f5-x2x8q',
    labels: { 'pod-template-hash': '7d4b9c6f5' },
    ownerReferences: [{ kind: 'ReplicaSet', name: 'web-7d4b9c6f5', controller: true }],
  },
  spec: spec(image, extra),
})
const deployment = (image: string): object => ({
  metadata: { name: 'web' },
  spec: { template: { metadata: {}, spec: spec(image) } },
})
const updateReview = (image: string, before: string): object =>
  podReview(deployment(image), {
    kind: { group: 'apps', version: 'v1', kind: 'Deployment' },
    resource: { group: 'apps', version: 'v1', resource: 'deployments' },
    operation: 'UPDATE',
    name: 'web',
    oldObject: deployment(before),
  })

async function answer(
  review: object,
  changes: {
    readonly labels?: Readonly<Record<string, string>>
    readonly history?: () => Promise<RevisionHistory | undefined>
    readonly findFlagged?: FindFlagged
    readonly timeout?: number
  } = {},
): Promise<ReviewAnswer & { readonly asked: readonly RevisedWorkload[] }> {
  const asked: RevisedWorkload[] = []
  const context = {
    ...admissionContext({
      labels: changes.labels ?? { 'drawbridge.dev/enforce': 'standard' },
      findFlagged: changes.findFlagged ?? findFlagged,
      onError: (error) => assert.fail(error),
    }),
    readHistory: (workload: RevisedWorkload) => {
      asked.push(workload)
      return changes.history?.() ?? Promise.resolve(HISTORY)
    },
  }
  const reply = await createValidate(context)(Buffer.from(JSON.stringify(review)), changes.timeout ?? 5000)
  return { ...answerIn(reply.body), asked }
}

describe('the way back in a denial', () => {
  it('is its last line, for a pod that a ReplicaSet makes', async () => {
    const { status, asked } = await answer(podReview(pod('bad:2')))
    assert.equal(
      status?.message,
      `drawbridge: pod "web-7d4b9c6f5-x2x8q" uses an image that runtime alerts flagged:\n- spec.containers[0].image: image "bad:2" is denied\n${LINE}`,
    )
    assert.deepEqual(asked, [{ kind: 'Deployment', namespace: 'shop', name: 'web' }])
  })

  it('is there for a template that adds another flagged image', async () => {
    const { status } = await answer(updateReview('bad:3', 'bad:2'))
    assert.ok(status?.message.endsWith(`\n${LINE}`), status?.message)
  })

  it('is a warning for a template that goes on using the image', async () => {
    const { allowed, warnings } = await answer(updateReview('bad:2', 'bad:2'))
    assert.equal(allowed, true)
    assert.ok(warnings?.includes(`drawbridge: ${LINE}`), warnings?.join('\n'))
  })

  it('stands beside violations, and is a warning beside label problems too', async () => {
    const beside = await answer(podReview(pod('bad:2', { hostPID: true })))
    assert.match(beside.status?.message ?? '', /host namespaces/)
    assert.ok(beside.status?.message.endsWith(`\n${LINE}`), beside.status?.message)
    const labels = { 'drawbridge.dev/enforce': 'no such profile' }
    const crowded = await answer(podReview(pod('bad:2', { hostPID: true })), { labels })
    assert.ok(!crowded.status?.message.includes('kubectl rollout'))
    assert.ok(crowded.warnings?.includes(`drawbridge: ${LINE}`), crowded.warnings?.join('\n'))
  })

  it('says nothing that is not known', async () => {
    const plain = /is denied$/
    for (const history of [
      () => Promise.resolve(undefined),
      () => Promise.resolve({ ...HISTORY, revisions: [] }),
      () => Promise.resolve({ ...HISTORY, images: ['web:3'] }),
    ])
      assert.match((await answer(podReview(pod('bad:2')), { history })).status?.message ?? '', plain)
  })

  it('is not asked for where nothing is denied', async () => {
    const warned = withBrake(findFlagged, () => 'warn')
    for (const [review, changes] of [
      [podReview(pod('web:1')), {}],
      [podReview(pod('bad:2')), { labels: { 'drawbridge.dev/quarantine': 'warn' } }],
      [podReview(pod('bad:2')), { findFlagged: warned }],
      [podReview(pod('bad:2')), { findFlagged: withBrake(findFlagged, () => 'off') }],
      [podReview({ ...pod('bad:2'), metadata: { name: 'alone' } }), {}],
      [updateReview('web:1', 'bad:2'), {}],
    ] as const)
      assert.deepEqual((await answer(review, changes)).asked, [])
  })

  it('is not waited for', async () => {
    for (const [timeout, most] of [
      [30_000, 200],
      [1000, 50],
    ] as const) {
      const started = performance.now()
      const { status } = await answer(podReview(pod('bad:2')), { history: () => new Promise(() => undefined), timeout })
      const waited = performance.now() - started
      assert.match(status?.message ?? '', /is denied$/)
      // Generous above for a busy machine; the bound below says that it did wait.
      assert.ok(waited >= most - 5 && waited < most + 800, `${waited} ms`)
    }
  })
})
