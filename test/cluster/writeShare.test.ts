import assert from 'node:assert/strict'
import { join } from 'node:path'

import { manifestsDirectory } from '../../manifests/render.ts'
import { createClient, loadKubeConfig } from '../../src/adapters/kubernetes/client.ts'
import type { KubernetesClient } from '../../src/adapters/kubernetes/client.ts'
import { createKubernetesVerdictStore } from '../../src/adapters/kubernetes/imageVerdicts.ts'
import {
  ASSUMED_REPLICAS,
  shareWrites,
  WRITE_BURST,
  WRITES_PER_SECOND,
} from '../../src/adapters/kubernetes/writeShare.ts'
import type { WriteShare } from '../../src/adapters/kubernetes/writeShare.ts'
import type { VerdictStore } from '../../src/verdicts/types.ts'
import { waitFor, waitForCrds } from './harness.ts'
import type { Cluster } from './harness.ts'
import { makeOwnNamespace, sharedCluster } from './shared.ts'
import { loaded } from '../correlator/loaded.ts'
import { emptyVerdict } from '../correlator/support.ts'

const USER = 'write-sharer'
/** How long the API server is flooded, milliseconds. */
const FLOOD_MS = 8000

describe('the cap on ledger writes', function () {
  this.timeout(180_000)
  let cluster: Cluster
  let client: KubernetesClient
  const shares: WriteShare[] = []
  const stores: VerdictStore[] = []
  const problems: string[] = []

  const share = (id: string, namespace = 'drawbridge', renewMs = 1000): WriteShare => {
    const made = shareWrites({
      client,
      namespace,
      id,
      now: () => performance.now(),
      wallClock: () => new Date().toISOString(),
      onProblem: (problem) => problems.push(problem),
      renewMs,
    })
    shares.push(made)
    return made
  }
  const agree = (count: number): Promise<boolean> =>
    waitFor(() => shares.every((one) => one.replicas() === count), 20_000, `${count} replicas`)
  const leases = async (): Promise<readonly string[]> =>
    (await cluster.must(['get', 'leases', '-n', 'drawbridge', '-o', 'name'])).split('\n').filter((line) => line !== '')

  /** Requests that write ImageVerdicts, refused ones too, as the API server counts them. */
  const writesAtServer = async (): Promise<number> => {
    const text = await cluster.must(['get', '--raw', '/metrics'])
    return text
      .split('\n')
      .filter((line) => line.startsWith('apiserver_request_total{') && line.includes('resource="imageverdicts"'))
      .filter((line) => /verb="(POST|PUT|PATCH|APPLY|DELETE)"/.test(line))
      .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0)
  }

  before(async () => {
    cluster = sharedCluster()
    await makeOwnNamespace(cluster)
    const manifests = manifestsDirectory()
    await cluster.must(['apply', '-f', join(manifests, 'crds'), '-f', join(manifests, 'rbac.yaml')])
    await waitForCrds(cluster, 'imageverdicts.drawbridge.dev')
    await cluster.must(['create', 'rolebinding', USER, '--role=drawbridge', `--user=${USER}`, '-n', 'drawbridge'])
    await cluster.must(['create', 'clusterrolebinding', USER, '--clusterrole=drawbridge', `--user=${USER}`])
    client = createClient(loadKubeConfig({ file: await cluster.userKubeconfig(USER) }))
    await cluster.must(['delete', 'leases', '-n', 'drawbridge', '--all'])
  })

  afterEach(async () => {
    await Promise.all(stores.splice(0).map((store) => store.close()))
    await Promise.all(shares.splice(0).map((one) => one.stop()))
    problems.length = 0
  })

  after(async () => {
    client?.close()
    await cluster.kubectl(['delete', 'iv', '--all'])
    await cluster.kubectl(['delete', 'clusterrolebinding', USER])
    await cluster.kubectl(['delete', 'rolebinding', USER, '-n', 'drawbridge'])
    await cluster.kubectl(['delete', '-f', join(manifestsDirectory(), 'rbac.yaml')])
  })

  for (const count of [1, 2]) {
    it(`holds at the API server whatever arrives, with ${count === 1 ? 'one replica' : 'two replicas, and nearly all of it is used'}`, async () => {
      const ids = ['a', 'b'].slice(0, count)
      const started = performance.now()
      const before = await writesAtServer()
      const written = ids.map(() => 0)
      const own = ids.map((id) => {
        const store = createKubernetesVerdictStore({
          client,
          now: () => performance.now(),
          writes: share(`${id}${count}`),
        })
        stores.push(store)
        return store
      })
      await agree(count)
      await Promise.all(own.map((store) => loaded(store)))
      const end = performance.now() + FLOOD_MS
      await Promise.all(
        own.flatMap((store, replica) =>
          // Half of the images are both replicas' business: they conflict.
          Array.from({ length: 20 }, async (_, index) => {
            const image = index % 2 === 0 ? index : index + 100 * (replica + 1)
            for (let turn = 0; performance.now() < end; turn += 1) {
              const next = emptyVerdict(image, `${replica} ${turn}`)
              await store
                .write(next.name, () => next)
                .then(
                  () => (written[replica] = (written[replica] ?? 0) + 1),
                  (error: Error) => assert.equal(error.name, 'StoreBusyError'),
                )
              await new Promise((resolve) => setImmediate(resolve))
            }
          }),
        ),
      )
      const requests = (await writesAtServer()) - before
      const seconds = (performance.now() - started) / 1000
      assert.ok(
        requests <= WRITE_BURST + WRITES_PER_SECOND * seconds,
        `${requests} requests in ${seconds.toFixed(1)} s`,
      )
      // And it is no brake: what may be written is.
      assert.ok(
        requests > 0.7 * WRITES_PER_SECOND * (FLOOD_MS / 1000),
        `${requests} requests in ${seconds.toFixed(1)} s`,
      )
      assert.ok(
        written.every((number) => number > 0),
        written.join(),
      )
      process.stdout.write(`      ${requests} writes in ${seconds.toFixed(1)} s\n`)
    })
  }

  it('is all for one replica while the other writes nothing, and half from its first write on', async () => {
    const storeOf = (id: string): VerdictStore => {
      const store = createKubernetesVerdictStore({ client, now: () => performance.now(), writes: share(id) })
      stores.push(store)
      return store
    }
    const busy = storeOf('busy')
    const quiet = storeOf('quiet')
    await agree(2)
    await Promise.all([loaded(busy), loaded(quiet)])
    /** Writes as fast as it may, for so many seconds, and returns how often. */
    const flood = async (seconds: number): Promise<number> => {
      const end = performance.now() + 1000 * seconds
      let written = 0
      const one = async (index: number): Promise<void> => {
        for (let turn = 0; performance.now() < end; turn += 1) {
          const next = emptyVerdict(500 + index, `${turn} ${end}`)
          await busy
            .write(next.name, () => next)
            .then(
              () => (written += 1),
              (error: Error) => assert.equal(error.name, 'StoreBusyError'),
            )
          await new Promise((resolve) => setImmediate(resolve))
        }
      }
      await Promise.all([0, 1, 2, 3].map((index) => one(index)))
      return written
    }
    /** Floods until one has written so many: what else the machine does may hold writes up. It may save a burst by that, but not twice. */
    const writesIn4Seconds = async (more: number, most: number, first?: () => Promise<unknown>): Promise<void> => {
      const seen: number[] = []
      const isRight = async (): Promise<boolean> => {
        await first?.()
        const written = await flood(4)
        seen.push(written)
        const problem = `${seen.join(', ')} writes in 4 s, wanted at most ${most}`
        assert.ok(seen.filter((number) => number > most).length < 2, problem)
        return written > more && written <= most
      }
      await waitFor(isRight, 60_000, `more than ${more} writes in 4 s`)
    }
    // The bursts, and the seconds after which nobody else writes.
    await flood(6)
    // At most: and what a write takes that began in time.
    await writesIn4Seconds(0.8 * 4 * WRITES_PER_SECOND, 5 * WRITES_PER_SECOND)
    // Nor does a write go unnoticed of a verdict that the busy one is writing all the time.
    const other = emptyVerdict(500, 'of the quiet one')
    await writesIn4Seconds((0.8 * 4 * WRITES_PER_SECOND) / 2, (5 * WRITES_PER_SECOND) / 2, () =>
      Promise.all([flood(2), quiet.write(other.name, () => other)]),
    )
  })

  it('is shared anew when a replica comes, goes, or is killed', async () => {
    share('comes')
    await agree(1)
    share('second')
    await agree(2)
    await shares.pop()?.stop()
    await agree(1)
    // Killed: its Lease stays behind, and nobody renews it.
    const spec = { holderIdentity: 'killed', leaseDurationSeconds: 30 }
    const metadata = {
      name: 'drawbridge-killed',
      labels: { 'app.kubernetes.io/name': 'drawbridge', 'app.kubernetes.io/component': 'replica' },
    }
    const lease = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata, spec }
    await cluster.must(['create', '-n', 'drawbridge', '-f', '-'], JSON.stringify(lease))
    await agree(2)
    await agree(1)
  })

  it('leaves no Lease behind', async () => {
    share('tidy')
    await agree(1)
    assert.ok((await leases()).includes('lease.coordination.k8s.io/drawbridge-tidy'))
    await shares.pop()?.stop()
    assert.ok(!(await leases()).includes('lease.coordination.k8s.io/drawbridge-tidy'))
  })

  it('is a fifth where nobody can tell how many there are', async () => {
    const alone = share('nowhere', 'no-such-namespace')
    await waitFor(() => problems.length > 0, 20_000, 'a problem')
    assert.match(
      problems[0] ?? '',
      /^no Lease in namespace no-such-namespace \(does it exist\?\), so this replica takes a 5th of the cap on ledger writes: /,
    )
    assert.equal(alone.replicas(), ASSUMED_REPLICAS)
    // Five at the start, and no more than a fifth of 90 at once.
    assert.equal(alone.take(19), false)
  })
})
