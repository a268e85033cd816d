import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import type { RuntimeAlert } from '../../src/alerts/types.ts'
import { createSeenEvents, eventKey, repeatKey } from '../../src/correlator/dedupe.ts'
import { alert } from './support.ts'

/** All that a key may be made of, and what looks like the seams between. */
const part = fc.oneof(fc.constantFrom('', 'a', 'a","b', '\n', '"', '\\'), fc.string({ maxLength: 512 }))
const keyed: fc.Arbitrary<Partial<RuntimeAlert>> = fc.record(
  {
    rule: part,
    timeText: part,
    containerId: fc.option(fc.constantFrom('67aacb04675f', '67aacb04675f00', 'beef'.repeat(16)), { nil: undefined }),
    namespace: part,
    pod: part,
    containerName: part,
    image: part,
    imageDigest: part,
    target: part,
  },
  { requiredKeys: [] },
)

/** What makes an event the same one. */
const eventOf = ({ detector, containerId, rule, timeText, ...place }: RuntimeAlert): unknown => [
  detector,
  rule,
  timeText,
  containerId === undefined
    ? [place.namespace, place.pod, place.containerName, place.image, place.imageDigest].map((name) => name ?? '')
    : containerId.slice(0, 12),
]
const actOf = ({ detector, containerId, rule, target }: RuntimeAlert): unknown => [
  detector,
  rule,
  containerId?.slice(0, 12) ?? '',
  target,
]

describe('keys of alerts', () => {
  it('are the same for the same event or act, and for no other', () => {
    fc.assert(
      fc.property(keyed, keyed, (left, right) => {
        const [one, other] = [alert(left), alert(right)]
        const same = (of: (item: RuntimeAlert) => unknown): boolean =>
          JSON.stringify(of(one)) === JSON.stringify(of(other))
        assert.equal(eventKey(one) === eventKey(other), same(eventOf))
        assert.equal(repeatKey(one) === repeatKey(other), same(actOf))
        // Asked again it is remembered.
        assert.equal(repeatKey(alert(left)), repeatKey(one))
      }),
    )
  })

  it('are short, however long the alert: 50,000 of them are kept', () => {
    const long = 'x'.repeat(512)
    const huge = alert({
      containerId: undefined,
      namespace: long,
      pod: long,
      containerName: long,
      image: long,
      rule: long.slice(256),
    })
    assert.match(eventKey(huge), /^[0-9a-f]{32}$/)
    const usual = eventKey(alert({ rule: 'Drop and execute new binary in container' }))
    assert.ok(usual.length <= 160, usual)
    assert.match(repeatKey(huge), /^[0-9a-f]{32}$/)
  })
})

describe('events that were seen', () => {
  it('are remembered for half of the room at least, and never beyond it', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), fc.array(fc.nat(30), { maxLength: 200 }), (max, numbers) => {
        const seen = createSeenEvents(max)
        const added: string[] = []
        for (const number of numbers) {
          const key = `event ${number}`
          seen.settle(key, 'repeat')
          added.push(key)
          const newest = [...new Set(added.toReversed())].slice(0, Math.floor(max / 2))
          for (const recent of newest) assert.ok(seen.has(recent), `${recent} of ${added.join()}`)
          assert.ok([...new Set(added)].filter((one) => seen.has(one)).length <= Math.max(1, max))
        }
      }),
    )
  })

  it('are forgotten where the same event may yet bring more', () => {
    const seen = createSeenEvents(4)
    for (const key of ['older', 'newer', 'newest']) seen.add(key)
    for (const key of ['older', 'newest']) seen.settle(key, 'unattributed')
    assert.deepEqual(
      ['older', 'newer', 'newest'].map((key) => seen.has(key)),
      [false, true, false],
    )
  })
})
