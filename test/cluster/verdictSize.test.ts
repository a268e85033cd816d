import assert from 'node:assert/strict'
import { join } from 'node:path'

import { manifestsDirectory } from '../../manifests/render.ts'
import { createClient, loadKubeConfig } from '../../src/adapters/kubernetes/client.ts'
import type { KubernetesClient } from '../../src/adapters/kubernetes/client.ts'
import { createKubernetesVerdictStore } from '../../src/adapters/kubernetes/imageVerdicts.ts'
import { boundFacts } from '../../src/verdicts/bounds.ts'
import { decidePhase } from '../../src/verdicts/phase.ts'
import type { Contribution, Evidence, VerdictFacts } from '../../src/verdicts/types.ts'
import { sharedCluster } from './shared.ts'
import { waitForCrds } from './harness.ts'
import type { Cluster } from './harness.ts'

const DETECTORS = ['falco', 'k8s-audit', 'tracee', 'tetragon', 'kubearmor'] as const
const NOW = Date.UTC(2026, 10, 22, 6)
/** Rule 10. */
const MAX_BYTES = 8 * 1024

/** As much as possible of everything, each text about `length` characters of `letter`. */
function facts(length: number, letter: string): VerdictFacts {
  const text = (index: number): string => `${index}${letter.repeat(Math.max(0, length - String(index).length))}`
  const hex = (index: number): string => index.toString(16).padStart(64, '0')
  const contributions = Array.from({ length: 200 }, (_, index): [string, Contribution] => {
    const [name, owner, detector] = [text(index).slice(0, 64), `n/Pod/${text(index)}`, DETECTORS[index % 5]!]
    return [
      `${name}|${detector}|${owner}`,
      { class: name, detector, owner, weight: 99.125, first: NOW - index, last: NOW },
    ]
  })
  const evidence = Array.from({ length: 30 }, (_, index): Evidence => {
    const field = text(index).slice(0, 200)
    return {
      key: hex(index).slice(24),
      detector: 'k8s-audit',
      rule: field,
      priority: field.slice(0, 60),
      class: field.slice(0, 60),
      weight: 99.125,
      time: NOW - index,
      namespace: field,
      pod: field,
      container: field,
      node: field,
      target: field,
    }
  })
  return {
    digests: Array.from({ length: 100 }, (_, index) => `sha256:${hex(index)}`),
    // Names are references, which hold no such letters.
    references: Array.from({ length: 100 }, (_, index) => `r.io/${text(index).replaceAll(/[^\dx]/gu, 'x')}:1`),
    alerted: { digests: 50, references: 50 },
    contributions: Object.fromEntries(contributions),
    evidence,
  }
}

describe('the size of an ImageVerdict', () => {
  let cluster: Cluster
  let client: KubernetesClient

  before(async () => {
    cluster = sharedCluster()
    await cluster.must(['apply', '-f', join(manifestsDirectory(), 'crds')])
    await waitForCrds(cluster, 'imageverdicts.drawbridge.dev')
    client = createClient(loadKubeConfig({ file: cluster.kubeconfig }))
  })

  after(async () => {
    await cluster.must(['delete', 'iv', '--all'])
    client?.close()
  })

  for (const [what, length, letter] of [
    ['many short texts', 1, 'x'],
    ['texts of a usual length', 24, 'x'],
    ['long texts', 300, 'x'],
    ['texts of four bytes a letter', 60, '\u{1F300}'],
    ['texts that JSON and the API server write longer', 60, '<'],
    ['control characters', 60, '\u0001'],
  ] as const) {
    it(`as the API server keeps it, its records of who wrote what included, is below 8 KiB: ${what}`, async () => {
      const store = createKubernetesVerdictStore({ client, now: () => performance.now() })
      try {
        const name = `sha256-${(length + letter.codePointAt(0)!).toString(16).padStart(64, '0')}`
        const next = decidePhase(name, boundFacts(facts(length, letter)), undefined, NOW)
        await store.write(name, () => next)
        const patch = { spec: { release: { by: 'x'.repeat(253), reason: 'r'.repeat(256), as: 'false-positive' } } }
        await cluster.must(['patch', 'iv', name, '--type=merge', '-p', JSON.stringify(patch)])
        // Custom resources are kept in etcd as the very JSON that is sent.
        const text = await cluster.must(['get', '--raw', `/apis/drawbridge.dev/v1alpha1/imageverdicts/${name}`])
        const bytes = Buffer.byteLength(text.trim())
        assert.ok(bytes <= MAX_BYTES, `${bytes} bytes`)
      } finally {
        await store.close()
      }
    })
  }
})
