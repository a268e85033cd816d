/** What of the chart can be held without Helm; test/cluster/chart.test.ts renders and installs it. */
import assert from 'node:assert/strict'
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { load } from 'js-yaml'

import { chartTemplates } from '../../manifests/chart.ts'
import { manifestsDirectory } from '../../manifests/render.ts'
import { readPage, root } from '../docs/markdown.ts'

const chart = join(manifestsDirectory(), 'chart')
const read = (file: string): string => readFileSync(join(chart, file), 'utf8')

describe('manifests/chart', () => {
  const templates = chartTemplates()
  const folder = join(chart, 'templates/generated')

  for (const [name, text] of Object.entries(templates))
    it(`templates/generated/${name} is in step with what it is made from (UPDATE_MANIFESTS=yes rewrites it)`, () => {
      if (process.env['UPDATE_MANIFESTS'] === 'yes') writeFileSync(join(folder, name), text)
      assert.equal(readFileSync(join(folder, name), 'utf8'), text)
    })

  it('holds no generated template that nothing makes', () => {
    assert.deepEqual(readdirSync(folder).sort(), Object.keys(templates).sort())
  })

  it('has the version of the program', () => {
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { readonly version: string }
    const about = load(read('Chart.yaml')) as Readonly<Record<string, unknown>>
    assert.deepEqual([about['version'], about['appVersion'], about['name']], [version, version, 'drawbridge'])
  })

  it('never renders a caBundle: that field is Drawbridge’s (rule 22)', () => {
    for (const file of readdirSync(join(chart, 'templates'), { recursive: true, encoding: 'utf8' }))
      if (file.endsWith('.yaml')) assert.doesNotMatch(read(join('templates', file)), /^\s*(?:- )?caBundle:/m, file)
  })

  it('grants no wildcard, and no Secret but by name', () => {
    for (const line of read('templates/generated/rbac.yaml').split('\n')) {
      if (/^ *(#|\{\{-)/.test(line)) continue
      assert.ok(!/\*/.test(line), line)
    }
    const rules = read('templates/generated/rbac.yaml').split(/^ {2}- apiGroups/m)
    for (const rule of rules)
      if (/resources: \[[^\]]*secrets/.test(rule) && !/verbs: \[create\]/.test(rule))
        assert.match(rule, /resourceNames: \[/)
  })

  describe('values.schema.json', () => {
    type Schema = {
      readonly type?: string | readonly string[]
      readonly properties?: Readonly<Record<string, Schema>>
      readonly additionalProperties?: boolean | Schema
      readonly description?: string
    }
    const schema = JSON.parse(read('values.schema.json')) as Schema
    const values = load(read('values.yaml')) as Readonly<Record<string, unknown>>
    const isMap = (value: unknown): value is Readonly<Record<string, unknown>> =>
      typeof value === 'object' && value !== null && !Array.isArray(value)

    /** Paths of the one and the other: leaves, and maps that are free in their keys. */
    const schemaPaths = ({ properties }: Schema, at: string): readonly string[] =>
      Object.entries(properties ?? {}).flatMap(([key, inner]) =>
        inner.properties === undefined ? [`${at}${key}`] : schemaPaths(inner, `${at}${key}.`),
      )
    const valuePaths = (
      object: Readonly<Record<string, unknown>>,
      { properties }: Schema,
      at: string,
    ): readonly string[] =>
      Object.entries(object).flatMap(([key, value]) => {
        const inner = properties?.[key]
        return isMap(value) && inner?.properties !== undefined
          ? valuePaths(value, inner, `${at}${key}.`)
          : [`${at}${key}`]
      })

    it('knows exactly the keys of values.yaml', () => {
      assert.deepEqual([...schemaPaths(schema, '')].sort(), [...valuePaths(values, schema, '')].sort())
    })

    it('has each value in the table of docs/install.md', () => {
      const section = readPage('docs/install.md').split('## Values')[1]!.split('###')[0]!
      const cells = [...section.matchAll(/^\| (`.*?`) \|/gm)].map((match) => match[1]!)
      const named = cells.flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1]!))
      assert.deepEqual(named.sort(), Object.keys(values).sort())
    })

    it('refuses unknown keys at every level that it describes', () => {
      const check = (inner: Schema, at: string): void => {
        if (inner.properties === undefined) return
        assert.equal(inner.additionalProperties, false, at)
        for (const [key, next] of Object.entries(inner.properties)) check(next, `${at}.${key}`)
      }
      check(schema, 'values')
    })
  })

  it('the dashboard asks only for metrics that there are', () => {
    const observe = join(root, 'src/observe')
    const code = readdirSync(observe)
      .map((file) => readFileSync(join(observe, file), 'utf8'))
      .join('\n')
    const known = new Set([...code.matchAll(/name: '(drawbridge_\w+)'/g)].map((match) => match[1]!))
    const asked = [...read('dashboards/drawbridge.json').matchAll(/drawbridge_\w+/g)].map(([name]) =>
      name.replace(/_(bucket|sum|count)$/, ''),
    )
    assert.ok(asked.length >= 10)
    assert.deepEqual(
      asked.filter((name) => !known.has(name)),
      [],
    )
  })
})
