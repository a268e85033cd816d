/** docs/profiles.md shows the example as it is, what `check` prints about it, and the list of capabilities. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { check } from '../../src/cli/check.ts'
import type { CliIo } from '../../src/cli/io.ts'
import { DANGEROUS_CAPABILITIES } from '../../src/policy/dangerousCapabilities.ts'
import { codeBlocks } from './codeBlocks.ts'

const PAGE = 'docs/profiles.md'
const EXAMPLE = 'examples/profiles/web-tier.yaml'

const run = async (): Promise<{ readonly code: number; readonly out: string }> => {
  let out = ''
  const io: CliIo = {
    out: (text) => (out += text),
    err: () => undefined,
    readStdin: () => Promise.resolve(Buffer.alloc(0)),
    user: 'jane',
    now: () => 0,
  }
  const code = await check(
    {
      files: ['examples/profiles/pods.yaml'],
      profiles: [EXAMPLE],
      profile: 'web-tier',
      namespace: 'default',
      namespaceLabels: [],
      podSecurityLabels: false,
      output: 'text',
    },
    io,
  )
  return { code, out }
}

describe('docs/profiles.md', () => {
  it('shows the example as it is', () => {
    assert.deepEqual(codeBlocks(PAGE, 'yaml'), [readFileSync(EXAMPLE, 'utf8')])
  })

  it('shows what check prints about it (UPDATE_DOCS=yes rewrites it)', async () => {
    const { code, out } = await run()
    assert.equal(code, 1)
    const command =
      '$ drawbridge check -f examples/profiles/pods.yaml --profiles examples/profiles/web-tier.yaml --profile web-tier\n'
    if (process.env['UPDATE_DOCS'] === 'yes') {
      const page = readFileSync(PAGE, 'utf8')
      writeFileSync(
        PAGE,
        page.replace(/^(```console\n\$ [^\n]*\n)[\s\S]*?^```$/mu, (_all, head: string) => `${head}${out}\`\`\``),
      )
    }
    assert.deepEqual(codeBlocks(PAGE, 'console'), [`${command}${out}`])
  })

  it('lists every dangerous capability with its reason', () => {
    const rows = [...readFileSync(PAGE, 'utf8').matchAll(/^\| `([A-Z_]+)` +\| (.*?) *\|$/gmu)].map(
      ([, name, reason]) => [name, reason],
    )
    assert.deepEqual(rows, [...DANGEROUS_CAPABILITIES])
  })
})
