import assert from 'node:assert/strict'
import { canonical, differenceText, specDifferences, webhookDifferences } from '../../manifests/differences.ts'
import type { LiveConfigurations } from '../../manifests/differences.ts'
import { webhookConfigurations } from '../../manifests/webhooks.ts'
import type { Endpoint } from '../../manifests/webhooks.ts'

const SCOPES = ['namespaces', 'cluster'] as const
const ENDPOINTS: readonly Endpoint[] = [
  { url: 'https://10.0.0.5:8443' },
  { url: 'https://proxy.example/drawbridge/' },
  { service: { namespace: 'drawbridge', name: 'drawbridge' } },
]

interface Webhook {
  name: string
  [field: string]: unknown
}

/** As the API server gives it back: with what it fills in. */
function live(
  scope: (typeof SCOPES)[number],
  podSecurityLabels: boolean,
  endpoint = ENDPOINTS[0]!,
): { mutating: { webhooks: Webhook[] }; validating: { webhooks: Webhook[] } } {
  const [mutating, validating] = webhookConfigurations({
    endpoint,
    ownNamespace: 'drawbridge',
    scope,
    podSecurityLabels,
  }).map((object) => {
    const filled = structuredClone(object) as unknown as { webhooks: Webhook[] }
    for (const webhook of filled.webhooks)
      for (const field of ['objectSelector', 'namespaceSelector']) webhook[field] ??= {}
    return filled
  })
  return { mutating: mutating!, validating: validating! }
}

const compare = (configurations: LiveConfigurations, podSecurityLabels?: boolean): readonly string[] =>
  webhookDifferences(configurations, { ownNamespace: 'drawbridge', podSecurityLabels }).map(differenceText)

describe('differences of webhook configurations', () => {
  for (const scope of SCOPES)
    for (const podSecurityLabels of [false, true])
      for (const endpoint of ENDPOINTS)
        it(`are none for scope ${scope}${podSecurityLabels ? ' with Pod Security labels' : ''} at ${JSON.stringify(endpoint)}`, () => {
          assert.deepEqual(compare(live(scope, podSecurityLabels, endpoint)), [])
          assert.deepEqual(compare(live(scope, podSecurityLabels, endpoint), podSecurityLabels), [])
        })

  it('notice every field of every entry', () => {
    const { mutating, validating } = live('namespaces', false)
    for (const [index, { name }] of [...mutating.webhooks, ...validating.webhooks].entries()) {
      for (const field of Object.keys([...mutating.webhooks, ...validating.webhooks][index]!)) {
        if (field === 'name' || field === 'clientConfig') continue
        const changed = live('namespaces', false)
        const entry = [...changed.mutating.webhooks, ...changed.validating.webhooks][index]!
        entry[field] = 'changed'
        const [text, ...more] = compare(changed)
        assert.ok(text?.includes(`${name}: ${field} is changed, should be `), `${name} ${field}: ${text}`)
        assert.deepEqual(more, [])
      }
    }
  })

  it('name what is not there, and what should not be', () => {
    const one = live('namespaces', false)
    assert.deepEqual(compare({ mutating: undefined, validating: undefined }), [
      'MutatingWebhookConfiguration drawbridge is not registered, should be registered',
      'ValidatingWebhookConfiguration drawbridge is not registered, should be registered',
    ])
    const [first, ...rest] = one.validating.webhooks
    assert.deepEqual(compare({ ...one, validating: { webhooks: rest } }), [
      'ValidatingWebhookConfiguration drawbridge: enforce.drawbridge.dev is missing, should be registered',
    ])
    assert.deepEqual(
      compare({
        ...one,
        validating: { webhooks: [first!, ...rest, { name: 'x.example', clientConfig: first!['clientConfig'] }] },
      }),
      ['ValidatingWebhookConfiguration drawbridge: x.example is registered, should be no such entry'],
    )
    // What drawbridge.yaml says wins over what the entries look like.
    assert.ok(compare(live('namespaces', true), false).some((text) => text.includes('pod-security-enforce')))
  })

  it('survive objects that are none', () => {
    for (const nonsense of [null, 5, {}, { webhooks: 'x' }, { webhooks: [null, { name: 5 }] }])
      assert.ok(compare({ mutating: nonsense, validating: nonsense }).length > 5)
  })
})

describe('differences of a spec', () => {
  const wanted = {
    kind: 'ValidatingAdmissionPolicy',
    metadata: { name: 'guard' },
    spec: { failurePolicy: 'Fail', matchConstraints: { resourceRules: [{ resources: ['namespaces'] }] } },
  }
  it('do not count what the API server fills in', () => {
    const spec = {
      failurePolicy: 'Fail',
      matchConstraints: {
        namespaceSelector: {},
        objectSelector: {},
        resourceRules: [{ scope: '*', resources: ['namespaces'] }],
      },
    }
    assert.deepEqual(specDifferences(wanted, { spec, status: {} }), [])
  })
  it('count what somebody added', () => {
    const spec = { ...wanted.spec, matchConditions: [{ name: 'never', expression: 'false' }] }
    assert.deepEqual(specDifferences(wanted, { spec }).map(differenceText), [
      'ValidatingAdmissionPolicy guard: matchConditions is [{"expression":"false","name":"never"}], should be not set',
    ])
  })
  it('are of the rules where there is no spec', () => {
    const role = { kind: 'ClusterRole', metadata: { name: 'r' }, rules: [{ verbs: ['get'] }] }
    assert.deepEqual(specDifferences(role, role), [])
    assert.equal(specDifferences(role, { rules: [{ verbs: ['*'] }] }).length, 1)
  })
})

describe('canonical', () => {
  it('is the same for the same value', () => {
    assert.equal(canonical({ b: [1, { d: undefined, c: null }], a: 'x' }), '{"a":"x","b":[1,{"c":null}]}')
  })
})
