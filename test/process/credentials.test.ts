/** Credentials through the bundled program: certificates, rotation, limits; and that nothing secret is ever written down. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { Agent } from 'node:https'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { createAuthority } from '../../certs/authority.ts'
import type { KeyPair } from '../../certs/authority.ts'
import { clientCertificate } from '../certs/clients.ts'
import { call, dropAlert, RunningProgram, temporaryFolder, until } from './server.ts'
import type { Answer, ServerFile } from './server.ts'

/** Each is recognisable wherever it turns up. */
const SECRET = {
  inline: 'INLINE-SECRET-0f1e2d3c4b5a6978',
  file: 'FILE-SECRET-8796a5b4c3d2e1f0',
  rotated: 'ROTATED-SECRET-1122334455667788',
  wrong: 'WRONG-SECRET-8877665544332211',
} as const

const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`

describe('credentials of a running server', function () {
  this.timeout(60_000)
  const folder = temporaryFolder()
  const path = (name: string): string => join(folder.path, name)
  let server: RunningProgram
  let [authority, other]: (KeyPair | undefined)[] = []
  /** All that the server has answered. */
  const answers: string[] = []

  before(async () => {
    ;[authority, other] = await Promise.all([createAuthority(Date.now()), createAuthority(Date.now())])
    writeFileSync(path('token'), `${SECRET.file}\n`)
    writeFileSync(path('clients.crt'), authority.certificate)
    writeFileSync(
      path('drawbridge.yaml'),
      `
