import assert from 'node:assert/strict'
import { createRollBack, ROLLBACKS_AN_HOUR } from '../../src/responses/rollBack.ts'
import type { RollBackOptions } from '../../src/responses/rollBack.ts'
import type { Rollback } from '../../src/verdicts/rollback.ts'

const HOUR = 3600_000

const rollbackOf = (name: string, uid = 'u'): Rollback => ({
  workload: { kind: 'Deployment', namespace: 'shop', name },
  uid,
  from: ['web:2'],
  revision: 1,
  images: ['web:1'],
})

function rig(options: Partial<RollBackOptions> = {}) {
  const state = { now: 0, undone: [] as string[], results: [] as string[] }
  const response = createRollBack({
    denies: () => Promise.resolve(true),
    undo: ({ workload: { name } }) => {
      state.undone.push(name)
      return Promise.resolve('rolled-back')
    },
    onResult: ({ workload: { name } }, verdict, result) => void state.results.push(`${name} ${verdict} ${result}`),
    clock: () => state.now,
    ...options,
  })
  return { ...response, state }
}

describe('rolling back without a person', () => {
  it('does so once for each workload and verdict', async () => {
    const { add, idle, state } = rig()
    for (const verdict of ['v1', 'v1', 'v2']) add(rollbackOf('web'), verdict)
    add(rollbackOf('web', 'another of this name'), 'v1')
    await idle()
    assert.deepEqual(state.results, ['web v1 rolled-back', 'web v2 rolled-back', 'web v1 rolled-back'])
  })

  it('leaves alone what admission would not deny: the brake, a label, a release', async () => {
    const asked: unknown[] = []
    const { add, idle, state } = rig({
      denies: (...question) => {
        asked.push(question)
        return Promise.resolve(false)
      },
    })
    add(rollbackOf('web'), 'v1')
    await idle()
    assert.deepEqual([state.undone, state.results, asked], [[], ['web v1 not-denied'], [['shop', ['web:2']]]])
  })

  it(`does it ${ROLLBACKS_AN_HOUR} times an hour at most, whoever sends alerts`, async () => {
    const { add, idle, state } = rig()
    for (let index = 0; index <= ROLLBACKS_AN_HOUR; index++) add(rollbackOf(`w${index}`), 'v')
    await idle()
    assert.equal(state.undone.length, ROLLBACKS_AN_HOUR)
    assert.equal(state.results.at(-1), `w${ROLLBACKS_AN_HOUR} v too-many`)
    state.now = HOUR
    add(rollbackOf('later'), 'v')
    await idle()
    assert.equal(state.results.at(-1), 'later v rolled-back')
  })

  it('goes on after a failure, and counts it', async () => {
    const failures: unknown[] = []
    const { add, idle } = rig({
      undo: () => Promise.reject(new Error('forbidden')),
      onResult: (_rollback, _verdict, result, error) => void failures.push([result, String(error)]),
    })
    add(rollbackOf('a'), 'v')
    add(rollbackOf('b'), 'v')
    await idle()
    const failed = ['failed', 'Error: forbidden']
    assert.deepEqual(failures, [failed, failed])
  })
})
