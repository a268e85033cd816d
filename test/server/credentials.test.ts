/** Who sent a request: tokens of service accounts, certificates, limits; the app of alerts with all of them. */
import assert from 'node:assert/strict'
import supertest from 'supertest'
import { alertsApp } from '../../src/server/alertsApp.ts'
import type { Sender } from '../../src/server/alertGate.ts'
import { bearsName, readAlternativeNames } from '../../src/server/clientCertificate.ts'
import type { ClientCertificate } from '../../src/server/clientCertificate.ts'
import { createAuthenticator } from '../../src/server/credentials.ts'
import type { Credential, TokenAnswer } from '../../src/server/credentials.ts'
import { rateLimit } from '../../src/server/rateLimit.ts'
import { jsonReply } from '../../src/server/reply.ts'
import { createTokenReviews, INVALID_MILLISECONDS, VALID_MILLISECONDS } from '../../src/server/tokenReviews.ts'

const TOKEN = 'a-token-of-enough-length'
const JWT_USER = 'system:serviceaccount:falco:falco'

/** A JWT whose signature nobody has made. */
const jwt = (sub: unknown, salt = 'salt'): string =>
  [{ alg: 'RS256' }, { sub, salt }, 'signature']
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.')

const certificate = (changes: Partial<ClientCertificate> = {}): ClientCertificate => ({
  commonName: 'falco',
  dnsNames: ['falco.example'],
  uris: ['spiffe://example/falco'],
  ...changes,
})

const CREDENTIALS: readonly Credential[] = [
  { name: 'token', tokens: [TOKEN] },
  { name: 'node1', tokens: ['token-of-node-one-only'], node: 'node1' },
  { name: 'by-name', certificate: { commonName: 'falco' }, node: 'node2' },
  { name: 'by-uri', certificate: { uri: 'spiffe://example/tracee' } },
  { name: 'account', serviceAccount: 'falco/falco', nodeFromToken: true },
  { name: 'other-account', serviceAccount: 'falco/sidekick' },
]

