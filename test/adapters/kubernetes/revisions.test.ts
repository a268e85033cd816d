/** How often and how much is read. What is read is in test/cluster/endToEnd/revisions.ts. */
import assert from 'node:assert/strict'
import { KubernetesError } from '../../../src/adapters/kubernetes/client.ts'
import type { RequestSettings } from '../../../src/adapters/kubernetes/client.ts'
import { createRevisions } from '../../../src/adapters/kubernetes/revisions.ts'
import type { RevisedWorkload } from '../../../src/kube/revisions.ts'

const workload = (name: string): RevisedWorkload => ({ kind: 'Deployment', namespace: 'shop', name })
const HEAD = {
  metadata: { uid: 'u' },
  spec: { selector: { matchLabels: { app: 'web' } }, template: { spec: { containers: [{ name: 'c', image: 'i' }] } } },
}

function start(answer: (path: string) => unknown) {
  const asked: { readonly path: string; readonly settings: RequestSettings | undefined }[] = []
  const problems: string[] = []
  const clock = { now: 1000 }
  const read = createRevisions({
    now: () => clock.now,
    onProblem: (problem) => problems.push(problem),
    client: {
      request: async (_method, path, settings) => {
        asked.push({ path, settings })
        const found = await answer(path)
        if (found instanceof Error) throw found
        return found
      },
    },
  })
  return { read, asked, problems, clock }
}

const usual = (path: string): object => (path.endsWith('replicasets') ? { items: [] } : HEAD)

describe('reading revisions', () => {
  it('asks twice for a workload, bounded, and then not for ten seconds', async () => {
    const { read, asked, clock } = start(usual)
    const [first, second] = await Promise.all([read(workload('web')), read(workload('web'))])
    assert.deepEqual(first, { uid: 'u', images: ['i'], revisions: [] })
    assert.equal(second, first)
    const bounds = { timeoutMs: 2000, maxBytes: 1024 * 1024 }
    assert.deepEqual(asked, [
      { path: '/apis/apps/v1/namespaces/shop/deployments/web', settings: bounds },
      {
        path: '/apis/apps/v1/namespaces/shop/replicasets',
        settings: { ...bounds, query: { labelSelector: 'app=web', limit: '100' } },
      },
    ])
    clock.now += 9_999
    await read(workload('web'))
    assert.equal(asked.length, 2)
    clock.now += 2
    await read(workload('web'))
    assert.equal(asked.length, 4)
  })

  it('reads 20 workloads at once and 5 a second, and makes nobody wait for more', async () => {
    const { read, asked, clock } = start(usual)
    for (let index = 0; index < 100; index += 1) await read(workload(`web-${index}`))
    assert.equal(asked.length, 40)
    clock.now += 1000
    for (let index = 100; index < 200; index += 1) await read(workload(`web-${index}`))
    assert.equal(asked.length, 50)
  })

  it('has at most eight reads under way', async () => {
    const { read, asked } = start(() => new Promise(() => undefined))
    const reads = Array.from({ length: 15 }, (_, index) => read(workload(`web-${index}`)))
    assert.deepEqual(
      await Promise.all(reads.slice(8)),
      Array.from({ length: 7 }, () => undefined),
    )
    assert.equal(asked.length, 8)
  })

  it('knows nothing where it is not allowed or too much, and says so once', async () => {
    const refused = new KubernetesError(403, 'Forbidden', 'not allowed')
    const gone = new KubernetesError(404, 'NotFound', 'not found')
    const { read, problems } = start((path) => (path.endsWith('gone') ? gone : refused))
    for (const name of ['a', 'b']) assert.equal(await read(workload(name)), undefined)
    assert.deepEqual(problems, ['the revisions of a workload cannot be read: not allowed'])
    // Nothing is wrong with a workload that is not there.
    assert.equal(await read(workload('gone')), undefined)
    assert.equal(problems.length, 1)

    const cut = start((path) => (path.endsWith('replicasets') ? { items: [], metadata: { continue: 'x' } } : HEAD))
    assert.equal(await cut.read(workload('web')), undefined)
    assert.deepEqual(cut.problems, [])
  })
})
