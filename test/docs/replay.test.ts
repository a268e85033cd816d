/** docs/replay.md shows what the command prints. `UPDATE_DOCS=yes` writes it again. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run } from '../cli/fakes.ts'
import { readPage, root } from './markdown.ts'

describe('docs/replay.md', () => {
  it('shows what replay --explain prints', async () => {
    const text = readPage('docs/replay.md')
    const start = '<!-- replay --explain -->\n```console\n'
    const from = text.indexOf(start) + start.length
    const to = text.indexOf('```\n', from)
    const [command = ''] = text.slice(from).split('\n', 1)
    assert.match(command, /^\$ drawbridge replay /)
    const argv = command.split(' ').slice(2)
    const { out } = await run(argv.map((word) => (word.endsWith('.jsonl') ? join(root, word) : word)))
    const shown = `${command}\n${out}`
    if (process.env['UPDATE_DOCS'] === 'yes')
      writeFileSync(join(root, 'docs/replay.md'), text.slice(0, from) + shown + text.slice(to))
    else assert.equal(text.slice(from, to), shown)
  })
})
