/** The safety net's expressions on a real API server: the same answers as the model that the properties of test/manifests ask, and what they cost. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import * as fc from 'fast-check'

import { manifestsDirectory } from '../../manifests/render.ts'
import { safetyNetObjects } from '../../manifests/safetyNet.ts'
import { createClient, KubernetesError, loadKubeConfig } from '../../src/adapters/kubernetes/client.ts'
import type { KubernetesClient } from '../../src/adapters/kubernetes/client.ts'
import { SAFETY_NETS_PATH } from '../../src/adapters/kubernetes/safetyNet.ts'
import type { SafetyNetSpec } from '../../src/kube/safetyNet.ts'
import type { Labels } from '../../src/kube/types.ts'
import { createExemptions } from '../../src/policy/exemptions.ts'
import { netContent } from '../../src/safetyNet/content.ts'
import { flaggedOf } from '../../src/verdicts/flagged.ts'
import { contribution, verdict } from '../correlator/support.ts'
import { netCases, requestOf, scenario, specOf, type Scenario } from '../manifests/safetyNetCases.ts'
import { safetyNetModel } from '../manifests/safetyNetModel.ts'
import { waitFor, waitForCrds } from './harness.ts'
import type { Cluster } from './harness.ts'
import { sharedCluster } from './shared.ts'

const POLICY = 'validatingadmissionpolicy,validatingadmissionpolicybinding'
const RANDOM = 150

/** Denied whatever else is going on, so that it is seen when the parameters are in force. */
const marker = (round: number): string => `marker.example/net:${round}`

