/** What the program prints arrives whole, however slowly it is read; a reader that stops early is no accident. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root, temporaryFolder } from './server.ts'

/** As many as print several times what a pipe holds (64 KiB on Linux): the program has to wait for its reader. */
const PODS = 400

describe('output through a pipe', () => {
  const folder = temporaryFolder()
  before(() => {
    const pod = (index: number): string =>
      `apiVersion: v1\nkind: Pod\nmetadata: { name: web-${index} }\nspec: { containers: [{ name: web, image: web:1 }] }\n`
    writeFileSync(join(folder.path, 'pods.yaml'), Array.from({ length: PODS }, (_, index) => pod(index)).join('---\n'))
  })
  after(() => folder.remove())

  /** What `reader` makes of the output, and the exit code of the program. */
  const pipedInto = (reader: string): { readonly out: string; readonly err: string; readonly code: string } => {
    const program = `"${process.execPath}" "${join(root, 'bin/drawbridge.js')}" check -f pods.yaml -o json`
    const script = `${program} | ${reader}; echo "\${PIPESTATUS[0]}" >&3`
    const { output } = spawnSync('bash', ['-c', script], {
      cwd: folder.path,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      maxBuffer: 16 * 1024 * 1024,
      timeout: 30_000,
    })
    return { out: output[1]!, err: output[2]!, code: output[3]!.trim() }
  }

  it('is whole where the reader is slow', () => {
    const { out, err, code } = pipedInto('{ sleep 2; cat; }')
    assert.equal(err, '')
    assert.equal((JSON.parse(out) as { readonly objects: readonly unknown[] }).objects.length, PODS)
    assert.equal(code, '1')
  })

  it('may be left before its end, as by head', () => {
    const { out, err, code } = pipedInto('head -n 1')
    assert.equal(out, '{\n')
    assert.equal(err, '')
    assert.equal(code, '1')
  })
})
