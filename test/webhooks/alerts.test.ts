/** `POST /alerts/<source>` behind the real HTTP app, in front of a real correlator in memory. */
import assert from 'node:assert/strict'
import supertest from 'supertest'
import { sources } from '../../src/alerts/sources/index.ts'
import type { RuntimeAlert } from '../../src/alerts/types.ts'
import { eventKey, repeatKey } from '../../src/correlator/dedupe.ts'
import type { AlertObserver, AlertRequest } from '../../src/observe/alerts.ts'
import { alertsApp } from '../../src/server/alertsApp.ts'
import { createAuthenticator } from '../../src/server/credentials.ts'
import { createAlerts } from '../../webhooks/alerts.ts'
import { sampleText } from '../alerts/sources/support.ts'

const TOKEN = 'a-token-of-enough-length'

interface Answer {
  readonly status: number
  readonly accepted?: number
  readonly refused?: readonly { readonly line: number; readonly code: string }[]
}

function endpoint(fails = false): {
  readonly alerts: RuntimeAlert[]
  readonly counted: AlertRequest[]
  /** What was worked through in pieces. */
  readonly inPieces: unknown[]
  readonly post: (source: string, body: string, headers?: Readonly<Record<string, string>>) => Promise<Answer>
} {
  const alerts: RuntimeAlert[] = []
  const counted: AlertRequest[] = []
  const inPieces: unknown[] = []
  const ignore = (): void => undefined
  const observer = { alertsDecoded: (request: AlertRequest) => counted.push(request), storeFailed: ignore }
  const handle = createAlerts({
    sources,
    observer: observer as unknown as AlertObserver,
    *inPieces(items) {
      for (const item of items) {
        inPieces.push(item)
        yield item
      }
    },
    correlator: {
      handle: (found) => {
        if (fails) return Promise.reject(new Error('no disk'))
        alerts.push(...found)
        return Promise.resolve([])
      },
    },
  })
  const app = alertsApp({
    bodiesBytes: 256 * 1024 * 1024,
    sources: sources.map(({ name }) => ({ name, maxBytes: 16 * 1024 * 1024 })),
    authenticate: createAuthenticator([{ name: 'all', tokens: [TOKEN] }]),
    handle,
    now: () => 0,
    onCredential: ignore,
    onRefused: ignore,
    onError: ignore,
  })
  return {
    alerts,
    counted,
    inPieces,
    post: async (source, body, headers = {}) => {
      const request = supertest(app).post(`/alerts/${source}`).set('Authorization', `Bearer ${TOKEN}`)
      const response = await request.set({ 'Content-Type': 'application/json', ...headers }).send(body)
      return { status: response.status, ...(response.body as object) }
    },
  }
}

const exec = (change: object = {}): object => ({
  stage: 'ResponseStarted',
  verb: 'get',
  requestURI: '/api/v1/namespaces/shop/pods/web/exec?container=web',
  objectRef: { resource: 'pods', namespace: 'shop', name: 'web', subresource: 'exec' },
  responseStatus: { code: 101 },
  stageTimestamp: '2026-11-22T06:09:24.068013Z',
  user: { username: 'admin' },
  ...change,
})
const listOf = (...items: readonly unknown[]): string =>
  JSON.stringify({ kind: 'EventList', apiVersion: 'audit.k8s.io/v1', metadata: {}, items })

