import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { matchImage, parseImagePattern } from '../../src/kube/imagePattern.ts'
import { parseReference } from '../../src/kube/reference.ts'

const A = `sha256:${'a'.repeat(64)}`
const B = `sha256:${'b'.repeat(64)}`

const match = (pattern: string, image: string): string => {
  const parsed = parseImagePattern(pattern)
  const reference = parseReference(image)
  assert.ok(parsed.pattern, `${pattern}: ${parsed.problem}`)
  assert.ok(reference, image)
  return matchImage(parsed.pattern, reference)
}

describe('image patterns', () => {
  for (const [pattern, image, expected] of [
    // The same image under every spelling.
    ['nginx:1.27', 'nginx:1.27', 'matches'],
    ['nginx:1.27', 'docker.io/library/nginx:1.27', 'matches'],
    ['index.docker.io/nginx:1.27', 'nginx:1.27', 'matches'],
    ['nginx:latest', 'nginx', 'matches'],
    ['Registry.Example/shop/web:1', 'registry.example/shop/web:1', 'matches'],
    ['localhost:5000/web:1', 'localhost:5000/web:1', 'matches'],
    // Anchored at both ends.
    ['registry.example/shop/web:1', 'registry.example/shop/web:1.1', 'other-image'],
    ['registry.example/shop/web:1', 'registry.example/shop/web:11', 'other-image'],
    ['registry.example/shop/web:1', 'registry.example/shop/webs:1', 'other-image'],
    ['registry.example/shop/web:1', 'registry.example/evil/shop/web:1', 'other-image'],
    ['registry.example/shop/web:1', 'evil.example/registry.example/shop/web:1', 'other-image'],
    ['registry.example/shop/web:1', 'registry.example.evil.com/shop/web:1', 'other-image'],
    ['registry.example/shop/web:1', 'registry.example:444/shop/web:1', 'other-image'],
    ['nginx:1.27', 'evil/nginx:1.27', 'other-image'],
    ['nginx:1.27', 'evil.example/library/nginx:1.27', 'other-image'],
    // A star stays in its component and is never implied.
    ['registry.example/shop/*:1', 'registry.example/shop/web:1', 'matches'],
    ['registry.example/shop/*:1', 'registry.example/shop/web/evil:1', 'other-image'],
    ['registry.example/shop/*:1', 'registry.example/shop:1', 'other-image'],
    ['registry.example/*/web:1', 'registry.example/shop/web:1', 'matches'],
    ['registry.example/*/web:1', 'registry.example/a/b/web:1', 'other-image'],
    ['registry.example/shop/web-*:1', 'registry.example/shop/web-front:1', 'matches'],
    ['registry.example/shop/web-*:1', 'registry.example/shop/web:1', 'other-image'],
    ['registry.example/shop/*-web:1', 'registry.example/shop/my-web:1', 'matches'],
    ['registry.example/shop/*-web:1', 'registry.example/shop/my-web-evil:1', 'other-image'],
    ['registry.example/shop/a*b*c:1', 'registry.example/shop/abbc:1', 'matches'],
    ['registry.example/shop/ab*ba:1', 'registry.example/shop/aba:1', 'other-image'],
    ['registry.example/shop/a*b*b:1', 'registry.example/shop/ab:1', 'other-image'],
    ['docker.io/*:1', 'nginx:1', 'matches'],
    ['docker.io/*:1', 'evil/nginx:1', 'other-image'],
    // Tags.
    ['registry.example/shop/web:*', 'registry.example/shop/web:2', 'matches'],
    ['registry.example/shop/web:1.*', 'registry.example/shop/web:1.9', 'matches'],
    ['registry.example/shop/web:1.*', 'registry.example/shop/web:11', 'other-image'],
    ['registry.example/shop/web:*-fips', 'registry.example/shop/web:1-fips', 'matches'],
    ['registry.example/shop/web:*-fips', 'registry.example/shop/web:1-fips-evil', 'other-image'],
    ['registry.example/shop/web', 'registry.example/shop/web:1', 'pattern-without-tag'],
    ['registry.example/shop/web', 'registry.example/shop/web', 'pattern-without-tag'],
    ['registry.example/shop/web', 'registry.example/shop/evil', 'other-image'],
    // Digests: they decide alone.
    [`registry.example/shop/web@${A}`, `registry.example/shop/web@${A}`, 'matches'],
    [`registry.example/shop/web@${A}`, `registry.example/shop/web:9@${A}`, 'matches'],
    [`registry.example/shop/web@${A}`, `registry.example/shop/web@${B}`, 'other-image'],
    [`registry.example/shop/web@${A}`, `registry.example/evil/web@${A}`, 'other-image'],
    [`registry.example/shop/web@${A}`, 'registry.example/shop/web:1', 'other-image'],
    [`registry.example/shop/*@${A}`, `registry.example/shop/web@${A}`, 'matches'],
    ['registry.example/shop/web:1', `registry.example/shop/web:1@${B}`, 'reference-by-digest'],
    ['registry.example/shop/web:*', `registry.example/shop/web@${B}`, 'reference-by-digest'],
  ] as const) {
    it(`${pattern.replace(A, 'A')} and ${image.replace(A, 'A').replace(B, 'B')}: ${expected}`, () =>
      assert.equal(match(pattern, image), expected))
  }

  for (const [pattern, problem] of [
    ['', 'is empty'],
    ['*', 'with "*" in it must begin with its registry, for example docker.io/'],
    ['*/web:1', 'with "*" in it must begin with its registry, for example docker.io/'],
    ['*.example/web:1', 'with "*" in it must begin with its registry, for example docker.io/'],
    ['registry*.example/web:1', 'with "*" in it must begin with its registry, for example docker.io/'],
    ['shop/*:1', 'with "*" in it must begin with its registry, for example docker.io/'],
    ['ngin*:1', 'with "*" in it must begin with its registry, for example docker.io/'],
    ['registry.example/**:1', '"**" is not supported: "*" stays within one part between slashes'],
    ['registry.example/shop/web:**', '"**" is not supported: "*" stays within one part between slashes'],
    [A, 'a digest needs its repository: repository@sha256:...'],
    ['registry.example/web@sha256:abc', 'the digest must be sha256: and 64 hex digits'],
    ['registry.example/web@sha256:*', 'the digest must be sha256: and 64 hex digits'],
    [`registry.example/web:1@${A}`, 'a tag beside a digest means nothing: leave it out'],
    ['registry.example/web:', 'the tag is none'],
    ['registry.example/web:a b', 'the tag is none'],
    ['registry.example/Web:1', 'is no image reference'],
    ['registry.example/we?:1', 'is no image reference'],
    ['registry.example/[ab]:1', 'is no image reference'],
    ['registry.example/web\u200b:1', 'is no image reference'],
    ['a'.repeat(513), 'is longer than 512 characters'],
  ] as const) {
    it(`refuses ${pattern.slice(0, 40).replace('\u200b', '(zero width)')}: ${problem}`, () =>
      assert.deepEqual(parseImagePattern(pattern), { problem }))
  }

  it('says which patterns are mutable', () => {
    assert.equal(parseImagePattern('nginx:1').pattern?.mutable, true)
    assert.equal(parseImagePattern(`nginx@${A}`).pattern?.mutable, false)
  })

  it('agrees with a regular expression, and never throws', () => {
    const piece = fc.stringMatching(/^[ab]{0,3}$/)
    fc.assert(
      fc.property(fc.array(piece, { minLength: 1, maxLength: 4 }), fc.stringMatching(/^[ab]{1,8}$/), (pieces, tag) => {
        const glob = pieces.join('*')
        fc.pre(glob !== '' && !glob.includes('**'))
        const expected = new RegExp(`^${glob.replaceAll('*', '.*')}$`).test(tag)
        assert.equal(match(`r.io/x:${glob}`, `r.io/x:${tag}`) === 'matches', expected)
      }),
      { numRuns: 1000 },
    )
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => void parseImagePattern(text)))
  })
})
