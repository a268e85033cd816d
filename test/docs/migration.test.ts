/** The tables of the migration guides, judged: what breaks the policy of the left column breaks the check of the right one. */
import assert from 'node:assert/strict'

import { load } from 'js-yaml'

import { folderWith, run } from '../cli/fakes.ts'
import { blocksOf, commandsOf, fileOf, readPage, tableRows } from './markdown.ts'
import {
  GATEKEEPER,
  GATEKEEPER_DIFFERENCES,
  GATEKEEPER_PARAMETERS,
  KYVERNO,
  KYVERNO_DIFFERENCES,
  podWith,
} from './migrationPods.ts'
import type { SamplePod } from './migrationPods.ts'

const PAGES = { kyverno: 'docs/guides/migrate-from-kyverno.md', gatekeeper: 'docs/guides/migrate-from-gatekeeper.md' }

/** The rows of the table after a marker, or after a heading. */
const tableAfter = (page: string, start: string): readonly (readonly string[])[] => {
  const text = readPage(page)
  assert.ok(text.includes(start), `${page} has no ${start}`)
  const from = text.slice(text.indexOf(start) + start.length).replace(/^\s+/, '')
  return tableRows(from.split('\n\n')[0]!)
}

interface Judged {
  readonly result: string
  readonly checks: readonly string[]
  readonly patch: readonly object[]
}

describe('migration guides', () => {
  const files = folderWith({
    'gatekeeper-profile.yaml': fileOf(PAGES.gatekeeper, 'gatekeeper-profile.yaml'),
    'kyverno-profile.yaml': fileOf(PAGES.kyverno, 'kyverno-profile.yaml'),
    ...Object.fromEntries(
      ['kyverno-exception.yaml', 'kyverno-pod.yaml'].map((file) => [file, fileOf(PAGES.kyverno, file)]),
    ),
    'gatekeeper-exception.yaml': fileOf(PAGES.gatekeeper, 'gatekeeper-exception.yaml'),
  })
  after(() => files.remove())

  /** What `drawbridge check` says of a pod, with the profiles of the guides at hand. */
  const judge = async (sample: SamplePod, profile: string, ...options: readonly string[]): Promise<Judged> => {
    const profiles = ['gatekeeper-profile.yaml', 'kyverno-profile.yaml'].flatMap((file) => [
      '--profiles',
      files.path(file),
    ])
    const { out, err } = await run(['check', '-f', '-', '-o', 'json', '--profile', profile, ...profiles, ...options], {
      stdin: JSON.stringify(podWith(sample)),
    })
    assert.equal(err, '')
    return (JSON.parse(out) as { readonly objects: readonly Judged[] }).objects[0]!
  }

  it('judge a pod that breaks nothing', async () => {
    for (const profile of ['baseline', 'restricted', 'library', 'hardened'])
      assert.deepEqual([profile, (await judge({}, profile)).checks], [profile, []])
  })

  for (const [page, marker, pods] of [
    [PAGES.kyverno, '<!-- policies -->', KYVERNO],
    [PAGES.gatekeeper, '<!-- constraints -->', GATEKEEPER],
  ] as const) {
    const rows = tableAfter(page, marker)
    it(`${page}: each row has a pod`, () => {
      assert.deepEqual(new Set(rows.map(([name]) => name)), new Set(Object.keys(pods)))
      assert.equal(rows.length, Object.keys(pods).length)
    })
    for (const [name = '', check = '', level = ''] of rows)
      it(`${name}: ${check} at ${level}`, async () => {
        assert.deepEqual((await judge(pods[name]!, level)).checks, [check])
        // Not at the level below, or the table names the wrong one.
        if (level === 'restricted')
          assert.ok(!(await judge(pods[name]!, 'baseline')).checks.includes(check), `${name} is of baseline`)
      })
  }

  for (const [page, differences] of [
    [PAGES.kyverno, KYVERNO_DIFFERENCES],
    [PAGES.gatekeeper, GATEKEEPER_DIFFERENCES],
  ] as const) {
    const rows = tableAfter(page, '### Where the answers differ')
    for (const { row, sample, profile, allowed } of differences)
      it(`${page}: ${row} ... is ${allowed ? 'allowed' : 'denied'}`, async () => {
        const [found] = rows.filter(([pod = '']) => pod.startsWith(row))
        assert.ok(found !== undefined, `no row of ${page} begins with ${row}`)
        assert.match(found[2]!, allowed ? /allowed/ : /denied/)
        assert.equal((await judge(sample, profile)).result, allowed ? 'allowed' : 'denied')
      })
  }

  for (const { what, sample, breaks } of GATEKEEPER_PARAMETERS)
    it(`the profile of Gatekeeper's parameters ${breaks === undefined ? 'allows' : 'denies'} ${what}`, async () => {
      assert.deepEqual((await judge(sample, 'library')).checks, breaks === undefined ? [] : [breaks])
    })

  it('the exception of exemptImages lets its images use any port, and no others', async () => {
    const exceptions = ['--exceptions', files.path('gatekeeper-exception.yaml')]
    const port = (image: string): SamplePod => ({
      metadata: { annotations: { 'drawbridge.dev/exception': 'safe-images' } },
      container: { image, ports: [{ containerPort: 80, hostPort: 22 }] },
    })
    assert.equal((await judge(port('safeimages.com/ingress:1'), 'baseline', ...exceptions)).result, 'allowed')
    for (const image of ['safeimages.com.evil.example/ingress:1', 'safeimages.com/team/ingress:1'])
      assert.equal((await judge(port(image), 'baseline', ...exceptions)).result, 'denied', image)
  })

  it('the profile for Kyverno’s mutation makes a pod pass that says nothing but its user', async () => {
    const bare: SamplePod = {
      pod: { securityContext: { runAsNonRoot: undefined, seccompProfile: undefined } },
      container: { securityContext: { allowPrivilegeEscalation: undefined, capabilities: undefined } },
    }
    assert.equal((await judge(bare, 'restricted')).result, 'denied')
    const { result, patch } = await judge(bare, 'hardened')
    assert.equal(result, 'allowed')
    assert.ok(patch.length >= 3)
  })

  it('the commands of the guides that need no cluster print what they say', async () => {
    const page = PAGES.kyverno
    const commands = blocksOf(readPage(page))
      .filter(({ language }) => language === 'console')
      .flatMap((block) => commandsOf(block))
    assert.equal(commands.length, 1)
    for (const { command, output } of commands) {
      const argv = command
        .split(' ')
        .slice(1)
        .map((word) => (word.endsWith('.yaml') ? files.path(word) : word))
      const { out } = await run(argv)
      assert.equal(out.replaceAll(`${files.path()}/`, '').trimEnd(), output.join('\n'))
    }
  })

  it('Kyverno’s own example is what it says', () => {
    const blocks = blocksOf(readPage(PAGES.kyverno)).filter(({ lines }) => lines.includes('kind: PolicyException'))
    assert.equal(blocks.length, 1)
    const { spec } = load(blocks[0]!.lines.join('\n')) as {
      readonly spec: { readonly exceptions: readonly { readonly policyName: string }[] }
    }
    for (const { policyName } of spec.exceptions) assert.ok(policyName in KYVERNO, policyName)
  })
})
