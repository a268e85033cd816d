import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { mergeFacts } from '../../src/verdicts/merge.ts'
import { decidePhase, factsToExtend, isFlagged, isStricter, reasonCode } from '../../src/verdicts/phase.ts'
import type { ImageVerdict, VerdictFacts } from '../../src/verdicts/types.ts'
import { contribution, facts, HOUR, NOW, verdict } from '../correlator/support.ts'

const NAME = `sha256-${'a'.repeat(64)}`
const DAY = 24 * HOUR
const RELEASE = { by: 'ann', reason: 'was a test', at: NOW + HOUR, as: 'fixed' as const }

function decide(given: VerdictFacts, previous?: ImageVerdict, now = NOW): ImageVerdict {
  return decidePhase(NAME, given, previous, now)
}

describe('verdicts/phase', () => {
  const cases: readonly (readonly [string, VerdictFacts, string, string, number])[] = [
    [
      'a sensitive read',
      facts([contribution({ class: 'sensitive-read', weight: 20 })]),
      'observing',
      'below-thresholds: score 20.0 is below 50 (sensitive-read)',
      NOW + DAY,
    ],
    [
      'a ptrace attach',
      facts([contribution({ class: 'ptrace-attach', weight: 60 })]),
      'warning',
      'warn-threshold: score 60.0 reached 50 (ptrace-attach)',
      NOW + 30 * DAY,
    ],
    ['a drop', facts([contribution()]), 'denying', 'deny-threshold: score 100.0 reached 100 (drop)', NOW + 30 * DAY],
    [
      'a drop a second old',
      facts([contribution({ first: NOW - 1000 })]),
      'denying',
      'deny-threshold: score 100.0 reached 100 (drop)',
      NOW - 1000 + 30 * DAY,
    ],
    [
      'two attaches of two owners',
      facts([
        contribution({ class: 'ptrace-attach', weight: 60 }),
        contribution({ class: 'ptrace-attach', weight: 60, owner: 'b' }),
      ]),
      'warning',
      'warn-threshold: score 90.0 reached 50 (ptrace-attach)',
      NOW + 30 * DAY,
    ],
  ]
  for (const [name, given, phase, reason, expiresAt] of cases) {
    it(`is ${phase} after ${name}`, () => {
      const decided = decide(given)
      assert.deepEqual(
        [decided.phase, decided.reason, decided.expiresAt, decided.phaseSince],
        [phase, reason, expiresAt, NOW],
      )
      assert.equal(reasonCode(decided), reason.split(':')[0])
    })
  }

  it('latches: decay and forgotten contributions never lift a denial or a warning', () => {
    const denied = decide(facts([contribution()]))
    const later = decide(
      facts([contribution({ class: 'anti-debug', weight: 20, first: NOW + 20 * DAY })]),
      denied,
      NOW + 20 * DAY,
    )
    assert.deepEqual([later.phase, later.phaseSince, later.expiresAt], ['denying', NOW, NOW + 50 * DAY])
    const warned = decide(facts([contribution({ weight: 60 })]))
    assert.equal(decide(facts([]), warned, NOW + 20 * DAY).phase, 'warning')
  })

  it('expires, once, and starts over with what comes after', () => {
    const denied = decide(facts([contribution()]))
    const expired = decide(denied, denied, NOW + 30 * DAY + 1)
    assert.deepEqual(
      [expired.phase, expired.reason],
      ['expired', 'expired: was denying, no contribution since 2026-11-22T06:10:00.000Z'],
    )
    assert.equal(decide(expired, expired, NOW + 31 * DAY), expired)
    const now = NOW + 31 * DAY
    const base = factsToExtend(expired, now)
    assert.ok(base !== undefined)
    const again = decide(mergeFacts(base, facts([contribution({ weight: 20, first: now })])), expired, now)
    assert.deepEqual([again.phase, again.reason], ['observing', 'below-thresholds: score 20.0 is below 50 (drop)'])
  })

  it('forgets what is older than five half-lives unless it denies', () => {
    const old = facts([contribution({ class: 'ptrace-attach', weight: 60 })])
    const now = NOW + 5 * DAY + 1
    assert.deepEqual(factsToExtend(decide(old), now)?.contributions, {})
    assert.equal(Object.keys(factsToExtend(decide(facts([contribution()])), now)?.contributions ?? {}).length, 1)
  })

  it('is released by a person, also when only the release was written and not the phase', () => {
    const denied = decide(facts([contribution()]))
    const patched = { ...denied, release: RELEASE }
    assert.equal(isFlagged(patched, NOW + HOUR), false)
    const released = decide(patched, patched, NOW + HOUR)
    assert.deepEqual(
      [released.phase, released.reason, released.expiresAt],
      ['released', 'released: by ann as fixed: was a test', NOW + HOUR + 30 * DAY],
    )
  })

  it('returns only on what is later than the release', () => {
    const denied = { ...decide(facts([contribution()])), release: RELEASE }
    const released = decide(denied, denied, NOW + HOUR)
    const late = mergeFacts(released, facts([contribution({ class: 'escape', first: NOW + HOUR })]))
    assert.equal(decide(late, released, NOW + 2 * HOUR).phase, 'released')
    const weak = mergeFacts(released, facts([contribution({ class: 'anti-debug', weight: 20, first: NOW + 2 * HOUR })]))
    assert.equal(decide(weak, released, NOW + 2 * HOUR).phase, 'released')
    assert.equal(
      decide(weak, denied, NOW + 2 * HOUR).phase,
      'released',
      'a phase from before the release is not latched',
    )
    const anew = mergeFacts(released, facts([contribution({ first: NOW + 2 * HOUR })]))
    const again = decide(anew, released, NOW + 2 * HOUR)
    assert.deepEqual([again.phase, isFlagged(again, NOW + 2 * HOUR)], ['denying', true])
  })

  it('knows which change is stricter', () => {
    assert.deepEqual(
      [
        isStricter(undefined, 'denying'),
        isStricter('observing', 'warning'),
        isStricter('warning', 'denying'),
        isStricter('released', 'denying'),
        isStricter('expired', 'warning'),
      ],
      [true, true, true, true, true],
    )
    assert.deepEqual(
      [
        isStricter(undefined, 'observing'),
        isStricter('denying', 'denying'),
        isStricter('denying', 'warning'),
        isStricter('denying', 'released'),
        isStricter('expired', 'observing'),
      ],
      [false, false, false, false, false],
    )
  })

  it('is not flagged after its time, whatever its phase says', () => {
    assert.equal(isFlagged(verdict(), NOW), true)
    assert.equal(isFlagged(verdict(), NOW + 30 * DAY + 1), false)
    assert.equal(isFlagged(verdict({ phase: 'observing' }), NOW), false)
  })

  const some = fc.array(
    fc.record({
      class: fc.constantFrom('a', 'b', 'c'),
      owner: fc.constantFrom('o', 'p'),
      weight: fc.constantFrom(20, 60, 100),
      first: fc.integer({ min: NOW - 24 * HOUR, max: NOW }),
    }),
    { minLength: 1, maxLength: 7 },
  )
  it('does not depend on the order of what came, and settling again changes nothing', () => {
    fc.assert(
      fc.property(
        some.chain((list) =>
          fc.tuple(fc.constant(list), fc.shuffledSubarray([...list, ...list.slice(0, 2)], { minLength: list.length })),
        ),
        ([list]) => {
          const play = (items: typeof list): ImageVerdict =>
            items.reduce<ImageVerdict | undefined>((current, item) => {
              const given = facts([contribution(item)])
              const base = factsToExtend(current, NOW)
              return decide(base === undefined ? given : mergeFacts(base, given), current)
            }, undefined) ?? assert.fail()
          const forward = play(list)
          assert.deepEqual(play(list.toReversed()), forward)
          assert.deepEqual(decide(forward, forward), forward)
        },
      ),
    )
  })
})
