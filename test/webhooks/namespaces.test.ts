import assert from 'node:assert/strict'
import { readAdmissionException } from '../../src/policy/exceptions.ts'
import { createExemptions } from '../../src/policy/exemptions.ts'
import { resolveNamespace } from '../../src/policy/namespace.ts'
import type { ReviewHandler } from '../../src/server/reviewHandler.ts'
import { createValidateNamespaces } from '../../webhooks/namespaces.ts'
import type { ListPods, NamespacesContext } from '../../webhooks/namespaces.ts'

type Short = Readonly<Record<string, unknown>>

const labelsOf = (short: Short): Short =>
  Object.fromEntries(Object.entries(short).map(([key, value]) => [`drawbridge.dev/${key}`, value]))

const pod = (name: string, spec: object = {}): object => ({
  metadata: { name },
  spec: { containers: [{ name: 'c', image: 'i' }], ...spec },
})

/** Serves pages of pods and counts how many were asked for. */
const lister = (
  pages: readonly (readonly unknown[])[],
  onPage: () => void = () => undefined,
): ListPods & { asked: number } => {
  const list = Object.assign(
    async function* () {
      for (const [index, pods] of pages.entries()) {
        onPage()
        list.asked++
        yield await Promise.resolve({ pods, remaining: pages.slice(index + 1).flat().length })
      }
    },
    { asked: 0 },
  )
  return list
}

const failing = (error: Error): ListPods =>
  // oxlint-disable-next-line require-yield
  async function* () {
    throw await Promise.resolve(error)
  }

const clock = { now: 0 }

const endpointWith = (
  listPods: ListPods | undefined,
  exempt: readonly string[] = [],
  findException: NamespacesContext['findException'] = () => undefined,
): ReviewHandler =>
  createValidateNamespaces({
    observer: new Proxy({}, { get: () => () => undefined }) as NamespacesContext['observer'],
    now: () => clock.now,
    exemptions: createExemptions({ users: [], namespaces: exempt, runtimeClasses: ['kata'] }),
    findException,
    clock: () => 0,
    resolveLive: (labels) => Promise.resolve(resolveNamespace(labels)),
    listPods,
  })

const ask = async (
  old: Short | undefined,
  next: Short,
  changes: {
    readonly endpoint?: ReviewHandler
    readonly listPods?: ListPods | undefined
    readonly exempt?: readonly string[]
    readonly request?: object
    readonly timeout?: number
  } = {},
): Promise<{ readonly allowed: boolean; readonly message?: string; readonly warnings: readonly string[] }> => {
  const object = (labels: Short): object => ({ metadata: { name: 'shop', labels } })
  const body = {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid: 'u',
      kind: { group: '', version: 'v1', kind: 'Namespace' },
      resource: { group: '', version: 'v1', resource: 'namespaces' },
      name: 'shop',
      namespace: 'shop',
      operation: old === undefined ? 'CREATE' : 'UPDATE',
      object: object(labelsOf(next)),
      oldObject: old === undefined ? null : object(labelsOf(old)),
      ...changes.request,
    },
  }
  const endpoint = changes.endpoint ?? endpointWith(changes.listPods, changes.exempt)
  const reply = await endpoint(Buffer.from(JSON.stringify(body)), changes.timeout ?? 5000)
  assert.equal(reply.status, 200)
  const { response } = JSON.parse(reply.body) as {
    response: { allowed: boolean; status?: { message: string; code: number }; warnings?: string[] }
  }
  const { allowed, status, warnings = [] } = response
  return { allowed, ...(status && { message: `${status.code} ${status.message}` }), warnings }
}

const NO_PROFILE = 'namespace label drawbridge.dev/enforce: "strict" is no profile'

