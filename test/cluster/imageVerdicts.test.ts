import assert from 'node:assert/strict'
import { join } from 'node:path'

import { manifestsDirectory } from '../../manifests/render.ts'
import { createClient, loadKubeConfig } from '../../src/adapters/kubernetes/client.ts'
import type { KubernetesClient } from '../../src/adapters/kubernetes/client.ts'
import { createKubernetesVerdictStore } from '../../src/adapters/kubernetes/imageVerdicts.ts'
import type { Contribution, ImageVerdict, VerdictChange, VerdictStore } from '../../src/verdicts/types.ts'
import { tokenBucket } from '../../src/adapters/kubernetes/tokenBucket.ts'
import { waitFor, waitForCrds } from './harness.ts'
import type { Cluster } from './harness.ts'
import { sharedCluster } from './shared.ts'
import { loaded } from '../correlator/loaded.ts'

const hex = (digit: string): string => digit.repeat(64)
const T = Date.UTC(2026, 10, 22, 5, 57, 29, 490)

function verdict(digit: string, fields: Partial<ImageVerdict> = {}): ImageVerdict {
  return {
    name: `sha256-${hex(digit)}`,
    digests: [`sha256:${hex(digit)}`],
    references: ['docker.io/shop/web:1.4.2'],
    contributions: {
      'drop|falco|shop/Deployment/web': {
        class: 'drop',
        detector: 'falco',
        owner: 'shop/Deployment/web',
        weight: 100,
        first: T,
        last: T + 1,
      },
    },
    evidence: [
      {
        key: 'k1',
        detector: 'falco',
        rule: 'Drop and execute new binary in container',
        priority: 'Critical',
        class: 'drop',
        weight: 100,
        time: T,
        namespace: 'shop',
        pod: 'web-1',
        target: '/tmp/evil',
      },
    ],
    phase: 'denying',
    phaseSince: T + 2,
    reason: 'score 100 reached 100',
    expiresAt: T + 30 * 86_400_000,
    ...fields,
  }
}

/** A contribution of its own for each writer, so that a lost update is visible. */
function contribute(owner: string): (current: ImageVerdict | undefined) => ImageVerdict {
  const mine: Contribution = { class: 'drop', detector: 'falco', owner, weight: 50, first: T, last: T }
  return (current) => {
    const base = current ?? verdict('b', { contributions: {} })
    return { ...base, contributions: { ...base.contributions, [`drop|falco|${owner}`]: mine } }
  }
}

