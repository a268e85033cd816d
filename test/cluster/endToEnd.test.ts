/** The whole server on a real API server: two replicas of the bundled program, kubectl, and alerts of a real Falco. */
import assert from 'node:assert/strict'

import { testAlerts } from './endToEnd/alerts.ts'
import { testBrake } from './endToEnd/brake.ts'
import { testFailures } from './endToEnd/failures.ts'
import { testPods } from './endToEnd/pods.ts'
import { startReplicas } from './endToEnd/replicas.ts'
import type { Stage } from './endToEnd/replicas.ts'
import { testRevisions } from './endToEnd/revisions.ts'
import { testRollBack } from './endToEnd/rollBack.ts'
import { testTenants } from './endToEnd/tenants.ts'
import { sharedCluster } from './shared.ts'

describe('the whole server on a real API server', function () {
  this.timeout(90_000)
  let stage: Stage | undefined
  before(async () => {
    const cluster = sharedCluster()
    stage = { cluster, replicas: await startReplicas(cluster) }
  })
  after(() => stage?.replicas.remove())

  const current = (): Stage => {
    assert.ok(stage !== undefined)
    return stage
  }
  testPods(current)
  testAlerts(current)
  testTenants(current)
  testBrake(current)
  testRevisions(current)
  testRollBack(current)
  // Last: the API server goes away.
  testFailures(current)
})
