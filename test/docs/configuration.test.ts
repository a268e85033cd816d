/** docs/configuration.md lists exactly the keys of the schema, with their defaults, and every label. */
import assert from 'node:assert/strict'
import { z } from 'zod'
import { schema } from '../../src/config/config.ts'
import { LABEL } from '../../src/kube/names.ts'
import { readPage, tableRows } from './markdown.ts'

/** The part of JSON Schema that zod writes for ours. */
interface Described {
  readonly properties?: Readonly<Record<string, Described>>
  readonly items?: Described
  readonly additionalProperties?: Described | boolean
  readonly default?: unknown
}

/** Key -> default as the page writes it; sections that only hold other keys are left out. */
function keysOf(node: Described, path = ''): [string, string | undefined][] {
  const below = path === '' ? '' : `${path}.`
  const inner = [
    ...Object.entries(node.properties ?? {}).flatMap(([name, property]) => keysOf(property, below + name)),
    ...(node.items?.properties === undefined ? [] : keysOf(node.items, `${path}[]`)),
    ...(typeof node.additionalProperties === 'object' && Object.keys(node.additionalProperties).length > 0
      ? keysOf(node.additionalProperties, `${below}<name>`)
      : []),
  ]
  const isSection = node.properties !== undefined
  const { default: value } = node
  const written = value === undefined ? undefined : typeof value === 'string' ? value : JSON.stringify(value)
  return isSection ? inner : [[path, written], ...inner]
}

describe('docs/configuration.md', () => {
  const page = readPage('docs/configuration.md')
  const rows = tableRows(page.slice(page.indexOf('## drawbridge.yaml'), page.indexOf('## The data folder')))
  const expected = keysOf(z.toJSONSchema(schema, { io: 'input' }) as Described)

  it('lists exactly the keys of the schema, in its order', () => {
    assert.deepEqual(
      rows.map(([key]) => key),
      expected.map(([key]) => key),
    )
  })

  it('says every default', () => {
    const documented = new Map(rows.map(([key, value]) => [key, value]))
    for (const [key, value] of expected) if (value !== undefined) assert.equal(documented.get(key), value, key)
    assert.ok(expected.filter(([, value]) => value !== undefined).length > 15)
  })

  it('gives every key a meaning', () => {
    for (const [key, , meaning] of rows) assert.ok((meaning ?? '').length > 5, key)
  })

  it('lists every label', () => {
    const labels = tableRows(page.slice(0, page.indexOf('## drawbridge.yaml'))).map(([label]) => label)
    assert.deepEqual(new Set(labels), new Set(Object.values(LABEL)))
  })
})
