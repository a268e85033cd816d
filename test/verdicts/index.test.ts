import assert from 'node:assert/strict'
import { parseReference as parseKubeReference } from '../../src/kube/reference.ts'
import * as fc from 'fast-check'
import { flaggedChange, flaggedOf } from '../../src/verdicts/flagged.ts'
import { createVerdictIndex, findFlagged } from '../../src/verdicts/index.ts'
import { nameByDigest, nameByReference, VERDICT_NAME } from '../../src/verdicts/name.ts'
import { listOf } from '../../src/verdicts/oneOrMany.ts'
import { denialText } from '../../src/verdicts/text.ts'
import { DIGEST_A, DIGEST_B, evidence, HOUR, NOW, parseReference, verdict } from '../correlator/support.ts'

const NAME = `sha256-${'a'.repeat(64)}`
/** As commands are given it. */
const SHORT = `sha256-${'a'.repeat(12)}`
const find = (index: ReturnType<typeof createVerdictIndex>, namespace?: string) => {
  const flagged = findFlagged(index, parseReference, () => NOW)
  return (image: string) => flagged(image, namespace)
}

describe('verdicts/index', () => {
  it('names verdicts', () => {
    assert.equal(nameByDigest(DIGEST_A), NAME)
    assert.equal(nameByReference('registry.example/shop/web:1.4.2'), 'ref-eab6b8036ca26a6b0b05e3cbb19c2c3c23e237fb')
    assert.match(nameByReference('x'), VERDICT_NAME)
  })

  it('finds by digest, by tag, and lets a digest decide alone', () => {
    const flagged = find(createVerdictIndex([verdict()]))
    assert.equal(flagged('registry.example/shop/web:1.4.2')?.verdict, NAME)
    assert.equal(flagged(`registry.example/other@${DIGEST_A}`)?.verdict, NAME)
    assert.equal(flagged(`registry.example/shop/web:1.4.2@${DIGEST_A}`)?.verdict, NAME)
    assert.equal(flagged(`registry.example/shop/web:1.4.2@${DIGEST_B}`), undefined)
    assert.equal(flagged('registry.example/shop/web:1.4.3'), undefined)
  })

  it('finds a pinned name that a pod status tied to the image, though its digest is of another kind', () => {
    const pinned = `registry.example/shop/web@${DIGEST_B}`
    const known = verdict()
    const flagged = find(createVerdictIndex([{ ...known, references: [...known.references, pinned] }]))
    assert.equal(flagged(pinned)?.verdict, NAME)
    assert.equal(flagged(`registry.example/other@${DIGEST_B}`), undefined)
  })

  it('keeps all that it is told of a verdict', () => {
    const index = createVerdictIndex()
    const told = flaggedChange({
      name: NAME,
      verdict: verdict({
        reach: { elsewhere: 'warning', denying: ['shop'], warning: ['blog'] },
        confirm: { by: 'ann', reason: 'yes', at: NOW },
        evidence: [evidence({ key: 'a', own: true, target: '/tmp/sleep' }), evidence({ key: 'b' })],
      }),
    })
    index.apply(told)
    const asText = (value: unknown): unknown => JSON.parse(JSON.stringify(value))
    assert.deepEqual(asText(index.list()), asText([told.verdict]))
    const flagged = told.verdict ?? assert.fail()
    assert.ok(flagged.reach !== undefined && flagged.confirmed && listOf(flagged.evidence)[0]?.own === true)
  })

  it('finds nothing by a reference that reads like a digest', () => {
    const index = createVerdictIndex([verdict({ references: [DIGEST_B] })])
    const pinned = parseReference(`registry.example/other@${DIGEST_B}`) ?? assert.fail()
    assert.equal(index.find(pinned, NOW, undefined), undefined)
  })

  it('treats what is no complete reference as flagged: a runtime may find any image by it', () => {
    const flagged = findFlagged(createVerdictIndex([]), parseKubeReference, () => NOW)
    for (const image of ['not an image', '__proto__', 'sha256:3dc045bdfd7d', `sha256:${'a'.repeat(63)}`]) {
      assert.deepEqual(
        [flagged(image, 'shop')?.phase, flagged(image, 'shop')?.verdict],
        ['denying', 'unreadable-image'],
        image,
      )
    }
    assert.equal(flagged('registry.example/shop/web:1.4.2', 'shop'), undefined)
  })

  it('prefers what denies, and forgets what was removed or changed', () => {
    const index = createVerdictIndex([verdict({ phase: 'warning' }), verdict({ name: 'ref-1', digests: [] })])
    const image = 'registry.example/shop/web:1.4.2'
    assert.equal(find(index)(image)?.verdict, 'ref-1')
    index.apply({ name: 'ref-1' })
    assert.equal(find(index)(image)?.phase, 'warning')
    index.apply(flaggedChange({ name: NAME, verdict: verdict({ references: [] }) }))
    assert.equal(find(index)(image), undefined)
    index.apply({ name: NAME })
    assert.equal(find(index)(`x@${DIGEST_A}`), undefined)
    assert.deepEqual(index.list(), [])
  })

  for (const phase of ['observing', 'released', 'expired'] as const) {
    it(`says nothing of an image that is ${phase}`, () => {
      assert.equal(find(createVerdictIndex([verdict({ phase })]))('registry.example/shop/web:1.4.2'), undefined)
    })
  }

  it('says nothing after the end, even when nobody swept', () => {
    const flagged = findFlagged(createVerdictIndex([verdict()]), parseReference, () => NOW + 31 * 24 * HOUR)
    assert.equal(flagged('registry.example/shop/web:1.4.2', 'shop'), undefined)
  })

  it('writes the denial of a tag, with the place only for its own namespace', () => {
    const index = createVerdictIndex([verdict()])
    const ways = `verdict ${NAME} until 2026-12-22T06:10:00Z; way out: deploy registry.example/shop/web@sha256:<new digest> or a new tag; evidence: drawbridge verdicts show ${SHORT}; release: drawbridge verdicts release ${SHORT} --as fixed|false-positive|accepted --reason "..."`
    const seen =
      'image "registry.example/shop/web:1.4.2" is denied: falco reported "Drop and execute new binary in container" of /tmp/sleep'
    assert.equal(
      find(index, 'shop')('registry.example/shop/web:1.4.2')?.text,
      `${seen} in pod shop/web-1 at 2026-11-22T06:10:00Z; ${ways}`,
    )
    assert.equal(
      find(index, 'other')('registry.example/shop/web:1.4.2')?.text,
      `${seen} at 2026-11-22T06:10:00Z; ${ways}`,
    )
    assert.equal(find(index)('registry.example/shop/web:1.4.2')?.text, `${seen} at 2026-11-22T06:10:00Z; ${ways}`)
  })

  it('writes the denial of a digest and a warning', () => {
    const index = createVerdictIndex([verdict({ phase: 'warning', evidence: [] })])
    const text = find(index)(`registry.example/shop/web@${DIGEST_A}`)?.text ?? ''
    assert.match(
      text,
      /is under suspicion: deny-threshold: score 100\.0 reached 100 \(drop\); verdict .*; way out: deploy a fixed image with another digest;/,
    )
  })

  it('stays within 1 KiB and one line, whatever the evidence says', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 600 }), fc.boolean(), (hostile, pending) => {
        const [flagged] = flaggedOf([
          verdict({
            evidence: [evidence({ rule: hostile, target: hostile, pod: hostile, namespace: hostile })],
            reason: hostile,
            ...(pending ? { phase: 'pending' } : {}),
          }),
        ])
        assert.ok(flagged)
        const text = denialText({
          image: hostile,
          reference: { repository: hostile, normalized: hostile },
          verdict: flagged,
          answer: pending ? 'warning' : 'denying',
          namespace: hostile,
        })
        assert.ok(Buffer.byteLength(text) <= 1024)
        assert.doesNotMatch(text, /[\p{C}\p{Zl}\p{Zp}]/u)
      }),
    )
  })
})
