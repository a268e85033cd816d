/** What is answered before express must be answered as express does it: each request is sent as sensors send it, and so that only express takes it. */
import assert from 'node:assert/strict'
import { createServer, request as httpRequest } from 'node:http'
import type { ClientRequest, IncomingHttpHeaders, Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createAuthenticator } from '../../src/server/credentials.ts'
import type { Authentication } from '../../src/server/credentials.ts'
import { alertsApp } from '../../src/server/alertsApp.ts'
import { jsonReply } from '../../src/server/reply.ts'
import { until } from '../process/server.ts'

interface Answer {
  readonly status: number | undefined
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

const TOKEN = 'a-token-of-enough-length'
const LIMIT = 1000

describe('alerts answered before express', () => {
  const seen: string[] = []
  let underWay = 0
  let authenticate: () => Promise<Authentication> | undefined = () => undefined
  const known = createAuthenticator([
    { name: 'all', tokens: [TOKEN] },
    { name: 'other', tokens: ['another-token-of-length'], sources: ['other'] },
    { name: 'slow', tokens: ['a-slow-token-of-length'], alertsPerSecond: 1 },
  ])
  const app = alertsApp({
    sources: [
      { name: 'falco', maxBytes: LIMIT },
      { name: 'other', maxBytes: LIMIT },
    ],
    authenticate: (presented) => authenticate() ?? known(presented),
    bodiesBytes: 100 * LIMIT,
    handle: (source, body, sender) =>
      body.includes('break')
        ? Promise.reject(new Error('a bug'))
        : Promise.resolve({ ...jsonReply(200, { source, text: body.toString('utf8'), sender }), alerts: 1 }),
    now: () => 0,
    onInFlight: (requests) => (underWay = requests),
    onRefused: (source, reason) => seen.push(`refused ${source} ${reason}`),
    onCredential: (name, result) => seen.push(`${name} ${result}`),
    onError: (status, error) => seen.push(`${status} ${error.message}`),
  })
  let server: Server
  before((done) => {
    server = createServer(app).listen(0, '127.0.0.1', done)
  })
  after(() => server.close())
  beforeEach(() => seen.splice(0))

  const open = (path: string, headers: Readonly<Record<string, string>>): ClientRequest => {
    const { port } = server.address() as AddressInfo
    return httpRequest({ port, path, method: 'POST', headers, agent: false })
  }
  const send = (path: string, headers: Readonly<Record<string, string>>, body: string): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const sent = open(path, headers)
      sent.on('response', (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (chunk: string) => (text += chunk))
        response.on('end', () => {
          const { date: _date, ...rest } = response.headers
          resolve({ status: response.statusCode, headers: rest, body: text })
        })
      })
      sent.on('error', reject)
      sent.end(body)
    })

  for (const [what, path, token, body, status, tellings] of [
    ['an alert', '/alerts/falco', TOKEN, '{"a": "é"}', 200, ['all accepted']],
    ['an empty body', '/alerts/falco', TOKEN, '', 200, ['all accepted']],
    ['no credential', '/alerts/falco', 'wrong', '{}', 401, ['refused falco unauthorized']],
    [
      'a credential for another source',
      '/alerts/falco',
      'another-token-of-length',
      '{}',
      403,
      ['refused falco wrong-source', 'other wrong-source'],
    ],
    ['an unknown source', '/alerts/foreign', TOKEN, '{}', 404, ['refused unknown unknown-source']],
    ['a source that objects inherit', '/alerts/__proto__', TOKEN, '{}', 404, ['refused unknown unknown-source']],
    ['a query', '/alerts/falco?a=1', TOKEN, '{}', 200, ['all accepted']],
    [
      'a body that is too long',
      '/alerts/falco',
      TOKEN,
      'x'.repeat(LIMIT + 1),
      413,
      ['all accepted', 'refused unknown bad-request', '413 request entity too large'],
    ],
    ['a handler that breaks', '/alerts/falco', TOKEN, 'break', 500, ['all accepted', '500 a bug']],
  ] as const) {
    it(`are answered alike: ${what}`, async () => {
      const headers = { 'Content-Type': 'application/json', Authorization: `Bearer ${token}` }
      const ways: readonly Readonly<Record<string, string>>[] = [
        { ...headers, 'Content-Length': String(Buffer.byteLength(body)) },
        { ...headers, 'Transfer-Encoding': 'chunked' },
        { ...headers, 'Content-Type': 'application/json;charset=utf-8' },
      ]
      const answers: Answer[] = []
      for (const way of ways) {
        seen.splice(0)
        answers.push(await send(path, way, body))
        assert.deepEqual([answers.at(-1)!.status, seen], [status, tellings])
      }
      for (const answer of answers) assert.deepEqual(answer, answers[0])
      await until('nothing under way', () => underWay === 0)
    })
  }

  it('are limited together with those that express answers', async () => {
    const headers = { Authorization: 'Bearer a-slow-token-of-length' }
    const types = ['application/json', 'application/json;charset=utf-8', 'application/json']
    const statuses: (number | undefined)[] = []
    for (const type of types)
      statuses.push((await send('/alerts/falco', { ...headers, 'Content-Type': type }, '{}')).status)
    assert.deepEqual(statuses, [200, 200, 429])
  })

  for (const [what, type] of [
    ['answered before express', 'application/json'],
    ['answered by express', 'application/json;charset=utf-8'],
  ] as const) {
    const headers = { 'Content-Type': type, Authorization: `Bearer ${TOKEN}`, 'Content-Length': '100' }

    it(`that break off leave nothing under way: ${what}`, async () => {
      const sent = open('/alerts/falco', headers).on('error', () => undefined)
      sent.write('{')
      await until('a request under way', () => underWay === 1)
      sent.destroy()
      await until('nothing under way', () => underWay === 0)
      assert.deepEqual(seen, ['all accepted', 'refused unknown bad-request', '400 request aborted'])
    })

    it(`that hang up while they are asked who they are leave nothing under way: ${what}`, async () => {
      let answer: (authentication: Authentication) => void = () => undefined
      authenticate = () => new Promise((resolve) => (answer = resolve))
      try {
        const asked = new Promise<{ readonly response: unknown }>((resolve) =>
          server.once('request', (_request, response) => resolve({ response })),
        )
        const sent = open('/alerts/falco', headers).on('error', () => undefined)
        sent.write('{')
        const { response } = (await asked) as { readonly response: { readonly destroyed: boolean } }
        sent.destroy()
        await until('the end of the connection', () => response.destroyed)
        answer({ kind: 'accepted', credential: { name: 'all' } })
        await new Promise((resolve) => setImmediate(resolve))
        assert.deepEqual([underWay, seen], [0, []])
      } finally {
        authenticate = () => undefined
      }
    })
  }
})
