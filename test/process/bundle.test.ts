/** What is shipped: the bundle runs without node_modules, and a standalone start does not load the Kubernetes client. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root, temporaryFolder } from './server.ts'

const bundle = join(root, 'dist/bundle')

/** The files that `entry` loads at its start: static imports only, not `import()`. */
function loadedAtStart(entry: string, seen = new Set<string>()): ReadonlySet<string> {
  if (seen.has(entry)) return seen
  seen.add(entry)
  const text = readFileSync(join(bundle, entry), 'utf8')
  for (const [, file] of text.matchAll(/^(?:import|export)\b[^;]*?["']\.\/([^"']+)["'];?$/gm))
    loadedAtStart(file!, seen)
  return seen
}

describe('the bundle', () => {
  for (const [what, text] of [
    ['the Kubernetes client', 'loadFromCluster'],
    ['what makes certificates', 'rsaEncryption'],
  ] as const) {
    it(`keeps ${what} out of what every start loads`, () => {
      const files = readdirSync(bundle).filter(
        (file) => file.endsWith('.js') && readFileSync(join(bundle, file), 'utf8').includes(text),
      )
      assert.ok(files.length > 0, `${what} is nowhere in the bundle: this test looks for the wrong thing`)
      const entries = readdirSync(bundle).filter((file) =>
        /^(?:drawbridge|alertThread|serve-[A-Z0-9]+)\.js$/.test(file),
      )
      assert.equal(entries.length, 3)
      for (const entry of entries) {
        assert.deepEqual(
          [...loadedAtStart(entry)].filter((file) => files.includes(file)),
          [],
          entry,
        )
      }
    })
  }

  it('keeps out tables that nothing uses', () => {
    // Of iconv-lite, mime-db and zod's messages in other languages.
    for (const file of readdirSync(bundle).filter((name) => name.endsWith('.js')))
      assert.doesNotMatch(readFileSync(join(bundle, file), 'utf8'), /shiftjis|vnd\.ms-excel|Ungültige Eingabe/u, file)
  })

  it('runs from its own files alone, as in the image', () => {
    const folder = temporaryFolder()
    try {
      mkdirSync(join(folder.path, 'dist'))
      for (const part of ['package.json', 'bin', 'dist/bundle', 'manifests', 'examples']) {
        cpSync(join(root, part), join(folder.path, part), { recursive: true })
      }
      const run = spawnSync(process.execPath, ['bin/drawbridge.js', 'check', '-f', 'examples/pods/plain.yaml'], {
        cwd: folder.path,
        encoding: 'utf8',
        timeout: 30_000,
      })
      assert.equal(run.status, 0, run.stderr)
      assert.match(run.stdout, /^allowed {2}Pod shop\/web/)
    } finally {
      folder.remove()
    }
  })
})
