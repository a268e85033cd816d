import assert from 'node:assert/strict'
import * as fc from 'fast-check'

import { decodeWithoutManagedFields } from '../../src/kube/managedFields.ts'
import { LARGE, reviewOf } from '../bench/reviews.ts'

const decode = (json: string): string => decodeWithoutManagedFields(Buffer.from(json))

/** What the scanner must amount to, the slow way. */
const emptied = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value), (key, inner: unknown) =>
    key === 'managedFields' && Array.isArray(inner) ? [] : inner,
  )

describe('decodeWithoutManagedFields', () => {
  const rows: readonly { readonly what: string; readonly json: string; readonly wanted: string }[] = [
    { what: 'the list', json: '{"managedFields":[{"a":1}],"b":2}', wanted: '{"managedFields":[],"b":2}' },
    { what: 'an empty list', json: '{"managedFields":[]}', wanted: '{"managedFields":[]}' },
    { what: 'lists in lists', json: '{"managedFields":[[[]],[1]],"b":[3]}', wanted: '{"managedFields":[],"b":[3]}' },
    {
      what: 'brackets in texts',
      json: '{"managedFields":["]",{"]":"[\\"]"}],"b":"]"}',
      wanted: '{"managedFields":[],"b":"]"}',
    },
    {
      what: 'a text that ends in a backslash',
      json: '{"managedFields":["\\\\"],"b":2}',
      wanted: '{"managedFields":[],"b":2}',
    },
    {
      what: 'of both objects of an update',
      json: '{"object":{"managedFields":[1]},"oldObject":{"managedFields":[2]}}',
      wanted: '{"object":{"managedFields":[]},"oldObject":{"managedFields":[]}}',
    },
    {
      what: 'the key in another list of that key',
      json: '{"managedFields":[{"managedFields":[1]}],"b":2}',
      wanted: '{"managedFields":[],"b":2}',
    },
    { what: 'nothing in a text', json: '{"a":"\\"managedFields\\":[1]"}', wanted: '{"a":"\\"managedFields\\":[1]"}' },
    {
      what: 'nothing in a text that holds the very bytes',
      json: '{"a":"x\\"managedFields","b":[1]}',
      wanted: '{"a":"x\\"managedFields","b":[1]}',
    },
    { what: 'nothing under a longer key', json: '{"x\\"managedFields":[1]}', wanted: '{"x\\"managedFields":[1]}' },
    { what: 'nothing under a key that ends so', json: '{"unmanagedFields":[1]}', wanted: '{"unmanagedFields":[1]}' },
    { what: 'no other kind of value', json: '{"managedFields":{"a":[1]}}', wanted: '{"managedFields":{"a":[1]}}' },
    { what: 'no list behind white space', json: '{"managedFields": [1]}', wanted: '{"managedFields": [1]}' },
    { what: 'no list without an end', json: '{"managedFields":[1,"]', wanted: '{"managedFields":[1,"]' },
    {
      what: 'letters of more than one byte',
      json: '{"ä":"…","managedFields":["😀]"],"ö":"😀"}',
      wanted: '{"ä":"…","managedFields":[],"ö":"😀"}',
    },
    { what: 'nothing at all', json: '', wanted: '' },
  ]
  for (const { what, json, wanted } of rows) it(`takes out ${what}`, () => assert.equal(decode(json), wanted))

  it('changes nothing else in whatever JSON', () => {
    // Keys and texts that could mislead a scanner, beside ordinary ones.
    const word = fc.oneof(
      fc.constantFrom('managedFields', '"managedFields":[', '\\"managedFields":[', '\\', '"', '[', ']', '\\"', 'ä😀'),
      fc.string({ unit: 'binary', maxLength: 6 }),
    )
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 5 },
        word,
        fc.integer(),
        fc.constant(null),
        fc.array(tie('value'), { maxLength: 4 }),
        fc.dictionary(word, tie('value'), { maxKeys: 4, noNullPrototype: true }),
        fc.record({ managedFields: fc.array(tie('value'), { maxLength: 3 }), after: tie('value') }),
      ),
    }))
    fc.assert(
      fc.property(value, (json) => {
        assert.deepEqual(JSON.parse(decode(JSON.stringify(json))), emptied(json))
      }),
      { numRuns: 2000 },
    )
  })

  it('takes half of what is there to parse', () => {
    for (const options of [{}, LARGE]) {
      const json = JSON.stringify(reviewOf('shop', options))
      const ratio = decode(json).length / json.length
      assert.ok(ratio < 0.65, `${ratio} is left`)
    }
  })

  it('takes time that grows with the text, whatever is in it', () => {
    // 4 MB that a scanner which began anew at each key would take hours for.
    const json = '{"managedFields":['.repeat(250_000)
    assert.equal(decode(json), json)
  })
})
