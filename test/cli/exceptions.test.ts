import assert from 'node:assert/strict'
import { exceptionsAmong, listExceptions } from '../../src/cli/exceptions.ts'
import { parseObjects } from '../../src/cli/objects.ts'
import { addUses, fixedExceptions, type ListedException } from '../../src/policy/exceptionUses.ts'

const NOW = Date.UTC(2026, 10, 22)

const yaml = (name: string, spec = '', version = 'v1alpha1'): string => `
apiVersion: drawbridge.dev/${version}
kind: AdmissionException
metadata: {name: ${name}}
spec:
  namespaces: [shop]
  images: ["registry.example/shop/web:*", "registry.example/shop/db@sha256:${'a'.repeat(64)}"]
  serviceAccounts: ['*']
  checks: [privileged]
  reason: "until the\\nrewrite"
  expiresAt: 2026-12-24T00:00:00Z
${spec}
---`
const read = (text: string) => exceptionsAmong(parseObjects(text, 'all.yaml'))

describe('exceptions from files', () => {
  it('are found among other objects; other groups are not ours', () => {
    const text = `${yaml('a')}\n{apiVersion: v1, kind: Pod}\n---\n{apiVersion: other.dev/v1, kind: AdmissionException}`
    assert.deepEqual([...read(text).keys()], ['a'])
  })

  it('are kept as a problem when malformed, of another version, or defined twice', () => {
    const found = read(`${yaml('a', '  until: never')}${yaml('b', '', 'v2')}${yaml('c')}${yaml('c')}${yaml('d')}`)
    assert.deepEqual(
      [...found].map(([name, { problem }]) => [name, problem]),
      [
        ['a', 'spec.until: unknown key'],
        ['b', 'drawbridge.dev/v2 AdmissionException: wanted drawbridge.dev/v1alpha1 AdmissionException'],
        ['c', 'defined twice, again in all.yaml'],
        ['d', undefined],
      ],
    )
  })

  it('must have a name', () => {
    const nameless = yaml('a').replace('{name: a}', '{}')
    assert.throws(() => read(nameless), { message: 'all.yaml: an AdmissionException has no metadata.name' })
  })
})

const print = async (items: readonly ListedException[], output: 'table' | 'json' = 'table'): Promise<string> => {
  let text = ''
  const io = {
    out: (more: string) => void (text += more),
    err: () => undefined,
    readStdin: () => Promise.reject(new Error('no input')),
    user: 'me',
    now: () => NOW,
  }
  assert.equal(await listExceptions({ output }, { list: () => Promise.resolve(items) }, io), 0)
  return text
}

describe('exceptions list', () => {
  it('says who is exempt from what, until when, why, and how often', async () => {
    const text =
      yaml('z-active') +
      yaml('b-expired').replace('2026-12-24', '2026-11-20') +
      yaml('c-suspended', '  suspended: true') +
      yaml('d-malformed', '  until: never')
    const items = [...read(text)].map(([name, reading]) => ({
      name,
      reading,
      use: name === 'z-active' ? { uses: 7, lastUse: NOW - 60_000, lastUsedBy: 'shop/Deployment/web' } : undefined,
    }))
    const rows = (await print(items)).split('\n').map((line) => line.split(/ {2,}/))
    const images = `registry.example/shop/web:* (mutable),registry.example/shop/db@sha256:${'a'.repeat(64)}`
    assert.deepEqual(rows.slice(1), [
      ['b-expired', 'expired', 'shop', '*', images, 'privileged', '2026-11-20T00:00:00Z (2d ago)', '0', 'until the rewrite'],
      ['c-suspended', 'suspended', 'shop', '*', images, 'privileged', '2026-12-24T00:00:00Z (in 32d)', '0', 'until the rewrite'],
      ['d-malformed', 'malformed', '0', 'spec.until: unknown key'],
      [
        'z-active', 'active', 'shop', '*', images, 'privileged', '2026-12-24T00:00:00Z (in 32d)', '7',
        '60s ago by shop/Deployment/web', 'until the rewrite',
      ],
      [''],
    ]) // prettier-ignore
  })

  it('says so when there are none', async () => {
    assert.equal(await print([]), 'No exceptions: nothing is exempt.\n')
    assert.equal(await print([], 'json'), '{\n  "items": []\n}\n')
  })
})

describe('uses of exceptions', () => {
  it('add up, and keep the later one', () => {
    const one = { uses: 2, lastUse: 10, lastUsedBy: 'a' }
    const two = { uses: 3, lastUse: 20, lastUsedBy: 'b' }
    assert.deepEqual(addUses(one, two), { uses: 5, lastUse: 20, lastUsedBy: 'b' })
    assert.deepEqual(addUses(two, one), { uses: 5, lastUse: 20, lastUsedBy: 'b' })
    assert.equal(addUses({ ...one, uses: Number.MAX_SAFE_INTEGER }, two).uses, Number.MAX_SAFE_INTEGER)
  })

  it('are counted for what exists only', () => {
    const source = fixedExceptions(read(yaml('a')), () => 5)
    source.recordUse(['a', 'gone'], 'shop/Pod/x', {})
    source.recordUse(['a'], 'shop/Pod/y', {})
    assert.deepEqual(
      source.list().map(({ name, use }) => [name, use]),
      [['a', { uses: 2, lastUse: 5, lastUsedBy: 'shop/Pod/y' }]],
    )
    assert.equal(source.find('gone'), undefined)
  })
})
