/** `POST /validate-profiles` and the live read of profiles, from bytes to the answer. */
import assert from 'node:assert/strict'
import type { AdmissionObserver } from '../../src/observe/admission.ts'
import type { Labels } from '../../src/kube/types.ts'
import { loadProfile, type CompiledProfile } from '../../src/policy/compileProfile.ts'
import { createExemptions } from '../../src/policy/exemptions.ts'
import { resolveNamespace } from '../../src/policy/namespace.ts'
import type { AdmissionContext } from '../../webhooks/context.ts'
import { createMutate } from '../../webhooks/mutate.ts'
import { createValidateProfiles } from '../../webhooks/profiles.ts'
import { createValidate } from '../../webhooks/validate.ts'

const profile = (spec: object, name = 'web-tier') => ({
  apiVersion: 'drawbridge.dev/v1alpha1',
  kind: 'AdmissionProfile',
  metadata: { name },
  spec,
})
const GOOD = profile({ extends: { level: 'baseline' } })
const BAD = profile({ extends: { level: 'baseline' }, runAsUser: [{ min: 2, max: 1 }], allowedVolumeTypes: ['nfs'] })

const review = (request: object): Buffer =>
  Buffer.from(
    JSON.stringify({
      apiVersion: 'admission.k8s.io/v1',
      kind: 'AdmissionReview',
      request: {
        uid: 'u',
        kind: { group: 'drawbridge.dev', version: 'v1alpha1', kind: 'AdmissionProfile' },
        resource: { group: 'drawbridge.dev', version: 'v1alpha1', resource: 'admissionprofiles' },
        name: 'web-tier',
        operation: 'CREATE',
        ...request,
      },
    }),
  )

interface Response {
  readonly allowed: boolean
  readonly status?: { readonly code: number; readonly message: string }
  readonly patch?: string
  readonly warnings?: readonly string[]
}
const responseOf = (body: string): Response => (JSON.parse(body) as { readonly response: Response }).response

/** Records outcomes; everything else an observer can do would be a mistake here. */
const observing = () => {
  const seen: string[] = []
  const observer = {
    reviewAnswered: ({ webhook, outcome }) => seen.push(`${webhook} ${outcome}`),
    reviewRefused: (webhook, reason) => seen.push(`${webhook} refused: ${reason}`),
  } as Partial<AdmissionObserver> as AdmissionObserver
  return { seen, observer }
}

