/** `drawbridge replay --explain`, over what a real Falco wrote. `UPDATE_DOCS=yes` writes the golden file again. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runCli, type CliActions } from '../../src/cli/program.ts'
import { root } from '../docs/markdown.ts'
import { folderWith, run } from './fakes.ts'

const FIXTURES = join(root, 'test/fixtures/alerts/falco')
const GOLDEN = join(root, 'test/fixtures/replay/explain.txt')

const captures = readdirSync(FIXTURES)
  .filter((name) => name.endsWith('.jsonl'))
  .sort()

const alert = (fields: object): string =>
  JSON.stringify({
    rule: 'PTRACE attached to process',
    time: '2026-11-22T06:08:15.123456789Z',
    output_fields: {
      'container.id': '67aacb04675f',
      'container.image.repository': 'registry.example/shop/web',
      'container.image.tag': '1.4.2',
    },
    ...fields,
  })

describe('drawbridge replay --explain', () => {
  it('says of every real capture what counted and what did not', async () => {
    let text = ''
    for (const name of captures)
      text += `$ drawbridge replay ${name} --explain\n${(await run(['replay', join(FIXTURES, name), '--explain'])).out}\n`
    const all = Buffer.concat(captures.map((name) => readFileSync(join(FIXTURES, name))))
    text += `$ cat *.jsonl | drawbridge replay - --explain\n${(await run(['replay', '-', '--explain'], { stdin: all })).out}`
    if (process.env['UPDATE_DOCS'] === 'yes') writeFileSync(GOLDEN, text)
    assert.equal(text, readFileSync(GOLDEN, 'utf8'), 'write it again with UPDATE_DOCS=yes')
  })

  it('prints exactly the promised JSON', async () => {
    const input = [
      alert({}),
      alert({ time: '2026-11-22T06:08:16Z' }),
      alert({ rule: 'Terminal shell in container' }),
      alert({ rule: 'Drop and execute new binary in container', time: '2026-11-22T06:08:30Z' }),
      alert({ output_fields: { 'container.id': 'host' } }),
      'nonsense',
    ].join('\n')
    const { out } = await run(['replay', '-', '--explain', '-o', 'json'], { stdin: input })
    const report = JSON.parse(out) as { images: readonly { explanation: unknown }[] }
    assert.deepEqual(Object.keys(report), ['lines', 'decoded', 'refused', 'images', 'withoutImage'])
    assert.deepEqual(Object.keys(report.images[0]!), ['image', 'digest', 'score', 'phase', 'reason', 'explanation'])
    assert.deepEqual(report.images[0]!.explanation, {
      counted: [
        {
          line: 1,
          time: '2026-11-22T06:08:15.123Z',
          detector: 'falco',
          rule: 'PTRACE attached to process',
          class: 'ptrace-attach',
          weight: 60,
          owner: '67aacb04675f',
          added: 60,
          score: 60,
          crossed: ['warnAt'],
        },
        {
          line: 4,
          time: '2026-11-22T06:08:30.000Z',
          detector: 'falco',
          rule: 'Drop and execute new binary in container',
          class: 'drop',
          weight: 100,
          owner: '67aacb04675f',
          added: 99.99,
          score: 159.99,
          crossed: ['denyAt'],
        },
      ],
      notCounted: [
        {
          decision: 'repeat',
          detector: 'falco',
          rule: 'PTRACE attached to process',
          class: 'ptrace-attach',
          weight: 60,
          reason: 'the ledger already holds this effect',
          firstLine: 2,
          count: 1,
          lastLine: 2,
        },
        {
          decision: 'no-weight',
          detector: 'falco',
          rule: 'Terminal shell in container',
          class: 'shell',
          weight: 0,
          reason: 'shell (person) weighs nothing',
          firstLine: 3,
          count: 1,
          lastLine: 3,
        },
      ],
      unlisted: 0,
    })
    assert.match(out, /"withoutImage": \{\s+"counted": \[\],\s+"notCounted": \[\s+\{\s+"decision": "host"/)
  })

  it('counts by the thresholds and overrides of a configuration, and says which pattern is none', async () => {
    const folder = folderWith({
      'light.yaml':
        'quarantine: {warnAt: 5, denyAt: 10}\nruleOverrides: [{match: {images: [registry.example/shop/*]}, weight: 7}]',
      'wrong.yaml': 'ruleOverrides: [{match: {images: ["*/web"]}, weight: 7}]',
    })
    try {
      const light = await run(['replay', '-', '--explain', '--config', folder.path('light.yaml')], { stdin: alert({}) })
      assert.match(light.out, /\+7 +7 +warns at 5 +ptrace-attach +7 /)
      const wrong = await run(['replay', '-', '--config', folder.path('wrong.yaml')], { stdin: alert({}) })
      assert.deepEqual(
        [wrong.code, wrong.err],
        [
          2,
          `drawbridge: ${folder.path('wrong.yaml')}: ruleOverrides.0.match.images.0: with "*" in it must begin with its registry, for example docker.io/\n`,
        ],
      )
    } finally {
      folder.remove()
    }
  })

  it('stays bounded, and says what it left out', async () => {
    const input = Array.from({ length: 150 }, (_, n) => alert({ rule: `rule ${n}` })).join('\n')
    const { out } = await run(['replay', '-', '--explain'], { stdin: input })
    assert.match(out, /\n {2}50 more that are not listed\n/)
  })

  it('reads a large file in parts, with the lines of the file, and says on a terminal how far it is', async () => {
    const line = alert({ padding: 'x'.repeat(6000) })
    const count = 2_500
    const folder = folderWith({ 'large.jsonl': `${`${line}\n`.repeat(count)}nonsense\n` })
    let out = ''
    let err = ''
    try {
      const code = await runCli(
        ['replay', folder.path('large.jsonl')],
        {
          out: (text) => (out += text),
          err: (text) => (err += text),
          readStdin: () => Promise.reject(new Error('reached')),
          user: 'jane',
          now: () => 0,
          errIsTerminal: true,
        },
        {} as CliActions,
        '1.2.3',
      )
      assert.equal(code, 0)
      assert.match(
        out,
        new RegExp(`line ${count + 1}: refused: not-json\n${count + 1} lines, ${count} decoded, 1 refused`),
      )
      assert.match(err, /^\r\d+ MB read, \d+ alerts decoded/)
      assert.ok(err.split('\r').length > 4, 'more than one part')
      assert.ok(err.endsWith('\r\u001b[K'), 'the line of progress is taken away')
    } finally {
      folder.remove()
    }
  }).timeout(20_000)
})
