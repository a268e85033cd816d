import assert from 'node:assert/strict'
import { classify } from '../../../src/alerts/classes.ts'
import { k8sAudit } from '../../../src/alerts/sources/k8sAudit.ts'
import { findingOf, outcomeOf } from './support.ts'

type Json = Readonly<Record<string, unknown>>

const OBJECT = { resource: 'pods', namespace: 'shop', name: 'web', apiVersion: 'v1', subresource: 'exec' }

/** As kube-apiserver 1.35 writes it for `kubectl exec web -c web -- id`. */
function event(change: Json = {}, object: Json = {}): Json {
  return {
    level: 'Metadata',
    auditID: 'c6901fb2-ceb8-4976-9985-73f11265f0e8',
    stage: 'ResponseStarted',
    requestURI: '/api/v1/namespaces/shop/pods/web/exec?command=id&container=web&stderr=true&stdout=true',
    verb: 'get',
    user: { username: 'admin' },
    objectRef: { ...OBJECT, ...object },
    responseStatus: { metadata: {}, code: 101 },
    requestReceivedTimestamp: '2026-11-22T06:09:24.065726Z',
    stageTimestamp: '2026-11-22T06:09:24.068013Z',
    ...change,
  }
}

const debug = (change: Json = {}, object: Json = {}): Json =>
  event(
    {
      stage: 'ResponseComplete',
      verb: 'patch',
      requestURI: '/api/v1/namespaces/shop/pods/web/ephemeralcontainers',
      responseStatus: { code: 200 },
      ...change,
    },
    { subresource: 'ephemeralcontainers', ...object },
  )