describe('POST /validate-namespaces', () => {
  beforeEach(() => (clock.now = 0))

  it('refuses a label that cannot be resolved, at creation and later', async () => {
    const refusal = { allowed: false, message: `422 drawbridge: ${NO_PROFILE}`, warnings: [] }
    assert.deepEqual(await ask(undefined, { enforce: 'strict' }), refusal)
    assert.deepEqual(await ask({ enforce: 'baseline' }, { enforce: 'strict' }), refusal)
    assert.deepEqual(await ask({}, { enforce: 'strict' }), refusal)
  })

  it('lets other labels change where one was wrong before, and says so', async () => {
    assert.deepEqual(await ask({ enforce: 'strict' }, { enforce: 'strict', warn: 'baseline' }), {
      allowed: true,
      warnings: [`drawbridge: ${NO_PROFILE}`],
    })
  })

  for (const subResource of ['status', 'finalize']) {
    it(`refuses labels that are changed through ${subResource} as well`, async () => {
      const { allowed, message } = await ask({ team: 'a' }, { enforce: 'strict' }, { request: { subResource } })
      assert.deepEqual([allowed, message?.includes(NO_PROFILE)], [false, true])
    })
  }

  it('ignores other subresources and other objects', async () => {
    for (const request of [
      { subResource: 'scale' },
      { kind: { group: '', version: 'v1', kind: 'Pod' } },
      { operation: 'DELETE' },
    ])
      assert.deepEqual(await ask(undefined, { enforce: 'strict' }, { request }), { allowed: true, warnings: [] })
  })

  for (const [what, object] of [
    ['no object', null],
    ['labels that are a list', { metadata: { labels: ['x'] } }],
    ['labels that are numbers', { metadata: { labels: { 'drawbridge.dev/enforce': 7 } } }],
    ['__proto__', JSON.parse('{"metadata":{"labels":{"__proto__":{"drawbridge.dev/enforce":"strict"}}}}')],
  ] as const) {
    it(`takes ${what} for a namespace without labels`, async () => {
      assert.deepEqual(await ask({}, {}, { request: { object } }), { allowed: true, warnings: [] })
    })
  }

  it('names pods that the new profile would deny, and leaves out exempt and unreadable ones', async () => {
    const listPods = lister([
      [pod('a', { hostPID: true }), pod('b')],
      [pod('c', { hostPID: true }), pod('d', { hostPID: true, runtimeClassName: 'kata' }), null, { spec: 7 }],
    ])
    assert.deepEqual(await ask({}, { enforce: 'baseline' }, { listPods }), {
      allowed: true,
      warnings: [
        'drawbridge: 2 existing pods in namespace "shop" would be denied by enforce baseline:latest, and cannot be replaced when they end',
        'a (and 1 other pod): host namespaces',
      ],
    })
  })

  it('does not name pods that need only what would be injected when they are created again', async () => {
    const injected = pod('a', { securityContext: { runAsNonRoot: true } })
    assert.deepEqual(await ask({}, { enforce: 'standard' }, { listPods: lister([[injected]]) }), {
      allowed: true,
      warnings: [],
    })
    const off = await ask({}, { enforce: 'standard', seccomp: 'off' }, { listPods: lister([[injected]]) })
    assert.equal(off.warnings[1], 'a: seccompProfile')
  })

  it('does not name pods whose violations somebody has granted', async () => {
    const reading = readAdmissionException({
      apiVersion: 'drawbridge.dev/v1alpha1',
      kind: 'AdmissionException',
      metadata: { name: 'legacy' },
      spec: {
        namespaces: ['shop'],
        serviceAccounts: ['*'],
        images: ['i:latest'],
        checks: ['hostNamespaces'],
        reason: 'a test',
        expiresAt: '1970-01-02T00:00:00Z',
      },
    })
    assert.ok(reading.exception)
    const asking = {
      metadata: { name: 'a', annotations: { 'drawbridge.dev/exception': 'legacy' } },
      spec: { containers: [{ name: 'c', image: 'i' }], hostPID: true },
    }
    const endpoint = endpointWith(lister([[asking, pod('b', { hostPID: true })]]), [], (name) =>
      name === 'legacy' ? reading : undefined,
    )
    const { warnings } = await ask({}, { enforce: 'baseline' }, { endpoint })
    assert.equal(warnings[1], 'b: host namespaces')
  })

  it('looks at nothing when nothing more can be denied', async () => {
    for (const [old, next] of [
      [undefined, { enforce: 'baseline' }],
      [{ enforce: 'restricted' }, { enforce: 'baseline' }],
      [{ enforce: 'baseline' }, { enforce: 'baseline', warn: 'restricted' }],
      [{}, { enforce: 'privileged' }],
    ] as const) {
      const listPods = lister([[pod('a', { hostPID: true })]])
      assert.deepEqual(await ask(old, next, { listPods }), { allowed: true, warnings: [] })
      assert.equal(listPods.asked, 0)
    }
  })

  it('says that an exempt namespace is exempt', async () => {
    const listPods = lister([[pod('a', { hostPID: true })]])
    assert.deepEqual((await ask({}, { enforce: 'baseline' }, { listPods, exempt: ['shop'] })).warnings, [
      'drawbridge: namespace "shop" is exempt in drawbridge.yaml: baseline:latest is not enforced',
    ])
    assert.equal(listPods.asked, 0)
  })

  it('stops after 3,000 pods', async () => {
    // The API server may give other pages than were asked for.
    for (const [size, asked] of [
      [250, 12],
      [625, 5],
    ] as const) {
      const page = Array.from({ length: size }, () => pod('a'))
      const listPods = lister(Array.from({ length: 5000 / size }, () => page))
      assert.deepEqual((await ask({}, { enforce: 'baseline' }, { listPods })).warnings, [
        'drawbridge: only the first 3000 of 5000 existing pods were checked against baseline:latest: at most 3000 are',
      ])
      assert.equal(listPods.asked, asked)
    }
  })

  it('says nothing of exactly 3,000', async () => {
    const listPods = lister([Array.from({ length: 3000 }, () => pod('a'))])
    assert.deepEqual((await ask({}, { enforce: 'baseline' }, { listPods })).warnings, [])
  })

  it('stops after a second, or shortly before the API server gives up', async () => {
    for (const [timeout, pages] of [
      [5000, 3],
      [1000, 2],
    ] as const) {
      clock.now = 0
      const listPods = lister([[pod('a')], [pod('b')], [pod('c')], [pod('d')]], () => (clock.now += 400))
      assert.deepEqual((await ask({}, { enforce: 'baseline' }, { listPods, timeout })).warnings, [
        `drawbridge: only the first ${pages - 1} of 4 existing pods were checked against baseline:latest: the time was over`,
      ])
      assert.equal(listPods.asked, pages)
    }
  })

  it('allows and says so when pods cannot be read', async () => {
    for (const [error, why] of [
      [new Error('no'), 'they cannot be read: no'],
      [Object.assign(new Error('late'), { reason: 'Timeout' }), 'the time was over'],
    ] as const) {
      assert.deepEqual(await ask({}, { enforce: 'baseline' }, { listPods: failing(error) }), {
        allowed: true,
        warnings: [`drawbridge: only the first 0 existing pods were checked against baseline:latest: ${why}`],
      })
    }
  })

  it('looks at four namespaces at once, and says of a fifth that it was left out', async () => {
    let open: () => void = () => undefined
    const gate = new Promise<void>((resolve) => (open = resolve))
    const endpoint = endpointWith(async function* () {
      await gate
      yield { pods: [pod('a')], remaining: 0 }
    })
    const four = Array.from({ length: 4 }, () => ask({}, { enforce: 'baseline' }, { endpoint }))
    const busy = ['drawbridge: only the first 0 existing pods were checked against baseline:latest: busy; try again']
    assert.deepEqual((await ask({}, { enforce: 'baseline' }, { endpoint })).warnings, busy)
    open()
    for (const { warnings } of await Promise.all(four)) assert.deepEqual(warnings, [])
    assert.deepEqual((await ask({}, { enforce: 'baseline' }, { endpoint })).warnings, [])
  })
})
