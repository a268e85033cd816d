/** What holds for every page: links lead somewhere, command lines parse, YAML is accepted, examples work. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { loadAll } from 'js-yaml'
import { runCli } from '../../src/cli/program.ts'
import { parseConfig } from '../../src/config/config.ts'
import { settingsProblems } from '../../src/correlator/settings.ts'
import { blocksOf, commandsOf, pages, readPage, root } from './markdown.ts'

/** The anchor that GitHub gives a heading. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(' ', '-')

const anchorsOf = (page: string): readonly string[] =>
  [...readPage(page).matchAll(/^#+ +(.+)$/gm)].map((match) => anchorOf(match[1]!))

/** Splits a command line of ours as a shell does, as far as our pages need it. */
const words = (line: string): string[] =>
  [...line.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map((match) => match[1] ?? match[2] ?? match[3]!)

/** Every `drawbridge ...` in a console block, in a pipe too, and in code marks in running text, where it may be the name of a command only. */
function commandLinesOf(page: string): { readonly line: string; readonly isMention: boolean }[] {
  const text = readPage(page)
  const shown = blocksOf(text)
    .filter(({ language }) => language === 'console')
    .flatMap((block) => commandsOf(block).map(({ command }) => command))
  const inline = [...text.matchAll(/`(drawbridge [a-z][^`]*)`/g)].map((match) => match[1]!)
  const parts = (lines: readonly string[], isMention: boolean) =>
    lines
      .flatMap((line) => line.split(/ [|&]{1,2} /))
      .filter((part) => /^(bin\/)?drawbridge(\.js)? /.test(part))
      .map((line) => ({ line, isMention }))
  return [...parts(shown, false), ...parts(inline, true)]
}

/** What the words after `drawbridge` lead to, without doing it. */
async function parse(argv: readonly string[]): Promise<string> {
  let problem = ''
  await runCli(
    argv,
    {
      out: () => undefined,
      err: (text) => (problem += text),
      readStdin: () => Promise.reject(new Error('reached')),
      user: 'you',
      now: () => 0,
    },
    {
      serve: () => Promise.resolve(0),
      seccompSync: () => Promise.resolve(0),
      openVerdicts: () => Promise.reject(new Error('reached')),
      openExceptions: () => Promise.reject(new Error('reached')),
      openWorkloads: () => Promise.reject(new Error('reached')),
      openScan: () => Promise.reject(new Error('reached')),
      doctor: () => Promise.resolve(0),
      manifests: () => Promise.resolve(''),
    },
    '0',
  )
  return /^error:/m.test(problem) ? problem : ''
}

/** As `parse`, with something given for the options that a mention leaves out. */
async function parseMention(argv: readonly string[]): Promise<string> {
  const problem = await parse(argv)
  const missing = /^error: required option '(?:-\w, )?(--[\w-]+) <[^>]+>' not specified/m.exec(problem)?.[1]
  return missing === undefined || argv.includes(missing) ? problem : parseMention([...argv, missing, 'x'])
}

describe('pages', () => {
  for (const page of pages) {
    it(`${page}: every relative link leads somewhere`, () => {
      const text = readPage(page).replaceAll(/```[\s\S]*?```|`[^`]*`/g, '')
      const broken = [...text.matchAll(/\]\(([^)\s]+)\)/g)]
        .map((match) => match[1]!)
        .filter((target) => !/^[a-z]+:/.test(target))
        .filter((target) => {
          const [path, anchor] = target.split('#') as [string, string | undefined]
          const file = path === '' ? page : join(dirname(page), path)
          if (!existsSync(join(root, file))) return true
          return anchor !== undefined && !anchorsOf(file).includes(anchor)
        })
      assert.deepEqual(broken, [])
    })

    it(`${page}: every drawbridge command line parses`, async () => {
      for (const { line, isMention } of commandLinesOf(page))
        assert.equal(await (isMention ? parseMention : parse)(words(line).slice(1)), '', line)
    })

    it(`${page}: every YAML block is YAML`, () => {
      for (const { language, lines } of blocksOf(readPage(page)))
        if (language === 'yaml')
          assert.ok(loadAll(lines.join('\n')).every((document) => typeof document === 'object' && document !== null))
    })
  }

  it('would notice a command that does not exist', async () => {
    assert.match(await parse(['verdict', 'list']), /^error: unknown command 'verdict'/)
    assert.match(await parse(['check', '-f', 'x', '--files', 'y']), /^error: unknown option '--files'/)
    assert.match(await parseMention(['check', '--files', 'y']), /^error: unknown option '--files'/)
  })

  it('find commands in README', () => assert.ok(commandLinesOf('README.md').length >= 8))

  it('README is at most 230 lines long', () => assert.ok(readPage('README.md').split('\n').length <= 230))
})

describe('examples', () => {
  it('drawbridge.yaml says the defaults', () => {
    const text = readFileSync(join(root, 'examples/drawbridge.yaml'), 'utf8')
    assert.deepEqual(parseConfig(text, 'drawbridge.yaml'), parseConfig('', 'drawbridge.yaml'))
  })

  it('the rules of docs/configuration.md are accepted', () => {
    const [block] = blocksOf(readPage('docs/configuration.md')).filter(({ language }) => language === 'yaml')
    const { rules } = parseConfig(block!.lines.join('\n'), 'docs/configuration.md')
    assert.equal(rules['Our own rule']?.weight, 100)
  })

  it('the rules of docs/rules.md are accepted', () => {
    for (const block of blocksOf(readPage('docs/rules.md')).filter(({ language }) => language === 'yaml'))
      assert.deepEqual(settingsProblems(parseConfig(block.lines.join('\n'), 'docs/rules.md')), [])
  })

  it('reviews and alerts are JSON', () => {
    for (const folder of ['examples/reviews', 'examples/alerts'])
      for (const name of readdirSync(join(root, folder)))
        assert.equal(typeof JSON.parse(readFileSync(join(root, folder, name), 'utf8')), 'object', name)
  })
})
