import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { BODY_LIMITS, splitBody } from '../../src/alerts/body.ts'

function split(text: string | Uint8Array, limits = BODY_LIMITS): unknown[] {
  const bytes = typeof text === 'string' ? Buffer.from(text) : text
  return [...splitBody(bytes, limits).items].map((item) =>
    'item' in item ? [item.line, item.item] : [item.line, item.refused.code],
  )
}

/** Milliseconds of processor time, the best of five: other programs on the machine do not count. */
const fastest = (text: string): number =>
  Math.min(
    ...[1, 2, 3, 4, 5].map(() => {
      const started = process.cpuUsage()
      split(text, { ...BODY_LIMITS, maxItems: 1_000_000 })
      return process.cpuUsage(started).user / 1000
    }),
  )

describe('alerts/body', () => {
  const cases: readonly (readonly [string, string, readonly unknown[]])[] = [
    ['nothing', '', []],
    ['white space', ' \r\n\n ', []],
    ['one object', '{"a":1}', [[1, { a: 1 }]]],
    ['one object after a byte order mark', '\uFEFF{"a":1}', [[1, { a: 1 }]]],
    ['nothing after a byte order mark', '\uFEFF', []],
    [
      'lines after a byte order mark, one of them broken',
      '\uFEFF{"a":1}\n{"a":\n{"a":3}',
      [
        [1, { a: 1 }],
        [2, 'not-json'],
        [3, { a: 3 }],
      ],
    ],
    ['one pretty-printed object', '{\n  "a": {\n    "b": [1, 2]\n  }\n}\n', [[1, { a: { b: [1, 2] } }]]],
    [
      'an array',
      '[{"a":1},{"a":2}]',
      [
        [1, { a: 1 }],
        [1, { a: 2 }],
      ],
    ],
    [
      'an array over lines',
      '[\n{"a":[1,{}]},\n\n{"a":"],{"}\n]',
      [
        [2, { a: [1, {}] }],
        [4, { a: '],{' }],
      ],
    ],
    ['an empty array', '[]', []],
    [
      'an array with a scalar',
      '[1,{"a":1}]',
      [
        [1, 1],
        [1, { a: 1 }],
      ],
    ],
    [
      'lines',
      '{"a":1}\n\n{"a":2}\r\n{"a":3}',
      [
        [1, { a: 1 }],
        [3, { a: 2 }],
        [4, { a: 3 }],
      ],
    ],
    [
      'concatenated objects',
      '{"a":1}{"a":2} {"a":3}',
      [
        [1, { a: 1 }],
        [1, { a: 2 }],
        [1, { a: 3 }],
      ],
    ],
    [
      'pretty-printed objects one after the other',
      '{\n "a": 1\n}\n{\n "a": 2\n}',
      [
        [1, { a: 1 }],
        [4, { a: 2 }],
      ],
    ],
    ['a scalar', '12', [[1, 12]]],
    [
      'a bad line between',
      '{"a":1}\nnonsense\n{"a":2}',
      [
        [1, { a: 1 }],
        [2, 'not-json'],
        [3, { a: 2 }],
      ],
    ],
    [
      'a scalar line between',
      '{"a":1}\n"x"\n{"a":2}',
      [
        [1, { a: 1 }],
        [2, 'not-an-object'],
        [3, { a: 2 }],
      ],
    ],
    [
      'a line cut in a string',
      '{"a":"x\n{"a":2}',
      [
        [1, 'not-json'],
        [2, { a: 2 }],
      ],
    ],
    [
      'a line cut after a key',
      '{"a":\n{"a":2}',
      [
        [1, 'not-json'],
        [2, { a: 2 }],
      ],
    ],
    [
      'a line cut in an array',
      '{"a":[\n{"a":2}\n{"a":3}',
      [
        [1, 'not-json'],
        [2, { a: 2 }],
        [3, { a: 3 }],
      ],
    ],
    [
      'a line cut after a value',
      '{"a":1\n{"a":2}\n{"a":3}',
      [
        [1, 'not-json'],
        [2, { a: 2 }],
        [3, { a: 3 }],
      ],
    ],
    [
      'a line with a closing bracket too many',
      '{"a":1]}\n{"a":2}',
      [
        [1, 'not-json'],
        [2, { a: 2 }],
      ],
    ],
    [
      'the last line cut',
      '{"a":1}\n{"a":2,"b',
      [
        [1, { a: 1 }],
        [2, 'not-json'],
      ],
    ],
    [
      'a broken pretty-printed object',
      '{\n  "a" 1,\n  "b": 2\n}\n{"a":2}',
      [
        [1, 'not-json'],
        [5, { a: 2 }],
      ],
    ],
    [
      'a broken element of an array',
      '[\n{"a":1},\n{"a":},\n{"a":3}\n]',
      [
        [2, { a: 1 }],
        [3, 'not-json'],
        [4, { a: 3 }],
      ],
    ],
    [
      'an array that is not closed',
      '[{"a":1},{"a":2}',
      [
        [1, { a: 1 }],
        [1, { a: 2 }],
      ],
    ],
    [
      'brackets in strings',
      '{"a":"}{\\"]["}\n{"a":"\\\\"}',
      [
        [1, { a: '}{"][' }],
        [2, { a: '\\' }],
      ],
    ],
  ]
  for (const [name, text, expected] of cases) {
    it(`splits ${name}`, () => assert.deepEqual(split(text), expected))
  }

  const LIST = '{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[{"a":1},{"a":2}]}'
  const lists: readonly (readonly [string, string, readonly unknown[]])[] = [
    [
      'one',
      LIST,
      [
        [1, { a: 1 }],
        [1, { a: 2 }],
      ],
    ],
    [
      'one a line, and an event by itself',
      `${LIST}\n{"kind":"Event"}\n${LIST}`,
      [
        [1, { a: 1 }],
        [1, { a: 2 }],
        [2, { kind: 'Event' }],
        [3, { a: 1 }],
        [3, { a: 2 }],
      ],
    ],
    [
      'an array of them',
      `[\n${LIST},\n{"a":3}]`,
      [
        [2, { a: 1 }],
        [2, { a: 2 }],
        [3, { a: 3 }],
      ],
    ],
    ['an empty one', '{"kind":"EventList","items":[]}', []],
    ['one without items', '{"kind":"EventList"}', [[1, { kind: 'EventList' }]]],
    ['one whose items are no list', '{"kind":"EventList","items":7}', [[1, { kind: 'EventList', items: 7 }]]],
    ['another list', '{"kind":"PodList","items":[1]}', [[1, { kind: 'PodList', items: [1] }]]],
    [
      'odd items',
      '{"kind":"EventList","items":[null,7,[{}]]}',
      [
        [1, null],
        [1, 7],
        [1, [{}]],
      ],
    ],
  ]
  for (const [name, text, expected] of lists) {
    it(`takes an audit EventList for its events: ${name}`, () => assert.deepEqual(split(text), expected))
  }

  it('bounds the events of an EventList', () => {
    const limits = { ...BODY_LIMITS, maxItems: 2 }
    assert.deepEqual(split(LIST.replace('{"a":2}', '{"a":2},{"a":3},{"a":4}'), limits), [
      [1, { a: 1 }],
      [1, { a: 2 }],
      [1, 'too-large'],
    ])
    assert.deepEqual(split(`${LIST}\n${LIST}`, limits), [
      [1, { a: 1 }],
      [1, { a: 2 }],
      [2, 'too-large'],
    ])
  })

  it('keeps a __proto__ key as an ordinary one', () => {
    const [item] = splitBody(Buffer.from('{"__proto__":{"rule":"x"}}')).items
    assert.ok(item !== undefined && 'item' in item)
    assert.deepEqual(Object.keys(item.item as object), ['__proto__'])
  })

  it('replaces bytes that are not UTF-8, says so and loses nothing', () => {
    const body = splitBody(Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xff, 0xc3]), Buffer.from('"}')]))
    assert.equal(body.replacedBytes, true)
    assert.deepEqual([...body.items], [{ line: 1, item: { a: '\uFFFD\uFFFD' } }])
    assert.equal(splitBody(Buffer.from('{"a":"é"}')).replacedBytes, false)
  })

  it('refuses what is nested too deeply and reads on', () => {
    const deep = `{"a":${'['.repeat(40)}${']'.repeat(40)}}`
    assert.deepEqual(split(`${deep}\n{"a":1}`), [
      [1, 'too-large'],
      [2, { a: 1 }],
    ])
    assert.deepEqual(split('['.repeat(100_000)), [])
    assert.deepEqual(split(`{"a":`.repeat(100_000)), [[1, 'too-large']])
  })

  it('bounds bytes and items', () => {
    assert.deepEqual(split('{"a":1}', { ...BODY_LIMITS, maxBytes: 6 }), [[1, 'too-large']])
    const many = split('{}\n{}\n{}\n{}', { ...BODY_LIMITS, maxItems: 2 })
    assert.deepEqual(many, [
      [1, {}],
      [2, {}],
      [3, 'too-large'],
    ])
    assert.deepEqual(split('[{},{},{}]', { ...BODY_LIMITS, maxItems: 2 }), [
      [1, {}],
      [1, {}],
      [1, 'too-large'],
    ])
  })

  it('gives up on a body of objects that never close, and says so', () => {
    const open = `{"text":"${'x'.repeat(400)}","a":[\n`
    const body = splitBody(Buffer.from(`{"first":1}\n${open.repeat(9_000)}{"last":1}`))
    const items = [...body.items]
    assert.deepEqual(items[0], { line: 1, item: { first: 1 } })
    assert.ok(items.length < 3_000, `${items.length} objects were tried`)
    assert.deepEqual(items.at(-1), {
      line: items.length,
      refused: { code: 'too-large', message: 'too many JSON objects that are not closed; the rest was not read' },
    })
    const few = split(`${'{"a":[\n'.repeat(200)}{"last":1}`)
    assert.deepEqual(few.at(-1), [201, { last: 1 }], 'a short body is read to its end')
  })

  it('reads on behind lines that were cut short, as far as the whole body allows', () => {
    const good = Array.from({ length: 5_000 }, (_, index) => `{"number":${index},"text":"${'x'.repeat(370)}"}\n`).join(
      '',
    )
    const cut = `{"a":"${'y'.repeat(2_000)}","b":[\n`.repeat(40)
    const items = split(`${good}${cut}{"last":1}\n{"last":2}\n{"last":3}\n`)
    assert.deepEqual(items.slice(-3), [
      [5_041, { last: 1 }],
      [5_042, { last: 2 }],
      [5_043, { last: 3 }],
    ])
  })

  it('numbers and reads a broken line after lines of characters of several bytes', () => {
    const items = split('{"a":"ä€😀"}\n\n{"b":"漢字"}\nno JSON {"c":1}\n{"d":"é"}\n')
    assert.deepEqual(items, [
      [1, { a: 'ä€😀' }],
      [3, { b: '漢字' }],
      [4, 'not-json'],
      [5, { d: 'é' }],
    ])
  })

  it('takes linear time: eight times the text takes nothing like sixty-four times as long', function () {
    this.timeout(60_000)
    const hostile: readonly ((size: number) => string)[] = [
      (size) => '{"a":[\n'.repeat(size / 7),
      (size) => '{"a":[\n'.repeat(31) + '{"b":1},\n'.repeat(size / 9),
      (size) => '{"a\n'.repeat(size / 4),
      (size) => `{"a":1${' '.repeat(size)}`,
      (size) => '{'.repeat(size),
      (size) => '{"a":1\n '.repeat(size / 8),
      (size) => `1${','.repeat(size)}x`,
      (size) => `{${'"a":1,'.repeat(size / 6)}\n`,
    ]
    for (const make of hostile) {
      const ratio = fastest(make(160_000)) / (fastest(make(20_000)) + 0.5)
      assert.ok(ratio < 32, `${JSON.stringify(make(20))}: ${ratio}`)
    }
  })

  it('never throws and gives back what was written, line by line, around any broken line', () => {
    fc.assert(
      fc.property(
        fc.array(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 }))),
        fc.string(),
        (objects, noise) => {
          const lines = objects.map((object) => JSON.stringify(object))
          const bad = noise.replace(/[\s[\],{]/g, '').trim()
          const text = [...lines, ...(bad === '' ? [] : [`!${bad}`]), ...lines].join('\n')
          const found = split(text).flatMap((entry) =>
            (entry as unknown[])[1] === 'not-json' ? [] : [(entry as unknown[])[1]],
          )
          const parsed = lines.map((line) => JSON.parse(line) as unknown)
          assert.deepEqual(found, [...parsed, ...parsed])
        },
      ),
    )
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void split(bytes)))
    const pieces = fc.constantFrom('{', '}', '[', ']', '"', ',', ':', '\n', '\\', 'a', '1', ' ', '{"a":1}')
    fc.assert(fc.property(fc.array(pieces, { maxLength: 60 }), (parts) => void split(parts.join(''))))
  })

  it('finds by the usual road, an object a line, what the slow one finds', () => {
    const deep = `${'{"a":'.repeat(40)}1${'}'.repeat(40)}`
    const lines = ['{"a":1}', '  {"b":[1,{}]} \r', '', ' ', '{"a":1}{"b":2}', '{"a":1},', '{"a":', '}', 'x'].concat(
      ['[{"c":1}]', deep, `{"many":[${'[],'.repeat(40)}1]}`, '{"text":"{ [ \\" }"}'],
      '{"kind":"EventList","items":[{"d":1},{"e":2}]}',
    )
    const limits = { ...BODY_LIMITS, maxItems: 12 }
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...lines), { minLength: 2, maxLength: 15 }), (chosen) => {
        const text = chosen.join('\n')
        // One mark is the encoding's; before the second no line is an object.
        if (!text.includes('[{"c":1}]')) assert.deepEqual(split(text, limits), split(`\uFEFF\uFEFF${text}`, limits))
        split(text, limits)
      }),
      { numRuns: 2000 },
    )
  })

  it('reads the bytes of a line as it would read the whole body, also those that are no UTF-8', () => {
    const bytes = [0x61, 0xc3, 0xa9, 0xe2, 0x82, 0xac, 0xf0, 0x9f, 0x98, 0x80, 0xef, 0xbb, 0xbf, 0xed, 0xa0, 0xff, 0x20]
    const text = fc.array(fc.constantFrom(...bytes), { maxLength: 8 })
    const space = fc.array(fc.constantFrom(0x20, 0x0d), { maxLength: 2 })
    fc.assert(
      fc.property(fc.array(fc.tuple(space, text), { minLength: 1, maxLength: 6 }), (lines) => {
        const body = Buffer.concat(
          lines.flatMap(([before, inner]) => [
            Buffer.from(before),
            Buffer.from('{"text":"'),
            Buffer.from(inner),
            Buffer.from('"}\n'),
          ]),
        )
        const whole = new TextDecoder().decode(body).trimEnd().split('\n')
        assert.deepEqual(
          split(body),
          whole.map((line, index) => [index + 1, JSON.parse(line) as unknown]),
        )
      }),
      { numRuns: 2000 },
    )
  })
})
