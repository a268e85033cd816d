import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { age, clean, table, wrap } from '../../src/cli/io.ts'

describe('wrap', () => {
  for (const [what, line, columns, indent, expected] of [
    ['a short line', 'one two', 40, 2, 'one two'],
    ['a line without a width', 'x '.repeat(100), undefined, 2, 'x '.repeat(100)],
    [
      'a long line',
      'aaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbb cccccccccc',
      41,
      2,
      'aaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbb\n  cccccccccc',
    ],
    [
      'an indented line',
      `  - ${'word '.repeat(10)}end`,
      40,
      4,
      '  - word word word word word word word\n    word word word end',
    ],
    ['a word that is too long', `short ${'x'.repeat(60)} short`, 40, 2, `short\n  ${'x'.repeat(60)}\n  short`],
    ['a very narrow terminal', 'a'.repeat(30) + ' bbbb', 3, 2, `${'a'.repeat(30)} bbbb`],
  ] as const) {
    it(`breaks ${what} at spaces only`, () => assert.equal(wrap(line, columns, indent), expected))
  }

  it('changes nothing but spaces, and keeps to the width where words allow it', () => {
    const words = fc.array(
      fc.string({ minLength: 1, maxLength: 30 }).filter((word) => !/\s/.test(word)),
      { minLength: 1 },
    )
    fc.assert(
      fc.property(words, fc.integer({ min: 40, max: 120 }), (some, columns) => {
        const wrapped = wrap(some.join(' '), columns, 4)
        assert.deepEqual(wrapped.split(/\s+/), some)
        for (const line of wrapped.split('\n')) assert.ok(line.length <= columns, line)
      }),
    )
  })
})

describe('table', () => {
  it('lays out columns and pads none at the end', () => {
    assert.equal(
      table(
        ['NAME', 'PHASE'],
        [
          ['a', 'denying'],
          ['long-name', 'x'],
        ],
      ),
      'NAME       PHASE\na          denying\nlong-name  x\n',
    )
  })

  it('lets no cell move the cursor', () => {
    assert.equal(table(['A', 'B'], [['\u001b[2Jx', 'a\nb\u202e']]), 'A      B\n?[2Jx  a?b?\n')
  })
})

describe('clean', () => {
  it('never lets a control character through', () => {
    // oxlint-disable-next-line no-control-regex
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => !/[\u0000-\u001f\u007f-\u009f]/.test(clean(text))))
  })
})

describe('age', () => {
  for (const [milliseconds, expected] of [
    [-5, '0s'],
    [119_999, '119s'],
    [120_000, '2m'],
    [7_199_999, '119m'],
    [7_200_000, '2h'],
    [172_800_000, '2d'],
  ] as const)
    it(`writes ${milliseconds} ms as ${expected}`, () => assert.equal(age(milliseconds), expected))
})
