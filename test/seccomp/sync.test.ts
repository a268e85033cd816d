/** One look of `drawbridge seccomp-sync` at real folders. */
import assert from 'node:assert/strict'
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { syncOnce } from '../../src/seccompSync.ts'

const profile = (call: string): string =>
  JSON.stringify({
    defaultAction: 'SCMP_ACT_ERRNO',
    architectures: ['SCMP_ARCH_X86_64'],
    syscalls: [{ names: [call], action: 'SCMP_ACT_ALLOW' }],
  })

describe('a look at the seccomp profiles of a node', () => {
  let root: string
  let profiles: string
  let folder: string
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'drawbridge-sync-'))
    profiles = join(root, 'profiles')
    folder = join(root, 'node')
    mkdirSync(profiles)
    mkdirSync(folder)
  })
  afterEach(() => rmSync(root, { recursive: true }))

  const want = (name: string, text: string): void => writeFileSync(join(profiles, name), text)
  const have = (name: string): string => readFileSync(join(folder, name), 'utf8')
  /** What was reported, each time with the profiles that were there at that moment; and the problems. */
  async function look(): Promise<{ reports: (readonly string[])[]; problems: readonly string[] }> {
    const reports: (readonly string[])[] = []
    let problems: readonly string[] = []
    const observer = {
      synced: () => undefined,
      problems: (found: readonly string[]) => void (problems = found),
      failed: () => undefined,
    }
    await syncOnce({ profiles, folder }, observer, (installed) =>
      Promise.resolve(void reports.push([...installed.keys()])),
    )
    return { reports, problems }
  }

  it('writes what is wanted, and says so afterwards', async () => {
    want('web.json', profile('read'))
    assert.deepEqual((await look()).reports, [[], ['web']])
    assert.equal(have('web.json'), profile('read'))
    assert.equal(statSync(join(folder, 'web.json')).mode & 0o777, 0o644)
    assert.deepEqual((await look()).reports, [['web']])
  })

  it('takes back what it reported before it removes a file, and not of one that it replaces', async () => {
    want('a.json', profile('read'))
    want('b.json', profile('read'))
    await look()
    want('a.json', profile('write'))
    rmSync(join(profiles, 'b.json'))
    assert.deepEqual((await look()).reports, [['a'], ['a']])
    assert.equal(have('a.json'), profile('write'))
    assert.deepEqual(readdirSync(folder).toSorted(), ['.drawbridge', 'a.json'])
  })

  it('keeps what a node has, and reports it, while the text that is to replace it cannot be used', async () => {
    want('web.json', profile('read'))
    await look()
    for (const text of ['{', '{"defaultAction":"SCMP_ACT_ALLOW"}', '']) {
      want('web.json', text)
      const { reports, problems } = await look()
      assert.deepEqual(reports, [['web']], text)
      assert.match(problems.join(), /^web\.json: .*; the last good one stays$/u)
      assert.equal(have('web.json'), profile('read'))
    }
    want('web.json', profile('write'))
    assert.deepEqual((await look()).reports, [['web'], ['web']])
    assert.equal(have('web.json'), profile('write'))
  })

  it('does not keep what somebody edited while the text cannot be used', async () => {
    want('web.json', profile('read'))
    await look()
    want('web.json', '{')
    writeFileSync(join(folder, 'web.json'), 'edited')
    assert.deepEqual((await look()).reports, [[]])
    want('web.json', profile('read'))
    assert.deepEqual((await look()).reports, [[], ['web']])
    assert.equal(have('web.json'), profile('read'))
  })

  it('installs the others where a folder is in the place of one of its own', async () => {
    want('a.json', profile('read'))
    await look()
    rmSync(join(folder, 'a.json'))
    mkdirSync(join(folder, 'a.json'))
    want('b.json', profile('read'))
    const reports: string[][] = []
    const observer = { synced: () => undefined, problems: () => undefined, failed: () => undefined }
    const looked = syncOnce({ profiles, folder }, observer, (installed) =>
      Promise.resolve(void reports.push([...installed.keys()])),
    )
    await assert.rejects(looked, /EISDIR/u)
    assert.deepEqual(reports, [[], ['b']])
    assert.equal(have('b.json'), profile('read'))
  })

  it('does not report what it could not write down as its own', async () => {
    want('web.json', profile('read'))
    mkdirSync(join(folder, '.drawbridge-draft'))
    await assert.rejects(look())
    assert.ok(!readdirSync(folder).includes('web.json'))
  })

  it('leaves files of others alone, links too, and says why a profile is not installed', async () => {
    want('theirs.json', profile('read'))
    want('link.json', profile('read'))
    want('bad.json', '{"defaultAction":"SCMP_ACT_ALLOW"}')
    want('README', 'x')
    writeFileSync(join(folder, 'theirs.json'), 'x')
    writeFileSync(join(root, 'target'), 'precious')
    symlinkSync(join(root, 'target'), join(folder, 'link.json'))
    const { reports, problems } = await look()
    assert.deepEqual(reports, [[]])
    assert.deepEqual([have('theirs.json'), readFileSync(join(root, 'target'), 'utf8')], ['x', 'precious'])
    assert.deepEqual(
      problems.map((problem) => problem.split(':')[0]),
      ['README', 'bad.json', 'link.json', 'theirs.json'],
    )
  })

  it('changes nothing while the profiles cannot be read', async () => {
    want('web.json', profile('read'))
    await look()
    rmSync(profiles, { recursive: true })
    await assert.rejects(look())
    assert.equal(have('web.json'), profile('read'))
  })
})
