import assert from 'node:assert/strict'
import { boundFacts, MAX_FACTS_BYTES } from '../../src/verdicts/bounds.ts'
import { noFacts } from '../../src/verdicts/merge.ts'
import type { VerdictFacts } from '../../src/verdicts/types.ts'
import { contribution, evidence, facts, NOW } from '../correlator/support.ts'

const digest = (n: number): string => `sha256:${n.toString(16).padStart(64, '0')}`
const bytes = (value: unknown): number => Buffer.byteLength(JSON.stringify(value))

describe('verdicts/bounds', () => {
  it('sorts contributions and names, and keeps each once', () => {
    const owners = ['shop/Deployment/b', 'shop/Deployment/a', 'shop/Deployment/c']
    const bound = boundFacts({
      ...facts(owners.map((owner) => contribution({ owner }))),
      digests: [digest(2), digest(1), digest(2)],
      references: ['r.example/b:1', 'r.example/b:1', 'r.example/a:1'],
    })
    assert.deepEqual(
      Object.values(bound.contributions).map(({ owner }) => owner),
      [...owners].sort(),
    )
    assert.deepEqual(bound.digests, [digest(1), digest(2)])
    assert.deepEqual(bound.references, ['r.example/a:1', 'r.example/b:1'])
    // Sorted, but not each once.
    assert.deepEqual(boundFacts({ ...noFacts, digests: [digest(1), digest(1)] }).digests, [digest(1)])
  })

  const many = (length: number): readonly number[] => Array.from({ length }, (_, n) => n)
  const cases: readonly (readonly [string, Partial<VerdictFacts>, (bound: VerdictFacts) => boolean])[] = [
    ['many digests', { digests: many(40).map(digest) }, ({ digests }) => digests.length === 16],
    [
      'many references',
      { references: many(90).map((n) => `r.example/${String(n).padStart(3, '0')}:1`) },
      ({ references }) => references.length === 32,
    ],
    [
      'long references',
      { references: many(5).map((n) => `r.example/${n}${'a'.repeat(480)}`) },
      ({ references }) => references.length === 2 && bytes(references) <= 1200,
    ],
    [
      'many contributions',
      facts(many(90).map((n) => contribution({ owner: `o${n}`, class: 'x' }))),
      ({ contributions }) => Object.keys(contributions).length < 64,
    ],
    [
      'few pieces of evidence, of characters that need three bytes',
      {
        evidence: many(4).map((n) =>
          evidence({
            key: `k${n}`,
            rule: '€'.repeat(256),
            namespace: '€'.repeat(128),
            pod: '€'.repeat(128),
            target: '€'.repeat(128),
          }),
        ),
      },
      ({ evidence: kept }) => kept.length > 0 && kept.length < 4,
    ],
    [
      'the words of people beside much evidence',
      {
        confirm: { by: '"'.repeat(256), reason: '"'.repeat(256), at: NOW },
        mute: { by: '"'.repeat(256), reason: '"'.repeat(256), at: NOW },
        evidence: many(10).map((n) => evidence({ key: `k${n}`, rule: 'r'.repeat(250) })),
      },
      ({ evidence: kept, confirm, mute }) => kept.length < 10 && confirm !== undefined && mute !== undefined,
    ],
    [
      'a long contribution beside names, decisions and evidence at their bounds: evidence gives way',
      {
        ...facts([contribution({ owner: 'o'.repeat(256), class: 'c'.repeat(64) })]),
        digests: many(16).map(digest),
        references: many(2).map((n) => `r.example/${n}${'a'.repeat(500)}`),
        confirm: { by: '"'.repeat(256), reason: '"'.repeat(256), at: NOW },
        mute: { by: '"'.repeat(256), reason: '"'.repeat(256), at: NOW },
        evidence: many(10).map((n) => evidence({ key: `k${n}`, rule: 'r'.repeat(250) })),
      },
      ({ contributions }) => Object.keys(contributions).length === 1,
    ],
  ]
  for (const [what, given, holds] of cases) {
    it(`bounds ${what}`, () => {
      const bound = boundFacts({ ...noFacts, ...given })
      assert.ok(holds(bound), JSON.stringify(bound).slice(0, 2000))
      const { release: _release, confirm, mute, muted: _muted, ...others } = bound
      assert.ok(bytes(others) + Math.min(2000, bytes({ confirm, mute })) <= MAX_FACTS_BYTES + 100)
      assert.deepEqual(boundFacts(bound), bound)
    })
  }
})
