/** docs/seccomp.md, step by step, on the node: somebody who follows it sees what it says. */
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { chartTools } from '../cluster/chartTools.ts'
import type { NodeCluster } from '../cluster/harness.ts'
import { pageSteps } from '../cluster/pageShell.ts'
import { root } from '../docs/markdown.ts'
import { compile } from './compile.ts'
import { installation } from './shared.ts'
import { upgrade } from './upgrade.ts'

const PAGE = 'docs/seccomp.md'
const LOOK = 'drawbridge doctor | grep seccomp'

describe(PAGE, function () {
  this.timeout(240_000)
  let cluster: NodeCluster
  const folder = mkdtempSync(join(tmpdir(), 'drawbridge-page-'))
  const bin = join(folder, 'bin')

  before(async () => {
    ;({ cluster } = installation())
    rmSync(join(cluster.kubeletRoot, 'seccomp/drawbridge'), { recursive: true, force: true })
    // Of other tests: the page speaks of a cluster where nobody asks for a profile yet.
    await cluster.must(['label', 'namespaces', '--all', 'drawbridge.dev/seccomp-'])
    // And has no namespace of this name, which another test may have begun to delete.
    await cluster.must(['delete', 'namespace', 'shop', '--ignore-not-found', '--timeout=120s'])
    const program = join(folder, 'trace_me')
    compile(join(root, 'test/e2e/programs/trace_me.c'), program)
    await cluster.makeImages(['registry.example/shop/web:1.4.2'], { 'bin/web': program }, ['/bin/web'])
    mkdirSync(bin)
    const launcher = join(bin, 'drawbridge')
    writeFileSync(launcher, `#!/bin/sh\nexec "${process.execPath}" "${join(root, 'bin/drawbridge.js')}" "$@"\n`)
    chmodSync(launcher, 0o755)
  })
  after(async () => {
    rmSync(folder, { recursive: true })
    await cluster?.kubectl(['delete', 'namespace', 'shop', '--wait=false'])
    if (cluster !== undefined) await upgrade()
  })

  /** Another folder of the kubelet, a date that does not pass, and the patience of a reader for what takes seconds. */
  const rewrite = (command: string): string =>
    command === LOOK
      ? `for _ in $(seq 30); do ${LOOK} | grep -q '^OK' && break; sleep 1; done; ${LOOK}`
      : command.replace(
          /exceptionUntil=\S+/,
          `exceptionUntil=2099-12-31T00:00:00Z --set seccompSync.kubeletRoot=${cluster.kubeletRoot}`,
        )
  /** Where auditd runs, the kernel's lines go to it. */
  const hasAuditd = spawnSync('pgrep', ['-x', 'auditd']).status === 0

  it('leads from nothing to a profile of its own', () => {
    const path = [bin, cluster.bin, chartTools().bin]
    for (const step of pageSteps({ page: PAGE, folder, kubeconfig: cluster.kubeconfig, path, rewrite }))
      if (!(hasAuditd && step.command.startsWith('dmesg'))) step.run()
  })
})