describe('POST /validate-profiles', () => {
  const { seen, observer } = observing()
  const namespaces = new Map<string, Labels>()
  const handle = createValidateProfiles({ observer, now: () => 0, allNamespaces: () => namespaces })
  const ask = async (request: object): Promise<Response> => {
    const { status, body } = await handle(review(request), 5000)
    assert.equal(status, 200)
    return responseOf(body)
  }

  beforeEach(() => {
    namespaces.clear()
    seen.length = 0
  })

  it('allows a profile that makes sense', async () => {
    assert.deepEqual(await ask({ object: GOOD }), { uid: 'u', allowed: true })
    assert.deepEqual(seen, ['profiles allowed'])
  })

  it('refuses one that contradicts itself, one line for each reason', async () => {
    const { allowed, status } = await ask({ object: BAD, operation: 'UPDATE', oldObject: GOOD })
    assert.equal(allowed, false)
    assert.deepEqual(status, {
      code: 403,
      reason: 'Forbidden',
      message:
        'drawbridge: AdmissionProfile web-tier cannot be used:\n' +
        '- spec.runAsUser[0]: is empty, min 2 is larger than max 1\n' +
        '- spec.allowedVolumeTypes: changes nothing, baseline does not restrict volume types (only restricted does)',
    })
    assert.deepEqual(seen, ['profiles denied'])
  })

  it('names at most ten reasons', async () => {
    const unknown = Object.fromEntries(Array.from({ length: 30 }, (_, index) => [`field${index}`, 1]))
    const { status } = await ask({ object: profile({ extends: { level: 'baseline' }, ...unknown }) })
    assert.equal(status?.message.split('\n').length, 12)
    assert.ok(status?.message.endsWith('- and 20 more'))
  })

  it('lets labels of a profile change that was made while nobody checked', async () => {
    const relabelled = { ...BAD, metadata: { name: 'web-tier', labels: { team: 'a' } } }
    assert.equal((await ask({ object: relabelled, operation: 'UPDATE', oldObject: BAD })).allowed, true)
  })

  for (const [what, object] of [
    ['nothing', null],
    ['a text', 'x'],
    ['no spec', { metadata: {} }],
  ] as const) {
    it(`refuses ${what}`, async () => assert.equal((await ask({ object })).allowed, false))
  }

  it('refuses the deletion of one in use, and names up to five namespaces', async () => {
    const remove = { operation: 'DELETE', oldObject: GOOD }
    namespaces.set('other', { 'drawbridge.dev/enforce': 'web', 'drawbridge.dev/seccomp': 'web-tier' })
    assert.equal((await ask(remove)).allowed, true)
    namespaces.set('shop', { 'drawbridge.dev/audit': 'web-tier' })
    assert.equal(
      (await ask(remove)).status?.message,
      'drawbridge: AdmissionProfile web-tier is in use by namespace shop; change their labels first',
    )
    // As the API server asks for each object of a whole collection.
    assert.equal((await ask({ ...remove, name: '' })).allowed, false)
    assert.equal((await ask({ ...remove, name: '', oldObject: profile({}, 'free') })).allowed, true)
    for (const name of ['g', 'f', 'e', 'd', 'c', 'b', 'a'])
      namespaces.set(name, { 'drawbridge.dev/enforce': 'web-tier' })
    assert.equal(
      (await ask(remove)).status?.message,
      'drawbridge: AdmissionProfile web-tier is in use by namespaces a, b, c, d, e and 3 more; change their labels first',
    )
  })

  it('tells who changes one in use which namespaces that concerns', async () => {
    const changed = profile({ extends: { level: 'privileged' } })
    const change = { operation: 'UPDATE', object: changed, oldObject: GOOD }
    namespaces.set('other', { 'drawbridge.dev/enforce': 'web' })
    assert.deepEqual(await ask(change), { uid: 'u', allowed: true })
    namespaces.set('shop', { 'drawbridge.dev/enforce': 'web-tier' })
    assert.deepEqual(await ask(change), {
      uid: 'u',
      allowed: true,
      warnings: [
        'drawbridge: AdmissionProfile web-tier is in use by namespace shop: what changed holds for pods created from now on',
      ],
    })
    assert.deepEqual(
      await ask({ ...change, object: { ...GOOD, metadata: { name: 'web-tier', labels: { a: 'b' } } } }),
      {
        uid: 'u',
        allowed: true,
      },
    )
    // Made for labels that were there first: nothing changed.
    assert.deepEqual(await ask({ object: GOOD }), { uid: 'u', allowed: true })
    for (const index of [1, 2, 3, 4, 5, 6, 7])
      namespaces.set(`${index}${'n'.repeat(62)}`, { 'drawbridge.dev/warn': 'web-tier' })
    const { warnings } = await ask(change)
    assert.equal(warnings?.length, 2)
    for (const warning of warnings ?? []) assert.ok(warning.length < 256)
    assert.match(warnings?.join(' ') ?? '', /, 5n+ and 3 more: what changed holds/)
  })

  it('has no opinion about other objects', async () => {
    const resource = { group: 'drawbridge.dev', version: 'v1alpha1', resource: 'imageverdicts' }
    assert.equal((await ask({ resource, object: BAD })).allowed, true)
  })

  it('refuses what is no review', async () => {
    assert.equal((await handle(Buffer.from('{'), 5000)).status, 400)
    assert.deepEqual(seen, ['profiles refused: the body is not JSON; wanted an AdmissionReview'])
  })
})

