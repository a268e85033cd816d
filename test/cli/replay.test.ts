import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../docs/markdown.ts'
import { folderWith, run } from './fakes.ts'

const SAMPLES = join(root, 'test/fixtures/alerts')
const FIXTURES = join(SAMPLES, 'falco')
const alert = (fields: object): string =>
  JSON.stringify({
    rule: 'Drop and execute new binary in container',
    priority: 'Critical',
    time: '2026-11-22T06:08:15.123456789Z',
    output_fields: {
      'container.id': '67aacb04675f',
      'container.image.repository': 'registry.example/shop/web',
      'container.image.tag': '1.4.2',
    },
    ...fields,
  })
const replay = (stdin: string | Buffer, ...options: string[]): ReturnType<typeof run> =>
  run(['replay', '-', ...options], { stdin })

describe('drawbridge replay', () => {
  it('prints a table for people', async () => {
    assert.deepEqual(await replay(`${alert({})}\nnot json\n`), {
      code: 0,
      out: `PHASE    SCORE  IMAGE                            DIGEST  REASON
denying  100    registry.example/shop/web:1.4.2          deny-threshold: score 100.0 reached 100 (drop)

line 2: refused: not-json
2 lines, 1 decoded, 1 refused; 1 image
`,
      err: '',
    })
  })

  it('prints exactly the promised JSON for programs', async () => {
    const input = `${alert({})}\n{"rule": "x"}\n\n${alert({ rule: 'Terminal shell in container', output_fields: { 'container.image.repository': 'other', 'container.image.tag': 'latest' } })}\n`
    const { code, out } = await replay(input, '-o', 'json')
    assert.equal(code, 0)
    assert.deepEqual(JSON.parse(out), {
      lines: 3,
      decoded: 2,
      refused: [{ line: 2, code: 'time-missing' }],
      images: [
        {
          image: 'registry.example/shop/web:1.4.2',
          digest: null,
          score: 100,
          phase: 'denying',
          reason: 'deny-threshold: score 100.0 reached 100 (drop)',
        },
        {
          image: 'docker.io/library/other:latest',
          digest: null,
          score: 0,
          phase: 'observing',
          reason: 'no-weight: Terminal shell in container: shell (person) weighs nothing',
        },
      ],
    })
  })

  for (const name of readdirSync(FIXTURES).filter((file) => file.endsWith('.jsonl'))) {
    it(`decodes every line that a real Falco wrote: ${name}`, async () => {
      const { code, out } = await run(['replay', join(FIXTURES, name), '-o', 'json'])
      const report = JSON.parse(out) as { lines: number; decoded: number; refused: unknown[] }
      const lines = readFileSync(join(FIXTURES, name), 'utf8').trim().split('\n').length
      assert.deepEqual([code, report.lines, report.decoded, report.refused], [0, lines, lines, []])
    })
  }

  it('takes an array, one object over several lines, and what Falcosidekick sends', async () => {
    for (const input of [`[${alert({})}, ${alert({})}]`, JSON.stringify(JSON.parse(alert({})), undefined, 2)])
      assert.match((await replay(input)).out, /^denying /m)
    assert.match((await replay(alert({ uuid: 'x' }), '--source', 'falcosidekick')).out, /^denying /m)
  })

  const others: readonly (readonly [string, string, number, number, number])[] = [
    ['k8s-audit', 'k8s-audit/eventlists.jsonl', 3, 14, 0],
    ['tracee', 'tracee/signatures.jsonl', 8, 8, 0],
    ['tetragon', 'tetragon-honeycluster/tetragon.jsonl', 13, 13, 0],
    ['kubearmor', 'kubearmor/kubearmor_docs_events.jsonl', 63, 60, 3],
    ['falcosidekick', 'falcosidekick/cloudevents-structured.jsonl', 1, 1, 0],
  ]
  for (const [source, file, lines, decoded, refused] of others) {
    it(`reads what is sent as ${source}`, async () => {
      const { code, out } = await run(['replay', join(SAMPLES, file), '--source', source, '-o', 'json'])
      const report = JSON.parse(out) as { lines: number; decoded: number; refused: unknown[] }
      assert.deepEqual([code, report.lines, report.decoded, report.refused.length], [0, lines, decoded, refused])
    })
  }

  it('takes thresholds and rules from a configuration', async () => {
    const folder = folderWith({
      'strict.yaml': 'quarantine: {preset: strict}',
      'light.yaml': 'rules: {Drop and execute new binary in container: {weight: 60}}',
      'wrong.yaml': 'quarantin: {}',
    })
    try {
      const shell = alert({ rule: 'Terminal shell in container' })
      assert.match((await replay(shell, '--config', folder.path('strict.yaml'))).out, /^denying /m)
      assert.match((await replay(alert({}), '--config', folder.path('light.yaml'))).out, /^warning /m)
      const wrong = await replay(shell, '--config', folder.path('wrong.yaml'))
      assert.deepEqual(
        [wrong.code, wrong.err],
        [2, `drawbridge: ${folder.path('wrong.yaml')}: unknown key "quarantin" at the top\n`],
      )
    } finally {
      folder.remove()
    }
  })

  it('refuses a source that it does not know', async () =>
    assert.deepEqual(await replay(alert({}), '--source', 'suricata'), {
      code: 2,
      out: '',
      err: 'drawbridge: --source suricata: unknown; known are falco, falcosidekick, k8s-audit, tracee, tetragon, kubearmor\n',
    }))

  it('refuses a file that is not there', async () =>
    assert.deepEqual(await run(['replay', '/nowhere/alerts.jsonl']), {
      code: 2,
      out: '',
      err: 'drawbridge: /nowhere/alerts.jsonl: cannot be read: no such file\n',
    }))

  it('says that an empty file is empty', async () => {
    for (const input of ['', '\n\n']) {
      const { code, err } = await replay(input)
      assert.deepEqual([code, err], [2, 'drawbridge: -: no alerts in it\n'])
    }
  })

  it('ends with 2 when nothing at all could be read', async () => {
    const { code, out } = await replay('nothing\n{"a": 1}\n5\n')
    assert.equal(code, 2)
    assert.equal(
      out,
      'line 1: refused: not-json\nline 2: refused: rule-missing\nline 3: refused: not-an-object\n3 lines, 0 decoded, 3 refused; 0 images\n',
    )
  })

  it('names twenty lines that it cannot read, and counts the others', async () => {
    const { code, out } = await replay('no alert\n'.repeat(23))
    assert.equal(code, 2)
    assert.match(
      out,
      /^line 1: refused: not-json\n[^]*^line 20: refused: not-json\n3 more refused\n23 lines, 0 decoded, 23 refused; 0 images\n$/m,
    )
  })

  it('survives __proto__, deep nesting, bytes that are not UTF-8, and lets no rule move the cursor', async () => {
    const hostile = [
      '{"__proto__": {"rule": "x"}, "rule": "constructor", "time": "2026-11-22T06:08:15Z", "output_fields": {"__proto__": 1}}',
      `{"rule": "x", "time": ${'['.repeat(5000)}${']'.repeat(5000)}}`,
      alert({ rule: '\u001b[2J' }),
      alert({ output_fields: { 'container.image.repository': '\u001b[2J', 'container.id': '67aacb04675f' } }),
    ].join('\n')
    const { code, out } = await replay(Buffer.concat([Buffer.from(`${hostile}\n`), Buffer.from([0xff, 0xfe, 0x0a])]))
    assert.equal(code, 0)
    // oxlint-disable-next-line no-control-regex
    assert.doesNotMatch(out, /[\u0000-\u0009\u000b-\u001f]/)
  })
})