describe('webhooks/alerts', () => {
  const [direct = ''] = sampleText('falco/kubelet-pod-extra-fields.jsonl').split('\n')
  const [forwarded = ''] = sampleText('falcosidekick/webhook.jsonl').split('\n')
  const structured = sampleText('falcosidekick/cloudevents-structured.jsonl').trim()

  it('makes one event of an alert that comes by Falco, Falcosidekick and CloudEvents, binary and structured', async () => {
    const { alerts, post } = endpoint()
    const binary = {
      'ce-specversion': '1.0',
      'ce-id': 'a-new-one-each-time',
      'ce-source': 'https://falco.org',
      'ce-type': 'falco.rule.output.v1',
      // What headers say is not used: they are the same claims once more.
      'ce-time': '1999-01-01T00:00:00Z',
      'ce-rule': 'Another rule',
      'ce-priority': 'Debug',
    }
    const roads: readonly (readonly [string, string, Readonly<Record<string, string>>])[] = [
      ['falco', direct, {}],
      ['falcosidekick', forwarded, { 'Content-Type': 'application/json; charset=utf-8' }],
      ['falcosidekick', forwarded, binary],
      ['falcosidekick', structured, { 'Content-Type': 'application/cloudevents+json' }],
      ['falcosidekick', `[${structured}]`, { 'Content-Type': 'application/cloudevents-batch+json' }],
    ]
    for (const [source, body, headers] of roads) assert.equal((await post(source, body, headers)).status, 200)
    assert.equal(alerts.length, roads.length)
    const [first] = alerts
    assert.ok(first !== undefined)
    for (const alert of alerts) {
      assert.deepEqual([eventKey(alert), repeatKey(alert)], [eventKey(first), repeatKey(first)])
      assert.deepEqual({ ...alert, source: first.source, tags: first.tags }, first)
    }
  })

  it('takes an audit batch with bad items, counts them, and answers 200: it would be sent again', async () => {
    const { alerts, counted, post } = endpoint()
    const answer = await post('k8s-audit', listOf(exec(), null, 'x', exec({ stage: undefined }), { verb: 'get' }))
    assert.deepEqual(
      [answer.status, answer.accepted, answer.refused?.map(({ code }) => code)],
      [200, 1, ['not-an-object', 'not-an-object', 'fields-malformed', 'fields-malformed']],
    )
    assert.deepEqual([alerts.length, counted[0]?.refused.length], [1, 4])
  })

  it('works in pieces through what is decoded, and through what is correlated', async () => {
    const { alerts, inPieces, post } = endpoint()
    await post('k8s-audit', listOf(exec(), null))
    const entries = inPieces.slice(0, 2) as readonly object[]
    assert.deepEqual(
      entries.map((entry) => 'item' in entry),
      [true, true],
    )
    assert.deepEqual(inPieces.slice(2), alerts)
    assert.equal(alerts.length, 1)
  })

  const useless: readonly (readonly [string, string])[] = [
    ['only bad events', listOf(null, 7)],
    ['text', 'kind: EventList'],
    ['half a list', listOf(exec()).slice(0, -3)],
    ['an empty list', listOf()],
  ]
  for (const [name, body] of useless) {
    it(`answers 200 to the API server for ${name}`, async () => {
      assert.equal((await endpoint().post('k8s-audit', body)).status, 200)
    })
  }

  it('answers 400 to the other sensors when nothing could be read', async () => {
    for (const source of sources.filter(({ repeatsBatches }) => repeatsBatches !== true)) {
      assert.equal((await endpoint().post(source.name, '{"x":1}')).status, 400, source.name)
    }
  })

  it('answers 503 when the ledger cannot be written: the batch is to be sent again', async () => {
    assert.equal((await endpoint(true).post('k8s-audit', listOf(exec()))).status, 503)
  })

  it('finds an exec beside objects that are deep and large', async () => {
    const { alerts, post } = endpoint()
    const deep = `${'{"a":'.repeat(9_990)}1${'}'.repeat(9_990)}`
    const crd = { stage: 'ResponseComplete', verb: 'create', objectRef: { resource: 'x' }, requestObject: 'DEEP' }
    const large = { stage: 'ResponseComplete', verb: 'create', requestObject: { data: 'x'.repeat(5 * 1024 * 1024) } }
    const answer = await post('k8s-audit', listOf(crd, large, exec()).replace('"DEEP"', deep))
    assert.deepEqual([answer.status, answer.accepted, answer.refused], [200, 3, []])
    assert.deepEqual(
      alerts.map(({ rule }) => rule),
      ['exec'],
    )
  })

  it('keeps the smaller limit for the other sensors', async () => {
    const answer = await endpoint().post('falco', `{"a":"${'x'.repeat(4 * 1024 * 1024)}"}`)
    assert.deepEqual([answer.status, answer.refused?.map(({ code }) => code)], [400, ['too-large']])
  })
})
