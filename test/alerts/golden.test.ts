/**
 * Every sample file through its decoder, compared with a committed result. After a change that is meant: `UPDATE_GOLDEN=yes npx mocha -g golden`, then read the
 * difference line by line.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { BODY_LIMITS, splitBody } from '../../src/alerts/body.ts'
import { findSource, sources } from '../../src/alerts/sources/index.ts'
import type { RuntimeAlert, SensorSource } from '../../src/alerts/types.ts'

const FIXTURES = new URL('../../../test/fixtures/alerts/', import.meta.url)
const UPDATE = process.env['UPDATE_GOLDEN'] !== undefined

/** Folder -> source; `undefined`: a format of nobody's. */
const FOLDERS: Readonly<Record<string, string | undefined>> = {
  falco: 'falco',
  'falco-made': 'falco',
  falcosidekick: 'falcosidekick',
  'k8s-audit': 'k8s-audit',
  'k8s-audit-falco': 'k8s-audit',
  kubearmor: 'kubearmor',
  'kubescape-node-agent': undefined,
  tetragon: 'tetragon',
  'tetragon-honeycluster': 'tetragon',
  tracee: 'tracee',
}

interface Result {
  readonly findings: readonly RuntimeAlert[]
  /** Reason -> how many. */
  readonly telemetry: Readonly<Record<string, number>>
  /** `line: code`. */
  readonly refused: readonly string[]
}

const filesOf = (folder: string): readonly string[] =>
  readdirSync(new URL(`${folder}/`, FIXTURES))
    .filter((name) => name !== 'SOURCES.txt')
    .sort()

function decodeFile(source: SensorSource, folder: string, name: string): Result {
  const findings: RuntimeAlert[] = []
  const telemetry: Record<string, number> = {}
  const refused: string[] = []
  const bytes = readFileSync(new URL(`${folder}/${name}`, FIXTURES))
  for (const entry of splitBody(bytes, { ...BODY_LIMITS, ...source.bodyLimits }).items) {
    const decoded = 'refused' in entry ? { kind: 'refused' as const, ...entry.refused } : source.decode(entry.item)
    if (decoded.kind === 'finding') findings.push(decoded.alert)
    else if (decoded.kind === 'telemetry') telemetry[decoded.reason] = (telemetry[decoded.reason] ?? 0) + 1
    else refused.push(`${entry.line}: ${decoded.code}`)
  }
  return { findings, telemetry, refused }
}

describe('alerts: golden decodes', () => {
  it('cover every folder of samples, each with its origin, and every source', () => {
    const folders = readdirSync(FIXTURES, { withFileTypes: true }).filter((entry) => entry.isDirectory())
    assert.deepEqual(folders.map(({ name }) => name).sort(), [...Object.keys(FOLDERS), 'golden'].sort())
    for (const folder of Object.keys(FOLDERS)) {
      assert.ok(readdirSync(new URL(`${folder}/`, FIXTURES)).includes('SOURCES.txt'), folder)
    }
    const covered = new Set(Object.values(FOLDERS).filter((name) => name !== undefined))
    assert.deepEqual([...covered].sort(), sources.map(({ name }) => name).sort())
  })

  for (const [folder, name] of Object.entries(FOLDERS)) {
    if (name === undefined) continue
    it(`of ${folder} are as committed`, () => {
      const source = findSource(name) ?? assert.fail(name)
      const results = Object.fromEntries(filesOf(folder).map((file) => [file, decodeFile(source, folder, file)]))
      const golden = new URL(`golden/${folder}.json`, FIXTURES)
      if (UPDATE) writeFileSync(golden, `${JSON.stringify(results, undefined, 1)}\n`)
      assert.deepEqual(JSON.parse(JSON.stringify(results)), JSON.parse(readFileSync(golden, 'utf8')))
    })
  }

  it('of a foreign format are refusals, whichever sensor it is sent as', () => {
    for (const source of sources) {
      for (const file of filesOf('kubescape-node-agent')) {
        const { findings, telemetry, refused } = decodeFile(source, 'kubescape-node-agent', file)
        assert.deepEqual([findings.length, telemetry], [0, {}], source.name)
        assert.ok(refused.length > 20, source.name)
      }
    }
  })

  it('of one sensor sent as another are never findings', () => {
    for (const [folder, own] of Object.entries(FOLDERS)) {
      for (const source of sources) {
        const family = source.name === own || (own?.startsWith('falco') === true && source.name.startsWith('falco'))
        if (family) continue
        for (const file of filesOf(folder)) {
          assert.deepEqual(decodeFile(source, folder, file).findings, [], `${folder}/${file} as ${source.name}`)
        }
      }
    }
  })
})
