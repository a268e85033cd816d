import assert from 'node:assert/strict'
import type { CliIo } from '../../src/cli/io.ts'
import { runCli } from '../../src/cli/program.ts'
import type { CliActions } from '../../src/cli/program.ts'
import type { ScanAccess, ScannedPod } from '../../src/cli/scan.ts'
import type { Labels } from '../../src/kube/types.ts'
import { resolveNamespace } from '../../src/policy/namespace.ts'

const ENFORCED: Labels = { 'drawbridge.dev/enforce': 'standard' }

const spec = (changes: object = {}): object => ({
  securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
  containers: [{ name: 'web', image: 'web:1' }],
  ...changes,
})
const pod = (namespace: string, name: string, changes: object = {}, workload = `Pod/${name}`): ScannedPod => ({
  namespace,
  name,
  workload,
  object: { metadata: { name, namespace }, spec: spec(changes) },
})
const replicas = (count: number, changes: object = {}): ScannedPod[] =>
  Array.from({ length: count }, (_, index) => pod('shop', `web-${index}`, changes, 'Deployment/web'))

interface Cluster {
  readonly namespaces?: Readonly<Record<string, Labels>>
  readonly pods?: readonly ScannedPod[]
  /** The page at which reading fails. */
  readonly failsAt?: number
  /** The page at which somebody presses Ctrl-C. */
  readonly stopsAt?: number
  readonly notes?: readonly string[]
  readonly opens?: () => Promise<never>
  /** What one page costs, in milliseconds of the clock that commands see. */
  readonly pageTakes?: number
  readonly terminal?: boolean
}

/** Runs `drawbridge scan` over a cluster in memory, two pods a page. */
async function scan(cluster: Cluster, ...argv: readonly string[]) {
  const labels = cluster.namespaces ?? { shop: ENFORCED }
  const stop = new AbortController()
  let [out, err, now, pages, closed] = ['', '', 0, 0, 0]
  const asked: string[] = []
  const access: ScanAccess = {
    async namespaces(names) {
      const missing = names?.find((name) => !Object.hasOwn(labels, name))
      if (missing !== undefined) throw new Error(`there is no namespace ${missing}`)
      return new Map(Object.entries(labels).filter(([name]) => names?.includes(name) ?? true))
    },
    async *pods(namespace) {
      asked.push(namespace ?? '*')
      const all = (cluster.pods ?? []).filter((one) => namespace === undefined || one.namespace === namespace)
      for (let at = 0; at < all.length; at += 2) {
        if (pages === cluster.failsAt) throw new Error('the API server is gone')
        if (pages === cluster.stopsAt) stop.abort()
        if (stop.signal.aborted) return
        pages += 1
        now += cluster.pageTakes ?? 0
        yield all.slice(at, at + 2)
      }
    },
    resolvePolicy: (found) => resolveNamespace(found, {}),
    profileNames: [],
    judging: {
      findFlagged: (image, namespace) =>
        image === 'bad:1'
          ? { verdict: 'sha256-b', phase: 'denying', text: `${image} is denied in ${namespace}` }
          : undefined,
    },
    notes: cluster.notes ?? [],
    signal: stop.signal,
    close: async () => void (closed += 1),
  }
  const io: CliIo = {
    out: (text) => (out += text),
    err: (text) => (err += text),
    readStdin: () => Promise.reject(new Error('reached')),
    user: 'jane',
    now: () => now,
    errIsTerminal: cluster.terminal,
  }
  const actions = { openScan: cluster.opens ?? (() => Promise.resolve(access)) } as Partial<CliActions> as CliActions
  const code = await runCli(['scan', ...argv], io, actions, '1.2.3')
  return { code, out, err, asked, closed }
}

