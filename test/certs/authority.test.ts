import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer, get } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { certificateProblem, createAuthority, expiresAt, issueLeaf } from '../../certs/authority.ts'
import type { KeyPair } from '../../certs/authority.ts'
import { mountedCertificates, selfMadeCertificates } from '../../certs/files.ts'

const DAY = 86_400_000
const NOW = Date.parse('2026-11-22T12:00:00Z')

describe('certificates', function () {
  this.timeout(30_000) // RSA keys take a while on a busy machine
  let authority: KeyPair
  let leaf: KeyPair
  before(async () => {
    authority = await createAuthority(Date.now())
    leaf = await issueLeaf(authority, ['127.0.0.1', 'localhost', 'drawbridge.drawbridge.svc'], Date.now())
  })

  it('is trusted by a TLS client that knows the CA, and only then', async () => {
    const server = createServer({ cert: leaf.certificate, key: leaf.key }, (_request, response) =>
      response.end('hello'),
    )
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const fetchWith = (ca?: string): Promise<string> =>
      new Promise((resolve) => {
        get({ host: '127.0.0.1', port, ca }, (response) => response.on('data', (data) => resolve(String(data)))).on(
          'error',
          (error) => resolve((error as NodeJS.ErrnoException).code ?? error.message),
        )
      })
    try {
      assert.equal(await fetchWith(authority.certificate), 'hello')
      assert.equal(await fetchWith(), 'UNABLE_TO_VERIFY_LEAF_SIGNATURE')
    } finally {
      server.close()
    }
  })

  for (const [what, names, at, problem] of [
    ['good now', ['127.0.0.1', 'localhost'], 0, undefined],
    ['good after 300 days', [], 300 * DAY, undefined],
    ['expired after a year', [], 366 * DAY, /^certificate expired at /],
    ['not valid yesterday', [], -DAY, /^certificate is not valid before /],
    ['a name it does not cover', ['example.org'], 0, /^does not cover the name example\.org$/],
    ['an address it does not cover', ['10.0.0.1'], 0, /^does not cover the name 10\.0\.0\.1$/],
  ] as const) {
    it(`knows: ${what}`, () => {
      const found = certificateProblem(authority.certificate, leaf, names, Date.now() + at)
      if (problem === undefined) assert.equal(found, undefined)
      else assert.match(found ?? 'no problem', problem)
    })
  }

  it('knows a leaf of another authority', async () => {
    const other = await createAuthority(Date.now())
    assert.equal(certificateProblem(other.certificate, leaf, [], Date.now()), 'not signed by the authority beside it')
  })

  it('gives every certificate a serial of its own', async () => {
    const second = await issueLeaf(authority, ['localhost'], Date.now())
    const serial = (pair: KeyPair): string => new X509Certificate(pair.certificate).serialNumber
    assert.equal(new Set([serial(authority), serial(leaf), serial(second)]).size, 3)
  })

  describe('in a folder', () => {
    let directory: string
    beforeEach(() => (directory = mkdtempSync(join(tmpdir(), 'drawbridge-certs-'))))
    afterEach(() => rmSync(directory, { recursive: true }))

    it('are made once and then kept', async () => {
      const first = await selfMadeCertificates(directory, ['localhost'], NOW)
      const second = await selfMadeCertificates(directory, ['localhost'], NOW + 100 * DAY)
      assert.deepEqual(second, first)
      assert.equal(statSync(join(directory, 'ca.key')).mode & 0o777, 0o600)
      assert.equal(statSync(join(directory, 'tls.key')).mode & 0o777, 0o600)
    })

    it('renews the leaf before it expires, with the same authority', async () => {
      const first = await selfMadeCertificates(directory, ['localhost'], NOW)
      const later = await selfMadeCertificates(directory, ['localhost'], NOW + 300 * DAY)
      assert.equal(later.authority, first.authority)
      assert.ok(expiresAt(later.leaf.certificate) > expiresAt(first.leaf.certificate))
    })

    it('makes a new leaf for a new name, and new ones for damaged files', async () => {
      const first = await selfMadeCertificates(directory, ['localhost'], NOW)
      const renamed = await selfMadeCertificates(directory, ['localhost', '127.0.0.1'], NOW)
      assert.notEqual(renamed.leaf.certificate, first.leaf.certificate)
      writeFileSync(join(directory, 'ca.crt'), 'not a certificate')
      const replaced: string[] = []
      const healed = await selfMadeCertificates(directory, ['localhost'], NOW, (what, reason) =>
        replaced.push(`${what}: ${reason}`),
      )
      assert.equal(replaced.length, 2)
      assert.match(replaced[0] ?? '', /^authority: not a readable certificate: /)
      assert.equal(replaced[1], 'certificate: not signed by the authority beside it')
      assert.notEqual(healed.authority, first.authority)
      assert.equal(
        certificateProblem(readFileSync(join(directory, 'ca.crt'), 'utf8'), healed.leaf, ['localhost'], NOW),
        undefined,
      )
    })

    it('says which mounted file is missing', async () => {
      await assert.rejects(mountedCertificates(directory), /tls\.crt and tls\.key are needed$/)
      writeFileSync(join(directory, 'tls.crt'), leaf.certificate)
      writeFileSync(join(directory, 'tls.key'), leaf.key)
      await assert.rejects(mountedCertificates(directory), /ca\.crt: the certificate authority of tls\.crt is needed$/)
    })
  })
})