describe('alerts/sources/k8sAudit', () => {
  it('decodes kubectl exec', () => {
    assert.deepEqual(findingOf(k8sAudit.decode(event())), {
      detector: 'k8s-audit',
      source: 'k8s-audit',
      rule: 'exec',
      priority: 'Notice',
      tags: [],
      time: Date.UTC(2026, 10, 22, 6, 9, 24, 68),
      timeText: '2026-11-22T06:09:24.068013000Z',
      target: 'admin',
      namespace: 'shop',
      pod: 'web',
      containerName: 'web',
    })
  })

  // The rule is all that the classes know of an alert: a finding under a name that their table lacks would be `cluster-administration`, also under strict.
  for (const [what, item, name] of [
    ['exec', event(), 'shell'],
    ['attach', event({}, { subresource: 'attach' }), 'shell'],
    ['port-forward', event({}, { subresource: 'portforward' }), 'port-forward'],
    ['an ephemeral container', debug(), 'debug-container'],
  ] as const) {
    it(`finds ${what} under a rule that the classes know`, () => {
      const finding = findingOf(k8sAudit.decode(item))
      assert.deepEqual(classify(finding), { class: name, subject: 'person', weight: 0 })
      assert.equal(classify(finding, { preset: 'strict' }).weight, 100)
    })
  }

  const cases: readonly (readonly [string, unknown, string])[] = [
    ['exec over WebSockets (get)', event(), 'finding: exec'],
    ['exec over SPDY (create)', event({ verb: 'create' }), 'finding: exec'],
    ['exec received', event({ stage: 'RequestReceived', responseStatus: undefined }), 'telemetry'],
    ['the end of the same exec', event({ stage: 'ResponseComplete' }), 'telemetry'],
    ['exec that RBAC refused', event({ stage: 'ResponseComplete', responseStatus: { code: 403 } }), 'telemetry'],
    ['exec that panicked', event({ stage: 'Panic', responseStatus: { code: 500 } }), 'telemetry'],
    ['exec that begins with another code', event({ responseStatus: { code: 200 } }), 'telemetry'],
    ['a code that is text', event({ responseStatus: { code: '101' } }), 'telemetry'],
    ['exec that calls itself dry', event({ requestURI: '/x?dryRun=All&container=web' }), 'finding: exec'],
    ['attach', event({}, { subresource: 'attach' }), 'finding: attach'],
    ['port-forward', event({ requestURI: '/x' }, { subresource: 'portforward' }), 'finding: port-forward'],
    ['kubectl debug', debug(), 'finding: ephemeral-container'],
    ['an update of ephemeral containers', debug({ verb: 'update' }), 'finding: ephemeral-container'],
    ['a read of ephemeral containers', debug({ verb: 'get' }), 'telemetry'],
    ['kubectl debug, dry', debug({ requestURI: '/x?dryRun=All&fieldManager=k' }), 'telemetry'],
    ['kubectl debug, refused', debug({ responseStatus: { code: 422 } }), 'telemetry'],
    ['pods of another group', event({}, { apiGroup: 'metrics.k8s.io' }), 'telemetry'],
    ['exec of another resource', event({}, { resource: 'virtualmachines' }), 'telemetry'],
    ['a pod that is created', event({ verb: 'create' }, { subresource: undefined }), 'telemetry'],
    ['a subresource of the prototype', event({}, { subresource: 'constructor' }), 'telemetry'],
    ['a request about nothing', { stage: 'ResponseComplete', verb: 'get', requestURI: '/healthz' }, 'telemetry'],
    ['no stage', event({ stage: undefined }), 'refused: fields-malformed'],
    ['no verb', event({ verb: 7 }), 'refused: fields-malformed'],
    ['no namespace', event({}, { namespace: '' }), 'refused: fields-malformed'],
    ['no name', event({}, { name: null }), 'refused: fields-malformed'],
    ['no time', event({ stageTimestamp: null, requestReceivedTimestamp: '' }), 'refused: time-missing'],
    ['a time that is none', event({ stageTimestamp: 'now' }), 'refused: time-malformed'],
    ['a list whose items are no list', { kind: 'EventList', items: {} }, 'refused: fields-malformed'],
    ['null', null, 'refused: not-an-object'],
    ['text', 'exec', 'refused: not-an-object'],
  ]
  for (const [name, item, expected] of cases) {
    it(`makes of ${name}: ${expected}`, () => assert.equal(outcomeOf(k8sAudit.decode(item)), expected))
  }

  it('gives one alert a request, whatever stages are sent', () => {
    const stages = [
      event({ stage: 'RequestReceived', responseStatus: undefined }),
      event(),
      event({ stage: 'ResponseComplete' }),
      debug({ stage: 'RequestReceived', responseStatus: undefined }),
      debug(),
    ]
    const found = stages.map((stage) => outcomeOf(k8sAudit.decode(stage))).filter((outcome) => outcome !== 'telemetry')
    assert.deepEqual(found, ['finding: exec', 'finding: ephemeral-container'])
  })

  const containers: readonly (readonly [string, unknown, string | undefined])[] = [
    ['the first of two', '/x?container=a&container=b', 'a'],
    ['one behind a long command', `/x?command=${'a'.repeat(200_000)}&container=web`, 'web'],
    ['an escaped one', '/x?command=%26container%3Devil&container=we%62', 'web'],
    ['none', '/x?command=id', undefined],
    ['an empty one', '/x?container=', undefined],
    ['a broken escape', '/x?container=%ZZ', '%ZZ'],
    ['no query', '/x', undefined],
    ['no address', 7, undefined],
  ]
  for (const [name, requestURI, expected] of containers) {
    it(`reads the container: ${name}`, () => {
      assert.equal(findingOf(k8sAudit.decode(event({ requestURI }))).containerName, expected)
    })
  }

  it('names who asked, under the name that was taken on', () => {
    const target = (change: Json): string => findingOf(k8sAudit.decode(event(change))).target
    assert.equal(target({ impersonatedUser: { username: 'jane' } }), 'jane')
    assert.equal(target({ impersonatedUser: null }), 'admin')
    assert.equal(target({ user: 'admin' }), '')
    assert.equal(target({ user: { username: 'a\u001b[2J' } }), 'a\uFFFD[2J')
  })

  it('never quotes the command', () => {
    const uri = '/api/v1/namespaces/shop/pods/web/exec?command=SECRET&container=web'
    assert.doesNotMatch(JSON.stringify(k8sAudit.decode(event({ requestURI: uri }))), /SECRET/)
  })
})
