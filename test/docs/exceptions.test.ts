/** Runs docs/exceptions.md: writes its files, runs its commands, compares what they print. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runCli, type CliActions } from '../../src/cli/program.ts'

const PAGE = join(import.meta.dirname, '../../../docs/exceptions.md')

interface Block {
  readonly info: string
  readonly body: string
}
const blocks: readonly Block[] = [...readFileSync(PAGE, 'utf8').matchAll(/^```(.+)\n([^]*?)^```$/gm)].map(
  ([, info = '', body = '']) => ({ info, body }),
)

describe('docs/exceptions.md', () => {
  let folder: string
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'drawbridge-docs-'))
    for (const { info, body } of blocks) {
      const file = /^yaml file=(\S+)$/.exec(info)?.[1]
      if (file !== undefined) writeFileSync(join(folder, file), body)
    }
  })
  after(() => rmSync(folder, { recursive: true }))

  const commands = blocks.filter(({ info }) => info.startsWith('console '))
  it('has examples', () => assert.deepEqual([commands.length, blocks.length], [3, 5]))

  for (const { info, body } of commands) {
    const [first = '', ...rest] = body.split('\n')
    const command = first.replace('$ drawbridge ', '')
    it(`drawbridge ${command}`, async () => {
      let output = ''
      const io = {
        out: (text: string) => void (output += text),
        err: (text: string) => void (output += text),
        readStdin: () => Promise.reject(new Error('no input')),
        user: 'reader',
        now: () => Date.UTC(2026, 10, 22),
      }
      const argv = command.split(' ').map((word) => (word.endsWith('.yaml') ? join(folder, word) : word))
      const code = await runCli(argv, io, {} as CliActions, '0')
      assert.equal(output.replaceAll(`${folder}/`, ''), rest.join('\n'))
      assert.equal(`console exit=${code}`, info)
    })
  }
})
