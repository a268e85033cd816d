/** Rule 23 on a real node: replicas come and go under a tight loop of pod creates, and no create fails or slips through unchanged. */
import assert from 'node:assert/strict'

import { createClient, loadKubeConfig } from '../../src/adapters/kubernetes/client.ts'
import { waitFor } from '../cluster/harness.ts'
import type { NodeCluster } from '../cluster/harness.ts'
import { installation, podOf, rolledOut } from './shared.ts'

const NAMESPACE = 'drain'
/** So many clients create at a time; the first one's pods stay, the others' are dry runs: both are sent to the webhooks. */
const CLIENTS = 4

interface Tally {
  created: number
  readonly failed: string[]
  unmutated: number
}

describe('replicas that come and go, under a tight loop of pod creates', function () {
  this.timeout(300_000)
  let cluster: NodeCluster
  const ended = new AbortController()
  const tally: Tally = { created: 0, failed: [], unmutated: 0 }
  let loops: Promise<unknown>

  interface Created {
    readonly spec: { readonly securityContext?: { readonly seccompProfile?: { readonly type: string } } }
  }

  async function create(dryRun: boolean): Promise<void> {
    const client = createClient(loadKubeConfig({ file: cluster.kubeconfig }))
    // Nobody schedules them: what is measured is admission.
    const body = {
      ...podOf('', { schedulerName: 'nobody', containers: [{ name: 'main', image: 'web:1' }] }),
      metadata: { generateName: 'web-' },
    }
    const query = dryRun ? { dryRun: 'All' } : {}
    while (!ended.signal.aborted) {
      try {
        const { spec } = (await client.request('POST', `/api/v1/namespaces/${NAMESPACE}/pods`, {
          body,
          query,
        })) as Created
        tally.created += 1
        if (spec.securityContext?.seccompProfile?.type !== 'RuntimeDefault') tally.unmutated += 1
      } catch (error) {
        tally.failed.push(String(error))
      }
    }
    client.close()
  }

  /** The pods that are there, those that are ending too. */
  const pods = async (): Promise<readonly string[]> => {
    const out = await cluster.must(['-n', 'drawbridge', 'get', 'pods', '-o', 'jsonpath={.items[*].metadata.name}'])
    return out.split(' ').filter((name) => name !== '')
  }
  const untilThereAre = async (replicas: number): Promise<void> => {
    await rolledOut(cluster)
    await waitFor(async () => (await pods()).length === replicas, 120_000, `${replicas} pods and no other`)
  }

  before(async () => {
    ;({ cluster } = installation())
    await cluster.createNamespace(NAMESPACE, { 'drawbridge.dev/enforce': 'standard' })
    loops = Promise.all(Array.from({ length: CLIENTS }, (_, client) => create(client > 0)))
    await waitFor(() => tally.created > 0, 20_000, 'the first pod')
  })
  after(async () => {
    ended.abort()
    await loops
    await cluster.must(['-n', 'drawbridge', 'scale', 'deployment/drawbridge', '--replicas=2'])
    await rolledOut(cluster)
    await cluster.must(['delete', 'namespace', NAMESPACE, '--wait=false'])
  })

  /** What happens during `act`. */
  async function during(act: () => Promise<void>): Promise<Tally> {
    const { created, unmutated } = tally
    tally.failed.length = 0
    await act()
    return {
      created: tally.created - created,
      failed: tally.failed.slice(0, 5),
      unmutated: tally.unmutated - unmutated,
    }
  }

  it('a rolling restart of both: 0 failed, 0 unmutated', async () => {
    const before = await pods()
    const { created, failed, unmutated } = await during(async () => {
      await cluster.must(['-n', 'drawbridge', 'rollout', 'restart', 'deployment/drawbridge'])
      await untilThereAre(2)
    })
    assert.deepEqual(
      (await pods()).filter((name) => before.includes(name)),
      [],
    )
    assert.deepEqual({ failed, unmutated }, { failed: [], unmutated: 0 })
    assert.ok(created > 200, `${created} creates are no tight loop`)
    process.stderr.write(`      ${created} creates during the restart\n`)
  })

  it('from one to three and back to one: 0 failed, 0 unmutated', async () => {
    const scale = async (replicas: number): Promise<void> => {
      await cluster.must(['-n', 'drawbridge', 'scale', 'deployment/drawbridge', `--replicas=${replicas}`])
      await untilThereAre(replicas)
    }
    const { created, failed, unmutated } = await during(async () => {
      await scale(1)
      await scale(3)
      await scale(1)
    })
    assert.deepEqual({ failed, unmutated }, { failed: [], unmutated: 0 })
    assert.ok(created > 200, `${created} creates are no tight loop`)
    process.stderr.write(`      ${created} creates while replicas changed\n`)
  })
})
