import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { cleanText, cutBytes, printable } from '../../src/alerts/text.ts'

describe('alerts/text', () => {
  it('replaces controls, lone surrogates and bidi marks', () => {
    assert.equal(cleanText('a\u0000b\u001b[31m\ud800\u202e\u2028é😀'), 'a\uFFFDb\uFFFD[31m\uFFFD\uFFFD\uFFFDé😀')
  })
  it('escapes for one line', () => {
    assert.equal(printable('a"b\\c\nd\u202e', 40), 'a\\"b\\\\c\\u{a}d\\u{202e}')
    assert.equal(printable('abcdef', 3), 'abc...')
  })
  it('never exceeds its bounds, never leaves half a character, and cleaning twice changes nothing', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.nat(40), (text, max) => {
        const cleaned = cleanText(text, max)
        assert.ok(cleaned.length <= max)
        assert.equal(cleanText(cleaned, max), cleaned)
        assert.doesNotMatch(cleaned, /\p{Surrogate}/u)
        assert.ok(printable(text, max).length <= max + 3)
        assert.ok(Buffer.byteLength(cutBytes(text, max)) <= max)
      }),
    )
  })
})
