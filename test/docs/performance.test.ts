/** What draws the charts and the table of docs/performance.md. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import { barChart } from '../bench/charts.ts'
import { chartsOf, pageWith } from '../bench/docs.ts'
import { WORKS } from '../bench/endpoint.ts'
import { describeGoal, describeLimit, describeValue, failing, share } from '../bench/judge.ts'
import { peers } from '../bench/peers/index.ts'
import { bothOf, ofFloorOf, oneOf } from '../bench/peersBeside.ts'
import type { Results } from '../bench/results.ts'
import { root } from '../process/server.ts'

const machine = { node: 'v24.21.0', cpu: 'any', cores: 2, arch: 'x64' }
const figures = WORKS.flatMap(({ what }) => [
  { what: `${what}: requests at 16 connections, of the floor`, value: 0.9, unit: 'x', goal: { atLeast: 0.8 } },
  { what: `${what}: p50 at one connection, of the floor`, value: 1.2, unit: 'x', goal: { atMost: 1.15 } },
  { what: `${what}: p99 at one connection, of the floor`, value: 1.25, unit: 'x', goal: { atMost: 1.3 } },
])
const beside = peers.flatMap(({ name }, index) => [
  { what: ofFloorOf(name), value: 0.4 * (index + 1), unit: 'x' },
  { what: bothOf(name), value: 3 / (index + 1), unit: 'x' },
  { what: oneOf(name), value: 2 / (index + 1), unit: 'x' },
])
const run = { date: '2026-11-22T00:00:00Z', scale: 1, load: 0.2, machine }
const results: Results = {
  measured: [
    { name: 'endpoint', ...run, figures },
    { name: 'peers', ...run, figures: beside },
  ],
}

describe('the measurements', () => {
  for (const [what, value, goal, expected] of [
    ['exactly at a lower bound', 0.8, { atLeast: 0.8 }, 1],
    ['half of a lower bound', 0.4, { atLeast: 0.8 }, 0.5],
    ['twice an upper bound', 2.3, { atMost: 1.15 }, 0.5],
    ['none where none is the most', 0, { atMost: 0 }, 1],
    ['one where none is the most', 1, { atMost: 0 }, 0],
    ['nothing measured', Number.NaN, { atMost: 1.15 }, Number.NaN],
  ] as const) {
    it(`judge ${what}`, () => assert.equal(share(value, goal), expected))
  }

  it('fail what reaches less than the part of its goal, and what could not be measured', () => {
    const at = (value: number) => ({ what: `${value}`, value, unit: 'x', goal: { atLeast: 1 } })
    const found = failing([at(0.69), at(0.7), at(2), at(Number.NaN), { what: 'no goal', value: 0, unit: '' }], 0.7)
    assert.deepEqual(
      found.map(({ what }) => what),
      ['0.69', 'NaN'],
    )
  })

  it('are written for people', () => {
    assert.deepEqual([1234.5, 12.34, 0.123].map(describeValue), ['1,235', '12.3', '0.12'])
    assert.equal(describeGoal({ unit: 'x', goal: { atMost: 1.15 } }), '<= 1.15 x')
    assert.equal(describeGoal({ unit: '/s', goal: { atLeast: 30_000 } }), '>= 30,000 /s')
    assert.equal(describeLimit({ unit: 'x', goal: { atMost: 1.15 } }, 0.7), '<= 1.64 x')
    assert.equal(describeLimit({ unit: 'x', goal: { atLeast: 0.8 } }, 0.7), '>= 0.56 x')
  })
})

describe('docs/performance.md', () => {
  it('gets its table between the marks, and nothing else changes', () => {
    const page = readFileSync(join(root, 'docs/performance.md'), 'utf8')
    const emptied = `${page.slice(0, page.indexOf('<!-- table'))}<!-- table: make bench-docs -->\n<!-- end of table -->${page.slice(page.indexOf('<!-- end of table -->') + 21)}`
    const written = pageWith(emptied, results)
    assert.ok(written.includes('| validate: p50 at one connection, of the floor | 1.20 x | <= 1.15 x | missed |  |'))
    assert.ok(written.includes('| validate: p99 at one connection, of the floor | 1.25 x | <= 1.3 x | met |  |'))
    assert.equal(pageWith(written, results), written)
    assert.throws(() => pageWith('no marks', results))
    assert.throws(() => pageWith(written, { measured: [] }), /the page would lose endpoint/)
  })

  it('shows only charts that are drawn', () => {
    const page = readFileSync(join(root, 'docs/performance.md'), 'utf8')
    const shown = [...page.matchAll(/\]\(images\/([^)]+)\)/g)].map(([, file]) => file)
    assert.deepEqual(shown, Object.keys(chartsOf(results)))
  })

  it('shows what replicas answer beside others as a part of the floor', () => {
    const shown = chartsOf(results)['beside.svg']!.bars.map(({ label, value }) => `${label} ${value.toFixed(1)}`)
    assert.deepEqual(shown.slice(0, 3), [
      'bare Node https (the floor), one process 1.0',
      'Drawbridge, two replicas 1.2',
      'Drawbridge, one replica 0.8',
    ])
    assert.ok(shown.includes('Pepr 20, two replicas 0.8'), shown.join())
  })

  it('draws no chart of figures that are missing', () => {
    assert.throws(
      () => chartsOf({ measured: [] }),
      /no "validate: requests at 16 connections, of the floor": run make bench ONLY=endpoint/,
    )
  })

  it('leaves room for a long label', () => {
    const label = 'x'.repeat(50)
    const svg = barChart({ title: 'Sizes', unit: 'x', bars: [{ label, value: 1 }] })
    const [, end] = /<text x="([\d.]+)" [^>]*text-anchor="end">x+</.exec(svg) ?? []
    assert.ok(Number(end) >= 7 * label.length, svg)
  })

  it('draws bars from 0, in proportion, with escaped texts', () => {
    const svg = barChart({
      title: 'a < b',
      unit: 'x',
      bars: [
        { label: '"one"', value: 1, own: true },
        { label: 'half', value: 0.5 },
      ],
    })
    const widths = [...svg.matchAll(/<rect x="250"[^>]* width="([\d.]+)"/g)].map(([, width]) => Number(width))
    assert.equal(widths[0]! / widths[1]!, 2)
    assert.match(svg, /a &lt; b/)
    assert.match(svg, /&quot;one&quot;/)
  })
})
