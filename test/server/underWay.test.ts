import assert from 'node:assert/strict'
import * as fc from 'fast-check'

import { UnderWay } from '../../src/server/underWay.ts'

describe('UnderWay', () => {
  it('holds what was added and not removed, in whatever order', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 20 }), { maxLength: 200 }), (steps) => {
        const underWay = new UnderWay<number>()
        const model = new Map<number, () => void>()
        for (const step of steps) {
          const remove = model.get(step)
          if (remove === undefined) model.set(step, underWay.add(step))
          else {
            remove()
            // A second time changes nothing: requests end in more than one way.
            remove()
            model.delete(step)
          }
          assert.deepEqual(
            [...underWay].sort((one, other) => one - other),
            [...model.keys()].sort((one, other) => one - other),
          )
        }
      }),
    )
  })
})
