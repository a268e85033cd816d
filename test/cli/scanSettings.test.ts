/** `drawbridge scan` with the configuration of the server, with profiles of files, and with exceptions that no longer help. */
import assert from 'node:assert/strict'
import type { OpenScan } from '../../src/cli/scan.ts'
import type { Labels } from '../../src/kube/types.ts'
import { readAdmissionException } from '../../src/policy/exceptions.ts'
import { resolveNamespace } from '../../src/policy/namespace.ts'
import { folderWith, run } from './fakes.ts'

const NOW = Date.UTC(2026, 10, 22)
const IMAGE = 'registry.example/shop/web:1'

const granted = (changes: object): unknown => ({
  apiVersion: 'drawbridge.dev/v1alpha1',
  kind: 'AdmissionException',
  metadata: { name: 'legacy' },
  spec: {
    namespaces: ['shop'],
    images: ['registry.example/shop/*:*'],
    serviceAccounts: ['*'],
    checks: ['hostNamespaces'],
    reason: 'a test',
    expiresAt: '2026-12-31T00:00:00Z',
    ...changes,
  },
})

interface Cluster {
  readonly namespaces?: Readonly<Record<string, Labels>>
  readonly spec?: object
  readonly grant?: object
  readonly flagged?: boolean
}

/** Runs `drawbridge scan` over one pod in each namespace, with what the command line gives to the composition root. */
async function scan(cluster: Cluster, ...argv: readonly string[]) {
  const namespaces = cluster.namespaces ?? { shop: { 'drawbridge.dev/enforce': 'baseline' } }
  const openScan: OpenScan = async ({ podSecurityLabels, profiles, exemptions }) => ({
    namespaces: async () => new Map(Object.entries(namespaces)),
    async *pods(namespace) {
      for (const name of Object.keys(namespaces).filter((one) => namespace === undefined || one === namespace))
        yield [
          {
            namespace: name,
            name: 'web',
            workload: 'Pod/web',
            object: {
              metadata: { name: 'web', namespace: name, annotations: { 'drawbridge.dev/exception': 'legacy' } },
              spec: { hostPID: true, containers: [{ name: 'web', image: IMAGE }], ...cluster.spec },
            },
          },
        ]
    },
    resolvePolicy: (labels) =>
      resolveNamespace(labels, { podSecurityLabels, profiles: (name) => profiles.get(name), latest: 35 }),
    profileNames: [...profiles.keys()],
    judging: {
      findFlagged: (image) =>
        cluster.flagged === true ? { verdict: 'sha256-b', phase: 'denying', text: `${image} is denied` } : undefined,
      exceptions: (name) =>
        name === 'legacy' && cluster.grant !== undefined ? readAdmissionException(granted(cluster.grant)) : undefined,
      now: NOW,
      exemptions,
    },
    notes: [],
    signal: new AbortController().signal,
    close: () => Promise.resolve(),
  })
  return run(['scan', ...argv], { actions: { openScan }, now: NOW })
}

const numbers = ({ out }: { readonly out: string }): string => out.trimEnd().split('\n').at(-1) ?? ''
const CLEAN = '1 pod in 1 namespace: 1 clean, 0 would be denied'
const DENIED = '1 pod in 1 namespace: 0 clean, 1 would be denied'

describe('drawbridge scan: exceptions', () => {
  for (const [what, cluster, why] of [
    ['an active one covers the pod', { grant: {} }, undefined],
    ['one that does not exist does not', {}, 'hostNamespaces'],
    ['an expired one does not', { grant: { expiresAt: '2026-11-21T23:59:59Z' } }, 'hostNamespaces'],
    ['one that expires at this second does not', { grant: { expiresAt: '2026-11-22T00:00:00Z' } }, 'hostNamespaces'],
    ['one that expires a second later still does', { grant: { expiresAt: '2026-11-22T00:00:01Z' } }, undefined],
    ['a malformed one does not', { grant: { expiresAt: 'never' } }, 'hostNamespaces'],
    ['one that a person suspended does not', { grant: { suspended: true } }, 'hostNamespaces'],
    [
      'one that a verdict suspends does not, and the verdict is said too',
      { grant: {}, flagged: true },
      `flagged image ${IMAGE}, hostNamespaces`,
    ],
    ['one for another namespace does not', { grant: { namespaces: ['shop-2'] } }, 'hostNamespaces'],
  ] as const) {
    it(what, async () => {
      const result = await scan(cluster)
      assert.deepEqual([result.code, numbers(result)], why === undefined ? [0, CLEAN] : [1, DENIED])
      if (why !== undefined) assert.equal(result.out.split('\n')[1]?.split(/ {2,}/).at(-1), why)
    })
  }
})

