/** What the validating endpoint reports about used exceptions. */
import assert from 'node:assert/strict'
import type { ObjectMeta } from '../../src/kube/types.ts'
import { readAdmissionException } from '../../src/policy/exceptions.ts'
import { createExemptions } from '../../src/policy/exemptions.ts'
import { resolveNamespace } from '../../src/policy/namespace.ts'
import type { AdmissionContext } from '../../webhooks/context.ts'
import { createValidate } from '../../webhooks/validate.ts'

const legacy = readAdmissionException({
  apiVersion: 'drawbridge.dev/v1alpha1',
  kind: 'AdmissionException',
  metadata: { name: 'legacy' },
  spec: {
    namespaces: ['shop'],
    images: ['registry.example/shop/web:*'],
    serviceAccounts: ['*'],
    checks: ['hostNamespaces'],
    reason: 'a test',
    expiresAt: '2027-01-01T00:00:00Z',
  },
})

interface Used {
  readonly names: readonly string[]
  readonly pod: ObjectMeta
}

const ignore = (): void => undefined

async function validate(
  changes: {
    readonly request?: object
    readonly spec?: object
    readonly metadata?: object
    readonly now?: number
  } = {},
): Promise<{ readonly allowed: boolean; readonly used: readonly Used[] }> {
  const used: Used[] = []

  const labels = { 'drawbridge.dev/enforce': 'baseline' }
  const context: AdmissionContext = {
    namespaces: { cached: () => labels, live: () => Promise.resolve(labels) },
    resolvePolicy: resolveNamespace,
    exemptions: createExemptions({ users: [], namespaces: [], runtimeClasses: [] }),
    findFlagged: () => undefined,
    findException: (name) => (name === 'legacy' ? legacy : undefined),
    exceptionsUsed: (names, pod) => used.push({ names, pod }),
    observer: { reviewAnswered: ignore, httpError: ignore, reviewRefused: ignore } as never,
    now: () => 0,
    clock: () => changes.now ?? Date.UTC(2026, 10, 22),
  }
  const review = {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid: 'u',
      kind: { group: '', version: 'v1', kind: 'Pod' },
      resource: { group: '', version: 'v1', resource: 'pods' },
      operation: 'CREATE',
      namespace: 'shop',
      object: {
        metadata: { generateName: 'web-', annotations: { 'drawbridge.dev/exception': 'legacy' }, ...changes.metadata },
        spec: { hostPID: true, containers: [{ name: 'web', image: 'registry.example/shop/web:1' }], ...changes.spec },
      },
      ...changes.request,
    },
  }
  const reply = await createValidate(context)(Buffer.from(JSON.stringify(review)), 5000)
  const { response } = JSON.parse(reply.body) as { readonly response: { readonly allowed: boolean } }
  return { allowed: response.allowed, used }
}

describe('the uses of exceptions', () => {
  it('are reported once for each admitted pod, with whose pod it is', async () => {
    const { allowed, used } = await validate()
    assert.equal(allowed, true)
    assert.deepEqual(used, [
      {
        names: ['legacy'],
        pod: {
          generateName: 'web-',
          annotations: { 'drawbridge.dev/exception': 'legacy' },
          name: 'web-',
          namespace: 'shop',
        },
      },
    ])
  })

  for (const [what, changes, allowed] of [
    ['a dry run', { request: { dryRun: true } }, true],
    ['a pod that needs none', { spec: { hostPID: false } }, true],
    [
      'a pod that is denied',
      { spec: { hostPID: true, hostNetwork: false, volumes: [{ name: 'v', hostPath: {} }] } },
      false,
    ],
    ['a pod after the expiry', { now: Date.UTC(2027, 0, 1) }, false],
  ] as const) {
    it(`are not reported for ${what}`, async () => assert.deepEqual(await validate(changes), { allowed, used: [] }))
  }
})
