import assert from 'node:assert/strict'
import { UnusableError } from '../../src/cli/io.ts'
import { run } from './fakes.ts'

const COMMANDS = [
  ['serve'],
  ['check'],
  ['replay'],
  ['verdicts', 'list'],
  ['verdicts', 'show'],
  ['verdicts', 'release'],
  ['manifests'],
]

const serveFailing = (error: unknown): ReturnType<typeof run> =>
  run(['serve'], { actions: { serve: () => Promise.reject(error) } })

describe('the command line', () => {
  for (const command of COMMANDS) {
    it(`${command.join(' ')} --help explains it, with an example`, async () => {
      const { code, out, err } = await run([...command, '--help'])
      assert.deepEqual([code, err], [0, ''])
      assert.ok(out.startsWith(`Usage: drawbridge ${command.join(' ')} `), out)
      assert.match(out, new RegExp(`\\nExamples?:\\n {2}.*drawbridge ${command.join(' ')}[ \\n]`))
    })
  }

  it('--version prints it', async () =>
    assert.deepEqual(await run(['--version']), { code: 0, out: '1.2.3\n', err: '' }))

  it('--help lists every command', async () => {
    const { code, out } = await run(['--help'])
    assert.equal(code, 0)
    for (const [name] of COMMANDS) assert.match(out, new RegExp(`^ {2}${name} `, 'm'))
  })

  it('without a command it explains itself and ends with 2', async () => {
    const { code, out, err } = await run([])
    assert.deepEqual([code, out], [2, ''])
    assert.match(err, /^Usage: drawbridge /)
  })

  for (const [argv, message] of [
    [['chek'], "error: unknown command 'chek'"],
    [['verdicts', 'lst'], "error: unknown command 'lst'"],
    [['check'], "error: required option '-f, --file <path>' not specified"],
    [['check', '-f'], "error: option '-f, --file <path>' argument missing"],
    [['check', '-f', 'a', '--wide'], "error: unknown option '--wide'"],
    [
      ['check', '-f', 'a', '-o', 'xml'],
      "error: option '-o, --output <format>' argument 'xml' is invalid. Allowed choices are text, json.",
    ],
    [['check', '-f', 'a', 'b'], "error: too many arguments for 'check'. Expected 0 arguments but got 1"],
    [['replay'], "error: missing required argument 'file'"],
    [['verdicts', 'release', 'a'], "error: required option '--reason <text>' not specified"],
    [
      ['verdicts', 'release', 'a', '--reason', 'b', '--as', 'c'],
      "error: option '--as <kind>' argument 'c' is invalid. Allowed choices are false-positive, accepted, fixed.",
    ],
    [['manifests', '--url', 'https://a'], "error: required option '--ca <file>' not specified"],
    [
      ['serve', '--port', '70000'],
      "error: option '--port <n>' argument '70000' is invalid. wanted a port from 0 to 65535 (0 = any free one)",
    ],
    [
      ['serve', '--admin-port', '-1'],
      "error: option '--admin-port <n>' argument '-1' is invalid. wanted a port from 0 to 65535 (0 = any free one)",
    ],
  ] as const) {
    it(`drawbridge ${argv.join(' ')}: one clear line, and 2`, async () => {
      const { code, out, err } = await run(argv)
      assert.deepEqual([code, out], [2, ''])
      assert.ok(err.startsWith(message), err)
      // After the line: what was probably meant, if anything, and where to read on.
      const rest = err
        .split('\n')
        .slice(1)
        .filter((line) => !line.startsWith('(Did you mean '))
      assert.deepEqual(rest, ['(drawbridge <command> --help shows the options and examples)', ''])
    })
  }

  it('serve: --standalone and --kubeconfig exclude each other', async () =>
    assert.deepEqual(await run(['serve', '--standalone', '--kubeconfig', 'k']), {
      code: 2,
      out: '',
      err: 'drawbridge: --standalone and --kubeconfig exclude each other\n',
    }))

  it('serve: hands over what was asked, and ends as the server does', async () => {
    const asked: unknown[] = []
    const { code } = await run(
      ['serve', '--standalone', '--data', 'd', '--port', '0', '--admin-port', '1', '--host', 'h', '--config', 'c'],
      {
        actions: {
          serve(options) {
            asked.push(options)
            return Promise.resolve(0)
          },
        },
      },
    )
    assert.equal(code, 0)
    const { configFile, data, port, adminPort, alertsPort, host, standalone, kubeconfig } = asked[0] as Record<
      string,
      unknown
    >
    assert.deepEqual(
      [configFile, data, port, adminPort, alertsPort, host, standalone, kubeconfig],
      ['c', 'd', 0, 1, undefined, 'h', true, undefined],
    )
  })

  it('manifests: hands over what was asked, and prints the answer', async () => {
    const asked: unknown[] = []
    const { code, out } = await run(
      ['manifests', '--url', 'https://a:1', '--ca', 'f', '--quarantine-scope', 'cluster', '--user', 'jane'],
      {
        actions: {
          manifests({ url, ca, namespace, user, scope }) {
            asked.push({ url, ca, namespace, user, scope })
            return Promise.resolve('yaml\n')
          },
        },
      },
    )
    assert.deepEqual([code, out], [0, 'yaml\n'])
    assert.deepEqual(asked, [{ url: 'https://a:1', ca: 'f', namespace: 'drawbridge', user: 'jane', scope: 'cluster' }])
  })

  for (const [args, scope] of [
    [[], 'namespaces'],
    [['--quarantine-scope', 'namespaces'], 'namespaces'],
    [['--quarantine-scope', 'opted-in'], 'namespaces'],
  ] as const)
    it(`manifests: verdicts hold in ${scope} with ${JSON.stringify(args)}`, async () => {
      const asked: string[] = []
      const actions = {
        manifests: ({ scope: given }: { readonly scope: string }) => Promise.resolve(`${asked.push(given)}`),
      }
      const { code } = await run(['manifests', '--url', 'https://a:1', '--ca', 'f', ...args], { actions })
      assert.deepEqual([code, asked], [0, [scope]])
    })

  it('manifests: an unknown scope is refused with the known ones', async () => {
    const args = ['manifests', '--url', 'https://a:1', '--ca', 'f', '--quarantine-scope', 'all']
    const { code, err } = await run(args)
    assert.equal(code, 2)
    assert.match(err, /Allowed choices are namespaces, cluster\./)
  })

  it('a failure is one clear line: 1 for what went wrong, 2 for what cannot be used', async () => {
    assert.deepEqual(await serveFailing(new Error('the port is taken')), {
      code: 1,
      out: '',
      err: 'drawbridge: the port is taken\n',
    })
    assert.deepEqual(await serveFailing(new UnusableError('a\u001b[2J')), {
      code: 2,
      out: '',
      err: 'drawbridge: a?[2J\n',
    })
    assert.deepEqual(await serveFailing('text'), { code: 1, out: '', err: 'drawbridge: text\n' })
  })
})
