import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { splitBody } from '../../src/alerts/body.ts'
import { captureParts, type CapturePart } from '../../src/correlator/captureParts.ts'

async function parts(
  blocks: Iterable<string | Uint8Array>,
  options?: Parameters<typeof captureParts>[1],
): Promise<readonly CapturePart[]> {
  const all: CapturePart[] = []
  for await (const part of captureParts(
    [...blocks].map((block) => Buffer.from(block)),
    options,
  ))
    all.push(part)
  return all
}

const texts = (found: readonly CapturePart[]): readonly string[] =>
  found.map(({ bytes }) => Buffer.from(bytes).toString('utf8'))

const blocksOf = (text: Uint8Array, size: number): Uint8Array[] =>
  Array.from({ length: Math.ceil(text.length / size) }, (_, n) => text.subarray(n * size, (n + 1) * size))

describe('correlator/captureParts', () => {
  for (const [what, blocks, expected] of [
    ['NDJSON', ['{"a":1}\n{"b":2}\n', '{"c":3}\n'], ['{"a":1}\n', '{"b":2}\n', '{"c":3}\n']],
    ['a value over two blocks', ['{"a":1}\n{"b"', ':2}\n{"c":3}'], ['{"a":1}\n', '{"b":2}\n', '{"c":3}']],
    ['a cut between two blocks', ['{"a":1}\n', '{"b":2}\n{"c":3}'], ['{"a":1}\n{"b":2}\n', '{"c":3}']],
    ['carriage returns and empty lines', ['{"a":1}\r\n\r\n{"b":2}'], ['{"a":1}\r\n\r\n', '{"b":2}']],
    [
      'pretty-printed objects',
      ['{\n  "a": {\n    "b": 1\n  }\n}\n{\n  "c": 2\n}'],
      ['{\n  "a": {\n    "b": 1\n  }\n}\n', '{\n  "c": 2\n}'],
    ],
    ['one array', ['[\n{"a":1},\n{"b":2}\n]'], ['[\n{"a":1},\n{"b":2}\n]']],
    ['a line that was cut short', ['{"a":"x\n{"b":2}\n{"c":3}\n'], ['{"a":"x\n{"b":2}\n', '{"c":3}\n']],
    ['nothing', [], ['']],
    ['no object', ['nonsense\nnonsense\n'], ['nonsense\nnonsense\n']],
  ] as const) {
    it(`cuts ${what}`, async () => {
      const found = await parts(blocks, { partBytes: 1 })
      assert.deepEqual(texts(found), expected)
      assert.equal(found[0]?.whole, expected.length === 1)
    })
  }

  it('leaves a short capture whole', async () =>
    assert.deepEqual(texts(await parts(['{"a":1}\n{"b":2}\n'])), ['{"a":1}\n{"b":2}\n']))

  it('stops reading one value that is too long', async () => {
    const found = await parts(['{"a":"', 'x'.repeat(50), 'y'.repeat(50), '"}\n{"b":2}'], {
      partBytes: 10,
      maxBytes: 40,
    })
    assert.deepEqual(texts(found), [`{"a":"${'x'.repeat(50)}`])
  })

  it('finds the same values on the same lines, however it is cut', async () => {
    const value = fc.oneof(
      fc.dictionary(fc.string(), fc.string()).map((item) => JSON.stringify(item)),
      fc.dictionary(fc.string(), fc.nat()).map((item) => JSON.stringify(item, undefined, 2)),
      fc.constantFrom('nonsense', '', '[1]', '{"broken": "', '{"é": "日本"}'),
    )
    await fc.assert(
      fc.asyncProperty(
        fc.array(value, { maxLength: 12 }),
        fc.constantFrom('\n', '\r\n', '\n\n'),
        fc.integer({ min: 1, max: 20 }),
        async (values, separator, size) => {
          const bytes = Buffer.from(values.join(separator))
          const found = await parts(blocksOf(bytes, size), { partBytes: 1 })
          assert.equal(Buffer.concat(found.map((part) => part.bytes)).compare(bytes), 0)
          if (values.some((text) => text.startsWith('{"broken'))) return
          const items = found.flatMap((part) =>
            [...splitBody(part.bytes).items].map((item) => ({ ...item, line: item.line + part.linesBefore })),
          )
          assert.deepEqual(items, [...splitBody(bytes).items])
        },
      ),
    )
  })
})
