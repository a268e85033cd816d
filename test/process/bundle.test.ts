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
  it('keeps the Kubernetes client out of what every start loads', () => {
    const isClient = (file: string): boolean => readFileSync(join(bundle, file), 'utf8').includes('loadFromCluster')
    const client = readdirSync(bundle).filter((file) => file.endsWith('.js') && isClient(file))
    assert.ok(client.length > 0, 'the Kubernetes client is nowhere in the bundle: this test looks for the wrong thing')
    for (const entry of ['drawbridge.js', 'alertThread.js']) {
      assert.deepEqual(
        [...loadedAtStart(entry)].filter((file) => client.includes(file)),
        [],
        entry,
      )
    }
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
