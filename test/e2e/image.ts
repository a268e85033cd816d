/** The image of the Dockerfile, built without a registry by image.sh and kept outside the repository until its sources change. */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'

import { cacheHome, NoClusterError, run } from '../cluster/programs.ts'
import { root } from '../docs/markdown.ts'

/** As the chart names it by default. */
export const IMAGE = 'docker.io/library/drawbridge:0.1.0'

const SCRIPT = join(root, 'test/e2e/image.sh')

/** What the Dockerfile can see, as .dockerignore says it: `!path` per line after `**`. */
function sources(): readonly string[] {
  const ignored = readFileSync(join(root, '.dockerignore'), 'utf8').split('\n')
  const paths = ignored.filter((line) => line.startsWith('!')).map((line) => join(root, line.slice(1)))
  const files = paths.flatMap((path) =>
    statSync(path).isDirectory()
      ? readdirSync(path, { recursive: true, withFileTypes: true })
          .filter((entry) => entry.isFile())
          .map((entry) => join(entry.parentPath, entry.name))
      : [path],
  )
  return [join(root, 'Dockerfile'), SCRIPT, ...files.toSorted()]
}

/**
 * The image as a docker-archive; built now if its sources have changed (about 40 seconds).
 * @returns the path of the archive
 * @throws NoClusterError when a program is missing; Error when the build fails, with what it said last
 */
export async function buildImage(): Promise<string> {
  const hash = createHash('sha256').update(process.version)
  for (const file of sources()) hash.update(file.slice(root.length)).update('\0').update(readFileSync(file))
  const folder = join(cacheHome(), 'images')
  const archive = join(folder, `drawbridge-${hash.digest('hex').slice(0, 16)}.tar`)
  if (existsSync(archive)) return archive
  for (const program of ['buildah', 'busybox'])
    if ((await run('which', [program])).code !== 0)
      throw new NoClusterError('the image needs: apt-get install buildah busybox-static')
  mkdirSync(folder, { recursive: true })
  const draft = `${archive}.${process.pid}`
  process.stderr.write('Building the image (once for these sources; about 40 seconds)\n')
  const build = await run('bash', [SCRIPT, draft, IMAGE])
  if (build.code !== 0) throw new Error(`test/e2e/image.sh failed: ${build.stderr.slice(-1500)}`)
  // One is kept: each is 150 MB.
  for (const name of readdirSync(folder)) if (join(folder, name) !== draft) rmSync(join(folder, name))
  renameSync(draft, archive)
  return archive
}