describe('the sender of alerts', () => {
  const asked: string[] = []
  let answer: TokenAnswer = { kind: 'invalid' }
  const authenticate = createAuthenticator(CREDENTIALS, (token) => {
    asked.push(token)
    return Promise.resolve(answer)
  })
  /** Name and node of the credential, or what was said instead. */
  const who = async (authorization?: string, shown?: ClientCertificate): Promise<string> => {
    const result = await authenticate({ authorization, certificate: shown })
    return result.kind === 'accepted' ? `${result.credential.name} ${result.node ?? '-'}` : result.kind
  }
  beforeEach(() => {
    asked.length = 0
    answer = { kind: 'valid', username: JWT_USER, node: 'node7' }
  })

  it('is known by a token, with the node it is bound to', async () => {
    assert.equal(await who(`Bearer ${TOKEN}`), 'token -')
    assert.equal(await who('Bearer token-of-node-one-only'), 'node1 node1')
    assert.deepEqual(asked, [])
  })

  it('is known by a certificate where there is no Authorization header', async () => {
    assert.equal(await who(undefined, certificate()), 'by-name node2')
    assert.equal(await who(undefined, certificate({ commonName: 'x', uris: ['spiffe://example/tracee'] })), 'by-uri -')
    assert.equal(await who(undefined, certificate({ commonName: 'x' })), 'refused')
    assert.equal(await who(undefined, certificate({ commonName: undefined })), 'refused')
    assert.equal(await who(), 'refused')
  })

  it('is not known by a certificate when its header is wrong: the mistake would never show', async () => {
    assert.equal(await who('Bearer wrong', certificate()), 'refused')
    assert.equal(await who('', certificate()), 'refused')
    assert.equal(await who(`Bearer ${TOKEN}`, certificate()), 'token -')
  })

  it("is known by a service account's token, on the token's node", async () => {
    assert.equal(await who(`Bearer ${jwt(JWT_USER)}`), 'account node7')
    assert.equal(await who(`Basic ${Buffer.from(`falco:${jwt(JWT_USER)}`).toString('base64')}`), 'account node7')
    answer = { kind: 'valid', username: 'system:serviceaccount:falco:sidekick', node: 'node7' }
    assert.equal(await who(`Bearer ${jwt('system:serviceaccount:falco:sidekick')}`), 'other-account -')
  })

  it('is refused with a token that names no node, where its node is asked for', async () => {
    answer = { kind: 'valid', username: JWT_USER }
    assert.deepEqual(await authenticate({ authorization: `Bearer ${jwt(JWT_USER)}` }), {
      kind: 'refused',
      message: 'the token names no node: use a token that is bound to a pod or a node',
    })
  })

  it("is what the API server says, not what the token claims, and 'unavailable' is not 'refused'", async () => {
    const token = `Bearer ${jwt(JWT_USER)}`
    answer = { kind: 'valid', username: 'system:serviceaccount:tenant:falco' }
    assert.equal(await who(token), 'refused')
    answer = { kind: 'valid', username: 'falco/falco' }
    assert.equal(await who(token), 'refused')
    answer = { kind: 'invalid' }
    assert.equal(await who(token), 'refused')
    answer = { kind: 'unavailable' }
    assert.equal(await who(token), 'unavailable')
  })

  for (const [what, token] of [
    ['another account', jwt('system:serviceaccount:tenant:falco')],
    ['a user', jwt('jane')],
    ['no subject', jwt(undefined)],
    ['a subject of another kind', jwt({ toString: 'x' })],
    ['a payload that is no JSON', 'aaaa.bbbb.cccc'],
    ['a payload that is null', `aaaa.${Buffer.from('null').toString('base64url')}.cccc`],
    ['a nested payload', `aaaa.${Buffer.from('['.repeat(5000)).toString('base64url')}.cccc`],
    ['no JWT', 'some-token-of-enough-length'],
  ] as const) {
    it(`costs no question to the API server: a token of ${what}`, async () => {
      assert.equal(await who(`Bearer ${token}`), 'refused')
      assert.deepEqual(asked, [])
    })
  }

  it('never is a service account where nobody can be asked', async () => {
    const standalone = createAuthenticator(CREDENTIALS)
    assert.equal((await standalone({ authorization: `Bearer ${jwt(JWT_USER)}` })).kind, 'refused')
  })
})

describe('names in certificates', () => {
  for (const [text, dnsNames, uris] of [
    [undefined, [], []],
    ['', [], []],
    ['DNS:Falco.example, IP Address:10.0.0.1, URI:spiffe://a/b', ['falco.example'], ['spiffe://a/b']],
    ['URI:"spiffe://a/b, DNS:evil.example"', [], ['spiffe://a/b, DNS:evil.example']],
    ['DNS:"a\\u0000b", DNS:c', ['a\u0000b', 'c'], []],
    ['DNS:a, DNS:"unfinished', [], []],
    ['DNS:a, rubbish', [], []],
    ['DNS:a, DNS:"bad\\q"', [], []],
  ] as const) {
    it(`are read from ${JSON.stringify(text)}`, () => assert.deepEqual(readAlternativeNames(text), { dnsNames, uris }))
  }

  it('are compared as a whole', () => {
    const wild = certificate({ dnsNames: ['*.example'] })
    assert.equal(bearsName(wild, { dnsName: 'falco.example' }), false)
    assert.equal(bearsName(certificate(), { dnsName: 'FALCO.example' }), true)
    assert.equal(bearsName(certificate(), { uri: 'spiffe://example/FALCO' }), false)
    assert.equal(bearsName(certificate(), { commonName: 'falc' }), false)
    assert.equal(bearsName(certificate({ commonName: undefined }), {}), false)
  })
})