describe('the safety net on a real API server', function () {
  this.timeout(300_000)
  let cluster: Cluster
  let client: KubernetesClient
  let round = 0
  const model = safetyNetModel()
  const namespaces = new Map<string, string>()

  /** A namespace with these labels, made once. */
  const namespaceOf = async (labels: Labels): Promise<string> => {
    const key = JSON.stringify(labels)
    const known = namespaces.get(key)
    if (known !== undefined) return known
    const name = `net-policy-${namespaces.size}`
    namespaces.set(key, name)
    await cluster.createNamespace(name, labels)
    if (cluster.hasControllers)
      await waitFor(
        async () => (await cluster.kubectl(['get', 'sa', 'default', '-n', name])).code === 0,
        30_000,
        `the service account of ${name}`,
      )
    await cluster.must(['create', 'sa', 'web', '-n', name])
    return name
  }

  /** What the API server answers; undefined: it takes the pod. */
  const create = async (namespace: string, pod: object): Promise<string | undefined> => {
    const { metadata, spec } = pod as { readonly metadata: object; readonly spec: object }
    try {
      await client.request('POST', `/api/v1/namespaces/${namespace}/pods`, {
        query: { dryRun: 'All' },
        body: { apiVersion: 'v1', kind: 'Pod', metadata: { ...metadata, name: 'web' }, spec },
      })
      return undefined
    } catch (error) {
      assert.ok(error instanceof KubernetesError)
      // 422: no pod at all.
      return error.status === 422 ? `invalid: ${error.message}` : error.message
    }
  }

  /** Makes these parameters hold in a namespace. */
  const apply = async (spec: SafetyNetSpec, namespace: string): Promise<void> => {
    round += 1
    const image = marker(round)
    const body = {
      apiVersion: 'drawbridge.dev/v1alpha1',
      kind: 'SafetyNet',
      metadata: { name: 'drawbridge' },
      spec: {
        ...spec,
        quarantine: 'enforce',
        images: { ...spec.images, [image]: [{ verdict: 'ref-marker', until: '2999-01-01T00:00:00Z' }] },
      },
    }
    const live = await client.request('GET', `${SAFETY_NETS_PATH}/drawbridge`).catch(() => undefined)
    const { resourceVersion } = (live as { readonly metadata: { readonly resourceVersion: string } } | undefined)
      ?.metadata ?? { resourceVersion: undefined }
    await (resourceVersion === undefined
      ? client.request('POST', SAFETY_NETS_PATH, { body })
      : client.request('PUT', `${SAFETY_NETS_PATH}/drawbridge`, {
          body: { ...body, metadata: { ...body.metadata, resourceVersion } },
        }))
    const pod = { metadata: {}, spec: { containers: [{ name: 'c', image }] } }
    await waitFor(async () => (await create(namespace, pod))?.includes('ref-marker'), 20_000, 'the parameters')
  }

  before(async () => {
    cluster = sharedCluster()
    client = createClient(loadKubeConfig({ file: cluster.kubeconfig }))
    await cluster.must(['apply', '-f', join(manifestsDirectory(), 'crds')])
    await waitForCrds(cluster, 'safetynets.drawbridge.dev')
    const objects = safetyNetObjects({ ownNamespace: 'drawbridge', scope: 'namespaces' })
    await cluster.must(['apply', '-f', '-'], objects.map((object) => JSON.stringify(object)).join('\n---\n'))
    for (const name of ['kata', 'runc'])
      await cluster.must(
        ['apply', '-f', '-'],
        JSON.stringify({ apiVersion: 'node.k8s.io/v1', kind: 'RuntimeClass', metadata: { name }, handler: 'x' }),
      )
  })

  after(async () => {
    await cluster.kubectl(['delete', POLICY, 'drawbridge-safety-net', 'drawbridge-safety-net-guard'])
    await cluster.kubectl(['delete', 'safetynets', '--all'])
    await cluster.kubectl(['delete', 'runtimeclass', 'kata', 'runc'])
    await cluster.kubectl(['delete', 'namespace', ...namespaces.values(), '--wait=false'])
    client?.close()
  })

  /** The scenario as it can be played here: where and who. */
  const played = async (one: Scenario): Promise<Scenario> => {
    // What the policy here was not made for is left out; each set of labels needs a namespace of its own.
    const labels = Object.fromEntries(
      Object.entries(one.labels).filter(([key]) => key.startsWith('drawbridge.dev/') || one.old !== undefined),
    )
    // What only verdicts hold asks for must see the marker.
    if (!('drawbridge.dev/enforce' in labels)) labels['drawbridge.dev/quarantine'] ??= 'enforce'
    const namespace = await namespaceOf(labels)
    const text = JSON.stringify({ ...one, labels })
      .replaceAll(JSON.stringify(one.namespace), JSON.stringify(namespace))
      .replaceAll('"somebody"', '"admin"')
      .replaceAll('"robot"', '"admin"')
    return JSON.parse(text) as Scenario
  }
  const seesMarkers = ({ labels }: Scenario): boolean =>
    !['warn', 'off'].includes(labels['drawbridge.dev/quarantine'] ?? '') &&
    !['loose', 'network', 'unheard', 'newer'].includes(
      'drawbridge.dev/quarantine' in labels ? '' : (labels['drawbridge.dev/enforce'] ?? ''),
    )

  /** Asks both, and fails unless they say the same. Returns what was said, or `invalid`. */
  const compare = async (asked: Scenario): Promise<string | undefined> => {
    const one = await played(asked)
    // Where markers deny nothing, a namespace beside it shows when the parameters hold.
    const watched = seesMarkers(one) ? one.namespace : await namespaceOf({ ...MARKED })
    const spec: SafetyNetSpec = { ...specOf(one), quarantine: 'enforce' }
    await apply(spec, watched)
    const now = Math.floor(Date.now() / 1000) * 1000
    const said = await create(one.namespace, one.pod)
    if (said?.startsWith('invalid')) return 'invalid'
    const expected = model(requestOf(one, now), one.labels, spec)
    assert.equal(said?.replace(/^.* denied request: /, ''), expected, JSON.stringify({ one, said, spec }))
    return said
  }
  const MARKED = { 'drawbridge.dev/quarantine': 'enforce', 'drawbridge.dev/when-down': 'net' }

  it('says of what rule 21 names what its model says', async () => {
    const asked = netCases.filter(
      ({ old, scope, podSecurityEntries, podSecurityLabels, brake }) =>
        old === undefined && scope === 'namespaces' && !podSecurityEntries && !podSecurityLabels && brake === 'enforce',
    )
    const tally = { denied: 0, passed: 0, invalid: 0 }
    for (const one of asked) {
      const said = await compare(one)
      tally[said === undefined ? 'passed' : said === 'invalid' ? 'invalid' : 'denied'] += 1
    }
    assert.ok(tally.denied > 30 && tally.passed > 20, JSON.stringify(tally))
  })

  it('says of random pods what its model says', async () => {
    const tally = { denied: 0, passed: 0, invalid: 0 }
    for (const one of fc.sample(scenario, { numRuns: RANDOM, seed: 21 })) {
      if (one.old !== undefined) continue
      const { ephemeralContainers: _none, ...spec } = one.pod['spec'] as Readonly<Record<string, unknown>>
      const said = await compare({ ...one, pod: { ...one.pod, spec } })
      tally[said === undefined ? 'passed' : said === 'invalid' ? 'invalid' : 'denied'] += 1
    }
    process.stdout.write(`      ${JSON.stringify(tally)}\n`)
    assert.ok(tally.denied > 10 && tally.passed > 10, JSON.stringify(tally))
  })

  describe('with 5,000 images and many containers', () => {
    const NOW = Date.now()
    const verdicts = Array.from({ length: 5100 }, (_, index) => {
      const hex = index.toString(16).padStart(64, '0')
      return verdict({
        name: `sha256-${hex}`,
        digests: [`sha256:${hex}`],
        references: [],
        phaseSince: NOW + index,
        expiresAt: NOW + 30 * 24 * 3600_000,
        contributions: { a: contribution({ weight: index < 50 ? 300 : 100, last: NOW }) },
      })
    })
    const { spec, counts } = netContent(
      {
        profiles: [],
        namespaces: new Map(),
        minor: 35,
        exceptions: [],
        verdicts: flaggedOf(verdicts),
        brake: 'enforce',
        exemptions: createExemptions({ users: [], namespaces: [], runtimeClasses: [] }),
        podSecurityLabels: false,
      },
      NOW,
    )
    const granted: SafetyNetSpec = {
      ...spec,
      images: Object.fromEntries(Object.entries(spec.images).slice(0, 4900)),
      exceptions: {
        legacy: {
          namespaces: ['net-policy-0'],
          serviceAccounts: ['*'],
          checks: ['privileged', 'hostNamespaces', 'capabilities_baseline', 'hostPathVolumes'],
          images: [],
          patterns: ['^registry\\.example/platform/team/[^/:@]*:[^/:@]*$'],
          until: '2999-01-01T00:00:00Z',
        },
      },
    }
    let namespace = ''
    const image = (index: number): string => `registry.example/platform/team/application-${index}:v1.2.3-build${index}`
    const pod = (count: number, more: object = {}, annotations: object = {}): object => ({
      metadata: { annotations },
      spec: {
        automountServiceAccountToken: false,
        containers: Array.from({ length: count }, (_, index) => ({ name: `c${index}`, image: image(index), ...more })),
      },
    })
    const time = async (asked: object): Promise<readonly [string | undefined, number]> => {
      const started = performance.now()
      const said = await create(namespace, asked)
      return [said, performance.now() - started]
    }

    before(async () => {
      namespace = await namespaceOf({ 'drawbridge.dev/enforce': 'baseline', 'drawbridge.dev/when-down': 'net' })
      const grant = granted.exceptions['legacy']!
      await apply({ ...granted, exceptions: { legacy: { ...grant, namespaces: [namespace] } } }, namespace)
    })

    it('is one object that etcd takes, with the worst and newest of what there is', async () => {
      assert.deepEqual([counts.images, counts.imagesLeftOut], [5000, 100])
      // The 50 worst, and of the others the newest.
      const has = (index: number): boolean => `sha256:${index.toString(16).padStart(64, '0')}` in spec.images
      assert.deepEqual([0, 49, 50, 149, 150, 5099].map(has), [true, true, false, false, true, true])
      await apply({ ...spec, images: Object.fromEntries(Object.entries(spec.images).slice(1)) }, namespace)
      const grant = granted.exceptions['legacy']!
      await apply({ ...granted, exceptions: { legacy: { ...grant, namespaces: [namespace] } } }, namespace)
    })

    it('denies one of them among 300 containers, and passes 300 others', async () => {
      const [said] = await time(pod(300))
      assert.equal(said, undefined)
      const one = pod(300) as { readonly spec: { readonly containers: readonly object[] } }
      const flagged = { name: 'bad', image: `registry.example/x@${Object.keys(granted.images)[7]}` }
      const [denied] = await time({ ...one, spec: { ...one.spec, containers: [...one.spec.containers, flagged] } })
      assert.match(denied ?? '', /uses a flagged image \(safety net\)/)
    })

    it('passes 300 privileged containers that an exception covers, on the host', async () => {
      const bad = { securityContext: { privileged: true, capabilities: { add: ['SYS_ADMIN'] } } }
      const asked = pod(300, bad, { 'drawbridge.dev/exception': 'legacy' }) as { readonly spec: object }
      const [said, took] = await time({ ...asked, spec: { ...asked.spec, hostPID: true } })
      assert.equal(said, undefined)
      process.stdout.write(`      300 containers with an exception: ${took.toFixed(0)} ms\n`)
    })

    it('says how many privileged containers are too many that ask for four exceptions of as many patterns as are kept', async () => {
      const pattern = (index: number): string => `^registry\\.example/${'p'.repeat(80)}-${index}/[^/:@]*:[^/:@]*$`
      const patterns = Array.from({ length: 17 }, (_, index) => pattern(index))
      const last = [...patterns.slice(0, 16), '^registry\\.example/platform/team/[^/:@]*:[^/:@]*$']
      const grant = { ...granted.exceptions['legacy']!, namespaces: [namespace], patterns }
      const names = ['a', 'b', 'c', 'd']
      const exceptions = Object.fromEntries(
        names.map((name) => [name, { ...grant, patterns: name === 'd' ? last : patterns }]),
      )
      await apply({ ...granted, exceptions }, namespace)
      const asking = { 'drawbridge.dev/exception': names.join(',') }
      let [low, high] = [10, 400]
      while (high - low > 10) {
        const middle = Math.round((low + high) / 20) * 10
        const [said] = await time(pod(middle, { securityContext: { privileged: true } }, asking))
        if (said === undefined) low = middle
        else {
          assert.match(said, /cost limit exceeded|budget/, said.slice(0, 300))
          high = middle
        }
      }
      const bytes = patterns.join('').length
      process.stdout.write(`      up to ${low} containers with ${names.length} times ${bytes} bytes of patterns\n`)
      assert.ok(low >= 50, String(low))
    })

    it('says how many containers are too many', async () => {
      let [low, high] = [300, 8000]
      while (high - low > 100) {
        const middle = Math.round((low + high) / 200) * 100
        const [said] = await time(pod(middle))
        if (said === undefined) low = middle
        else {
          assert.match(said, /cost limit exceeded|budget/, said.slice(0, 300))
          high = middle
        }
      }
      process.stdout.write(`      up to ${low} containers\n`)
      assert.ok(low >= 1000, String(low))
    })

    it('costs little', async () => {
      const rounds = 40
      const median = async (where: string): Promise<number> => {
        const times: number[] = []
        for (let index = 0; index < rounds; index += 1) {
          const started = performance.now()
          assert.equal(await create(where, pod(3)), undefined)
          times.push(performance.now() - started)
        }
        return times.sort((a, b) => a - b)[rounds / 2] ?? 0
      }
      const without = await namespaceOf({ 'drawbridge.dev/warn': 'baseline' })
      const [plain, held] = [await median(without), await median(namespace)]
      process.stdout.write(`      a pod of 3: ${plain.toFixed(1)} ms without, ${held.toFixed(1)} ms with the net\n`)
      assert.ok(held < plain + 50)
    })
  })
})