const context = (read: (known: Map<string, CompiledProfile>) => void) => {
  const known = new Map<string, CompiledProfile>()
  const reads: string[] = []
  const labels = { 'drawbridge.dev/enforce': 'web-tier' }
  const made: AdmissionContext = {
    namespaces: { cached: () => labels, live: () => Promise.reject(new Error('not asked for')) },
    resolvePolicy: (found) => resolveNamespace(found, { profiles: (name) => known.get(name) }),
    readProfile: (name) => {
      reads.push(name)
      read(known)
      return Promise.resolve()
    },
    exemptions: createExemptions({ users: [], namespaces: [], runtimeClasses: [] }),
    findFlagged: () => undefined,
    findException: () => undefined,
    exceptionsUsed: () => undefined,
    observer: observing().observer,
    now: () => 0,
    clock: () => 0,
  }
  return { made, reads }
}

const learn = (known: Map<string, CompiledProfile>): void => {
  const { profile: loaded } = loadProfile(
    profile({ extends: { level: 'privileged' }, hardening: { runAsNonRoot: true } }),
  )
  assert.ok(loaded)
  known.set('web-tier', loaded)
}

describe('a workload in a namespace whose profile hardens', () => {
  const HARDENED = {
    extends: { level: 'restricted' },
    hardening: { allowPrivilegeEscalation: false, dropAllCapabilities: true, runAsNonRoot: true },
  }
  const DEPLOYMENT = {
    kind: { group: 'apps', version: 'v1', kind: 'Deployment' },
    resource: { group: 'apps', version: 'v1', resource: 'deployments' },
    namespace: 'shop',
    object: {
      metadata: { name: 'web' },
      spec: { template: { spec: { containers: [{ name: 'web', image: 'nginx' }] } } },
    },
  }
  const warningsUnder = async (spec: object): Promise<readonly string[]> => {
    const { made } = context((known) => {
      const { profile: loaded } = loadProfile(profile(spec))
      assert.ok(loaded)
      known.set('web-tier', loaded)
    })
    const answer = responseOf((await createValidate(made)(review(DEPLOYMENT), 5000)).body)
    assert.equal(answer.allowed, true)
    return answer.warnings ?? []
  }

  it('is not warned of what its pods will be given', async () => assert.deepEqual(await warningsUnder(HARDENED), []))

  it('is warned of the rest', async () => {
    const warnings = (await warningsUnder({ ...HARDENED, hardening: { runAsNonRoot: true } })).join('\n')
    assert.match(warnings, /allowPrivilegeEscalation/u)
    assert.match(warnings, /capabilities/u)
    assert.doesNotMatch(warnings, /runAsNonRoot|seccompProfile/u)
  })
})

describe('a profile that memory does not know', () => {
  const POD = {
    kind: { group: '', version: 'v1', kind: 'Pod' },
    resource: { group: '', version: 'v1', resource: 'pods' },
    namespace: 'shop',
    object: { metadata: { name: 'web' }, spec: { containers: [{ name: 'web', image: 'nginx' }] } },
  }
  it('is read once, and holds then', async () => {
    const { made, reads } = context(learn)
    const answer = await createValidate(made)(review(POD), 5000)
    assert.equal(responseOf(answer.body).allowed, true)
    const mutated = await createMutate(made)(review(POD), 5000)
    assert.deepEqual(JSON.parse(Buffer.from(responseOf(mutated.body).patch ?? '', 'base64').toString()), [
      {
        op: 'add',
        path: '/spec/securityContext',
        value: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
      },
    ])
    assert.deepEqual(reads, ['web-tier'])
  })

  it('leaves restricted where it does not exist', async () => {
    const { made, reads } = context(() => undefined)
    const { allowed, status } = responseOf((await createValidate(made)(review(POD), 5000)).body)
    assert.equal(allowed, false)
    assert.match(
      status?.message ?? '',
      /^drawbridge: namespace label drawbridge\.dev\/enforce: "web-tier" is no profile; restricted:latest is enforced/u,
    )
    assert.deepEqual(reads, ['web-tier'])
  })
})
