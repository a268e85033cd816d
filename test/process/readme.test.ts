/**
 * Runs what README shows and compares it with what README says it prints.
 * `UPDATE_README=yes mocha --config .mocharc.process.json -g README` writes the outputs of this run into README instead.
 */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { blocksOf, commandsOf, readPage } from '../docs/markdown.ts'
import { root, temporaryFolder, until } from './server.ts'

/** What differs from run to run, as one word each. */
function withPlaceholders(text: string, data: string): string {
  return (
    text
      .replaceAll(data, 'data')
      .replace(/ --data data$/m, '')
      .replace(/make demo DATA=data$/m, 'make demo')
      .replaceAll(root, '/home/you/drawbridge')
      // The CA is printed as an absolute path: of the data folder in the repository, or of the test's.
      .replace(/(CA +)\S+/, '$1<path>/tls/ca.crt')
      .replace(/127\.0\.0\.1:\d+/g, '127.0.0.1:<port>')
      .replace(/demo-[a-z0-9]{6,}/g, 'demo-<run>')
      .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, '<time>')
      .replace(/ref-[0-9a-f]{12,40}/g, 'ref-<hash>')
      // Wrapping depends on the lengths of all that.
      .replace(/\s+/g, ' ')
      .trim()
  )
}

/** As it is printed where nobody chose ports or a folder. */
const withDefaults = (text: string): string =>
  Object.entries({ webhook: 8443, alerts: 8444, admin: 8445 })
    .reduce((shown, [listener, port]) => {
      const chosen = new RegExp(`^ +${listener} +https://127\\.0\\.0\\.1(:\\d+/)`, 'm').exec(text)?.[1]
      return chosen === undefined ? shown : shown.replaceAll(chosen, `:${port}/`)
    }, text)
    .replace(/ --data data$/m, '')
    .replace(/make demo DATA=data$/m, 'make demo')

/** Packages are installed and the program is built when this runs: make must not begin with that. */
const runnable = (command: string): string =>
  command.replace(/^make /, 'make --no-print-directory -o node_modules/.installed -o dist/bundle/drawbridge.js ')

describe('README', function () {
  this.timeout(60_000)
  const folder = temporaryFolder()
  const data = join(folder.path, 'data')
  const programs = join(folder.path, 'bin')
  const environment: NodeJS.ProcessEnv = {
    ...process.env,
    COLUMNS: '100',
    DATA: data,
    PORT: '0',
    ALERTS_PORT: '0',
    ADMIN_PORT: '0',
    PATH: [programs, dirname(process.execPath), process.env['PATH']].join(delimiter),
    // A make that runs these tests must not hand its own flags down.
    MAKEFLAGS: '',
    MAKELEVEL: '',
  }
  let stop: (() => Promise<void>) | undefined
  before(() => {
    mkdirSync(programs)
    symlinkSync(join(root, 'bin/drawbridge.js'), join(programs, 'drawbridge'))
  })
  after(async () => {
    await stop?.()
    folder.remove()
  })

  /** Starts the server with the command of the README and resolves to what it prints for people. */
  async function startServer(command: string): Promise<string> {
    const child = spawn('bash', ['-c', `exec ${runnable(command)}`], {
      cwd: root,
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    child.stdout.on('data', (chunk) => (output += chunk))
    child.stderr.on('data', (chunk) => (output += chunk))
    const exited = new Promise<void>((resolve) => child.on('exit', () => resolve()))
    let ended = false
    void exited.then(() => (ended = true))
    stop = async () => {
      child.kill('SIGTERM')
      await exited
    }
    await until('the last line of the banner', () => {
      if (ended) assert.fail(`"${command}" ended:\n${output}`)
      return existsSync(join(data, 'server.json')) && /make demo.*\n/.test(output)
    })
    // Log lines are for machines; README does not show them.
    return output
      .split('\n')
      .filter((line) => !line.startsWith('{"level"'))
      .join('\n')
  }

  function run(command: string): string {
    const result = spawnSync('bash', ['-c', runnable(command)], { cwd: root, env: environment, encoding: 'utf8' })
    assert.equal(result.stderr, '', command)
    return result.stdout
  }

  const page = readPage('README.md')
  const lines = page.split('\n')
  const commands = blocksOf(page)
    .filter(({ language, needsCluster }) => language === 'console' && !needsCluster)
    .flatMap((block) => commandsOf(block))

  it('shows both commands of the quick start, in this order', () => {
    assert.deepEqual(
      commands.slice(0, 2).map(({ command }) => command),
      ['make run', 'make demo'],
    )
  })

  for (const { command, output } of commands) {
    it(`is right about: ${command}`, async () => {
      const printed = (command === 'make run' ? await startServer(command) : run(command)).trimEnd()
      if (process.env['UPDATE_README'] === 'yes') {
        const shown = withDefaults(printed.replaceAll(data, 'data').replaceAll(folder.path, '/home/you/drawbridge'))
        const start = lines.indexOf(`$ ${command}`) + 1
        lines.splice(start, output.length, ...shown.split('\n'))
        writeFileSync(join(root, 'README.md'), lines.join('\n'))
      } else {
        assert.equal(withPlaceholders(output.join('\n'), data), withPlaceholders(printed, data))
      }
    })
  }
})
