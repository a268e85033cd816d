import assert from 'node:assert/strict'
import { epochTime, nanosecondTime, parseEventTime } from '../../src/alerts/time.ts'

describe('alerts/time', () => {
  const good: readonly (readonly [string, string])[] = [
    ['2026-11-22T05:57:29.490412397Z', '2026-11-22T05:57:29.490412397Z'],
    ['2026-11-22T05:57:29.4904Z', '2026-11-22T05:57:29.490400000Z'],
    ['2026-11-22T05:57:29Z', '2026-11-22T05:57:29.000000000Z'],
    ['2026-11-22T06:57:29.5+01:00', '2026-11-22T05:57:29.500000000Z'],
    ['2026-11-22T00:27:29.5-0530', '2026-11-22T05:57:29.500000000Z'],
    ['2026-07-11T09:44:58.682419669+0000', '2026-07-11T09:44:58.682419669Z'],
    ['2026-11-22T05:57:29.1234567899Z', '2026-11-22T05:57:29.123456789Z'],
    ['2026-12-31T23:59:60Z', '2027-01-01T00:00:00.000000000Z'],
    ['1969-12-31T23:59:59.999Z', '1969-12-31T23:59:59.999000000Z'],
    [' 2026-11-22 05:57:29z ', '2026-11-22T05:57:29.000000000Z'],
  ]
  for (const [text, expected] of good) {
    it(`reads ${text}`, () => {
      const read = parseEventTime(text)
      assert.equal(read?.timeText, expected)
      assert.equal(read?.time, Date.parse(`${expected.slice(0, 23)}Z`))
    })
  }
  for (const text of [
    '',
    'yesterday',
    '2026-11-22',
    '2026-11-22T05:57:29',
    '2026-02-30T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-11-22T24:00:00Z',
    '2026-11-22T05:57:29.Z',
    '1795327049490412397',
    '9999-12-31T23:59:59-01:00',
    '0000-01-01T00:00:00+01:00',
    `2026-11-22T05:57:29.${'1'.repeat(100)}Z`,
  ]) {
    it(`refuses ${JSON.stringify(text.slice(0, 40))}`, () => assert.equal(parseEventTime(text), undefined))
  }

  it('reads seconds and nanoseconds since the epoch', () => {
    const cases: readonly (readonly [number, number, string | undefined])[] = [
      [1795327049, 490_412_397, '2026-11-22T05:57:29.490412397Z'],
      [1795327049, 7, '2026-11-22T05:57:29.000000007Z'],
      [0, 0, '1970-01-01T00:00:00.000000000Z'],
      [253_402_300_799, 999_999_999, '9999-12-31T23:59:59.999999999Z'],
      [253_402_300_800, 0, undefined],
      [-1, 0, undefined],
      [1.5, 0, undefined],
      [1, 1e9, undefined],
      [1, -1, undefined],
      [NaN, 0, undefined],
    ]
    for (const [seconds, nanoseconds, expected] of cases) {
      const read = epochTime(seconds, nanoseconds)
      assert.equal(read?.timeText, expected)
      if (expected !== undefined) assert.equal(read?.time, Date.parse(`${expected.slice(0, 23)}Z`))
    }
  })

  it('reads nanoseconds to the microsecond, the same as a number, as digits and as a shipper writes the number again', () => {
    const digits = '1745555437776373143'
    const texts = [Number(digits), digits, JSON.parse(String(Number(digits)))].map((value) => nanosecondTime(value))
    assert.deepEqual(
      texts.map((read) => read?.timeText),
      Array(3).fill('2025-04-25T04:30:37.776373000Z'),
    )
    for (const value of ['', '-1', '1e3', '1'.repeat(20), -1, NaN, Infinity, 1e30, null, {}, []]) {
      assert.equal(nanosecondTime(value), undefined)
    }
  })
})
