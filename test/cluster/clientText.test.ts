/** What is not JSON, asked of a real API server: metrics through its proxy, logs. */
import assert from 'node:assert/strict'

import { createClient, loadKubeConfig } from '../../src/adapters/kubernetes/client.ts'
import type { KubernetesClient } from '../../src/adapters/kubernetes/client.ts'
import { sharedCluster } from './shared.ts'

describe('text from the API server', () => {
  let client: KubernetesClient
  before(() => {
    client = createClient(loadKubeConfig({ file: sharedCluster().kubeconfig }))
  })
  after(() => client.close())

  it('is what it says', async () => assert.equal(await client.requestText('/readyz'), 'ok'))

  for (const path of ['log', 'proxy/metrics'])
    it(`says why there is none: ${path} of a pod that is not there`, async () => {
      await assert.rejects(
        () => client.requestText(`/api/v1/namespaces/default/pods/gone/${path}`),
        /pods "gone" not found/,
      )
    })
})
