import assert from 'node:assert/strict'

import type { FlaggedImage, QuarantineMode } from '../../src/policy/types.ts'
import { readMode, withBrake } from '../../src/verdicts/brake.ts'

const denied: FlaggedImage = { verdict: 'v', phase: 'denying', text: 'image "a" is denied: falco reported it' }
const warned: FlaggedImage = { verdict: 'w', phase: 'warning', text: 'image "b" is under suspicion: falco reported it' }
const find = (image: string): FlaggedImage | undefined => ({ a: denied, b: warned })[image]

describe('the brake', () => {
  const cases: readonly (readonly [QuarantineMode, string, FlaggedImage | undefined])[] = [
    ['enforce', 'a', denied],
    ['enforce', 'b', warned],
    ['enforce', 'c', undefined],
    [
      'warn',
      'a',
      {
        verdict: 'v',
        phase: 'warning',
        text: 'allowed while the brake is on (quarantine: warn): image "a" is denied: falco reported it',
      },
    ],
    ['warn', 'b', warned],
    ['warn', 'c', undefined],
    ['off', 'a', undefined],
    ['off', 'b', undefined],
  ]
  for (const [mode, image, expected] of cases) {
    it(`${mode}: image ${image} ${expected?.phase ?? 'is not flagged'}`, () =>
      assert.deepEqual(withBrake(find, () => mode)(image, 'shop'), expected))
  }

  it('is asked at each call, and keeps the text within 1 KiB', () => {
    let mode: QuarantineMode = 'enforce'
    const long = withBrake(
      () => ({ ...denied, text: '\u{1F300}'.repeat(256) }),
      () => mode,
    )
    assert.equal(long('a', undefined)?.phase, 'denying')
    mode = 'warn'
    assert.ok(Buffer.byteLength(long('a', undefined)!.text) <= 1024)
  })

  for (const [value, mode] of [
    ['enforce', 'enforce'],
    ['warn\n', 'warn'],
    [' OFF ', 'off'],
    ['', undefined],
    ['wran', undefined],
    [false, undefined],
    [undefined, undefined],
    [{ toString: () => 'off' }, undefined],
  ] as const) {
    it(`reads ${JSON.stringify(value)} as ${mode}`, () => assert.equal(readMode(value), mode))
  }
})
