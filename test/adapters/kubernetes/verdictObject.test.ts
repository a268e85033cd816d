import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import {
  newVerdictObject,
  readVerdictObject,
  toDecision,
  toRelease,
  toStatus,
} from '../../../src/adapters/kubernetes/verdictObject.ts'
import { mergeFacts } from '../../../src/verdicts/merge.ts'
import { decidePhase, THRESHOLDS } from '../../../src/verdicts/phase.ts'
import { bounded } from '../../../src/verdicts/reach.ts'
import { contribution, evidence, facts, HOUR, NOW, verdict } from '../../correlator/support.ts'

const LONG_AGO = '2026-11-22T06:10:00.000Z'

/** The object as the API server has it: people's part as they wrote it, the machine's part as the store does. */
function objectOf(written: ReturnType<typeof verdict>): Record<string, unknown> {
  const decision = (value: typeof written.confirm): unknown => (value === undefined ? undefined : toDecision(value))
  const { release } = written
  return JSON.parse(
    JSON.stringify({
      ...newVerdictObject(written.name),
      spec: {
        release: release === undefined ? undefined : toRelease(release),
        confirm: decision(written.confirm),
        mute: decision(written.mute),
      },
      status: toStatus(written),
    }),
  ) as Record<string, unknown>
}

describe('adapters/kubernetes/verdictObject', () => {
  it('reads back what it wrote: digests of every algorithm, and which names came with alerts', () => {
    const digests = [`sha256:${'1'.repeat(64)}`, `sha384:${'2'.repeat(96)}`, `sha512:${'3'.repeat(128)}`]
    for (const changes of [{}, { digests, alerted: { digests: 2, references: 1 } }]) {
      const written = verdict(changes)
      const stored: unknown = JSON.parse(
        JSON.stringify({ ...newVerdictObject(written.name), status: toStatus(written) }),
      )
      assert.deepEqual(readVerdictObject(stored), { kind: 'verdict', verdict: written })
    }
  })

  it('reads back reach, mutes, decisions and what counts for one namespace', () => {
    const written = verdict({
      contributions: facts([contribution(), contribution({ own: true })]).contributions,
      evidence: [evidence({ own: true })],
      reach: { elsewhere: 'none', denying: ['shop'], warning: ['blog'] },
      muted: { at: NOW, repositories: ['registry.example/shop/web'], acts: [{ class: 'drop', target: '' }] },
      release: { by: 'ann', reason: 'ok', at: NOW, as: 'false-positive', until: NOW + HOUR },
      confirm: { by: 'bob', reason: 'yes', at: NOW },
      mute: { by: 'cy', reason: 'noisy', at: NOW, until: NOW + HOUR },
    })
    assert.deepEqual(readVerdictObject(objectOf(written)), { kind: 'verdict', verdict: written })
  })

  it('takes the time of each decision from the server’s record of that field, and refuses a mute without an end', () => {
    const managed = (field: string, time: string): unknown => ({ time, fieldsV1: { 'f:spec': { [`f:${field}`]: {} } } })
    const read = readVerdictObject({
      metadata: {
        name: verdict().name,
        managedFields: [managed('confirm', '2026-11-22T06:10:00Z'), managed('mute', '2026-11-22T06:20:00Z')],
      },
      spec: {
        confirm: { by: 'ann', reason: 'yes', at: '2030-01-01T00:00:00Z' },
        mute: { by: 'ann', reason: 'yes', until: LONG_AGO },
      },
      status: toStatus(verdict()),
    })
    assert.ok(read.kind === 'verdict')
    assert.deepEqual([read.verdict.confirm?.at, read.verdict.mute?.at], [NOW + 999, NOW + 10 * 60_000 + 999])
    const endless = { ...objectOf(verdict()), spec: { mute: { by: 'ann', reason: 'yes' } } }
    assert.equal(readVerdictObject(endless).kind, 'damaged')
  })

  it('believes no date after now, also where the record of the server was rewritten to say so', () => {
    const far = '2099-01-01T00:00:00Z'
    const record = { time: far, fieldsV1: { 'f:spec': { 'f:release': {} } } }
    for (const managedFields of [undefined, [], [record]]) {
      const made = { name: verdict().name, creationTimestamp: '2026-11-22T06:00:00Z' }
      const read = readVerdictObject(
        {
          metadata: { ...made, ...(managedFields === undefined ? {} : { managedFields }) },
          spec: { release: { by: 'eve', reason: 'for good', as: 'accepted', at: far, until: far } },
          status: toStatus(verdict()),
        },
        NOW,
      )
      assert.ok(read.kind === 'verdict')
      assert.equal(read.verdict.release?.at, Date.UTC(2026, 10, 22, 6))
    }
  })

  it('stays below 8 KiB with everything at its bounds', () => {
    const text = (maxLength: number): fc.Arbitrary<string> =>
      fc.oneof(
        fc.string({ unit: fc.constantFrom('a', '"', 'é', '漢', '\u{1F600}'), minLength: maxLength / 2, maxLength }),
        fc.constant('漢'.repeat(maxLength)),
        fc.constant('a'.repeat(maxLength)),
      )
    const person = fc.record({ by: fc.constant('b'.repeat(253)), reason: fc.constant('r'.repeat(256)) })
    const some = fc.record({
      digests: fc.nat(40),
      references: fc.array(text(512), { maxLength: 40 }),
      owners: fc.array(text(256), { minLength: 30, maxLength: 80 }),
      // One at least: beside names and decisions at their bounds an owner of 256 characters of three bytes finds no room.
      shortOwners: fc.integer({ min: 1, max: 80 }),
      targets: fc.array(text(128), { minLength: 10, maxLength: 20 }),
      person,
      namespaces: fc.nat(40),
    })
    fc.assert(
      fc.property(some, some, (left, right) => {
        const [a, b] = [left, right].map((item, side) => ({
          ...facts([
            ...item.owners.map((owner) => contribution({ owner, class: 'c'.repeat(64), own: true, weight: 99 })),
            ...Array.from({ length: item.shortOwners }, (_, n) => contribution({ owner: `${side}/${n}`, own: true })),
          ]),
          digests: Array.from({ length: item.digests }, (_, n) => `sha256:${String(n + side * 40).padStart(64, '0')}`),
          references: item.references,
          evidence: item.targets.map((target, n) =>
            evidence({
              key: `${side}${n}`.padEnd(32, '0'),
              target,
              pod: target,
              node: target,
              rule: target,
              own: true,
            }),
          ),
          release: { ...item.person, at: NOW, as: 'false-positive' as const, until: NOW + HOUR },
          confirm: { ...item.person, at: NOW - 1, until: NOW + HOUR },
          mute: { ...item.person, at: NOW, until: NOW + HOUR },
          alerted: { digests: 3, references: 20 },
        }))
        assert.ok(a !== undefined && b !== undefined)
        const name = verdict().name
        const decided = decidePhase(name, mergeFacts(a, b), undefined, NOW, THRESHOLDS)
        const names = Array.from({ length: left.namespaces }, (_, n) => `${n}`.padStart(63, 'n'))
        const others = Array.from({ length: right.namespaces }, (_, n) => `${n}`.padStart(63, 'w'))
        const reach = bounded({ elsewhere: 'none', denying: names, warning: others })
        const whole = { ...decided, reach, reason: '漢'.repeat(200) }
        const bytes = Buffer.byteLength(JSON.stringify(objectOf(whole)))
        assert.ok(bytes <= 8192 - 400, `${bytes} bytes, and the server adds about 400 of metadata`)
        assert.equal(readVerdictObject(objectOf(whole)).kind, 'verdict')
        assert.ok(Object.keys(whole.contributions).length > 0, 'something that counts is always kept')
      }),
      { numRuns: 60 },
    )
  })
})
