/**
 * The one cluster that all files of a mocha run share. Loaded by `.mocharc.cluster.cjs` as a root hook plugin.
 * Tests that change how the API server is started make a cluster of their own with `startCluster`.
 */
import type { Context, RootHookObject } from 'mocha'

import { NoClusterError, startCluster } from './harness.ts'
import type { Cluster } from './harness.ts'

const shared: { cluster?: Cluster } = {}

/** The shared cluster. Call it inside `before`, `it` and the like, never while files are loaded. */
export function sharedCluster(): Cluster {
  if (shared.cluster === undefined)
    throw new Error('the shared cluster is not up yet: call sharedCluster() inside a hook or a test')
  return shared.cluster
}

/** The namespace that Drawbridge runs in: several files need it, none deletes it. */
export async function makeOwnNamespace(cluster: Cluster): Promise<void> {
  const object = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'drawbridge' } }
  await cluster.must(['apply', '-f', '-'], JSON.stringify(object))
}

/** A signal must end the process the normal way, or the `exit` handler that stops the cluster does not run. */
export function exitOnSignals(): void {
  process.once('SIGINT', () => process.exit(130))
  process.once('SIGTERM', () => process.exit(143))
  process.once('SIGHUP', () => process.exit(129))
}

export const mochaHooks: RootHookObject = {
  async beforeAll(this: Context): Promise<void> {
    // The first run ever builds Kubernetes.
    this.timeout(30 * 60_000)
    exitOnSignals()
    try {
      shared.cluster = await startCluster()
    } catch (error) {
      if (!(error instanceof NoClusterError) || process.env['CI'] === 'true') throw error
      process.stderr.write(`\n*** CLUSTER TESTS SKIPPED: ${error.message} ***\n\n`)
      this.skip()
    }
  },
  async afterAll(this: Context): Promise<void> {
    this.timeout(60_000)
    await shared.cluster?.stop()
  },
}
