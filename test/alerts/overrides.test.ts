import assert from 'node:assert/strict'
import { classify, mayWeigh, type ClassifiedAlert } from '../../src/alerts/classes.ts'
import { compileOverrides, type AttributedImage, type OverrideMatch } from '../../src/alerts/overrides.ts'

const DIGEST = `sha256:${'a'.repeat(64)}`
const OTHER = `sha256:${'b'.repeat(64)}`

const ALERT: ClassifiedAlert = {
  detector: 'falco',
  source: 'falcosidekick',
  rule: 'Drop and execute new binary in container',
  tags: ['T1059.004', 'container', 'mitre_persistence'],
  techniques: ['T1036'],
}
const IMAGE: AttributedImage = {
  namespace: 'ci',
  references: ['docker.io/library/golang:1.25'],
  digests: [DIGEST],
}

const options = (...matches: readonly OverrideMatch[]): Parameters<typeof classify>[1] => ({
  conditional: compileOverrides(matches.map((match, index) => ({ match, weight: index + 1 }))).overrides,
})

describe('alerts/overrides', () => {
  for (const [what, match, expected] of [
    ['rule', { rules: ['Other', 'Drop and execute new binary in container'] }, true],
    ['another rule', { rules: ['Other'] }, false],
    ['the beginning of a rule', { rules: ['Drop'] }, false],
    ['tag', { tags: ['container'] }, true],
    ['another tag', { tags: ['host'] }, false],
    ['technique', { techniques: ['T1036'] }, true],
    ['technique among the tags', { techniques: ['T1059.004'] }, true],
    ['technique of which it is a part', { techniques: ['T1059'] }, true],
    ['another part of the technique', { techniques: ['T1059.003'] }, false],
    ['a part of its technique', { techniques: ['T1036.005'] }, false],
    ['detector', { sources: ['falco'] }, true],
    ['road', { sources: ['falcosidekick'] }, true],
    ['another detector', { sources: ['tracee'] }, false],
    ['namespace', { namespaces: ['shop', 'ci'] }, true],
    ['another namespace', { namespaces: ['c'] }, false],
    ['image', { images: ['golang:1.25'] }, true],
    ['every tag', { images: ['golang'] }, true],
    ['pattern', { images: ['docker.io/library/*'] }, true],
    ['pattern of tags', { images: ['docker.io/library/golang:1.*'] }, true],
    ['pattern of another registry', { images: ['registry.example/library/*'] }, false],
    ['pattern of another folder', { images: ['docker.io/other/*'] }, false],
    ['digest', { images: [`golang@${DIGEST}`] }, true],
    ['another digest', { images: [`golang@${OTHER}`] }, false],
    ['digest in another repository', { images: [`nginx@${DIGEST}`] }, false],
    ['all of several', { rules: [ALERT.rule], tags: ['container'], namespaces: ['ci'], images: ['golang'] }, true],
    ['not all of several', { rules: [ALERT.rule], namespaces: ['shop'] }, false],
  ] as const satisfies readonly (readonly [string, OverrideMatch, boolean])[]) {
    it(`${expected ? 'matches' : 'does not match'} by ${what}`, () =>
      assert.equal(classify(ALERT, options(match), IMAGE).weight, expected ? 1 : 100))
  }

  it('takes an image that is deployed by digest by its repository or its digest, not by a tag', () => {
    const pinned = { ...IMAGE, references: [`docker.io/library/golang@${DIGEST}`] }
    assert.equal(classify(ALERT, options({ images: ['golang'] }), pinned).weight, 1)
    assert.equal(classify(ALERT, options({ images: [`golang@${DIGEST}`] }), pinned).weight, 1)
    assert.equal(classify(ALERT, options({ images: ['golang:*'] }), pinned).weight, 100)
  })

  it('applies the first that matches, and rules by name only where none does', () => {
    const both = {
      ...options({ tags: ['host'] }, { tags: ['container'] }, { namespaces: ['ci'] }),
      overrides: new Map([[ALERT.rule, { class: 'miner', weight: 70 }]]),
    }
    assert.deepEqual(classify(ALERT, both, IMAGE), { class: 'drop', subject: 'image', weight: 2 })
    assert.deepEqual(classify({ ...ALERT, tags: [] }, both), { class: 'miner', subject: 'image', weight: 70 })
  })

  it('never matches a namespace or an image that the alert only claims', () => {
    const claiming = { ...ALERT, namespace: 'ci', image: 'docker.io/library/golang:1.25' }
    for (const match of [{ namespaces: ['ci'] }, { images: ['docker.io/library/*'] }]) {
      assert.equal(classify(claiming, options(match)).weight, 100)
      assert.equal(classify(claiming, options(match), { references: [], digests: [] }).weight, 100)
    }
  })

  it('waits for the image where an override could give weight', () => {
    const shell = { ...ALERT, rule: 'Terminal shell in container' }
    assert.equal(mayWeigh(shell), false)
    assert.equal(mayWeigh(shell, options({ namespaces: ['ci'] })), true)
    assert.equal(mayWeigh(shell, options({ rules: ['Other'], namespaces: ['ci'] })), false)
    assert.equal(mayWeigh(ALERT, options({ rules: ['Other'], namespaces: ['ci'] })), true)
  })

  it('says which pattern is none, and matches nothing by it', () => {
    const { problems, overrides } = compileOverrides([
      { match: { images: ['golang', '*/golang'] }, weight: 0 },
      { match: { images: ['**'] }, weight: 0 },
    ])
    assert.deepEqual(problems, [
      'ruleOverrides.0.match.images.1: with "*" in it must begin with its registry, for example docker.io/',
      'ruleOverrides.1.match.images.0: "**" is not supported: "*" stays within one part between slashes',
    ])
    assert.equal(classify(ALERT, { conditional: overrides.slice(1) }, IMAGE).weight, 100)
  })
})
