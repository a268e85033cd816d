import assert from 'node:assert/strict'
import * as fc from 'fast-check'

import { revisedWorkload } from '../../src/kube/revisions.ts'
import type { RevisedWorkload } from '../../src/kube/revisions.ts'
import type { FindFlagged } from '../../src/policy/types.ts'
import { findRollback, MAX_ROLLBACK, rollbackCommand, rollbackLine } from '../../src/verdicts/rollback.ts'

const WEB: RevisedWorkload = { kind: 'Deployment', namespace: 'shop', name: 'web' }

/** `bad` is denied, `odd` warned about, `there` denied in another namespace. */
const findFlagged: FindFlagged = (image, namespace) => {
  const [name = ''] = image.split(':')
  const flagged = { verdict: 'v', text: 't' }
  if (name.startsWith('bad')) return { ...flagged, phase: 'denying' }
  if (name.startsWith('odd')) return { ...flagged, phase: 'warning' }
  return name === 'there' && namespace === 'billing' ? { ...flagged, phase: 'denying' } : undefined
}

const find = (images: readonly string[], revisions: Readonly<Record<number, readonly string[]>>) =>
  findRollback(
    WEB,
    {
      uid: 'u',
      images,
      revisions: Object.entries(revisions).map(([number, of]) => ({ number: Number(number), images: of })),
    },
    findFlagged,
  )

describe('the last good revision', () => {
  for (const [what, images, revisions, expected] of [
    ['is the newest without a flagged image', ['bad:3'], { 1: ['web:1'], 2: ['web:2'], 3: ['bad:3'] }, 2],
    ['skips what is flagged', ['bad:3'], { 1: ['web:1'], 2: ['bad:2'], 3: ['bad:3'] }, 1],
    ['skips what is only warned about', ['bad:3'], { 1: ['web:1'], 2: ['odd:2'], 3: ['bad:3'] }, 1],
    ['looks at every image', ['bad:3'], { 1: ['web:1', 'side:1'], 2: ['web:2', 'bad:1'], 3: ['bad:3'] }, 1],
    ['judges by the own namespace', ['bad:3'], { 1: ['web:1'], 2: ['there:1'], 3: ['bad:3'] }, 2],
    // A rollout whose ReplicaSet was refused: the number of the present template is not given yet.
    ['may be the one that still runs', ['bad:3'], { 1: ['web:1'], 2: ['web:2'] }, 2],
    ['goes by number, not by order or length of text', ['bad:3'], { 9: ['web:9'], 10: ['web:10'], 11: ['bad:3'] }, 10],
    ['is none without a history', ['bad:3'], {}, undefined],
    ['is none where every revision is flagged', ['bad:3'], { 2: ['bad:2'], 3: ['bad:3'] }, undefined],
    ['is none that nobody can read', ['bad:3'], { 1: [], 3: ['bad:3'] }, undefined],
    [
      'is no news where the template is good already',
      ['web:4'],
      { 1: ['web:1'], 4: ['web:4'], 3: ['bad:3'] },
      undefined,
    ],
    ['is no news where the image is only warned about', ['odd:1'], { 1: ['web:1'], 3: ['odd:1'] }, undefined],
  ] as const)
    it(what, () => assert.equal(find(images, revisions)?.revision, expected))

  it('never runs a flagged image, and is the newest of those that do not', () => {
    const image = fc.constantFrom('bad:1', 'bad:2', 'odd:1', 'there:1', 'web:1', 'web:2', 'side:1')
    const images = fc.array(image, { maxLength: 4 })
    fc.assert(
      fc.property(
        images,
        fc.array(images, { maxLength: 12 }),
        fc.constantFrom('shop', 'billing'),
        (now, all, namespace) => {
          const revisions = all.map((of, index) => ({ number: index + 1, images: of }))
          const good = revisions.filter(
            (one) => one.images.length > 0 && !one.images.some((name) => findFlagged(name, namespace)),
          )
          const found = findRollback({ ...WEB, namespace }, { uid: 'u', images: now, revisions }, findFlagged)
          const denied = now.some((name) => findFlagged(name, namespace)?.phase === 'denying')
          assert.equal(found?.revision, denied ? good.at(-1)?.number : undefined)
          for (const name of found?.images ?? []) assert.equal(findFlagged(name, namespace), undefined)
        },
      ),
      { numRuns: 500 },
    )
  })

  it('names what it would bring back first', () => {
    assert.deepEqual(find(['bad:3', 'side:1'], { 1: ['side:1', 'web:1'] })?.images, ['web:1', 'side:1'])
  })
})

describe('the line about it', () => {
  const rollback = (images: readonly string[], workload = WEB, revision = 3) => ({
    workload,
    uid: 'u',
    from: [],
    revision,
    images,
  })

  it('says the revision, what it runs, and the command', () => {
    assert.equal(
      rollbackLine(rollback(['registry.example/shop/web:1.4.1'])),
      'back to revision 3 (registry.example/shop/web:1.4.1, not flagged): kubectl rollout undo deployment/web --to-revision=3 -n shop',
    )
    assert.equal(
      rollbackLine(rollback(['web:1', 'side:1', 'log:1'], { ...WEB, kind: 'StatefulSet' }, 12)),
      'back to revision 12 (web:1 and 2 more, not flagged): kubectl rollout undo statefulset/web --to-revision=12 -n shop',
    )
  })

  it('is short, printable and one line, and never cuts the command', () => {
    const label = (max: number) => fc.stringMatching(new RegExp(`^[a-z0-9][-a-z0-9]{0,${max - 2}}[a-z0-9]$`))
    fc.assert(
      fc.property(
        label(200),
        label(63),
        fc.constantFrom('Deployment', 'StatefulSet', 'DaemonSet'),
        fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
        fc.array(fc.string({ unit: 'binary', maxLength: 300 }), { maxLength: 5 }),
        (name, namespace, kind, revision, images) => {
          const workload = revisedWorkload(kind, namespace, name)
          assert.ok(workload !== undefined)
          const found = rollback(images, workload, revision)
          const line = rollbackLine(found)
          if (line === undefined) return assert.ok(name.length > 63)
          assert.ok(line.length <= MAX_ROLLBACK)
          assert.match(line, /^back to revision \d+ \([\x20-\x7e]*not flagged\): kubectl rollout undo [-a-z0-9/=. ]+$/)
          assert.ok(line.endsWith(`: ${rollbackCommand(found)}`))
        },
      ),
    )
  })
})
