import assert from 'node:assert/strict'
import { join } from 'node:path'

import { manifestsDirectory } from '../../manifests/render.ts'
import { createClient, loadKubeConfig } from '../../src/adapters/kubernetes/client.ts'
import type { KubernetesClient } from '../../src/adapters/kubernetes/client.ts'
import { createKubernetesVerdictStore } from '../../src/adapters/kubernetes/imageVerdicts.ts'
import type { KubernetesVerdictStore } from '../../src/adapters/kubernetes/imageVerdicts.ts'
import { createVerdictEvents } from '../../src/adapters/kubernetes/verdictEvents.ts'
import type { VerdictEvents } from '../../src/adapters/kubernetes/verdictEvents.ts'
import type { Contribution, Evidence, ImageVerdict } from '../../src/verdicts/types.ts'
import { waitForCrds } from './harness.ts'
import type { Cluster } from './harness.ts'
import { makeOwnNamespace, sharedCluster } from './shared.ts'
import { loaded } from '../correlator/loaded.ts'

const USER = 'event-writer'
const NAME = `sha256-${'7'.repeat(64)}`
const NOW = Date.UTC(2026, 10, 22, 6)

const contribution = (owner: string, weight: number): Contribution => ({
  class: 'drop',
  detector: 'falco',
  owner,
  weight,
  first: NOW,
  last: NOW,
})
const evidence = (namespace: string, pod: string): Evidence => ({
  key: pod,
  detector: 'falco',
  rule: 'Drop and execute new binary in container',
  priority: 'Critical',
  class: 'drop',
  weight: 100,
  time: NOW,
  namespace,
  pod,
})
const VERDICT: ImageVerdict = {
  name: NAME,
  digests: [],
  references: ['registry.example/events-billing/secret-project:1'],
  contributions: {
    a: contribution('events-shop/Deployment/side', 20),
    b: contribution('events-shop/Deployment/web', 100),
    c: contribution('events-billing/Rollout/cache', 100),
    d: contribution('../Deployment/evil', 100),
    e: contribution('events-gone/Deployment/web', 100),
  },
  evidence: [evidence('events-shop', 'web-1'), evidence('events-billing', 'cache-1')],
  phase: 'denying',
  phaseSince: NOW,
  reason: 'deny-threshold: score 100.0 reached 100 (drop)',
  expiresAt: NOW + 30 * 86_400_000,
}