describe('ImageVerdict objects as the ledger', () => {
  let cluster: Cluster
  const opened: { readonly store: VerdictStore; readonly client: KubernetesClient }[] = []

  function open(options: { readonly problems?: string[]; readonly maxVerdicts?: number } = {}): VerdictStore {
    const client = createClient(loadKubeConfig({ file: cluster.kubeconfig }))
    const store = createKubernetesVerdictStore({
      client,
      now: () => performance.now(),
      onProblem: (message) => options.problems?.push(message),
      ...(options.maxVerdicts === undefined ? {} : { maxVerdicts: options.maxVerdicts }),
    })
    opened.push({ store, client })
    return store
  }

  before(async () => {
    cluster = sharedCluster()
    await cluster.must(['apply', '-f', join(manifestsDirectory(), 'crds')])
    await waitForCrds(cluster, 'imageverdicts.drawbridge.dev')
  })

  afterEach(async () => {
    for (const { store, client } of opened.splice(0)) {
      await store.close()
      client.close()
    }
    await cluster.must(['delete', 'imageverdicts', '--all', '--wait=true'])
  })

  it('gives back what was written, to another replica too', async () => {
    const first = open()
    const written = await first.write(`sha256-${hex('a')}`, () => verdict('a'))
    assert.deepEqual(written, verdict('a'))
    const second = open()
    assert.deepEqual(await loaded(second), { verdicts: [verdict('a')], problems: [] })
  })

  it('shows verdicts to kubectl, and refuses what the schema forbids', async () => {
    const store = open()
    await store.write(`sha256-${hex('a')}`, () =>
      verdict('a', { references: ['docker.io/shop/web:1', 'docker.io/shop/web:2'] }),
    )
    const table = (await cluster.must(['get', 'iv'])).split('\n')
    assert.match(table[0] ?? '', /^NAME\s+PHASE\s+IMAGES\s+EXPIRES\s+AGE$/)
    assert.match(
      table[1] ?? '',
      new RegExp(`^sha256-${hex('a')}\\s+denying\\s+\\S*docker.io/shop/web:1\\S*\\s+2026-12-22T05:57:29.490Z`),
    )
    for (const [object, message] of [
      [{ metadata: { name: 'web' } }, /metadata.name.*should match/s],
      [
        { metadata: { name: 'ref-0123456789abcdef' }, spec: { release: { by: 'me', as: 'fixed' } } },
        /spec.release.reason: Required value/,
      ],
      [
        {
          metadata: { name: 'ref-0123456789abcdef' },
          spec: { release: { by: 'me', reason: 'because', as: 'whatever' } },
        },
        /Unsupported value: "whatever"/,
      ],
    ] as const) {
      const text = JSON.stringify({ apiVersion: 'drawbridge.dev/v1alpha1', kind: 'ImageVerdict', ...object })
      const refused = await cluster.kubectl(['create', '-f', '-'], text)
      assert.equal(refused.code, 1)
      assert.match(refused.stderr, message)
    }
    const strange = {
      apiVersion: 'drawbridge.dev/v1alpha1',
      kind: 'ImageVerdict',
      metadata: { name: 'ref-0123456789abcdef' },
    }
    const unknown = { ...strange, spec: { unknown: 1 }, status: { phase: 'released' } }
    await cluster.must(['create', '--validate=false', '-f', '-'], JSON.stringify(unknown))
    const kept = JSON.parse(await cluster.must(['get', 'iv', 'ref-0123456789abcdef', '-o', 'json'])) as Record<
      string,
      unknown
    >
    assert.deepEqual([kept['spec'], kept['status']], [{}, undefined])
  })

  it('loses no update of two replicas that write the same verdict at once', async () => {
    const [one, two] = [open(), open()]
    await Promise.all([loaded(one), loaded(two)])
    const name = `sha256-${hex('b')}`
    const owners = Array.from({ length: 15 }, (_, index) => [
      `shop/Deployment/one${index}`,
      `shop/Deployment/two${index}`,
    ]).flat()
    await Promise.all(owners.map((owner, index) => (index % 2 === 0 ? one : two).write(name, contribute(owner))))
    const third = open()
    const { verdicts } = await loaded(third)
    const found = Object.values(verdicts[0]?.contributions ?? {}).map((entry) => entry.owner)
    assert.deepEqual(found.sort(), owners.sort())
  })

  it('composes what waits into few requests', async () => {
    const client = createClient(loadKubeConfig({ file: cluster.kubeconfig }))
    const writes: string[] = []
    const counting: KubernetesClient = {
      ...client,
      request: (method, path, settings) => {
        if (method !== 'GET') writes.push(`${method} ${path.slice(path.lastIndexOf('/') + 1)}`)
        return client.request(method, path, settings)
      },
    }
    const store = createKubernetesVerdictStore({ client: counting, now: () => performance.now() })
    opened.push({ store, client })
    await loaded(store)
    const name = `sha256-${hex('b')}`
    const round = (): Promise<readonly ImageVerdict[]> =>
      Promise.all(
        Array.from({ length: 30 }, (_, index) => store.write(name, contribute(`shop/Deployment/web${index}`))),
      )
    await round()
    // The first update alone, then the 29 that arrived meanwhile.
    assert.deepEqual(writes, ['POST imageverdicts', 'PUT status', 'PUT status'])
    const answers = await round()
    assert.equal(Object.keys(answers[0]?.contributions ?? {}).length, 30)
    // "Nothing to do" costs no request.
    const before = writes.length
    await store.write(name, (current) => current ?? verdict('b'))
    assert.equal(writes.length, before)
  })

  it('reports the writes of the other replica, and deletions', async () => {
    const [one, two] = [open(), open()]
    const changes: VerdictChange[] = []
    one.watch((change) => changes.push(change))
    await loaded(one)
    await two.write(`sha256-${hex('a')}`, () => verdict('a'))
    await waitFor(() => changes.some((change) => change.verdict?.phase === 'denying'), 5000, 'the other write')
    await cluster.must(['delete', 'iv', `sha256-${hex('a')}`])
    await waitFor(() => changes.length > 1 && changes.at(-1)?.verdict === undefined, 5000, 'the deletion')
    // Deleted is gone for the writer too: the next write starts from nothing.
    const again = await two.write(`sha256-${hex('a')}`, (current) => {
      if (current !== undefined) return current
      return verdict('a', { reason: 'again' })
    })
    assert.equal(again.reason, 'again')
  })

  it('reads a release by plain kubectl, dates it by the API server, and never overwrites it', async () => {
    const store = open()
    const changes: VerdictChange[] = []
    store.watch((change) => changes.push(change))
    await loaded(store)
    const name = `sha256-${hex('a')}`
    const before = Date.now()
    await store.write(name, () => verdict('a'))
    const patch = { spec: { release: { by: 'alice', reason: 'our own updater', as: 'false-positive' } } }
    await cluster.must(['patch', 'iv', name, '--type=merge', '-p', JSON.stringify(patch)])
    const released = await waitFor(() => changes.at(-1)?.verdict?.release, 5000, 'the release')
    assert.deepEqual({ ...released, at: 0 }, { by: 'alice', reason: 'our own updater', as: 'false-positive', at: 0 })
    assert.ok(
      released.at >= before - 1000 && released.at <= Date.now() + 1000,
      `at is ${new Date(released.at).toISOString()}`,
    )
    // The machine goes on writing its part.
    const next = await store.write(name, (current) => ({ ...(current ?? verdict('a')), phase: 'released' }))
    assert.equal(next.release?.by, 'alice')
    assert.equal(next.phase, 'released')
    // A date in the future would release for good: it is brought back.
    const future = { spec: { release: { at: '2099-01-01T00:00:00Z' } } }
    await cluster.must(['patch', 'iv', name, '--type=merge', '-p', JSON.stringify(future)])
    const seen = changes.length
    await waitFor(
      () => changes.length > seen || changes.at(-1)?.verdict?.phase === 'released',
      5000,
      'the second patch',
    )
    assert.ok((changes.at(-1)?.verdict?.release?.at ?? Number.POSITIVE_INFINITY) <= Date.now() + 1000)
  })

  it('keeps where a verdict holds and what is silent, and reads a confirmation and a mute by plain kubectl', async () => {
    const name = `sha256-${hex('a')}`
    const [shared] = Object.values(verdict('a').contributions)
    assert.ok(shared !== undefined)
    const whole = verdict('a', {
      // One workload with and without a command of its own: two entries of one class, detector and owner.
      contributions: {
        'drop|falco|shop/Deployment/web': shared,
        'own|drop|falco|shop/Deployment/web': { ...shared, own: true },
      },
      reach: { elsewhere: 'denying', denying: [], warning: ['blog', 'pay'] },
      muted: { at: T, repositories: ['docker.io/shop/web'], acts: [{ class: 'drop', target: '' }] },
    })
    const store = open()
    assert.deepEqual(await store.write(name, () => whole), whole)
    const changes: VerdictChange[] = []
    store.watch((change) => changes.push(change))
    await loaded(store)
    const before = Date.now()
    const patch = {
      spec: { confirm: { by: 'ann', reason: 'yes' }, mute: { by: 'bob', reason: 'no', until: '2027-01-01T00:00:00Z' } },
    }
    await cluster.must(['patch', 'iv', name, '--type=merge', '-p', JSON.stringify(patch)])
    await waitFor(() => changes.at(-1)?.verdict?.mute !== undefined, 5000, 'the patch')
    const { confirm, mute, ...rest } = changes.at(-1)?.verdict ?? assert.fail()
    assert.deepEqual(rest, whole)
    assert.deepEqual([confirm?.by, confirm?.until, mute?.until], ['ann', undefined, Date.UTC(2027, 0, 1)])
    for (const at of [confirm?.at, mute?.at])
      assert.ok(Math.abs((at ?? 0) - before) < 60_000, 'dated by the API server')
    const endless = JSON.stringify({ spec: { mute: { by: 'bob', reason: 'no', until: null } } })
    assert.match(
      (await cluster.kubectl(['patch', 'iv', name, '--type=merge', '-p', endless])).stderr,
      /until: Required/,
    )
  })

  it('writes a release that a person gave through Drawbridge, and takes it back', async () => {
    const store = open()
    const name = `sha256-${hex('a')}`
    await store.write(name, () => verdict('a'))
    const release = { by: 'bob', reason: 'rebuilt', as: 'fixed', at: T + 5 } as const
    const released = await store.write(name, (current) => ({
      ...(current ?? verdict('a')),
      release,
      phase: 'released',
    }))
    assert.deepEqual(released.release, release)
    const back = await store.write(name, (current) => {
      const { release: _, ...rest } = current ?? verdict('a')
      return { ...rest, phase: 'denying' }
    })
    assert.equal(back.release, undefined)
    assert.equal(back.phase, 'denying')
  })

  it('keeps damaged objects aside and says what is wrong', async () => {
    const store = open()
    await store.write(`sha256-${hex('a')}`, () => verdict('a'))
    // The schema allows it, the reader does not: a detector of a later version.
    const patch = {
      status: {
        contributions: [
          {
            class: 'drop',
            detector: 'crystal-ball',
            owner: 'o',
            weight: 1,
            first: '2026-01-01T00:00:00Z',
            last: '2026-01-01T00:00:00Z',
          },
        ],
      },
    }
    await cluster.must([
      'patch',
      'iv',
      `sha256-${hex('a')}`,
      '--subresource=status',
      '--type=merge',
      '-p',
      JSON.stringify(patch),
    ])
    const other = open()
    const { verdicts, problems } = await loaded(other)
    assert.deepEqual(verdicts, [])
    assert.equal(problems.length, 1)
    assert.match(
      problems[0] ?? '',
      /^ImageVerdict sha256-a{64} is damaged and ignored: status\.contributions\.0\.detector: /,
    )
    await assert.rejects(
      () => other.write(`sha256-${hex('a')}`, () => verdict('a')),
      /is damaged and is not overwritten/,
    )
  })

  it('clips hostile texts, numbers and times to what the schema takes', async () => {
    const store = open()
    const long = `${'\u{1F300}'.repeat(3000)}\ud800`
    const wild: ImageVerdict = verdict('a', {
      reason: long,
      expiresAt: Number.POSITIVE_INFINITY,
      phaseSince: Number.NaN,
      references: [long],
      evidence: [
        {
          ...(verdict('a').evidence[0] as ImageVerdict['evidence'][number]),
          rule: long,
          target: long,
          weight: 1e300,
          time: -5,
        },
      ],
      contributions: {
        x: { class: '__proto__', detector: 'tracee', owner: long, weight: Number.NaN, first: 0, last: 1e20 },
      },
    })
    const stored = await store.write(`sha256-${hex('a')}`, () => wild)
    assert.equal(Array.from(stored.reason).length, 1024)
    assert.equal(stored.expiresAt, Date.UTC(9999, 11, 31, 23, 59, 59, 999))
    // Beside such a reason there is no room for evidence.
    const other = await store.write(`sha256-${hex('b')}`, () => ({
      ...wild,
      name: `sha256-${hex('b')}`,
      reason: 'r',
      references: [],
    }))
    assert.equal(other.evidence[0]?.weight, 1000)
    assert.equal(Array.from(other.evidence[0]?.target ?? '').length, 512)
  })

  it('deletes a verdict in the state in which it was agreed to, and has room at once', async () => {
    const [one, two] = [open({ maxVerdicts: 1 }), open()]
    await Promise.all([loaded(one), loaded(two)])
    const name = `sha256-${hex('a')}`
    await one.write(name, () => verdict('a', { phase: 'observing' }))
    assert.equal(await one.remove?.(name, ({ phase }) => phase === 'expired'), false)
    assert.equal(await one.remove?.(`sha256-${hex('f')}`, () => true), false)
    // The other replica makes it deny before this one hears of it: it stays, and the answer is the newest state's.
    const asked: string[] = []
    await two.write(name, (current) => ({ ...(current ?? verdict('a')), phase: 'denying' }))
    const decide = ({ phase }: ImageVerdict): boolean => {
      asked.push(phase)
      return phase === 'observing'
    }
    assert.equal(await one.remove?.(name, decide), false)
    assert.equal(asked.at(-1), 'denying')

    assert.equal(await one.remove?.(name, () => true), true)
    await one.write(`sha256-${hex('c')}`, () => verdict('c'))
    assert.equal(await one.remove?.(`sha256-${hex('c')}`, () => true), true)
    // Made again at once under the same name: the late news of the deletion does not take it away.
    const changes: VerdictChange[] = []
    one.watch((change) => changes.push(change))
    await one.write(`sha256-${hex('c')}`, () => verdict('c', { reason: 'again' }))
    await two.write(`sha256-${hex('d')}`, () => verdict('d'))
    await waitFor(() => changes.some((change) => change.name.endsWith('d')), 5000, 'the watch to catch up')
    const reasons = changes.filter((change) => change.name.endsWith('c')).map((change) => change.verdict?.reason)
    // Made without a status first, which is nothing yet.
    assert.deepEqual([...new Set(reasons.slice(reasons.indexOf('again')))], ['again'])
  })

  it('refuses the verdict above its most, and writes above its cap, as busy', async () => {
    const store = open({ maxVerdicts: 1 })
    await loaded(store)
    await store.write(`sha256-${hex('a')}`, () => verdict('a'))
    await assert.rejects(() => store.write(`sha256-${hex('c')}`, () => verdict('c')), {
      name: 'StoreBusyError',
      ledgerFull: true,
    })
    const client = createClient(loadKubeConfig({ file: cluster.kubeconfig }))
    const capped = createKubernetesVerdictStore({ client, now: () => 0, writes: tokenBucket(20, 3, () => 0) })
    opened.push({ store: capped, client })
    await capped.write(`sha256-${hex('d')}`, () => verdict('d'))
    await assert.rejects(() => capped.write(`sha256-${hex('e')}`, () => verdict('e')), {
      name: 'StoreBusyError',
      ledgerFull: false,
    })
    // The token that is left was not spent on an object without a verdict in it.
    assert.equal((await cluster.kubectl(['get', 'iv', `sha256-${hex('e')}`])).code, 1)
  })

  it('misses nothing when the API server goes away and comes back', async function () {
    this.timeout(60_000)
    const problems: string[] = []
    const watcher = open({ problems })
    const known = new Map<string, ImageVerdict>()
    watcher.watch(({ name, verdict: value }) => (value === undefined ? known.delete(name) : known.set(name, value)))
    await loaded(watcher)
    const writer = open()
    await writer.write(`sha256-${hex('a')}`, () => verdict('a'))
    await writer.write(`sha256-${hex('b')}`, () => verdict('b'))
    await waitFor(() => known.size === 2, 5000, 'both verdicts')
    await cluster.stopApiServer()
    await assert.rejects(
      () => writer.write(`sha256-${hex('c')}`, () => verdict('c')),
      /cannot be reached: connection refused/,
    )
    await cluster.startApiServer()
    await writer.write(`sha256-${hex('c')}`, () => verdict('c'))
    await writer.write(`sha256-${hex('a')}`, (current) => ({
      ...(current ?? verdict('a')),
      reason: 'after the restart',
    }))
    await cluster.must(['delete', 'iv', `sha256-${hex('b')}`])
    await waitFor(
      () =>
        known.size === 2 &&
        known.has(`sha256-${hex('c')}`) &&
        known.get(`sha256-${hex('a')}`)?.reason === 'after the restart',
      30_000,
      'the watch to recover',
    )
    assert.match(
      problems[0] ?? '',
      /^the watch of \/apis\/drawbridge\.dev\/v1alpha1\/imageverdicts ended: the Kubernetes API at https:\/\/127\.0\.0\.1:\d+ cannot be reached: /,
    )
  })
})