log: { level: debug }
alerts:
  clientCa: ${path('clients.crt')}
  credentials:
    - { name: inline, token: ${SECRET.inline}, sources: [falco] }
    - { name: file, tokenFile: ${path('token')}, node: node1 }
    - { name: slow, token: SLOW-SECRET-aabbccddeeff0011, alertsPerSecond: 1 }
    - { name: certified, certificate: { uri: spiffe://example/falco } }
`,
    )
    server = await RunningProgram.start(folder.path)
  })
  after(async () => {
    await server.kill()
    folder.remove()
  })

  let images = 0
  const alertBody = (): string => JSON.stringify(dropAlert(`registry.example/shop/app:${images++}`))
  const send = async (
    headers: Record<string, string>,
    options: { readonly url?: string; readonly body?: string; readonly agent?: Agent } = {},
  ): Promise<Answer> => {
    const answer = await call(options.url ?? `${server.file.alerts}/alerts/falco`, {
      ca: server.file.ca,
      body: options.body ?? alertBody(),
      headers: { 'Content-Type': 'application/json', ...headers },
      ...(options.agent && { agent: options.agent }),
    })
    answers.push(`${JSON.stringify(answer.headers)}\n${answer.text}`)
    return answer
  }
  const withToken = (token: string): Promise<Answer> => send({ Authorization: `Bearer ${token}` })
  const withCertificate = (client: KeyPair): Promise<Answer> =>
    send(
      {},
      {
        agent: new Agent({
          ca: readFileSync(server.file.ca),
          cert: client.certificate,
          key: client.key,
          keepAlive: false,
        }),
      },
    )

  it('let a client certificate in, of the right CA and name only', async () => {
    const now = Date.now()
    const uri = 'spiffe://example/falco'
    assert.equal((await withCertificate(clientCertificate(authority!, { commonName: 'a', uri }, now))).status, 200)
    assert.equal((await withCertificate(clientCertificate(authority!, { commonName: uri }, now))).status, 401)
    assert.equal((await withCertificate(clientCertificate(other!, { commonName: 'a', uri }, now))).status, 401)
    assert.equal((await withToken(SECRET.inline)).status, 200)
  })

  it('hold a sender to its node', async () => {
    const { body } = await withToken(SECRET.file)
    assert.equal(body.decisions[0].decision, 'contributed')
    const elsewhere = JSON.stringify({ ...dropAlert('registry.example/bank/app:1'), hostname: 'node2' })
    const forged = await send({ Authorization: `Bearer ${SECRET.file}` }, { body: elsewhere })
    assert.equal(forged.body.decisions[0].decision, 'wrong-node')
  })

  it('hold a sender to its rate, and count by its name', async () => {
    const sent = await Promise.all(Array.from({ length: 10 }, () => withToken('SLOW-SECRET-aabbccddeeff0011')))
    assert.deepEqual(
      [...new Set(sent.map(({ status }) => status))].toSorted((left, right) => left - right),
      [200, 429],
    )
    const { text } = await server.admin('/metrics')
    assert.match(
      text,
      /drawbridge_alert_credential_requests_total\{credential="slow",result="rate-limited"[^}]*\} [1-9]/,
    )
  })

  it('write nothing secret down, whatever is sent in whatever way', async () => {
    const { alertToken, adminToken } = server.file
    const secrets = [...Object.values(SECRET), 'SLOW-SECRET-aabbccddeeff0011', alertToken, adminToken]
    const { alerts, admin, webhook } = server.file
    for (const secret of secrets) {
      for (const headers of [
        { Authorization: `Bearer ${secret}` },
        { Authorization: basic(`falco:${secret}`) },
        { Authorization: basic(secret) },
        { Authorization: basic(`${secret}:`) },
        { Authorization: `Bearer ${secret} ${secret}` },
        { Authorization: `Token ${secret}` },
        { Authorization: secret },
        { Authorization: `Bearer ${secret}.${secret}.${secret}` },
        { 'X-Api-Key': secret, Cookie: `token=${secret}`, 'User-Agent': secret },
      ]) {
        await send(headers)
        await send(headers, { url: `${alerts}/alerts/falcosidekick`, body: 'no JSON' })
        answers.push(
          (
            await call(`${admin}/api/v1/verdicts/none`, {
              ca: server.file.ca,
              method: 'GET',
              headers,
            })
          ).text,
        )
      }
      for (const base of [alerts, admin, webhook]) {
        for (const target of [
          `/alerts/falco?token=${secret}`,
          `/alerts/${secret}`,
          `/alerts/${secret}%ZZ`,
          `/${secret}/alerts/falco`,
          `/validate?token=${secret}`,
          `/api/v1/verdicts/${secret}%ZZ?${secret}`,
        ])
          await send({ Authorization: `Bearer ${alertToken}` }, { url: base + target })
      }
      const url = new URL(`${alerts}/alerts/falco`)
      url.username = 'falco'
      url.password = secret
      await send({}, { url: url.href })
      // Not HTTP at all, and a request that never ends.
      for (const text of [
        `Authorization: Bearer ${secret}\r\n\r\n`,
        `POST / HTTP/1.1\r\nBad Header ${secret}\r\n\r\n`,
      ]) {
        const socket = connect({
          port: Number(new URL(alerts).port),
          host: '127.0.0.1',
          ca: readFileSync(server.file.ca),
        })
        let answer = ''
        socket.on('data', (data) => (answer += String(data)))
        socket.on('error', () => undefined)
        socket.end(text)
        await once(socket, 'close')
        answers.push(answer)
      }
      // A sensor that saw somebody type it.
      const seen = {
        ...dropAlert('registry.example/shop/typed:1', { time: new Date() }),
        output: `curl -u falco:${secret}`,
      } as unknown as { readonly output_fields: Record<string, unknown> }
      seen.output_fields['proc.cmdline'] = `curl -u falco:${secret}`
      seen.output_fields['proc.env'] = `TOKEN=${secret}`
      assert.equal((await send({ Authorization: `Bearer ${alertToken}` }, { body: JSON.stringify(seen) })).status, 200)
    }
    const written = {
      output: server.output(),
      metrics: (await server.admin('/metrics')).text,
      verdicts: (await server.admin('/api/v1/verdicts')).text,
      answers: answers.join('\n'),
      ledger: readFileSync(path('ledger.sqlite'), 'latin1') + readFileSync(path('ledger.sqlite-wal'), 'latin1'),
    }
    assert.match(written.output, /"level":"debug"/)
    assert.match(written.verdicts, /shop\/typed/)
    assert.match(written.ledger, /shop\/typed/)
    for (const [where, text] of Object.entries(written)) {
      for (const secret of secrets) {
        for (const form of [secret, ...[0, 1, 2].map((shift) => encoded(secret, shift))])
          assert.ok(!text.includes(form), `${form} in ${where}: ${lineWith(text, form)}`)
      }
    }
  })

  it('are replaced while the server runs; old and new are both good while both are in the file', async () => {
    const status = async (token: string): Promise<number> => (await withToken(token)).status
    writeFileSync(path('token'), `${SECRET.rotated}\n${SECRET.file}\n`)
    await until('the new token', async () => (await status(SECRET.rotated)) === 200)
    assert.equal(await status(SECRET.file), 200)
    writeFileSync(path('token'), `${SECRET.rotated}\n`)
    await until('the end of the old token', async () => (await status(SECRET.file)) === 401)
    rmSync(path('token'))
    await until('a line about the lost file', () => server.output().includes('what was read before stays in use'))
    assert.equal(await status(SECRET.rotated), 200)
  })

  it('of the data folder and the client CA too', async () => {
    const client = clientCertificate(other!, { commonName: 'a', uri: 'spiffe://example/falco' }, Date.now())
    writeFileSync(path('alert-token'), `${SECRET.wrong}\n`)
    writeFileSync(path('admin-token'), `${SECRET.inline}\n`)
    writeFileSync(path('clients.crt'), other!.certificate)
    await until('the new CA', async () => (await withCertificate(client)).status === 200)
    await until('the new token', async () => (await withToken(SECRET.wrong)).status === 200)
    const next = await until('server.json', () => {
      const file = JSON.parse(readFileSync(path('server.json'), 'utf8')) as ServerFile
      return file.alertToken === SECRET.wrong && file.adminToken === SECRET.inline
    })
    assert.ok(next)
    assert.equal((await server.admin('/api/v1/verdicts')).status, 401)
    const headers = { Authorization: `Bearer ${SECRET.inline}` }
    const { status } = await call(`${server.file.admin}/api/v1/verdicts`, {
      ca: server.file.ca,
      method: 'GET',
      headers,
    })
    assert.equal(status, 200)
  })
})

/** What of `secret` is certain in a base64 text in which it begins at any place with this remainder. */
function encoded(secret: string, shift: number): string {
  const text = Buffer.from('x'.repeat(shift) + secret).toString('base64')
  return text.slice(shift === 0 ? 0 : 4, -4)
}

function lineWith(text: string, part: string): string {
  const line = text.split('\n').find((one) => one.includes(part)) ?? ''
  const at = line.indexOf(part)
  return line.slice(Math.max(0, at - 200), at + 100)
}
