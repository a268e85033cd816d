/** Files of secrets: made, read, replaced while the server runs. */
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createAuthority, issueLeaf } from '../../certs/authority.ts'
import { ConfigError, parseConfig } from '../../src/config/config.ts'
import { checkCredentials, followSecrets, secretReader } from '../../src/config/credentials.ts'
import type { Secrets } from '../../src/config/credentials.ts'
import { keepTokens, readAuthority, readTokens } from '../../src/config/secrets.ts'
import { until } from '../process/server.ts'

const ONE = 'token-number-one-of-test'
const TWO = 'token-number-two-of-test'

let folder: string
beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), 'drawbridge-secrets-'))))
afterEach(() => rm(folder, { recursive: true, force: true }))
const path = (name: string): string => join(folder, name)

/** The message of the ConfigError, without the folder's name. */
const problem = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error))
    return error.message.replaceAll(folder, '')
  }
  return 'none'
}

describe('files of tokens', () => {
  it('hold one token, or one a line while it is replaced', async () => {
    await writeFile(path('a'), `${ONE}\n`)
    assert.deepEqual(await readTokens(path('a')), [ONE])
    await writeFile(path('a'), `\n  ${TWO}\r\n${ONE}`)
    assert.deepEqual(await readTokens(path('a')), [TWO, ONE])
  })

  for (const [what, content, message] of [
    ['empty', '', '/a: the file is empty; a token was expected'],
    ['white space', ' \n\n', '/a: the file is empty; a token was expected'],
    ['short', 'secret', '/a: the token is shorter than 16 characters'],
    ['one short line', `${ONE}\nsecret`, '/a: the token is shorter than 16 characters'],
    ['a sentence', 'this is not at all a token', '/a: there is white space in the token'],
    ['a whole list', `${ONE}\n`.repeat(9), '/a: more than 8 lines; each line is one token'],
  ] as const) {
    it(`are refused in one line that does not repeat them: ${what}`, async () => {
      await writeFile(path('a'), content)
      assert.equal(await problem(readTokens(path('a'))), message)
    })
  }

  it('are refused when they are not there', async () => {
    assert.match(await problem(readTokens(path('a'))), /^\/a: the token cannot be read: ENOENT/)
  })

  it('are made once, for the owner only, also by two starts at the same time', async () => {
    const made = await Promise.all([1, 2, 3, 4].map(() => keepTokens(path('a'))))
    assert.equal(new Set(made.map(String)).size, 1)
    assert.match(made[0]?.[0] ?? '', /^[\w-]{43}$/)
    assert.deepEqual(await keepTokens(path('a')), made[0])
    assert.equal((await stat(path('a'))).mode & 0o777, 0o600)
    assert.deepEqual(await readdir(folder), ['a'])
  })

  it('are filled when they are empty, as a full disk leaves them; what somebody wrote is never replaced', async () => {
    await writeFile(path('a'), '\n')
    assert.match((await keepTokens(path('a')))[0] ?? '', /^[\w-]{43}$/)
    assert.equal((await stat(path('a'))).mode & 0o777, 0o600)
    await writeFile(path('b'), 'short')
    assert.equal(await problem(keepTokens(path('b'))), '/b: the token is shorter than 16 characters')
    assert.deepEqual((await readdir(folder)).sort(), ['a', 'b'])
  })
})

describe('files of CAs', function () {
  this.timeout(20_000)
  it('hold CA certificates and nothing else that is trusted', async () => {
    const authority = await createAuthority(Date.now())
    const leaf = await issueLeaf(authority, ['a.example'], Date.now())
    await writeFile(path('ca'), `comment\n${authority.certificate}${authority.certificate}`)
    assert.equal((await readAuthority(path('ca'))).match(/BEGIN/g)?.length, 2)
    await writeFile(path('leaf'), authority.certificate + leaf.certificate)
    assert.equal(await problem(readAuthority(path('leaf'))), '/leaf: a certificate in it is not of a CA')
    await writeFile(path('key'), authority.key)
    assert.equal(await problem(readAuthority(path('key'))), '/key: no certificate (PEM) in it')
    await writeFile(path('bad'), '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n')
    assert.equal(await problem(readAuthority(path('bad'))), '/bad: a certificate in it cannot be read')
    assert.match(await problem(readAuthority(path('none'))), /^\/none: the CA cannot be read: ENOENT/)
  })
})