describe('without a usable API server', () => {
  it('says which file is missing, and where nothing listens', async () => {
    assert.throws(() => loadKubeConfig({ file: '/no/such/file' }), {
      message: 'kubeconfig /no/such/file does not exist',
    })
    const config = loadKubeConfig({ file: sharedCluster().kubeconfig })
    config.clusters = [{ ...config.clusters[0], name: 'test', server: 'https://127.0.0.1:1', skipTLSVerify: false }]
    const client = createClient(config)
    await assert.rejects(() => client.request('GET', '/api'), {
      name: 'KubernetesError',
      message:
        'the Kubernetes API at https://127.0.0.1:1 cannot be reached: connection refused: is the API server running there?',
    })
  })

  it('says that the CRD is not installed', async function () {
    this.timeout(30_000)
    const cluster = sharedCluster()
    const client = createClient(loadKubeConfig({ file: cluster.kubeconfig }))
    await cluster.must(['delete', 'crd', 'imageverdicts.drawbridge.dev', '--ignore-not-found'])
    const store = createKubernetesVerdictStore({ client, now: () => 0, loadTimeoutMs: 500 })
    await assert.rejects(() => loaded(store), {
      message: 'the ImageVerdict CRD is not installed: kubectl apply -f manifests/crds',
    })
    await store.close()
    client.close()
    await cluster.must(['apply', '-f', join(manifestsDirectory(), 'crds')])
  })
})
