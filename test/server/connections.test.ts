/** Connections of strangers on a real TLS listener: none lasts without a handshake, and nobody's many keep others out. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request } from 'node:https'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { createAuthority, issueLeaf } from '../../certs/authority.ts'
import { startListener } from '../../src/server/listener.ts'
import type { Listener } from '../../src/server/listener.ts'

const MAXIMUM = 8

describe('connections to a listener', function () {
  this.timeout(20_000)
  let listener: Listener
  let ca: string
  const sockets: Socket[] = []
  const errors: string[] = []

  before(async () => {
    const authority = await createAuthority(Date.now())
    const leaf = await issueLeaf(authority, ['127.0.0.1'], Date.now())
    ca = authority.certificate
    listener = await startListener({
      name: 'test',
      portOption: '',
      host: '0.0.0.0',
      port: 0,
      certificate: leaf.certificate,
      key: leaf.key,
      handler: (_request, response) => response.end('here'),
      maximumConnections: MAXIMUM,
      handshakeMilliseconds: 200,
      onConnectionError: (error) => errors.push((error as NodeJS.ErrnoException).code ?? error.message),
    })
  })
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy()
    errors.length = 0
  })
  after(() => listener.drain(0))

  const open = async (from: string): Promise<Socket> => {
    const socket = connect({ port: listener.port, host: '127.0.0.1', localAddress: from })
    socket.on('error', () => undefined)
    sockets.push(socket)
    await once(socket, 'connect')
    return socket
  }
  const ask = (): Promise<string> =>
    new Promise((resolve, reject) => {
      const sent = request({ host: '127.0.0.1', port: listener.port, ca, agent: false }, (response) => {
        response.on('data', (chunk: Buffer) => resolve(chunk.toString()))
      })
      sent.on('error', reject)
      sent.end()
    })

  for (const [what, bytes] of [
    ['says nothing', ''],
    ['says half of a ClientHello', '16030100c8010000c40303'],
  ] as const)
    it(`end when the client ${what}`, async () => {
      const socket = await open('127.0.0.1')
      if (bytes !== '') socket.write(Buffer.from(bytes, 'hex'))
      // A client that never closes its own side.
      await once(socket, 'close')
      assert.deepEqual(errors, ['ERR_TLS_HANDSHAKE_TIMEOUT'])
    })

  it('of one address, however many, keep no other out; the oldest of them give way', async () => {
    const silent: Socket[] = []
    for (let count = 0; count < 3 * MAXIMUM; count++) silent.push(await open('127.0.0.2'))
    assert.equal(await ask(), 'here')
    assert.ok(silent[0]?.destroyed || (await once(silent[0]!, 'close')))
  })

  it('that are encrypted and idle give way too', async () => {
    for (let count = 0; count < 2 * MAXIMUM; count++) {
      const socket = connectTls({ socket: await open('127.0.0.2'), host: '127.0.0.1', ca })
      socket.on('error', () => undefined)
      sockets.push(socket)
      await once(socket, 'secureConnect')
    }
    assert.equal(await ask(), 'here')
  })

  it('are told what was wrong where they are encrypted', async () => {
    const socket = connectTls({ port: listener.port, host: '127.0.0.1', ca })
    sockets.push(socket)
    await once(socket, 'secureConnect')
    socket.write('no HTTP\r\n\r\n')
    const [answer] = (await once(socket, 'data')) as [Buffer]
    assert.match(answer.toString(), /^HTTP\/1\.1 400 Bad Request/)
    await once(socket, 'close')
  })
})
