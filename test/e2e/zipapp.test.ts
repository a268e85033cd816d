/** examples/zipapp/README.md from top to bottom, on the node: somebody who follows it sees what it says. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { NodeCluster } from '../cluster/harness.ts'
import { pageSteps } from '../cluster/pageShell.ts'
import { root } from '../docs/markdown.ts'
import { installation } from './shared.ts'
import { ZipApp } from './zipapp.ts'

const PAGE = 'examples/zipapp/README.md'

describe(PAGE, function () {
  this.timeout(180_000)
  let cluster: NodeCluster
  let zipapp: ZipApp
  const folder = mkdtempSync(join(tmpdir(), 'drawbridge-page-'))

  before(async () => {
    ;({ cluster } = installation())
    cluster.installSeccompProfiles(join(root, 'manifests/seccomp'))
    zipapp = new ZipApp(cluster)
    await zipapp.makeImages(['docker.io/library/zipapp:test'])
  })
  after(async () => {
    zipapp?.remove()
    rmSync(folder, { recursive: true })
    await cluster?.kubectl(['delete', 'namespace', 'zipapp', '--wait=false'])
  })

  it('shows an attack that works, and the same one under the profile web', () => {
    for (const step of pageSteps({ page: PAGE, folder, kubeconfig: cluster.kubeconfig, path: [cluster.bin] }))
      step.run()
  })
})