describe('questions about tokens', () => {
  interface Rig {
    now: number
    asked: number
    failed: number
    result: 'valid' | 'invalid' | 'down'
    readonly ask: (token: string) => Promise<TokenAnswer>
  }
  const rig = (): Rig => {
    const it: Omit<Rig, 'ask'> = { now: 0, asked: 0, failed: 0, result: 'valid' }
    const ask = createTokenReviews({
      now: () => it.now,
      onFailed: () => it.failed++,
      review: () => {
        it.asked++
        if (it.result === 'down') return Promise.reject(new Error('down'))
        return Promise.resolve(it.result === 'valid' ? { username: JWT_USER, node: 'node1' } : undefined)
      },
    })
    return Object.assign(it, { ask })
  }

  it('are asked once in a while for each token, whatever the answer', async () => {
    for (const [result, milliseconds] of [
      ['valid', VALID_MILLISECONDS],
      ['invalid', INVALID_MILLISECONDS],
    ] as const) {
      const it = rig()
      it.result = result
      const first = await it.ask('a')
      assert.equal(first.kind, result)
      it.now = milliseconds - 1
      assert.deepEqual([await it.ask('a'), it.asked], [first, 1])
      it.now = milliseconds
      await it.ask('a')
      assert.equal(it.asked, 2)
    }
  })

  it('are asked once for requests that come at the same time', async () => {
    const it = rig()
    await Promise.all(Array.from({ length: 50 }, () => it.ask('a')))
    assert.equal(it.asked, 1)
  })

  it("notice that a token was revoked, and a revoked token's return", async () => {
    const it = rig()
    assert.equal((await it.ask('a')).kind, 'valid')
    it.now = VALID_MILLISECONDS
    it.result = 'invalid'
    assert.equal((await it.ask('a')).kind, 'invalid')
    it.now += INVALID_MILLISECONDS
    it.result = 'valid'
    assert.equal((await it.ask('a')).kind, 'valid')
  })

  it('are not answered by a failure: it is not kept, and it is reported', async () => {
    const it = rig()
    it.result = 'down'
    assert.deepEqual([await it.ask('a'), it.failed], [{ kind: 'unavailable' }, 1])
    it.result = 'valid'
    assert.equal((await it.ask('a')).kind, 'valid')
  })

  it('have a bounded rate for strangers, which tokens that were valid do not share', async () => {
    const it = rig()
    await it.ask('sensor')
    it.result = 'invalid'
    const kinds: string[] = []
    for (let count = 0; count < 100; count++) kinds.push((await it.ask(`stranger ${count}`)).kind)
    assert.equal(kinds.filter((kind) => kind === 'unavailable').length, 81)
    it.now = VALID_MILLISECONDS
    for (let count = 0; count < 100; count++) await it.ask(`more ${count}`)
    it.result = 'valid'
    assert.equal((await it.ask('sensor')).kind, 'valid')
  })
})

describe('rate limits', () => {
  it('let a burst through, say how long to wait, and refill', () => {
    let now = 0
    const limit = rateLimit(2, () => now)
    assert.deepEqual([limit.take(), limit.take(), limit.take(), limit.take(), limit.take()], [0, 0, 0, 0, 1])
    now = 500
    assert.deepEqual([limit.take(), limit.take()], [0, 1])
    now = 0
    assert.equal(limit.take(), 1)
  })

  it('are paid for what was found in a request afterwards', () => {
    let now = 0
    const limit = rateLimit(10, () => now)
    assert.equal(limit.take(), 0)
    limit.charge(100)
    assert.equal(limit.take(), 9)
    now = 8_000
    assert.equal(limit.take(), 1)
    now = 9_000
    assert.equal(limit.take(), 0)
  })
})

