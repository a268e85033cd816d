/** Whatever JSON a decoder is given: a finding, telemetry or a coded refusal; bounded, and never a throw. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import * as fc from 'fast-check'
import { splitBody } from '../../../src/alerts/body.ts'
import { sources } from '../../../src/alerts/sources/index.ts'
import type { Decoded } from '../../../src/alerts/types.ts'

const FIXTURES = new URL('../../../../test/fixtures/alerts/', import.meta.url)

const CODES = [
  'not-json',
  'not-an-object',
  'rule-missing',
  'time-missing',
  'time-malformed',
  'fields-malformed',
  'too-large',
]

/** Every sample that is an object, of all sensors. */
const samples: readonly unknown[] = readdirSync(FIXTURES, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && entry.name !== 'golden')
  .flatMap(({ name }) => readdirSync(new URL(`${name}/`, FIXTURES)).map((file) => `${name}/${file}`))
  .filter((path) => !path.endsWith('.txt'))
  .flatMap((path) => {
    const items = [...splitBody(readFileSync(new URL(path, FIXTURES))).items]
    return items.flatMap((entry) => ('item' in entry ? [entry.item] : []))
  })

/** Every key that any sample has, at any depth: what a decoder may look at. */
const keys = new Set<string>(['__proto__', 'constructor', 'toString', 'OutputFields', 'impersonatedUser', 'threat'])
function collectKeys(value: unknown): void {
  if (typeof value !== 'object' || value === null) return
  for (const [key, inner] of Object.entries(value)) {
    if (!Array.isArray(value)) keys.add(key)
    collectKeys(inner)
  }
}
samples.forEach(collectKeys)

function check(decoded: Decoded): void {
  if (decoded.kind === 'telemetry') assert.ok(decoded.reason.length <= 256)
  else if (decoded.kind === 'refused') assert.ok(CODES.includes(decoded.code) && decoded.message.length <= 200)
  else {
    const { tags, techniques = [], time, timeText, rule, ...texts } = decoded.alert
    assert.ok(Number.isSafeInteger(time) && Math.abs(Date.parse(`${timeText.slice(0, 23)}Z`) - time) < 1)
    assert.ok(rule !== '' && rule.length <= 256)
    for (const text of Object.values(texts)) assert.ok(typeof text === 'string' && text.length <= 512)
    for (const text of [...tags, ...techniques]) assert.ok(text.length <= 64)
    assert.ok(tags.length <= 32 && techniques.length <= 32)
    for (const text of [rule, ...tags, ...Object.values(texts)])
      if (typeof text === 'string') assert.doesNotMatch(text, /[\p{Cc}\p{Cs}]/u)
  }
}

const leaf = fc.oneof(
  fc.jsonValue({ maxDepth: 1 }),
  fc.string({ unit: 'binary' }),
  fc.constantFrom<unknown>(
    2 ** 63,
    -1,
    1e308,
    0.5,
    '2026-11-22T05:57:29Z',
    '9'.repeat(400),
    'x'.repeat(5000),
    'T1059\ud800',
    '{"eventName":"x"',
    'ResponseComplete',
    'pods',
    'exec',
  ),
)

const anyJson = fc.letrec((tie) => ({
  node: fc.oneof(
    { maxDepth: 5 },
    leaf,
    fc.array(tie('node'), { maxLength: 4 }),
    fc.dictionary(fc.constantFrom(...keys), tie('node'), { maxKeys: 6 }),
  ),
})).node

/** A sample in which some values, at any depth, were replaced, removed or wrapped. */
const mutated = fc
  .tuple(fc.constantFrom(...samples), fc.array(fc.tuple(fc.nat(), leaf, fc.nat(3)), { minLength: 1, maxLength: 6 }))
  .map(([sample, changes]) =>
    changes.reduce((value, [at, by, how]) => changeAt(value, at, by, how), structuredClone(sample)),
  )

function changeAt(value: unknown, at: number, by: unknown, how: number): unknown {
  const places: { readonly parent: Record<string, unknown>; readonly key: string }[] = []
  const visit = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return
    for (const [key, inner] of Object.entries(node)) {
      places.push({ parent: node as Record<string, unknown>, key })
      visit(inner)
    }
  }
  visit(value)
  const place = places[at % Math.max(places.length, 1)]
  if (place === undefined) return by
  const { parent, key } = place
  const old = parent[key]
  if (how === 0) delete parent[key]
  else {
    const replacement = how === 1 ? by : how === 2 ? [old] : { value: old }
    Object.defineProperty(parent, key, { value: replacement, configurable: true, enumerable: true, writable: true })
  }
  return value
}

describe('alerts/sources: hostile input', () => {
  it('takes an object that cannot become text for what it is', () => {
    const textless = { toString: 1, valueOf: 1 }
    const args = [{ name: textless, value: 1 }]
    const dropped = {
      eventName: 'dropped_executable',
      timestamp: 1,
      metadata: { Properties: { signatureID: 'x' } },
      args,
    }
    for (const { decode } of sources)
      for (const item of [{ type: textless }, dropped, { source: textless, rule: textless, stage: textless }])
        check(decode(item))
  })

  for (const source of sources) {
    it(`${source.name} decodes any JSON value without a throw, within bounds`, () => {
      fc.assert(
        fc.property(anyJson, (item) => check(source.decode(item))),
        { numRuns: 300 },
      )
    })

    it(`${source.name} decodes changed samples of every sensor without a throw, within bounds`, () => {
      fc.assert(
        fc.property(mutated, (item) => check(source.decode(item))),
        { numRuns: 300 },
      )
    })

    it(`${source.name} takes nothing from a prototype`, () => {
      for (const sample of samples.slice(0, 60)) {
        const hidden = JSON.parse(`{"__proto__":${JSON.stringify(sample)}}`) as unknown
        assert.notEqual(source.decode(hidden).kind, 'finding')
        assert.notEqual(source.decode(Object.create(sample as object)).kind, 'finding')
      }
    })

    it(`${source.name} does not mind depth`, () => {
      const deep = JSON.parse(`${'{"event":'.repeat(9_000)}1${'}'.repeat(9_000)}`) as unknown
      check(source.decode(deep))
      for (const sample of samples.slice(0, 60))
        check(source.decode({ ...(sample as object), extra: deep, args: deep }))
    })
  }
})