describe('drawbridge scan', () => {
  it('counts what would be injected where the profile is enforced, and only there', async () => {
    const bare = { securityContext: { runAsNonRoot: true } }
    assert.equal((await scan({ pods: replicas(1, bare) })).code, 0)
    assert.equal((await scan({ pods: replicas(1, bare) }, '-n', 'shop', '--profile', 'standard')).code, 0)
    const unlabelled = { namespaces: { shop: {} }, pods: replicas(1, bare) }
    assert.equal((await scan(unlabelled, '-n', 'shop', '--profile', 'restricted')).code, 1)
    assert.doesNotMatch((await scan(unlabelled, '-n', 'shop', '--profile', 'restricted')).out, /seccomp/)
    const off = { shop: { ...ENFORCED, 'drawbridge.dev/seccomp': 'off' } }
    assert.match(
      (await scan({ namespaces: off, pods: replicas(1, bare) })).out,
      /denied +standard:latest +seccompProfile_standard/,
    )
    // The kubelet made it: nothing was injected, and nothing would be.
    const mirror = replicas(1, bare).map((one) => ({
      ...one,
      object: { ...(one.object as object), metadata: { annotations: { 'kubernetes.io/config.mirror': 'x' } } },
    }))
    assert.match((await scan({ pods: mirror })).out, /denied +standard:latest +seccompProfile_standard/)
  })

  it('ends with 0 and a line of numbers where all is clean', async () => {
    assert.deepEqual(await scan({ pods: replicas(5) }), {
      code: 0,
      out: '5 pods in 1 namespace: 5 clean, 0 would be denied\n',
      err: '',
      asked: ['shop'],
      closed: 1,
    })
  })

  it('says 2,000 replicas in one line with a count, and ends with 1', async () => {
    const { code, out } = await scan({ pods: [...replicas(2000, { hostPID: true }), pod('shop', 'good')] })
    assert.equal(code, 1)
    assert.equal(
      out,
      `NAMESPACE  WORKLOAD        PODS  RESULT  PROFILE          WHY
shop       Deployment/web  2000  denied  standard:latest  hostNamespaces

2001 pods in 1 namespace: 1 clean, 2000 would be denied
`,
    )
  })

  it('keeps replicas apart of which something else is to be said', async () => {
    const { out } = await scan({
      pods: [...replicas(3, { hostPID: true }), ...replicas(1, { hostPID: true, hostIPC: true })],
      namespaces: { shop: ENFORCED },
    })
    assert.deepEqual(out.match(/Deployment\/web +\d+/g), ['Deployment/web  3', 'Deployment/web  1'])
  })

  it('says every reason in the words of the webhook with -o details', async () => {
    const pods = [
      ...replicas(5, { hostPID: true }),
      pod('shop', 'flagged', { containers: [{ name: 'a', image: 'bad:1' }] }),
    ]
    const { out } = await scan({ pods }, '-o', 'details')
    assert.equal(
      out,
      `denied  shop/Deployment/web  (5 pods: web-0, web-1, web-2, ...)
  - host namespaces (hostNamespaces): spec.hostPID is true, must be false or not set; fix: remove hostPID; exception: drawbridge.dev/exception

denied  shop/Pod/flagged  (pod flagged)
  - spec.containers[0].image: bad:1 is denied in shop

6 pods in 1 namespace: 0 clean, 6 would be denied
`,
    )
  })

  it('prints JSON for programs', async () => {
    const { code, out } = await scan({ pods: replicas(2, { hostPID: true }) }, '-o', 'json')
    assert.equal(code, 1)
    assert.deepEqual(JSON.parse(out), {
      complete: true,
      pods: 2,
      denied: 2,
      warned: 0,
      audited: 0,
      cannotBePrevented: 0,
      notListed: 0,
      clean: 0,
      namespaces: [
        {
          name: 'shop',
          enforce: 'standard:latest',
          warn: null,
          audit: null,
          quarantine: 'enforce',
          problems: [],
          pods: 2,
          denied: 2,
        },
      ],
      findings: [
        {
          namespace: 'shop',
          workload: 'Deployment/web',
          pods: 2,
          examples: ['web-0', 'web-1'],
          result: 'denied',
          cannotBePrevented: false,
          profile: 'standard:latest',
          problem: null,
          violations: [
            {
              check: 'hostNamespaces',
              container: null,
              path: 'spec.hostPID',
              found: 'true',
              required: 'false or not set',
              fix: 'remove hostPID',
            },
          ],
          moreViolations: 0,
          flagged: [],
        },
      ],
    })
  })

  it('says of static pods that they cannot be prevented', async () => {
    const { metadata, ...rest } = pod('shop', 'etcd', { hostNetwork: true }).object as { metadata: object }
    const object = {
      ...rest,
      metadata: {
        ...metadata,
        annotations: { 'kubernetes.io/config.mirror': 'x' },
        ownerReferences: [{ kind: 'Node', name: 'n', controller: true }],
      },
    }
    const { code, out } = await scan({ pods: [{ namespace: 'shop', name: 'etcd', workload: 'Pod/etcd', object }] })
    assert.equal(code, 1)
    assert.match(out, /^shop +Pod\/etcd +1 +cannot be prevented +standard:latest +hostNamespaces$/m)
    assert.match(out, /1 would be denied, 1 static pod cannot be prevented\n$/)
  })

  it('warns without failing where a namespace only asks for warnings or audit', async () => {
    const namespaces = { shop: { 'drawbridge.dev/warn': 'standard' }, b: { 'drawbridge.dev/audit': 'baseline' } }
    const { code, out } = await scan({
      namespaces,
      pods: [pod('shop', 'a', { hostPID: true }), pod('b', 'a', { hostPID: true })],
    })
    assert.equal(code, 0)
    assert.match(out, /^shop +Pod\/a +1 +warned +standard:latest/m)
    assert.match(out, /0 clean, 0 would be denied, 1 would be warned about, 1 would be audited\n$/)
  })

  it('keeps hostile texts on their line and within bounds', async () => {
    const containers = Array.from({ length: 1000 }, (_, index) => ({
      name: `c${index}\u001b[2J\n`.repeat(50),
      image: 'bad:1',
      securityContext: { capabilities: { add: ['X\n'.repeat(10_000)] } },
    }))
    for (const output of ['table', 'details', 'json']) {
      const { out } = await scan({ pods: [pod('shop', 'a\nb', { containers }, 'Evil/a\u202eb\n')] }, '-o', output)
      assert.ok(out.length < 30_000, `${output} ${out.length}`)
      // JSON escapes what moves the cursor, and is otherwise faithful.
      // oxlint-disable-next-line no-control-regex
      assert.doesNotMatch(out, output === 'json' ? /\u001b/ : /[\u001b\u202e]/)
    }
  })

  it('lists no more than 10,000 workloads, and counts the others', async () => {
    const pods = Array.from({ length: 10_050 }, (_, index) => pod('shop', `p${index}`, { hostPID: true }))
    const { out } = await scan({ pods })
    assert.equal(out.match(/^shop /gm)?.length, 10_000)
    assert.match(out, /10050 would be denied, 50 with findings not listed\n$/)
  }).timeout(20_000)
})