describe('Events about verdicts', () => {
  let cluster: Cluster
  let client: KubernetesClient
  let store: KubernetesVerdictStore
  let events: VerdictEvents
  const problems: string[] = []
  let dropped = 0

  const seen = async (namespace: string): Promise<readonly string[]> => {
    const list = JSON.parse(await cluster.must(['get', 'events', '-n', namespace, '-o', 'json'])) as {
      items: {
        reason: string
        type: string
        message: string
        involvedObject: { kind: string; name: string }
        source: { component?: string }
      }[]
    }
    return list.items
      .filter(({ source }) => source.component === 'drawbridge')
      .map(
        ({ reason, type, message, involvedObject: { kind, name } }) => `${type} ${reason} ${kind}/${name}: ${message}`,
      )
      .filter((line) => namespace !== 'default' || line.includes(NAME))
      .sort()
  }
  const open = (fields: Partial<Parameters<typeof createVerdictEvents>[0]> = {}): VerdictEvents =>
    createVerdictEvents({
      client,
      now: () => performance.now(),
      wallClock: () => new Date().toISOString(),
      instance: 'test',
      uidOf: (name) => store.uidOf(name),
      onProblem: (problem) => problems.push(problem),
      onDropped: (count) => (dropped += count),
      ...fields,
    })

  before(async () => {
    cluster = sharedCluster()
    await makeOwnNamespace(cluster)
    for (const name of ['events-shop', 'events-billing']) await cluster.createNamespace(name)
    const manifests = manifestsDirectory()
    await cluster.must(['apply', '-f', join(manifests, 'crds'), '-f', join(manifests, 'rbac.yaml')])
    await waitForCrds(cluster, 'imageverdicts.drawbridge.dev')
    await cluster.must(['create', 'clusterrolebinding', USER, '--clusterrole=drawbridge', `--user=${USER}`])
    client = createClient(loadKubeConfig({ file: await cluster.userKubeconfig(USER) }))
    store = createKubernetesVerdictStore({ client, now: () => 0 })
    await loaded(store)
    events = open()
  })

  after(async () => {
    await events?.close()
    await store?.close()
    client?.close()
    await cluster.kubectl(['delete', 'iv', '--all'])
    await cluster.kubectl(['delete', 'clusterrolebinding', USER])
    await cluster.kubectl(['delete', '-f', join(manifestsDirectory(), 'rbac.yaml')])
    await cluster.kubectl(['delete', 'namespace', 'events-shop', 'events-billing', '--wait=false'])
  })

  it('tells each tenant about its own workload, and nothing about anybody else', async () => {
    await store.write(NAME, () => VERDICT)
    events.phaseChanged(VERDICT, 'warning')
    events.namesJoined(VERDICT, ['registry.example/other:1'])
    events.expiresSoon(VERDICT)
    events.phaseChanged({ ...VERDICT, phase: 'observing' }, undefined)
    await events.close()

    const falco = 'falco reported "Drop and execute new binary in container"'
    assert.deepEqual(await seen('events-shop'), [
      `Warning VerdictDenying Deployment/web: new pods with the image of this workload are denied; ${falco} in pod web-1; verdict ${NAME}`,
      `Warning VerdictExpiresSoon Deployment/web: the verdict on the image of this workload holds, unless something is reported again, until 2026-12-22T06:00:00.000Z; ${falco} in pod web-1; verdict ${NAME}`,
      `Warning VerdictNameJoined Deployment/web: the flagged image of this workload was seen under another name, which the verdict holds for from now on; ${falco} in pod web-1; verdict ${NAME}`,
    ])
    const billing = await seen('events-billing')
    assert.equal(billing.length, 3)
    for (const line of billing) assert.match(line, /Rollout\/cache: .* in pod cache-1; /)
    for (const line of [...(await seen('events-shop')), ...(await seen('default'))])
      assert.doesNotMatch(line, /billing|cache|secret-project/)
    assert.deepEqual(await seen('default'), [
      `Warning VerdictDenying ImageVerdict/${NAME}: warning -> denying (deny-threshold)`,
      `Warning VerdictExpiresSoon ImageVerdict/${NAME}: denying only unless something is reported again, until 2026-12-22T06:00:00.000Z`,
      `Warning VerdictNameJoined ImageVerdict/${NAME}: the image was seen under another name, which the verdict holds for from now on`,
    ])
    assert.match(await cluster.must(['describe', 'iv', NAME]), /VerdictDenying .*warning -> denying/)
    // A namespace that is gone is one line, and costs the others nothing.
    assert.equal(problems.length, 3)
    assert.match(problems[0] ?? '', /^an Event could not be written: .*"events-gone" not found/)
  })

  it('drops what is too much, and makes nobody wait', async () => {
    let release: (() => void) | undefined
    const stuck = open({
      client: { request: () => new Promise((resolve) => (release = () => resolve({}))) },
      now: () => 0,
    })
    for (let index = 0; index < 1000; index += 1) stuck.phaseChanged({ ...VERDICT, contributions: {} }, undefined)
    assert.equal(dropped, 499)
    const closed = stuck.close()
    for (let index = 0; index < 60; index += 1) {
      release?.()
      await new Promise((resolve) => setImmediate(resolve))
    }
    await closed
    // 50 at once, no more as long as the clock stands still.
    assert.equal(dropped, 950)
  })
})