describe('secrets that change', () => {
  const problems: string[] = []
  beforeEach(() => (problems.length = 0))
  const reader = (yaml: string): (() => Promise<Secrets>) =>
    secretReader(
      parseConfig(yaml, 'drawbridge.yaml'),
      { alertToken: path('alert'), adminToken: path('admin') },
      (text) => problems.push(text.replaceAll(folder, '')),
    )
  const withFile = (): string =>
    `alerts: {credentials: [{name: falco, tokenFile: ${path('data/token')}, sources: [falco]}]}`

  it('are read again through a symlink that is swapped, as the kubelet does', async () => {
    for (const [version, token] of [
      ['v1', ONE],
      ['v2', TWO],
    ] as const) {
      await mkdir(path(version))
      await writeFile(join(path(version), 'token'), token)
    }
    await symlink('v1', path('data'))
    const read = reader(withFile())
    const tokensOf = async (): Promise<unknown> => (await read()).credentials[1]?.tokens
    assert.deepEqual(await tokensOf(), [ONE])
    await symlink('v2', path('next'))
    await rename(path('next'), path('data'))
    assert.deepEqual(await tokensOf(), [TWO])
    for (const [content, message] of [
      ['', '/data/token: the file is empty; a token was expected; what was read before stays in use'],
      ['short', '/data/token: the token is shorter than 16 characters; what was read before stays in use'],
    ] as const) {
      await writeFile(path('data/token'), content)
      problems.length = 0
      assert.deepEqual([await tokensOf(), await tokensOf(), problems], [[TWO], [TWO], [message]])
    }
    await rm(path('data'))
    assert.deepEqual(await tokensOf(), [TWO])
    assert.match(problems.at(-1) ?? '', /cannot be read: ENOENT.*; what was read before stays in use$/)
    await symlink('v1', path('data'))
    assert.deepEqual(await tokensOf(), [ONE])
  })

  it('one bad file does not keep the others from being read', async () => {
    await writeFile(path('token'), ONE)
    const read = reader(`admin: {tokenFile: ${path('token')}}`)
    const before = await read()
    await writeFile(path('token'), '')
    await writeFile(path('alert'), TWO)
    const after = await read()
    assert.deepEqual([after.alertTokens, after.adminTokens], [[TWO], before.adminTokens])
  })

  it('a generated token is not made again while the server runs: sensors have been told of it', async () => {
    const read = reader('')
    const before = await read()
    await rm(path('alert'))
    assert.deepEqual((await read()).alertTokens, before.alertTokens)
    await assert.rejects(readFile(path('alert')), { code: 'ENOENT' })
  })

  it('stop a start when they cannot be used', async () => {
    assert.match(await problem(reader(withFile())()), /^\/data\/token: the token cannot be read: ENOENT/)
  })

  it('are refused when two credentials share one', async () => {
    const yaml = `alerts: {credentials: [{name: a, token: ${ONE}}, {name: b, token: ${ONE}}]}`
    assert.equal(await problem(reader(yaml)()), 'two of alerts.credentials have the same token')
  })

  it('are followed: a change is handed over once, again when that failed, and a problem is said once', async () => {
    const read = reader('')
    const initial = await read()
    const seen: string[] = []
    let failing = true
    const stop = followSecrets({
      read,
      initial,
      everyMilliseconds: 1,
      onProblem: (text) => problems.push(text),
      onChange: (next) => {
        if (failing) return Promise.reject(new Error('not now'))
        seen.push(String(next.alertTokens))
        return Promise.resolve()
      },
    })
    await writeFile(path('alert'), TWO)
    await until('the failure', () => problems.includes('not now'))
    failing = false
    await until('the change', () => seen.length > 0)
    await writeFile(path('alert'), ONE)
    await until('the next change', () => seen.length > 1)
    await stop()
    assert.deepEqual([seen, problems.filter((text) => text === 'not now').length], [[TWO, ONE], 1])
  })
})

describe('credentials in drawbridge.yaml', () => {
  const check = (yaml: string, standalone = false): Promise<string> =>
    problem(
      Promise.resolve().then(() =>
        checkCredentials(parseConfig(yaml, 'drawbridge.yaml'), 'drawbridge.yaml', {
          sources: ['falco', 'tracee'],
          standalone,
        }),
      ),
    )

  it('name sources that there are', async () => {
    const yaml = `alerts: {credentials: [{name: a, token: ${ONE}, sources: [falco, flaco]}, {name: b, token: ${TWO}, sources: [tracee]}]}`
    assert.equal(
      await check(yaml),
      'drawbridge.yaml: alerts.credentials.0.sources: unknown source "flaco"; known are: falco, tracee',
    )
    assert.equal(await check(yaml.replace(', flaco', '')), 'none')
  })

  it('are no service accounts where there is no cluster', async () => {
    const yaml = 'alerts: {credentials: [{name: a, serviceAccount: falco/falco}]}'
    assert.equal(
      await check(yaml, true),
      'drawbridge.yaml: alerts.credentials.0.serviceAccount: standalone there is no API server that could be asked',
    )
    assert.equal(await check(yaml), 'none')
  })
})