describe('drawbridge scan: which namespaces', () => {
  const namespaces: Readonly<Record<string, Labels>> = {
    plain: {},
    injected: { 'drawbridge.dev/seccomp': 'RuntimeDefault' },
    shop: ENFORCED,
    'kube-system': ENFORCED,
    billing: { 'drawbridge.dev/quarantine': 'warn' },
  }
  const pods = Object.keys(namespaces).map((name) => pod(name, 'a', { hostPID: true }))

  for (const [argv, asked, code] of [
    [[], ['billing', 'shop'], 1],
    [['-n', 'billing'], ['billing'], 0],
    [['-n', 'shop', '-n', 'billing', '-n', 'shop'], ['billing', 'shop'], 1],
    [['-n', 'kube-system'], ['kube-system'], 1],
    [['-n', 'plain'], [], 0],
    [['-n', 'plain', '--profile', 'baseline'], ['plain'], 1],
    [['--profile', 'privileged'], ['billing', 'shop'], 0],
    [['-A', '--profile', 'baseline'], ['*'], 1],
  ] as const) {
    it(`${argv.join(' ') || 'no option'}: reads ${asked.join(', ') || 'none'}, ends with ${code}`, async () => {
      const result = await scan({ namespaces, pods }, ...argv)
      assert.deepEqual([result.asked, result.code], [asked, code])
    })
  }

  it('judges every namespace under the what-if profile', async () => {
    const { out } = await scan({ namespaces, pods }, '-A', '--profile', 'baseline')
    assert.match(out, /\n5 pods in 5 namespaces: 0 clean, 5 would be denied\n$/)
  })

  it('judges a namespace that was made meanwhile', async () => {
    const { out } = await scan(
      { namespaces, pods: [pod('new', 'a', { hostPID: true })] },
      '-A',
      '--profile',
      'baseline',
    )
    assert.match(out, /^new +Pod\/a +1 +denied +baseline:latest +hostNamespaces$/m)
  })

  it('says when nobody opted in, when a named one asks for nothing, and what a label means that nobody understands', async () => {
    assert.match((await scan({ namespaces: {} })).err, /^drawbridge: no namespace has opted in /)
    assert.match(
      (await scan({ namespaces }, '-n', 'plain')).err,
      /^drawbridge: namespace plain asks for nothing; --profile /,
    )
    assert.equal(
      (await scan({ namespaces: { a: { 'drawbridge.dev/enforce': 'standart' } } })).err,
      'drawbridge: namespace a: namespace label drawbridge.dev/enforce: "standart" is no profile; restricted:latest is enforced until it is corrected\n',
    )
  })
})

