import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { printable, shorten } from '../../src/kube/text.ts'

describe('printable', () => {
  const cases: readonly (readonly [string, string, number, string])[] = [
    ['plain text', 'SYS_ADMIN, NET_RAW', 80, 'SYS_ADMIN, NET_RAW'],
    ['line ends and escapes', 'a\nb\r\u001b[31m', 80, 'a\\u{a}b\\u{d}\\u{1b}[31m'],
    ['right-to-left and zero-width characters', 'a\u202eb\u200bc', 80, 'a\\u{202e}b\\u{200b}c'],
    ['a look-alike letter', 'n\u0261inx', 80, 'n\\u{261}inx'],
    ['a character beyond the first plane', 'x\u{1f600}', 80, 'x\\u{1f600}'],
    ['a lone surrogate', 'x\ud800y', 80, 'x\\u{d800}y'],
    ['too long', 'abcdefghijklmnopqrstuvwxyz', 11, 'abcd...wxyz'],
  ]
  for (const [name, text, max, expected] of cases) {
    it(name, () => {
      assert.equal(printable(text, max), expected)
    })
  }

  it('is printable ASCII and never longer than asked, whatever the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.integer({ min: 3, max: 60 }), (text, max) => {
        const shown = printable(text, max)
        assert.ok(shown.length <= max)
        assert.match(shown, /^[\x20-\x7e]*$/u)
      }),
    )
  })
})

describe('shorten', () => {
  it('keeps both ends', () => {
    assert.equal(shorten('abcdefgh', 8), 'abcdefgh')
    assert.equal(shorten('abcdefghi', 8), 'abc...hi')
    assert.equal(shorten('abcdefghi', 3), '...')
  })
})