describe('drawbridge scan: the configuration of the server', () => {
  const folder = folderWith({
    'namespaces.yaml': 'exemptions: { namespaces: [shop] }\n',
    'classes.yaml': 'exemptions: { runtimeClasses: [gvisor] }\n',
    'users.yaml': 'exemptions: { users: [admin] }\n',
    'labels.yaml': 'podSecurityLabels: true\n',
    'wrong.yaml': 'exemption: {}\n',
  })
  after(() => folder.remove())
  const config = (name: string): readonly string[] => ['--config', folder.path(name)]
  const EXEMPT = 'drawbridge: namespace shop is exempt by the configuration: no check is for it, only verdicts\n'

  it('exempts namespaces from checks, and says so', async () => {
    const result = await scan({}, ...config('namespaces.yaml'))
    assert.deepEqual([result.code, numbers(result), result.err], [0, CLEAN, EXEMPT])
    const flagged = await scan({ flagged: true }, ...config('namespaces.yaml'))
    assert.deepEqual([flagged.code, numbers(flagged), flagged.err], [1, DENIED, EXEMPT])
  })

  it('exempts pods of a RuntimeClass', async () => {
    assert.equal((await scan({ spec: { runtimeClassName: 'gvisor' } }, ...config('classes.yaml'))).code, 0)
    assert.equal((await scan({ spec: { runtimeClassName: 'runc' } }, ...config('classes.yaml'))).code, 1)
  })

  it('exempts nobody by user: a pod does not say who made it', async () =>
    assert.equal((await scan({}, ...config('users.yaml'))).code, 1))

  it('honours the upstream labels where the server does', async () => {
    const namespaces = { shop: { 'pod-security.kubernetes.io/enforce': 'baseline' } }
    assert.equal((await scan({ namespaces }, ...config('labels.yaml'))).code, 1)
    assert.equal((await scan({ namespaces }, ...config('users.yaml'))).code, 0)
  })

  it('ends with 2 and one line where it cannot be used', async () => {
    for (const [name, message] of [
      ['wrong.yaml', 'unknown key "exemption" at the top'],
      ['none.yaml', 'cannot be read: no such file'],
    ] as const)
      assert.deepEqual(await scan({}, ...config(name)), {
        code: 2,
        out: '',
        err: `drawbridge: ${folder.path(name)}: ${message}\n`,
      })
  })
})

describe('drawbridge scan: profiles of files', () => {
  const profile = (name: string, level: string): string =>
    `apiVersion: drawbridge.dev/v1alpha1\nkind: AdmissionProfile\nmetadata: { name: ${name} }\nspec: { extends: { level: ${level} }, requireDigest: true }\n---\n`
  const folder = folderWith({
    'good.yaml': profile('tier', 'privileged') + profile('other', 'restricted'),
    'twice.yaml': profile('tier', 'privileged') + profile('tier', 'privileged'),
  })
  after(() => folder.remove())

  it('are what if, before they are created', async () => {
    const { code, out } = await scan({}, '--profiles', folder.path('good.yaml'), '--profile', 'tier')
    assert.equal(code, 1)
    assert.match(out, /^shop +Pod\/web +1 +denied +tier:v1\.35 +imageDigest$/m)
  })

  it('are known by the labels too', async () => {
    const namespaces = { shop: { 'drawbridge.dev/enforce': 'tier' } }
    assert.match(
      (await scan({ namespaces }, '--profiles', folder.path('good.yaml'))).out,
      / tier:v1\.35 +imageDigest$/m,
    )
    assert.match((await scan({ namespaces })).err, /"tier" is no profile; restricted:v1\.35 is enforced/)
  })

  it('end with 2 where they cannot be used, or the one that is asked for is none of them', async () => {
    assert.deepEqual(await scan({}, '--profiles', folder.path('twice.yaml')), {
      code: 2,
      out: '',
      err: `drawbridge: ${folder.path('twice.yaml')}: AdmissionProfile tier: there is another one with this name\n`,
    })
    assert.deepEqual(await scan({}, '--profiles', folder.path('good.yaml'), '--profile', 'teir'), {
      code: 2,
      out: '',
      err: 'drawbridge: --profile teir: no such profile; did you mean tier? (known: privileged, baseline, standard, restricted, other, tier)\n',
    })
  })
})

describe('drawbridge scan: misspelt labels', () => {
  it('are said, also of a namespace that therefore has not opted in', async () => {
    const { err } = await scan({ namespaces: { shop: { 'drawbridge.dev/enfroce': 'baseline' } } })
    assert.equal(
      err.split('\n')[0],
      'drawbridge: namespace shop: label drawbridge.dev/enfroce means nothing; did you mean drawbridge.dev/enforce?',
    )
  })

  it('are said 20 times at most', async () => {
    const namespaces = Object.fromEntries(
      Array.from({ length: 100 }, (_, index) => [`n${index}`, { 'drawbridge.dev/enfroce': 'x' }]),
    )
    assert.equal((await scan({ namespaces })).err.match(/means nothing/g)?.length, 20)
  })
})
