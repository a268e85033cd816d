/** What is answered before express must be answered as express does it: each request is sent as the API server sends it, and so that only express takes it. */
import assert from 'node:assert/strict'
import { createServer, request as httpRequest } from 'node:http'
import type { IncomingHttpHeaders, Server, ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { connect } from 'node:net'
import { assert as assertProperty, asyncProperty, string } from 'fast-check'
import { jsonReply } from '../../src/server/reply.ts'
import { REVIEW_LIMIT_BYTES, webhookApp } from '../../src/server/webhookApp.ts'
import { until } from '../process/server.ts'

interface Sent {
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

interface Answer {
  readonly status: number | undefined
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

const JSON_HEADERS = { 'Content-Type': 'application/json' }

describe('reviews answered before express', () => {
  const errors: string[] = []
  /** What `/noted` was given, in order. */
  const noted: { readonly text: string; readonly timeout: number; readonly waited: number | undefined }[] = []
  /** How many `/never` was given. */
  let unanswered = 0
  /** Called by `/noted`, while it decides. */
  let whileDeciding: () => void = () => undefined
  const app = webhookApp({
    routes: {
      '/mutate': (body, timeout) =>
        Promise.resolve(jsonReply(200, { text: body.toString('utf8'), timeout: Math.ceil(timeout) })),
      '/never': () => {
        unanswered += 1
        return new Promise(() => undefined)
      },
      '/broken': () => Promise.reject(new Error('a bug')),
      '/at-once': (body) => jsonReply(200, { text: body.toString('utf8') }),
      '/noted': (body, timeout, waited) => {
        noted.push({ text: body.toString('utf8'), timeout, waited })
        whileDeciding()
        return jsonReply(200, {})
      },
      '/broken-at-once': () => {
        throw new Error('a bug')
      },
      '/odd': () =>
        Promise.resolve({ status: 201, contentType: 'text/plain; charset=utf-8', body: 'é', headers: { 'X-A': 'b' } }),
    },
    onError: (status, error) => errors.push(`${status} ${error.message}`),
  })
  let server: Server
  before((done) => {
    server = createServer(app).listen(0, '127.0.0.1', done)
  })
  after(() => {
    server.close()
    // Node does not see that a client is gone from which it does not read.
    server.closeAllConnections()
  })
  beforeEach(() => {
    errors.splice(0)
    noted.splice(0)
    whileDeciding = () => undefined
  })

  const send = ({ path, headers, body }: Sent): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const { port } = server.address() as AddressInfo
      const sent = httpRequest({ port, path, method: 'POST', headers, agent: false }, (response) => {
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

  /** The same request three times: as usual, in chunks of no announced length, and with a type that is written another way. */
  const sendAll = async ({ path, headers, body }: Sent): Promise<readonly Answer[]> => [
    await send({ path, headers: { ...headers, 'Content-Length': String(Buffer.byteLength(body)) }, body }),
    await send({ path, headers: { ...headers, 'Transfer-Encoding': 'chunked' }, body }),
    await send({ path, headers: { ...headers, 'Content-Type': 'application/json;charset=utf-8' }, body }),
  ]

  it('answers each of many that arrive together, whatever becomes of the others', async () => {
    const paths = Array.from({ length: 30 }, (_, index) => ['/at-once', '/broken-at-once', '/mutate'][index % 3]!)
    const answers = await Promise.all(
      paths.map((path, index) =>
        send({ path, headers: { ...JSON_HEADERS, 'Content-Length': '2' }, body: `${index + 10}` }),
      ),
    )
    assert.deepEqual(
      answers.map(({ status, body }) => (status === 500 ? status : (JSON.parse(body) as { text: string }).text)),
      paths.map((path, index) => (path === '/broken-at-once' ? 500 : `${index + 10}`)),
    )
    assert.deepEqual(errors, Array<string>(10).fill('500 a bug'))
  })

  /** What one client sends in one go, as often as it says. */
  const raw = (path: string, body: string): string =>
    `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`

  /** A connection that counts its answers. */
  const openRaw = async (): Promise<{ readonly socket: Socket; readonly answers: () => number }> => {
    const accepted = new Promise((resolve) => server.once('connection', resolve))
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
    let text = ''
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')))
    await accepted
    return { socket, answers: () => text.split('HTTP/1.1 200 OK').length - 1 }
  }

  /** Milliseconds of work, in which the event loop has no turn. */
  const spend = (milliseconds: number): void => {
    const end = performance.now() + milliseconds
    while (performance.now() < end);
  }

  /** How many were decided when each answer was sent. */
  const decidedWhenSent = async (act: () => Promise<void>): Promise<readonly number[]> => {
    const counts: number[] = []
    const onRequest = (_request: unknown, response: ServerResponse): void => {
      const end = response.end.bind(response)
      response.end = ((...parameters: Parameters<typeof end>) => {
        counts.push(noted.length)
        return end(...parameters)
      }) as typeof response.end
    }
    server.prependListener('request', onRequest)
    try {
      await act()
    } finally {
      server.off('request', onRequest)
    }
    return counts
  }

  it('are decided before the first is answered where they have arrived together, and know how long they have waited', async () => {
    whileDeciding = () => spend(0.1)
    const connections = await Promise.all([1, 2, 3].map(() => openRaw()))
    let rounds = 0
    // Not each time: this process may have been off its core for so long that what was decided had to be sent.
    await until('decided together', async () => {
      noted.splice(0)
      rounds++
      const counts = await decidedWhenSent(async () => {
        for (const { socket } of connections) socket.write(raw('/noted?timeout=5s', 'a'))
        await until('all are answered', () => Promise.resolve(connections.every(({ answers }) => answers() === rounds)))
      })
      if (counts.join() !== '3,3,3') return false
      for (const { timeout, waited } of noted) assert.equal(timeout, 5000 - waited!)
      assert.ok(noted[2]!.waited! > 0.2, String(noted[2]!.waited))
      return true
    })
    for (const { socket } of connections) socket.destroy()
  })

  it('are decided and answered at once behind another of their connection: Node stops reading from who sends without end when it sees their answers', async () => {
    const { socket, answers } = await openRaw()
    const counts = await decidedWhenSent(async () => {
      socket.write(raw('/noted', 'a').repeat(4))
      await until('all are answered', () => Promise.resolve(answers() === 4))
    })
    // The first of the connection waits for others of its turn; those behind it do not wait for each other.
    assert.deepEqual(counts, [1, 2, 3, 4])
    assert.deepEqual(
      noted.map(({ waited }) => waited === 0),
      [true, true, true, false],
    )
    socket.destroy()
  })

  it('do not pile up undecided where a client sends them without end', async () => {
    const { socket } = await openRaw()
    socket.on('error', () => undefined).pause()
    let [undecided, most] = [0, 0]
    const onRequest = (): void => void (most = Math.max(most, ++undecided))
    server.prependListener('request', onRequest)
    whileDeciding = () => void undecided--
    socket.write(raw('/noted', 'a').repeat(40_000))
    await until('many are decided', () => Promise.resolve(noted.length > 20_000))
    server.off('request', onRequest)
    socket.destroy()
    assert.ok(most < 100, `${most} were undecided`)
  })

  for (const [what, path, status] of [
    ['a review', '/mutate', 200],
    ['a review with a deadline', '/mutate?timeout=2.5s', 200],
    ['a deadline that is none', '/mutate?timeout=1e9s', 200],
    ['two deadlines', '/mutate?timeout=1s&timeout=2s', 200],
    ['an encoded deadline', '/mutate?timeout=%31s', 200],
    ['something beside the deadline', '/mutate?a=1&timeout=1s', 200],
    ['an empty query', '/mutate?', 200],
    ['a handler that breaks', '/broken', 500],
    ['a handler that answers at once', '/at-once', 200],
    ['a handler that breaks at once', '/broken-at-once', 500],
    ['headers and a type of its own', '/odd', 201],
    ['an unknown path', '/other', 404],
    ['a path in capitals', '/MUTATE', 200],
    ['a slash at the end', '/mutate/', 200],
    ['an encoded path', '/mut%61te', 404],
    ['a path that is not percent-encoded as it should be', '/mut%te', 404],
  ] as const) {
    it(`are answered alike: ${what}`, async () => {
      const [usual, ...others] = await sendAll({ path, headers: JSON_HEADERS, body: '{"a": "é"}' })
      assert.equal(usual!.status, status)
      for (const other of others) assert.deepEqual(other, usual)
      assert.ok(errors.every((error) => error === errors[0]) && [0, 3].includes(errors.length), errors.join('\n'))
    })
  }

  it('are answered alike, whatever the body', () =>
    assertProperty(
      asyncProperty(string({ unit: 'grapheme', maxLength: 200 }), async (body) => {
        const [usual, ...others] = await sendAll({ path: '/mutate', headers: JSON_HEADERS, body })
        assert.equal((JSON.parse(usual!.body) as { text: string }).text, body)
        for (const other of others) assert.deepEqual(other, usual)
      }),
      { numRuns: 30 },
    ))

  it('come in any number of pieces on one connection', async () => {
    const { port } = server.address() as AddressInfo
    const socket = connect(port, '127.0.0.1')
    const body = JSON.stringify({ text: 'x'.repeat(100_000) })
    const head = `POST /mutate HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`
    let answers = ''
    socket.on('data', (chunk: Buffer) => (answers += chunk.toString('latin1')))
    const answered = async (count: number): Promise<void> => {
      while (answers.split('HTTP/1.1 200 OK').length <= count)
        await new Promise((resolve) => socket.once('data', resolve))
    }
    for (const count of [1, 2]) {
      socket.write(head + body.slice(0, 10))
      await new Promise((resolve) => setImmediate(resolve))
      socket.write(body.slice(10))
      await answered(count)
    }
    socket.destroy()
    assert.deepEqual(errors, [])
  })

  it('that break off are counted once and leave nothing under way', async () => {
    const { port } = server.address() as AddressInfo
    for (let index = 0; index < 20; index++) {
      const socket = connect(port, '127.0.0.1')
      const arrived = new Promise((resolve) => server.once('request', resolve))
      socket.write(
        `POST /mutate HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${REVIEW_LIMIT_BYTES}\r\n\r\n{`,
      )
      await arrived
      const closed = new Promise((resolve) => server.once('connection', resolve))
      socket.destroy()
      // Twenty of them are more than may be under way: were one of them still counted, the last would be refused.
      assert.equal(
        (await send({ path: '/mutate', headers: { ...JSON_HEADERS, 'Content-Length': '2' }, body: '{}' })).status,
        200,
      )
      await closed
      while (errors.length <= index) await new Promise((resolve) => setImmediate(resolve))
    }
    assert.deepEqual(new Set(errors), new Set(['400 request aborted']))
    assert.equal(errors.length, 20)
  })

  for (const [what, type] of [
    ['answered before express', 'application/json'],
    ['answered by express', 'application/json;charset=utf-8'],
  ] as const) {
    const head = (path: string, length: number, more = ''): string =>
      `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Type: ${type}\r\nContent-Length: ${length}\r\n${more}\r\n`
    /** When it is returned, its request has come in. */
    const open = async (bytes: string | Buffer): Promise<Socket> => {
      const { port } = server.address() as AddressInfo
      const arrived = new Promise((resolve) => server.once('request', resolve))
      const socket = connect(port, '127.0.0.1')
        .on('error', () => undefined)
        .resume()
      socket.write(bytes)
      await arrived
      return socket
    }
    const answersAnother = async (): Promise<boolean> => {
      const { status } = await send({
        path: '/mutate',
        headers: { ...JSON_HEADERS, 'Content-Length': '2' },
        body: '{}',
      })
      return status === 200
    }

    it(`that give way and are whole all the same are refused once: ${what}`, async () => {
      const rejected: unknown[] = []
      const onRejection = (error: unknown): void => void rejected.push(error)
      process.on('unhandledRejection', onRejection)
      const others: Socket[] = []
      try {
        // The body that gives way, but for its last byte; alone on its connection, and behind an answer that does not come.
        for (const before of ['', head('/never', 2) + '{}']) {
          const body = head('/mutate', REVIEW_LIMIT_BYTES) + ' '.repeat(REVIEW_LIMIT_BYTES - 1)
          const largest = await open(before === '' ? body : before)
          if (before !== '') {
            const entered = new Promise((resolve) => server.once('request', resolve))
            largest.write(body)
            await entered
          }
          const gone = new Promise((resolve) => largest.once('close', resolve))
          // Eight of this length are what may be under way.
          for (let count = 0; count < 8; count++) others.push(await open(head('/mutate', REVIEW_LIMIT_BYTES)))
          largest.write(' ')
          await gone
          for (const other of others.splice(0)) other.destroy()
          await until('nothing under way', answersAnother)
        }
        assert.deepEqual(rejected, [])
        assert.ok(errors.includes('503 too many reviews under way'), errors.join('; '))
        assert.ok(!errors.some((error) => error.startsWith('500')), errors.join('; '))
      } finally {
        process.off('unhandledRejection', onRejection)
        for (const other of others) other.destroy()
      }
    })

    it(`that are whole and wait for their answer give way to none: ${what}`, async () => {
      unanswered = 0
      const waiting: Socket[] = []
      try {
        const body = head('/never', REVIEW_LIMIT_BYTES) + ' '.repeat(REVIEW_LIMIT_BYTES)
        for (let count = 0; count < 8; count++) waiting.push(await open(body))
        await until('all of them', () => unanswered === 8)
        const headers = { ...JSON_HEADERS, 'Content-Length': '2' }
        assert.equal((await send({ path: '/mutate', headers, body: '{}' })).status, 503)
        assert.ok(waiting.every((socket) => !socket.destroyed))
      } finally {
        for (const socket of waiting) socket.destroy()
        await until('nothing under way', answersAnother)
      }
    })

    it(`that were refused before they came, behind an answer that does not leave, give way to others: ${what}`, async () => {
      errors.length = 0
      const stuck = await open(head('/never', 2) + '{}')
      const others = [stuck]
      try {
        const gone = new Promise((resolve) => stuck.once('close', resolve))
        const entered = new Promise((resolve) => server.once('request', resolve))
        stuck.write(head('/mutate', REVIEW_LIMIT_BYTES, 'Content-Encoding: br\r\n'))
        await entered
        for (let count = 0; count < 8; count++) others.push(await open(head('/mutate', REVIEW_LIMIT_BYTES)))
        await gone
        assert.equal(await answersAnother(), true)
        assert.deepEqual(
          errors.filter((error) => error.startsWith('500')),
          [],
        )
      } finally {
        for (const other of others) other.destroy()
        await until('nothing under way', answersAnother)
      }
    })
  }
})
