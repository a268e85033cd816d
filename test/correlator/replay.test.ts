import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import * as fc from 'fast-check'
import { falco } from '../../src/alerts/sources/falco.ts'
import { replay, type ReplayReport } from '../../src/correlator/replay.ts'
import { fixture, NOW, parseReference } from './support.ts'

const WEB = 'registry.example/shop/web:1.4.2'
const run = (input: string, now?: number): Promise<ReplayReport> => replay(input, falco.decode, { parseReference, now })

const DIGEST = 'sha256:3dc045bdfd7d5b2b366ea0434ca34de2715cdd25c78eff8f3676afe1f334187a'
const denying = (score: number, why: string, digest: string | null = null) => [
  {
    image: WEB,
    digest,
    score,
    phase: 'denying',
    reason: `deny-threshold: score ${score.toFixed(1)} reached 100 (${why})`,
  },
]
const watched = (reason: string) => [{ image: WEB, digest: null, score: 0, phase: 'observing', reason }]

const atTime = (line: string, time: string): string => line.replace(/"time":"[^"]+"/, `"time":"${time}"`)

describe('correlator/replay', () => {
  const files: Readonly<Record<string, readonly [number, ReplayReport['images']]>> = {
    'container-without-kubernetes.terminal_shell.jsonl': [1, []],
    'host.read_sensitive_file.jsonl': [1, []],
    'internal.jsonl': [2, []],
    'kubelet-pod-extra-fields.jsonl': [
      6,
      denying(260, 'drop, ptrace-attach, reverse-shell', DIGEST) as ReplayReport['images'],
    ],
    'pod.drop_and_execute.jsonl': [2, denying(100, 'drop') as ReplayReport['images']],
    'pod.fileless_memfd.jsonl': [1, denying(100, 'fileless') as ReplayReport['images']],
    'pod.netcat_exec.jsonl': [3, denying(100, 'reverse-shell') as ReplayReport['images']],
    'pod.ptrace_attach.jsonl': [
      1,
      [
        {
          image: WEB,
          digest: null,
          score: 60,
          phase: 'warning',
          reason: 'warn-threshold: score 60.0 reached 50 (ptrace-attach)',
        },
      ],
    ],
    'pod.read_sensitive_file.jsonl': [
      1,
      [
        {
          image: WEB,
          digest: null,
          score: 20,
          phase: 'observing',
          reason: 'below-thresholds: score 20.0 is below 50 (sensitive-read)',
        },
      ],
    ],
    'pod.reverse_shell.jsonl': [3, denying(100, 'reverse-shell') as ReplayReport['images']],
    'pod.terminal_shell.jsonl': [
      1,
      watched('no-weight: Terminal shell in container: shell (person) weighs nothing') as ReplayReport['images'],
    ],
    'privileged-pod.release_agent.jsonl': [1, denying(100, 'escape') as ReplayReport['images']],
  }
  it('covers every sample file', () => {
    const names = readdirSync(new URL('../../../test/fixtures/alerts/falco/', import.meta.url)).filter((name) =>
      name.endsWith('.jsonl'),
    )
    assert.deepEqual(names.sort(), Object.keys(files).sort())
  })
  for (const [name, [lines, images]] of Object.entries(files)) {
    it(`plays ${name}`, async () =>
      assert.deepEqual(await run(fixture(name)), { lines, decoded: lines, refused: [], images }))
  }

  const drop = fixture('pod.drop_and_execute.jsonl').trim().split('\n')[0] ?? ''

  it('says which lines it refused, and plays the others', async () => {
    const report = await run(
      `${drop}\n\nnonsense\n{"rule":"R"}\n{"time":"x"}\n[1]\n${drop.slice(0, 300)}\n${fixture('internal.jsonl')}`,
    )
    assert.deepEqual(
      { ...report, images: report.images.length },
      {
        lines: 8,
        decoded: 3,
        refused: [
          { line: 3, code: 'not-json' },
          { line: 4, code: 'time-missing' },
          { line: 5, code: 'rule-missing' },
          { line: 6, code: 'not-an-object' },
          { line: 7, code: 'not-json' },
        ],
        images: 1,
      },
    )
  })

  it('plays one array and one pretty-printed object alike', async () => {
    const expected = await run(drop)
    assert.deepEqual(await run(JSON.stringify(JSON.parse(drop), null, 2)), expected)
    assert.deepEqual(await run(`[${drop},${drop}]`), { ...expected, lines: 2, decoded: 2 })
    assert.deepEqual(await run(''), { lines: 0, decoded: 0, refused: [], images: [] })
  })

  it('counts duplicates once and does not depend on the order', async () => {
    const all = Object.keys(files).flatMap((name) => fixture(name).trim().split('\n'))
    const { images } = await run(all.join('\n'))
    assert.equal(images[0]?.phase, 'denying')
    await fc.assert(
      fc.asyncProperty(fc.shuffledSubarray([...all, ...all], { minLength: all.length * 2 }), async (lines) => {
        assert.deepEqual((await run(lines.join('\n'))).images, images)
      }),
      { numRuns: 15 },
    )
  })

  it('plays an old capture as it happened, and one with a broken clock as if it came now', async () => {
    const at = (time: string): string => atTime(drop, time)
    const [expected] = denying(100, 'drop')
    assert.deepEqual((await run(at('2019-05-17T15:31:56.7Z'))).images, [expected])
    assert.deepEqual((await run(at('1970-01-01T00:00:00Z'))).images, [expected])
    assert.deepEqual((await run(`${at('9999-01-01T00:00:00Z')}\n${drop}`, NOW)).images, [expected])
  })

  it('expires in the time of the capture', async () => {
    const shell = fixture('pod.terminal_shell.jsonl').trim()
    const report = await run(`${atTime(drop, '2026-01-01T00:00:00Z')}\n${atTime(shell, '2026-03-01T00:00:00Z')}`)
    assert.deepEqual(
      report.images.map(({ phase, reason }) => [phase, reason]),
      [['expired', 'expired: was denying, no contribution since 2026-01-01T00:00:00.000Z']],
    )
  })
})
