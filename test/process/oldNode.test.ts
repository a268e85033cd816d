/** bin/drawbridge.js on a host whose Node is too old: it hands over to the pinned one, and the two live and die together. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root, temporaryFolder, until } from './server.ts'

const HOST_NODE = '/usr/bin/node'
const program = join(root, 'bin/drawbridge.js')

/** Major version of the host's Node; 0 when there is none. */
const major = existsSync(HOST_NODE)
  ? Number(/^v(\d+)\./.exec(spawnSync(HOST_NODE, ['--version'], { encoding: 'utf8' }).stdout)?.[1] ?? 0)
  : 0
const isOld = major > 0 && major < 22

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    // A process that ended but was not waited for still has its number.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

/** Runs a command under the host's Node, with broken YAML as its input. */
const run = (...args: string[]): ReturnType<typeof spawnSync> =>
  spawnSync(HOST_NODE, [program, ...args], { encoding: 'utf8', input: 'a: [', cwd: root })

/** Where there is no old Node nothing can be tested; the suite says so instead of leaving the tests out silently. */
describe(isOld ? `a host with Node ${major}` : 'a host with an old Node (none here)', () => {
  if (!isOld) {
    it('is not this one', () => assert.ok(major === 0 || major >= 22))
    return
  }

  it('runs every command, with its input, output and exit code', () => {
    assert.equal(
      run('--version').stdout,
      `${(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }).version}\n`,
    )
    assert.equal(run('check', '-f', 'examples/pods').status, 1)
    const broken = run('check', '-f', '-')
    assert.equal(broken.status, 2)
    assert.match(String(broken.stderr), /^drawbridge: standard input:\d+: not YAML: /)
  })

  for (const [signal, how] of [
    ['SIGTERM', 'stops cleanly on'],
    ['SIGKILL', 'leaves nothing behind on'],
  ] as const) {
    it(`${how} ${signal}`, async () => {
      const folder = temporaryFolder()
      try {
        const file = join(folder.path, 'server.json')
        const child = spawn(
          HOST_NODE,
          [program, 'serve', '--standalone', '--data', folder.path, '--port', '0', '--admin-port', '0'],
          {
            stdio: 'ignore',
          },
        )
        const exited = new Promise<number | null>((resolve) => child.on('exit', (code) => resolve(code)))
        await until('server.json', () => existsSync(file))
        const { pid } = JSON.parse(readFileSync(file, 'utf8')) as { pid: number }
        assert.notEqual(pid, child.pid, 'the server runs under the old Node')
        assert.ok(isAlive(pid))
        child.kill(signal)
        assert.equal(await exited, signal === 'SIGTERM' ? 0 : null)
        await until('the end of the server', () => !isAlive(pid))
        assert.equal(existsSync(file), signal === 'SIGKILL')
      } finally {
        folder.remove()
      }
    })
  }
})
