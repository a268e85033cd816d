/** Client certificates on a real TLS listener. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent, request } from 'node:https'
import { connect } from 'node:tls'
import { createAuthority, issueLeaf } from '../../certs/authority.ts'
import type { KeyPair } from '../../certs/authority.ts'
import { clientCertificates } from '../../src/server/clientCertificate.ts'
import { startListener } from '../../src/server/listener.ts'
import type { Listener } from '../../src/server/listener.ts'
import { clientCertificate } from '../certs/clients.ts'

describe('client certificates', function () {
  this.timeout(20_000)
  const state = { now: Date.now() }
  let serving: KeyPair
  let authority: KeyPair
  let stranger: KeyPair
  let server: KeyPair
  let sensor: KeyPair
  let listener: Listener
  const agents: Agent[] = []

  before(async () => {
    const authorities = [createAuthority(state.now), createAuthority(state.now), createAuthority(state.now)] as const
    ;[serving, authority, stranger] = await Promise.all(authorities)
    server = await issueLeaf(serving, ['127.0.0.1'], state.now)
    sensor = clientCertificate(
      authority,
      { commonName: 'falco', dnsName: 'Falco.example', uri: 'spiffe://example/falco' },
      state.now,
    )
  })
  beforeEach(async () => {
    const certificateOf = clientCertificates(() => state.now)
    listener = await startListener({
      name: 'test',
      portOption: '',
      host: '127.0.0.1',
      port: 0,
      certificate: server.certificate,
      key: server.key,
      clientCa: authority.certificate,
      handler: (incoming, response) => response.end(JSON.stringify(certificateOf(incoming.socket) ?? 'none')),
    })
  })
  afterEach(async () => {
    for (const agent of agents.splice(0)) agent.destroy()
    await listener.drain(0)
  })

  const agentOf = (client?: KeyPair): Agent => {
    const agent = new Agent({
      ca: serving.certificate,
      keepAlive: true,
      ...(client && { cert: client.certificate, key: client.key }),
    })
    agents.push(agent)
    return agent
  }
  /** What the server saw, as JSON, and whether the connection was used before. */
  const ask = async (agent: Agent): Promise<{ readonly seen: string; readonly reused: boolean }> => {
    const sent = request({ host: '127.0.0.1', port: listener.port, agent }).end()
    const [response] = (await once(sent, 'response')) as [NodeJS.ReadableStream]
    let seen = ''
    for await (const chunk of response) seen += String(chunk)
    return { seen, reused: sent.reusedSocket }
  }
  const names = { commonName: 'falco', dnsNames: ['falco.example'], uris: ['spiffe://example/falco'] }
  const FALCO = JSON.stringify(names)

  it('are asked for and not demanded', async () => {
    assert.equal((await ask(agentOf())).seen, '"none"')
    assert.equal((await ask(agentOf(sensor))).seen, FALCO)
  })

  it('of another CA, and certificates that are not for clients, name nobody', async () => {
    const forged = clientCertificate(stranger, { commonName: 'falco' }, state.now)
    assert.equal((await ask(agentOf(forged))).seen, '"none"')
    const notForClients = await issueLeaf(authority, ['falco.example'], state.now)
    assert.equal((await ask(agentOf(notForClients))).seen, '"none"')
    const expired = clientCertificate(authority, { commonName: 'falco' }, state.now, -1000)
    assert.equal((await ask(agentOf(expired))).seen, '"none"')
  })

  it('end with their time, also on a connection that goes on', async () => {
    const agent = agentOf(sensor)
    assert.equal((await ask(agent)).seen, FALCO)
    state.now += 2 * 3600_000
    const later = await ask(agent)
    state.now -= 2 * 3600_000
    assert.deepEqual(later, { seen: '"none"', reused: true })
  })

  it('are not made up for a resumed session that never showed one', async () => {
    /** One request on a connection of its own; resolves to what was seen, the session, and whether it was resumed. */
    const visit = (
      session?: Buffer,
      client?: KeyPair,
    ): Promise<{ text: string; session: Buffer | undefined; resumed: boolean }> =>
      new Promise((resolve, reject) => {
        let text = ''
        let next: Buffer | undefined
        let resumed = false
        const socket = connect({
          host: '127.0.0.1',
          port: listener.port,
          ca: serving.certificate,
          ...(session && { session }),
          ...(client && { cert: client.certificate, key: client.key }),
        })
        socket.on('secureConnect', () => (resumed = socket.isSessionReused()))
        socket.on('session', (ticket: Buffer) => (next = ticket))
        socket.on('data', (data) => (text += String(data)))
        socket.on('error', reject)
        socket.on('close', () => resolve({ text, session: next, resumed }))
        socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
      })
    const first = await visit()
    const second = await visit(first.session)
    assert.deepEqual([second.resumed, second.text.endsWith('"none"')], [true, true])
    const shown = await visit(undefined, sensor)
    const resumed = await visit(shown.session, sensor)
    assert.deepEqual([resumed.resumed, resumed.text.endsWith(FALCO)], [true, true])
    // Sessions of the CA before are worth nothing.
    listener.setClientCa(stranger.certificate)
    const after = await visit(shown.session, sensor)
    assert.deepEqual([after.resumed, after.text.endsWith('"none"')], [false, true])
  })

  it('are verified by another CA from one request to the next', async () => {
    const agent = agentOf(sensor)
    assert.equal((await ask(agent)).seen, FALCO)
    listener.setClientCa(stranger.certificate)
    const after = await ask(agent).catch(() => ask(agent))
    assert.deepEqual(after, { seen: '"none"', reused: false })
    const other = clientCertificate(stranger, { commonName: 'new' }, state.now)
    assert.equal((await ask(agentOf(other))).seen, JSON.stringify({ commonName: 'new', dnsNames: [], uris: [] }))
    listener.setCertificate(server.certificate, server.key)
    assert.equal((await ask(agentOf(sensor))).seen, '"none"')
    assert.match((await ask(agentOf(other))).seen, /"new"/)
  })
})

describe('a listener without a client CA', function () {
  this.timeout(20_000)
  it('asks nobody for a certificate', async () => {
    const now = Date.now()
    const authority = await createAuthority(now)
    const leaf = await issueLeaf(authority, ['127.0.0.1'], now)
    const listener = await startListener({
      name: 'test',
      portOption: '',
      host: '127.0.0.1',
      port: 0,
      certificate: leaf.certificate,
      key: leaf.key,
      handler: (incoming, response) => response.end(String(clientCertificates(() => now)(incoming.socket)?.commonName)),
    })
    const client = clientCertificate(authority, { commonName: 'falco' }, now)
    const agent = new Agent({ ca: authority.certificate, cert: client.certificate, key: client.key })
    const sent = request({ host: '127.0.0.1', port: listener.port, agent }).end()
    const [response] = (await once(sent, 'response')) as [NodeJS.ReadableStream]
    let text = ''
    for await (const chunk of response) text += String(chunk)
    await listener.drain(0)
    assert.equal(text, 'undefined')
  })
})