describe('drawbridge scan: when it cannot', () => {
  for (const [what, cluster, argv, message] of [
    ['a namespace that does not exist', {}, ['-n', 'none'], 'there is no namespace none'],
    [
      'a profile that does not exist',
      {},
      ['--profile', 'x'],
      '--profile x: no such profile (known: privileged, baseline, standard, restricted)',
    ],
    ['--all-namespaces without --profile', {}, ['-A'], /--all-namespaces asks what if: give --profile too/],
    [
      '-A with -n',
      {},
      ['-A', '-n', 'a', '--profile', 'baseline'],
      '--all-namespaces and --namespace exclude each other',
    ],
    ['no cluster', { opens: () => Promise.reject(new Error('connection refused')) }, [], 'connection refused'],
    ['a cluster that goes away at once', { pods: replicas(4), failsAt: 0 }, [], 'the API server is gone'],
  ] as const) {
    it(`ends with 2 and one line for ${what}`, async () => {
      const { code, out, err } = await scan(cluster, ...argv)
      assert.deepEqual([code, out], [2, ''])
      if (typeof message === 'string') assert.equal(err, `drawbridge: ${message}\n`)
      else assert.match(err, message)
      assert.equal(err.split('\n').length, 2)
    })
  }

  it('prints what was found before the cluster went away, says so in JSON, and ends with 2', async () => {
    const cluster = { pods: replicas(6, { hostPID: true }), failsAt: 2 }
    const { code, out, err, closed } = await scan(cluster, '-o', 'json')
    const { complete, pods, denied } = JSON.parse(out) as Record<string, unknown>
    assert.deepEqual([code, complete, pods, denied, closed], [2, false, 4, 4, 1])
    assert.equal(err, 'drawbridge: the API server is gone\n')
  })

  it('prints what was found before Ctrl-C', async () => {
    const { code, out, err } = await scan({ pods: replicas(6, { hostPID: true }), stopsAt: 2 })
    assert.equal(code, 1)
    assert.match(out, /^shop +Deployment\/web +4 /m)
    assert.equal(err, 'drawbridge: stopped before all pods were judged; above is what was found so far\n')
  })

  it('never says clean of pods that it did not see', async () => {
    const { code, err } = await scan({ pods: replicas(6), stopsAt: 2 })
    assert.deepEqual([code, err], [2, 'drawbridge: stopped before all pods were judged\n'])
  })

  it('passes on what could not be read', async () => {
    const { err } = await scan({ notes: ['no verdicts here'] })
    assert.equal(err, 'drawbridge: no verdicts here\n')
  })
})

describe('drawbridge scan: progress', () => {
  it('says how far it is every few seconds where a line stays', async () => {
    const { err } = await scan({ pods: replicas(12, { hostPID: true }), pageTakes: 2500 })
    assert.equal(
      err,
      [4, 8, 12].map((count) => `drawbridge: judged ${count} pods; ${count} would be denied\n`).join(''),
    )
  })

  it('overwrites one line on a terminal, and removes it at the end', async () => {
    const { err } = await scan({ pods: replicas(4), pageTakes: 200, terminal: true })
    assert.equal(err, '\r\u001b[Kjudged 2 pods; 0 would be denied\r\u001b[Kjudged 4 pods; 0 would be denied\r\u001b[K')
  })

  it('names the namespaces that are done', async () => {
    const { err } = await scan({
      namespaces: { a: ENFORCED, b: ENFORCED },
      pods: [pod('a', 'x'), pod('b', 'y')],
      pageTakes: 5000,
    })
    assert.match(err, /judged 2 pods in 1 of 2 namespaces; 0 would be denied\n$/)
  })

  it('says nothing of a short scan', async () => assert.equal((await scan({ pods: replicas(4) })).err, ''))
})