describe('the alerts app and its senders', () => {
  const events: string[] = []
  const senders: Sender[] = []
  let now = 0
  let shown: ClientCertificate | undefined
  let answer: TokenAnswer = { kind: 'unavailable' }
  let alerts: number | undefined
  const app = alertsApp({
    bodiesBytes: 256 * 1024 * 1024,
    sources: ['falco', 'tracee'].map((name) => ({ name, maxBytes: 1000 })),
    authenticate: createAuthenticator(
      [
        { name: 'slow', tokens: [TOKEN], alertsPerSecond: 1, node: 'node1' },
        { name: 'other', tokens: ['another-token-of-length'], alertsPerSecond: 1000, sources: ['tracee'] },
        { name: 'certified', certificate: { commonName: 'falco' } },
        { name: 'account', serviceAccount: 'falco/falco' },
      ],
      () => Promise.resolve(answer),
    ),
    certificateOf: () => shown,
    now: () => now,
    handle: (_source, _body, sender) => {
      senders.push(sender)
      return Promise.resolve({ ...jsonReply(200, {}), alerts })
    },
    onRefused: (source, reason) => events.push(`${source} ${reason}`),
    onCredential: (name, result) => events.push(`${name} ${result}`),
    onError: () => undefined,
  })
  const post = (authorization?: string, source = 'falco'): supertest.Test => {
    const request = supertest(app).post(`/alerts/${source}`).set('Content-Type', 'application/json')
    if (authorization !== undefined) void request.set('Authorization', authorization)
    return request.send('{}')
  }
  beforeEach(() => {
    // Whatever the test before took has come back.
    now += 1_000_000
    shown = undefined
    alerts = undefined
    events.length = 0
    senders.length = 0
  })

  it('hands over who it was, and from which node', async () => {
    assert.equal((await post(`Bearer ${TOKEN}`)).status, 200)
    shown = certificate()
    assert.equal((await post()).status, 200)
    assert.deepEqual(senders, [
      { name: 'slow', node: 'node1' },
      { name: 'certified', node: undefined },
    ])
    assert.deepEqual(events, ['slow accepted', 'certified accepted'])
  })

  it('answers 429 with Retry-After beyond the rate of one credential, and no other', async () => {
    const statuses: number[] = []
    for (let count = 0; count < 3; count++) statuses.push((await post(`Bearer ${TOKEN}`)).status)
    assert.deepEqual(statuses, [200, 200, 429])
    const refused = await post(`Bearer ${TOKEN}`)
    assert.equal(refused.headers['retry-after'], '1')
    assert.deepEqual(refused.body, { error: 'this credential may send 1 alerts a second; try again' })
    assert.equal((await post('Bearer another-token-of-length', 'tracee')).status, 200)
    assert.deepEqual(events.slice(2), [
      'falco rate-limited',
      'slow rate-limited',
      'falco rate-limited',
      'slow rate-limited',
      'other accepted',
    ])
  })

  it('counts the alerts of a body, not only the request', async () => {
    alerts = 30
    assert.equal((await post(`Bearer ${TOKEN}`)).status, 200)
    const refused = await post(`Bearer ${TOKEN}`)
    assert.deepEqual([refused.status, refused.headers['retry-after']], [429, '29'])
  })

  it('answers 503, not 401, while a token cannot be verified', async () => {
    answer = { kind: 'unavailable' }
    const response = await post(`Bearer ${jwt(JWT_USER)}`)
    assert.deepEqual([response.status, response.headers['retry-after']], [503, '1'])
    assert.deepEqual(events, ['falco unverifiable'])
    answer = { kind: 'invalid' }
    assert.equal((await post(`Bearer ${jwt(JWT_USER)}`)).status, 401)
    answer = { kind: 'valid', username: JWT_USER }
    assert.equal((await post(`Bearer ${jwt(JWT_USER)}`)).status, 200)
  })

  it('closes the connection of whoever has no valid credential: each guess costs a handshake', async () => {
    const response = await post('Bearer guess')
    assert.deepEqual([response.status, response.headers['connection']], [401, 'close'])
  })
})
