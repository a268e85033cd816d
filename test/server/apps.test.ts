/** The three express apps, without a socket of ours: supertest takes the app. */
import assert from 'node:assert/strict'
import { createServer, request as httpRequest } from 'node:http'
import type { ClientRequest, Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import supertest from 'supertest'
import { adminApp } from '../../src/server/adminApp.ts'
import { alertsApp } from '../../src/server/alertsApp.ts'
import { createAuthenticator, credentialChecker } from '../../src/server/credentials.ts'
import { jsonReply } from '../../src/server/reply.ts'
import { timeoutMilliseconds } from '../../src/server/reviewHandler.ts'
import { REVIEW_LIMIT_BYTES, webhookApp } from '../../src/server/webhookApp.ts'

const TOKEN = 'a-token-of-enough-length'
const ALERT_LIMIT_BYTES = 16 * 1024 * 1024

describe('the webhook app', () => {
  const errors: number[] = []
  const app = webhookApp({
    routes: {
      '/mutate': (body, timeout) =>
        Promise.resolve(jsonReply(200, { bytes: body.length, timeout: Math.ceil(timeout) })),
      '/validate': () => Promise.reject(new Error('a bug')),
      '/validate/enforce': () => Promise.resolve(jsonReply(200, 'enforce')),
      '/validate-namespaces': () => Promise.resolve(jsonReply(200, 'namespaces')),
    },
    onError: (status) => errors.push(status),
  })

  for (const [path, status, body] of [
    ['/validate/enforce', 200, 'enforce'],
    ['/validate-namespaces', 200, 'namespaces'],
    ['/validate/unknown', 404, { error: 'no such path for POST' }],
    ['/validate/enforce/more', 404, { error: 'no such path for POST' }],
    ['/validate/__proto__', 404, { error: 'no such path for POST' }],
    ['/toString', 404, { error: 'no such path for POST' }],
  ] as const) {
    it(`answers ${status} at ${path}`, async () => {
      const response = await supertest(app).post(path).set('Content-Type', 'application/json').send('{}')
      assert.deepEqual([response.status, response.body], [status, body])
    })
  }

  it('hands over bytes and deadline', async () => {
    const response = await supertest(app)
      .post('/mutate?timeout=5s')
      .set('Content-Type', 'application/json')
      .send('{"a": 1}')
    assert.deepEqual([response.status, response.body], [200, { bytes: 8, timeout: 5000 }])
  })

  for (const [what, type] of [
    ['a wrong content type', 'text/plain'],
    ['a form', 'application/x-www-form-urlencoded'],
  ] as const) {
    it(`refuses ${what} with 415 in one line`, async () => {
      const response = await supertest(app).post('/mutate').set('Content-Type', type).send('{}')
      assert.deepEqual(
        [response.status, response.body],
        [415, { error: `Content-Type is "${type}", wanted application/json` }],
      )
    })
  }

  it('refuses a body over the limit with 413', async () => {
    const response = await supertest(app)
      .post('/mutate')
      .set('Content-Type', 'application/json')
      .send(' '.repeat(REVIEW_LIMIT_BYTES + 1))
    assert.deepEqual(
      [response.status, response.body],
      [413, { error: `the body is larger than ${REVIEW_LIMIT_BYTES} bytes` }],
    )
  })

  it('answers 500 without the stack when a handler breaks, and counts it', async () => {
    errors.length = 0
    const response = await supertest(app).post('/validate').set('Content-Type', 'application/json').send('{}')
    assert.deepEqual([response.status, response.body, errors], [500, { error: 'internal error; see the log' }, [500]])
  })

  it('refuses a compressed body: the API server sends none, and a small one could unfold to much work', async () => {
    const response = await supertest(app)
      .post('/mutate')
      .set('Content-Type', 'application/json')
      .set('Content-Encoding', 'gzip')
      .send('x')
    assert.equal(response.status, 415)
  })

  it('refuses more than 64 MiB of bodies under way, before reading, and recovers', async () => {
    const server = createServer(app).listen(0)
    const { port } = server.address() as AddressInfo
    const open = Array.from({ length: 9 }, () => {
      const request = httpRequest({
        port,
        method: 'POST',
        path: '/mutate',
        headers: { 'Content-Type': 'application/json', 'Content-Length': REVIEW_LIMIT_BYTES },
      })
      request.on('error', () => undefined)
      request.write('{')
      return request
    })
    const ninth = await Promise.race(
      open.map(
        (request) =>
          new Promise<number>((resolve) => request.on('response', (response) => resolve(response.statusCode ?? 0))),
      ),
    )
    assert.equal(ninth, 503)
    for (const request of open) request.destroy()
    const status = async (): Promise<number> =>
      (await supertest(server).post('/mutate').set('Content-Type', 'application/json').send('{}')).status
    const deadline = Date.now() + 5000
    while ((await status()) !== 200) assert.ok(Date.now() < deadline, 'the aborted requests are still counted')
    server.close()
  })

  const servers: Server[] = []
  const listen = (): Server => {
    const server = createServer(app).listen(0)
    servers.push(server)
    return server
  }
  afterEach(() => {
    for (const server of servers.splice(0)) {
      server.closeAllConnections()
      server.close()
    }
  })

  /** Requests that announce this much, send one byte and wait; undefined: they do not say how much. */
  const stall = (port: number, count: number, bytes: number | undefined) =>
    Array.from({ length: count }, () => {
      const length = bytes === undefined ? {} : { 'Content-Length': bytes }
      const headers = { 'Content-Type': 'application/json', ...length }
      const request = httpRequest({ port, method: 'POST', path: '/mutate', headers })
      request.on('error', () => undefined)
      request.write('{')
      const status = new Promise<number>((resolve) =>
        request.on('response', ({ statusCode = 0 }) => resolve(statusCode)),
      )
      return { request, status }
    })
  const arrived = async (server: Server, count: number): Promise<void> => {
    let requests = 0
    await new Promise<void>((resolve) => server.on('request', () => ++requests === count && resolve()))
  }

  for (const [what, bytes] of [
    ['announced', REVIEW_LIMIT_BYTES],
    ['of unknown length', undefined],
  ] as const) {
    it(`answers reviews while strangers hold back bodies ${what}: the oldest of those gives way`, async () => {
      const server = listen()
      const all = arrived(server, 8)
      const open = stall((server.address() as AddressInfo).port, 8, bytes)
      await all
      for (let index = 0; index < 3; index += 1) {
        const review = await supertest(server).post('/mutate').set('Content-Type', 'application/json').send('{}')
        assert.equal(review.status, 200)
      }
      assert.equal(await Promise.race(open.map(({ status }) => status)), 503)
    })
  }

  it('lets nothing give way to a larger body', async () => {
    const server = listen()
    const { port } = server.address() as AddressInfo
    const all = arrived(server, 64)
    const open = stall(port, 64, REVIEW_LIMIT_BYTES / 8)
    await all
    const [large] = stall(port, 1, REVIEW_LIMIT_BYTES)
    assert.equal(await large?.status, 503)
    open[0]?.request.end(' '.repeat(REVIEW_LIMIT_BYTES / 8 - 1))
    assert.equal(await open[0]?.status, 200)
  })

  it('knows no other path or method', async () => {
    assert.equal((await supertest(app).get('/mutate')).status, 404)
    assert.equal((await supertest(app).post('/')).status, 404)
  })

  for (const [value, milliseconds] of [
    ['10s', 10_000],
    ['500ms', 500],
    ['1m', 30_000],
    ['2.5s', 2500],
    [undefined, 10_000],
    ['', 10_000],
    ['-1s', 10_000],
    ['0s', 1],
    ['1e9s', 10_000],
    [['1s', '2s'], 10_000],
  ] as const) {
    it(`reads ?timeout=${String(value)} as ${milliseconds} ms`, () =>
      assert.equal(timeoutMilliseconds(value), milliseconds))
  }
})

describe('the alerts app', () => {
  const refused: string[] = []
  const app = alertsApp({
    bodiesBytes: 256 * 1024 * 1024,
    sources: [
      { name: 'falco', maxBytes: ALERT_LIMIT_BYTES },
      { name: 'falcosidekick', maxBytes: 1000 },
    ],
    authenticate: createAuthenticator([
      { name: 'all', tokens: [TOKEN] },
      { name: 'only-falco', tokens: ['another-token-of-length'], sources: ['falco'] },
    ]),
    handle: (source, body) => Promise.resolve(jsonReply(200, { source, bytes: body.length })),
    now: () => 0,
    onRefused: (source, reason) => refused.push(`${source} ${reason}`),
    onCredential: () => undefined,
    onError: () => undefined,
  })
  const post = (path: string): supertest.Test => supertest(app).post(path).set('Content-Type', 'application/json')
  beforeEach(() => (refused.length = 0))

  it('takes a Bearer token', async () => {
    const response = await post('/alerts/falco').set('Authorization', `Bearer ${TOKEN}`).send('{}')
    assert.deepEqual([response.status, response.body], [200, { source: 'falco', bytes: 2 }])
  })

  it('takes Basic with the token as password, whatever the user is called', async () => {
    assert.equal((await post('/alerts/falco').auth('falco', TOKEN).send('{}')).status, 200)
    assert.equal((await post('/alerts/falco').auth('', TOKEN).send('{}')).status, 200)
  })

  for (const [what, header] of [
    ['no credential', undefined],
    ['a wrong token', 'Bearer wrong'],
    ['a prefix of the token', `Bearer ${TOKEN.slice(0, -1)}`],
    ['an empty token', 'Bearer '],
    ['Basic without a colon', `Basic ${Buffer.from(TOKEN).toString('base64')}`],
    ['the token as user', `Basic ${Buffer.from(`${TOKEN}:`).toString('base64')}`],
    ['another scheme', `Digest ${TOKEN}`],
  ] as const) {
    it(`answers ${what} with 401, counted`, async () => {
      const request = post('/alerts/falco')
      if (header !== undefined) void request.set('Authorization', header)
      const response = await request.send('{}')
      assert.equal(response.status, 401)
      assert.match(String(response.headers['www-authenticate']), /^Bearer .*Basic /)
      assert.deepEqual(refused, ['falco unauthorized'])
    })
  }

  it('answers 401 before the body is read', async () => {
    const response = await post('/alerts/falco')
      .send(' '.repeat(1024 * 1024))
      .catch((error: Error) => error)
    // Either the answer arrived, or the connection was closed while the rest of the body was being sent.
    if (response instanceof Error) assert.match(response.message, /EPIPE|ECONNRESET|aborted/)
    else assert.equal(response.status, 401)
    assert.deepEqual(refused, ['falco unauthorized'])
  })

  it('binds a credential to its sources', async () => {
    const token = 'Bearer another-token-of-length'
    assert.equal((await post('/alerts/falco').set('Authorization', token).send('{}')).status, 200)
    assert.equal((await post('/alerts/falcosidekick').set('Authorization', token).send('{}')).status, 403)
    assert.deepEqual(refused, ['falcosidekick wrong-source'])
  })

  it('never makes a metric label of an unknown source', async () => {
    assert.equal((await post('/alerts/evil%0Alabel').set('Authorization', `Bearer ${TOKEN}`).send('{}')).status, 404)
    assert.deepEqual(refused, ['unknown unknown-source'])
  })

  it('unpacks gzip and refuses what is broken or packed in another way', async () => {
    const packed = (encoding: string, body: Buffer): supertest.Test =>
      post('/alerts/falco')
        .set('Authorization', `Bearer ${TOKEN}`)
        .set('Content-Encoding', encoding)
        // supertest would turn a Buffer of a JSON type into text.
        .serialize((value: unknown) => value as string)
        .send(body)
    const text = Buffer.from('{"rule":"x"}')
    const good = await packed('gzip', gzipSync(text))
    assert.deepEqual([good.status, good.body], [200, { source: 'falco', bytes: text.length }])
    assert.equal((await packed('GZIP', gzipSync(text))).status, 200)
    assert.equal((await packed('identity', text)).status, 200)
    assert.equal((await packed('gzip', text)).status, 400)
    assert.equal((await packed('gzip', gzipSync(text).subarray(0, -9))).status, 400)
    for (const encoding of ['br', 'deflate', 'zstd', 'gzip, gzip', 'x']) {
      const response = await packed(encoding, gzipSync(text))
      assert.deepEqual(
        [response.status, response.body],
        [415, { error: `Content-Encoding is "${encoding}", wanted gzip or none` }],
      )
    }
  })

  it('stops a gzip bomb at the limit of unpacked bytes', async () => {
    const bomb = gzipSync(Buffer.alloc(ALERT_LIMIT_BYTES + 1, ' '))
    assert.ok(bomb.length < 20_000)
    const before = process.memoryUsage().arrayBuffers
    // Members of gzip may follow one another: 512 MiB.
    const member = gzipSync(Buffer.alloc(1024 * 1024, ' '))
    const big = Buffer.concat(Array.from({ length: 512 }, () => member))
    for (const body of [bomb, big]) {
      const response = await post('/alerts/falco')
        .set('Authorization', `Bearer ${TOKEN}`)
        .set('Content-Encoding', 'gzip')
        .serialize((value: unknown) => value as string)
        .send(body)
      assert.deepEqual(
        [response.status, response.body],
        [413, { error: `the body is larger than ${ALERT_LIMIT_BYTES} bytes` }],
      )
    }
    assert.ok(process.memoryUsage().arrayBuffers - before < 6 * ALERT_LIMIT_BYTES, 'unpacked all of it')
    const full = gzipSync(Buffer.alloc(ALERT_LIMIT_BYTES, ' '))
    const response = await post('/alerts/falco')
      .set('Authorization', `Bearer ${TOKEN}`)
      .set('Content-Encoding', 'gzip')
      .serialize((value: unknown) => value as string)
      .send(full)
    assert.deepEqual(response.body, { source: 'falco', bytes: ALERT_LIMIT_BYTES })
  })

  it('reads no more of a body than its source may send', async () => {
    const send = (bytes: number): supertest.Test =>
      post('/alerts/falcosidekick').set('Authorization', `Bearer ${TOKEN}`).send(' '.repeat(bytes))
    assert.equal((await send(1000)).status, 200)
    assert.deepEqual([(await send(1001)).status, refused], [413, ['unknown bad-request']])
  })

  it('answers 503 while the bodies under way could fill the memory, and goes on when they are gone', async () => {
    const server = createServer(app).listen(0, '127.0.0.1')
    const { port } = await new Promise<AddressInfo>((resolve) =>
      server.once('listening', () => resolve(server.address() as AddressInfo)),
    )
    const open = (headers: Readonly<Record<string, string>>): ClientRequest =>
      httpRequest({
        port,
        path: '/alerts/falco',
        method: 'POST',
        headers: { Authorization: `Bearer ${TOKEN}`, 'Content-Type': 'application/json', ...headers },
      }).on('error', () => undefined)
    const statusOf = (sent: ClientRequest): Promise<number> =>
      new Promise((resolve) => sent.once('response', (answer) => resolve(answer.resume().statusCode ?? 0)))
    const slow: ClientRequest[] = []
    try {
      // Sixteen times 16 MiB: announced, of unknown length, or packed.
      const kinds = [
        { 'Content-Length': String(ALERT_LIMIT_BYTES) },
        { Pragma: 'none' },
        { 'Content-Encoding': 'gzip' },
      ]
      for (let count = 0; count < 16; count += 1) {
        const sent = open({ ...kinds[count % 3], Expect: '100-continue' })
        sent.flushHeaders()
        await new Promise((resolve) => sent.once('continue', resolve))
        slow.push(sent)
      }
      const late = open({ 'Content-Length': '2' })
      late.end('[]')
      assert.deepEqual([await statusOf(late), refused], [503, ['falco busy']])
      slow.pop()!.destroy()
      let status = 503
      for (let attempt = 0; attempt < 200 && status === 503; attempt += 1) {
        const next = open({ 'Content-Length': '2' })
        next.end('[]')
        status = await statusOf(next)
      }
      assert.equal(status, 200)
    } finally {
      for (const sent of slow) sent.destroy()
      server.closeAllConnections()
      server.close()
    }
  })

  it('takes every JSON content type that sensors send', async () => {
    for (const type of [
      'application/json',
      'application/json; charset=utf-8',
      'application/cloudevents+json',
      'application/x-ndjson',
    ]) {
      const response = await supertest(app)
        .post('/alerts/falco')
        .set('Content-Type', type)
        .set('Authorization', `Bearer ${TOKEN}`)
        .send('{}')
      assert.equal(response.status, 200, type)
    }
    assert.equal(
      (
        await supertest(app)
          .post('/alerts/falco')
          .set('Authorization', `Bearer ${TOKEN}`)
          .set('Content-Type', 'text/plain')
          .send('{}')
      ).status,
      415,
    )
  })
})

describe('the admin app', () => {
  let problem: string | undefined
  const decided =
    (what: string) =>
    (name: string, decision: unknown): Promise<unknown> => {
      if (name === 'ref-1') return Promise.resolve({ what, name, decision })
      const error = new Error(`no verdict ${name}`)
      error.name = 'NotFoundError'
      return Promise.reject(error)
    }
  const app = adminApp({
    adminTokens: () => [TOKEN],
    liveness: [{ name: 'alert-thread', problem: () => undefined }],
    readiness: [
      { name: 'tls', problem: () => undefined },
      { name: 'verdicts', problem: () => problem },
    ],
    logLevel: {
      get: () => ({ level: 'info' }),
      set: (wanted) =>
        (wanted as { level?: string }).level === 'debug'
          ? Promise.resolve({ level: 'debug' })
          : Promise.reject(Object.assign(new Error('level must be one of'), { name: 'InvalidError' })),
    },
    metrics: () => Promise.resolve({ contentType: 'text/plain', text: 'metric 1\n' }),
    exceptions: () => [{ name: 'legacy' }],
    verdicts: {
      list: () => Promise.resolve([{ name: 'ref-1' }]),
      get: (name) => Promise.resolve(name === 'ref-1' ? { name } : undefined),
      release: decided('release'),
      confirm: decided('confirm'),
    },
    onError: () => undefined,
  })
  const authorized = (test: supertest.Test): supertest.Test => test.set('Authorization', `Bearer ${TOKEN}`)

  it('leaves health and metrics open', async () => {
    assert.equal((await supertest(app).get('/livez')).text, 'ok\n')
    assert.equal((await supertest(app).get('/readyz')).text, 'ok\n')
    assert.equal((await supertest(app).get('/metrics')).text, 'metric 1\n')
  })

  it('names each check as kube-apiserver does, when it is asked for and when one failed', async () => {
    const get = (path: string): supertest.Test => supertest(app).get(path)
    assert.equal((await get('/livez?verbose')).text, '[+]alert-thread ok\nlivez check passed\n')
    assert.equal((await get('/readyz?verbose=1')).text, '[+]tls ok\n[+]verdicts ok\nreadyz check passed\n')
    problem = 'being loaded'
    for (const path of ['/readyz', '/readyz?verbose']) {
      const { status, text } = await get(path)
      assert.deepEqual([status, text], [503, '[+]tls ok\n[-]verdicts failed: being loaded\nreadyz check failed\n'])
    }
    problem = undefined
    assert.equal((await get('/readyz')).status, 200)
  })

  it('shows and changes the log level', async () => {
    const put = (body: string): supertest.Test =>
      authorized(supertest(app).put('/api/v1/log-level')).set('Content-Type', 'application/json').send(body)
    assert.deepEqual((await authorized(supertest(app).get('/api/v1/log-level'))).body, { level: 'info' })
    assert.deepEqual((await put('{"level":"debug"}')).body, { level: 'debug' })
    const { status, body } = await put('{"level":"loud"}')
    assert.deepEqual([status, body], [400, { error: 'level must be one of' }])
    assert.match((await put('debug')).body.error, /^the body is not JSON; wanted /)
    assert.equal((await supertest(app).put('/api/v1/log-level').send({ level: 'debug' })).status, 401)
  })

  it('wants the admin token for everything else', async () => {
    for (const path of ['/api/v1/verdicts', '/api/v1/verdicts/ref-1', '/api/v1/exceptions', '/api/v1/other'])
      assert.equal((await supertest(app).get(path)).status, 401, path)
    assert.equal((await supertest(app).post('/api/v1/verdicts/ref-1/release')).status, 401)
    assert.equal((await supertest(app).post('/api/v1/verdicts/ref-1/confirm')).status, 401)
  })

  it('lists exceptions', async () => {
    const { body } = await authorized(supertest(app).get('/api/v1/exceptions'))
    assert.deepEqual(body, { items: [{ name: 'legacy' }] })
  })

  it('lists, shows, releases and confirms verdicts', async () => {
    assert.deepEqual((await authorized(supertest(app).get('/api/v1/verdicts'))).body, { items: [{ name: 'ref-1' }] })
    assert.deepEqual((await authorized(supertest(app).get('/api/v1/verdicts/ref-1'))).body, { name: 'ref-1' })
    assert.equal((await authorized(supertest(app).get('/api/v1/verdicts/ref-2'))).status, 404)
    for (const what of ['release', 'confirm']) {
      const decide = (name: string, body: string): supertest.Test =>
        authorized(supertest(app).post(`/api/v1/verdicts/${name}/${what}`))
          .set('Content-Type', 'application/json')
          .send(body)
      const { status, body } = await decide('ref-1', '{"by":"me"}')
      assert.deepEqual([status, body], [200, { what, name: 'ref-1', decision: { by: 'me' } }])
      assert.equal((await decide('ref-2', '{}')).status, 404)
      assert.equal((await decide('ref-1', '{')).status, 400)
    }
  })
})

describe('credentials', () => {
  it('finds which credential was shown', () => {
    const find = credentialChecker([
      { name: 'one', tokens: ['token-one-token-one'] },
      { name: 'two', tokens: ['token-two-token-two', 'token-two-before-it'] },
    ])
    assert.equal(find('Bearer token-two-token-two')?.name, 'two')
    assert.equal(find('Bearer token-two-before-it')?.name, 'two')
    assert.equal(find('bearer   token-one-token-one ')?.name, 'one')
    assert.equal(find(`Basic ${Buffer.from('user:with:token-one-token-one').toString('base64')}`), undefined)
    assert.equal(find('Bearer token-one-token-one '.padEnd(10_000)), undefined)
  })
})
