import assert from 'node:assert/strict'
import { createRollbacks } from '../../src/correlator/rollbacks.ts'
import type { RevisedWorkload, RevisionHistory } from '../../src/kube/revisions.ts'
import type { ImageUse } from '../../src/verdicts/reach.ts'
import type { ImageVerdict } from '../../src/verdicts/types.ts'

const HISTORY: RevisionHistory = { uid: 'u', images: ['bad'], revisions: [{ number: 1, images: ['good'] }] }

const verdict = (owners: readonly string[], reach?: ImageVerdict['reach']): ImageVerdict =>
  ({
    name: 'v',
    phase: 'denying',
    digests: [],
    references: [],
    contributions: Object.fromEntries(owners.map((owner) => [owner, { owner }])),
    reach,
  }) as unknown as ImageVerdict

function start(
  uses: readonly string[],
  read: (workload: RevisedWorkload) => RevisionHistory | undefined = () => HISTORY,
) {
  const found: string[] = []
  const state = { reading: 0, most: 0 }
  const rollbacks = createRollbacks({
    readHistory: async (workload) => {
      state.reading += 1
      state.most = Math.max(state.most, state.reading)
      await Promise.resolve()
      state.reading -= 1
      return read(workload)
    },
    findFlagged: (image) => (image === 'bad' ? { verdict: 'v', phase: 'denying', text: '' } : undefined),
    usesOf: () => uses.map((owner) => ({ owner }) as ImageUse),
    onRollback: ({ workload: { namespace, kind, name }, revision }) =>
      found.push(`${namespace}/${kind}/${name} to ${revision}`),
  })
  return { rollbacks, found, state }
}

describe('workloads that a new denial stops', () => {
  it('are those of the evidence and all that run the image, once each', async () => {
    const { rollbacks, found, state } = start(['shop/Deployment/other', 'shop/Deployment/web', 'billing/DaemonSet/d'])
    rollbacks.add(verdict(['shop/Deployment/web', 'shop/Job/once', 'shop/Pod/p', '../Deployment/evil']))
    await rollbacks.idle()
    assert.deepEqual(found, ['shop/Deployment/web to 1', 'shop/Deployment/other to 1', 'billing/DaemonSet/d to 1'])
    assert.equal(state.most, 1)
  })

  it('are not those of namespaces where it does not deny', async () => {
    const { rollbacks, found } = start(['billing/Deployment/cache', 'shop/Deployment/web'])
    rollbacks.add(verdict([], { elsewhere: 'denying', denying: [], warning: ['billing'] }))
    await rollbacks.idle()
    assert.deepEqual(found, ['shop/Deployment/web to 1'])
  })

  it('hear nothing where there is no way back or none is known', async () => {
    const { rollbacks, found } = start(['shop/Deployment/a', 'shop/Deployment/b'], ({ name }) =>
      name === 'a' ? undefined : { ...HISTORY, revisions: [{ number: 1, images: ['bad'] }] },
    )
    rollbacks.add(verdict([]))
    await rollbacks.idle()
    assert.deepEqual(found, [])
  })

  it('are 20 for each verdict and 200 in all', async () => {
    const { rollbacks, found } = start(Array.from({ length: 100 }, (_, index) => `shop/Deployment/web-${index}`))
    rollbacks.add(verdict([]))
    await rollbacks.idle()
    assert.equal(found.length, 20)
    for (let index = 0; index < 100; index += 1) rollbacks.add(verdict([]))
    await rollbacks.idle()
    // The first one is taken out of the queue at once.
    assert.equal(found.length, 20 + 201)
  })
})
