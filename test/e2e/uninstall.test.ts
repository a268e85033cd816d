/** The end of an installation on a real node: nothing is left that blocks, and nobody was refused on the way; a second one is refused before it. */
import assert from 'node:assert/strict'

import { CHART } from '../cluster/chartTools.ts'
import { waitFor } from '../cluster/harness.ts'
import { install, installation, podOf, runPod } from './shared.ts'

const NAMESPACE = 'left'

describe('uninstalling', function () {
  this.timeout(240_000)

  it('is not needed to see that a second installation is refused with a clear line', () => {
    const { code, stderr } = installation().helm(
      'install',
      'other',
      CHART,
      '--namespace',
      'other',
      '--create-namespace',
    )
    assert.notEqual(code, 0)
    assert.match(
      stderr,
      /Drawbridge is installed already, as the release drawbridge\/drawbridge \(namespace\/name\)\. There is one in a cluster: upgrade or uninstall that one/,
    )
  })

  it('leaves pods of opted-in namespaces free, while it happens and after it; installed again, they are bound again', async () => {
    const { cluster, helm } = installation()
    await cluster.createNamespace(NAMESPACE, { 'drawbridge.dev/enforce': 'standard' })
    await runPod(cluster, NAMESPACE, podOf('before'))
    const ended = new AbortController()
    const refused: string[] = []
    let count = 0
    const loop = (async () => {
      while (!ended.signal.aborted) {
        count += 1
        const { code, stderr } = await cluster.kubectl(
          ['-n', NAMESPACE, 'create', '-f', '-'],
          JSON.stringify(podOf(`during-${count}`)),
        )
        if (code !== 0) refused.push(stderr)
      }
    })()
    // In the order of docs/install.md.
    await cluster.must(['delete', 'validatingwebhookconfiguration,mutatingwebhookconfiguration', 'drawbridge'])
    const gone = helm('uninstall', 'drawbridge', '--namespace', 'drawbridge', '--wait')
    assert.equal(gone.code, 0, gone.stderr)
    ended.abort()
    await loop
    assert.deepEqual(refused, [])
    assert.ok(count > 0)
    await runPod(cluster, NAMESPACE, podOf('after', { hostNetwork: true }))

    await install({ cluster, helm })
    const isDenied = async (): Promise<boolean> => {
      const again = JSON.stringify(podOf('again', { hostNetwork: true }))
      const { code, stderr } = await cluster.kubectl(['-n', NAMESPACE, 'create', '-f', '-'], again)
      // Until kube-proxy knows the new pods nobody answers: then it is not let in either.
      assert.notEqual(code, 0, 'a pod was let in')
      return stderr.includes('denied the request')
    }
    await waitFor(isDenied, 30_000, 'a denial')
    await cluster.must(['delete', 'namespace', NAMESPACE, '--wait=false'])
    await waitFor(async () => (await cluster.kubectl(['get', 'namespace', 'other'])).code !== 0, 1000, 'no namespace')
  })
})
