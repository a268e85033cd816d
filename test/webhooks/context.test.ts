/** From the bytes of a review to the bytes of an answer: whose labels count, when the answer is a denial, and that there always is one. */
import assert from 'node:assert/strict'
import { assert as assertProperty, asyncProperty, boolean, jsonValue } from 'fast-check'
import type { Labels } from '../../src/kube/types.ts'
import type { AdmissionObserver } from '../../src/observe/admission.ts'
import { createExemptions } from '../../src/policy/exemptions.ts'
import { resolveNamespace } from '../../src/policy/namespace.ts'
import type { FindFlagged } from '../../src/policy/types.ts'
import type { Reply } from '../../src/server/reply.ts'
import type { ReviewHandler } from '../../src/server/reviewHandler.ts'
import { allowUnchanged, answerBody } from '../../webhooks/context.ts'
import { reviewRoutes } from '../../webhooks/routes.ts'

const UID = '705ab4f5-6393-11e8-b7cc-42010a800002'
const ENFORCED: Labels = { 'drawbridge.dev/enforce': 'standard' }
const NOTHING: Labels = {}

const GOOD = { containers: [{ name: 'web', image: 'web:1', securityContext: { runAsNonRoot: true } }] }
const SAFE = { ...GOOD, securityContext: { seccompProfile: { type: 'RuntimeDefault' } } }
const PRIVILEGED = { ...SAFE, hostPID: true }

const review = (request: object = {}, spec: object = SAFE): object => ({
  apiVersion: 'admission.k8s.io/v1',
  kind: 'AdmissionReview',
  request: {
    uid: UID,
    kind: { group: '', version: 'v1', kind: 'Pod' },
    resource: { group: '', version: 'v1', resource: 'pods' },
    name: 'web',
    namespace: 'shop',
    operation: 'CREATE',
    userInfo: { username: 'jane', groups: ['system:authenticated'] },
    object: { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web', namespace: 'shop' }, spec },
    oldObject: null,
    dryRun: false,
    ...request,
  },
})

interface Setting {
  /** Labels in memory; undefined: the namespace is not there. */
  readonly cached?: Labels | undefined
  readonly live?: () => Promise<Labels | undefined>
  readonly findFlagged?: FindFlagged
  readonly podSecurityLabels?: boolean
}

const neverAsked = (): Promise<never> => Promise.reject(new Error('the API server was asked'))

const nothing = (): void => undefined

/** Both endpoints over one setting, and what they reported. */
function endpoints({ cached, live = neverAsked, findFlagged = () => undefined, podSecurityLabels = false }: Setting): {
  readonly mutate: ReviewHandler
  readonly validate: ReviewHandler
  /** The endpoint of a webhook entry. */
  readonly at: (path: string) => ReviewHandler
  readonly asked: string[]
  readonly outcomes: string[]
  readonly refused: string[]
  readonly errors: string[]
} {
  const [asked, outcomes, refused, errors]: [string[], string[], string[], string[]] = [[], [], [], []]
  const observer: AdmissionObserver = {
    reviewAnswered: ({ outcome }) => void outcomes.push(outcome),
    reviewRefused: (_webhook, reason) => void refused.push(reason),
    exceptionsUsed: nothing,
    exceptionUsesUnconfirmed: nothing,
    exceptionMalformed: nothing,
    seccompFellBack: () => undefined,
    namespaceLookupFailed: (namespace) => void errors.push(`lookup of ${namespace}`),
    httpError: (_listener, _status, error) => void errors.push(error.message),
    connectionError: nothing,
    alertThreadEnded: nothing,
    verdictsIndexed: nothing,
    brakeChanged: nothing,
    clusterProblem: nothing,
    secretsLoaded: nothing,
    safetyNetMade: () => undefined,
    safetyNetInStep: () => undefined,
    secretProblem: nothing,
  }
  const context = {
    namespaces: {
      cached: () => cached,
      live: (name: string) => {
        asked.push(name)
        return live()
      },
    },
    resolvePolicy: (labels: Labels) => resolveNamespace(labels, { podSecurityLabels }),
    exemptions: createExemptions({ users: [], namespaces: [], runtimeClasses: [] }),
    findFlagged,
    findException: () => undefined,
    exceptionsUsed: nothing,
    observer,
    now: () => 0,
    clock: () => 0,
  }
  const routes = reviewRoutes(context, podSecurityLabels)
  const at = (path: string): ReviewHandler => {
    const handler = routes[path]
    assert.ok(handler !== undefined, path)
    return handler
  }
  return { mutate: at('/mutate'), validate: at('/validate'), at, asked, outcomes, refused, errors }
}

const bytes = (value: unknown): Buffer => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))

/** The answer as the API server reads it, which must be an AdmissionReview with HTTP 200. */
function responseOf(reply: Reply): {
  readonly uid: string
  readonly allowed: boolean
  readonly status?: { readonly code: number; readonly reason: string; readonly message: string }
  readonly patch?: string
  readonly warnings?: readonly string[]
} {
  assert.equal(reply.status, 200, reply.body)
  const answer = JSON.parse(reply.body)
  assert.deepEqual([answer.apiVersion, answer.kind], ['admission.k8s.io/v1', 'AdmissionReview'])
  return answer.response
}

const patchOf = (reply: Reply): unknown => {
  const { patch } = responseOf(reply)
  return patch === undefined ? undefined : JSON.parse(Buffer.from(patch, 'base64').toString())
}

describe('whose labels count', () => {
  it('answers from memory where the namespace is known and asks for something', async () => {
    const { validate, asked } = endpoints({ cached: ENFORCED })
    assert.deepEqual(responseOf(await validate(bytes(review()), 5000)), {
      uid: UID,
      allowed: true,
      auditAnnotations: { 'enforce-policy': 'standard:latest' },
    })
    assert.equal(responseOf(await validate(bytes(review({}, PRIVILEGED)), 5000)).allowed, false)
    assert.deepEqual(asked, [])
  })

  for (const [what, cached] of [
    ['is not in memory', undefined],
    ['asks for nothing according to memory, yet was sent here', NOTHING],
  ] as const) {
    it(`reads a namespace once, live, that ${what}`, async () => {
      const { validate, asked } = endpoints({ cached, live: () => Promise.resolve(ENFORCED) })
      const { allowed, status } = responseOf(await validate(bytes(review({}, PRIVILEGED)), 5000))
      assert.equal(allowed, false)
      assert.match(status!.message, /^drawbridge: pod "web" breaks profile standard:latest:\n- host namespaces/)
      assert.deepEqual(asked, ['shop'])
    })
  }

  it('injects by the live labels too', async () => {
    const { mutate } = endpoints({ cached: undefined, live: () => Promise.resolve(ENFORCED) })
    assert.deepEqual(patchOf(await mutate(bytes(review({}, GOOD)), 5000)), [
      { op: 'add', path: '/spec/securityContext', value: { seccompProfile: { type: 'RuntimeDefault' } } },
    ])
  })

  it('allows without a word what asks for nothing, by the live labels', async () => {
    const { validate, mutate, asked } = endpoints({ cached: undefined, live: () => Promise.resolve(NOTHING) })
    for (const handler of [validate, mutate])
      assert.deepEqual(responseOf(await handler(bytes(review({}, PRIVILEGED)), 5000)), { uid: UID, allowed: true })
    assert.deepEqual(asked, ['shop', 'shop'])
  })

  it('denies a pod in no namespace, which the API server never sends, and allows other kinds', async () => {
    const { validate, asked } = endpoints({})
    assert.equal(responseOf(await validate(bytes(review({ namespace: '' })), 5000)).allowed, false)
    const node = {
      kind: { group: '', version: 'v1', kind: 'Node' },
      resource: { group: '', version: 'v1', resource: 'nodes' },
    }
    assert.equal(responseOf(await validate(bytes(review({ namespace: '', ...node })), 5000)).allowed, true)
    assert.deepEqual(asked, [])
  })
})

/** Short for `drawbridge.dev/`; `ps:` stands for upstream's. */
const labelled = (short: Labels): Labels =>
  Object.fromEntries(
    Object.entries(short).map(([key, value]) => [
      key.startsWith('ps:') ? `pod-security.kubernetes.io/${key.slice(3)}` : `drawbridge.dev/${key}`,
      value,
    ]),
  )

describe('labels in memory that contradict the entry that was called', () => {
  const bad = review({}, PRIVILEGED)

  // path, labels in memory, labels now, is the API server asked, is a pod in the host's PID namespace allowed
  const cases: readonly (readonly [string, Labels, Labels, 'asked' | 'memory', 'allowed' | 'denied'])[] = [
    // `enforce` was just added.
    ['/validate/enforce', { warn: 'baseline' }, { warn: 'baseline', enforce: 'baseline' }, 'asked', 'denied'],
    ['/validate/enforce', { quarantine: 'enforce' }, { enforce: 'baseline' }, 'asked', 'denied'],
    ['/validate/enforce', { enforced: 'baseline' }, { enforce: 'baseline' }, 'asked', 'denied'],
    // `enforce` was just removed, with the right to do so.
    ['/validate/advise-warn', { enforce: 'baseline', warn: 'baseline' }, { warn: 'baseline' }, 'asked', 'allowed'],
    ['/validate/advise-audit', { enforce: 'baseline' }, { audit: 'baseline' }, 'asked', 'allowed'],
    ['/validate/verdicts-quarantine-only', { enforce: 'baseline' }, { quarantine: 'warn' }, 'asked', 'allowed'],
    ['/validate/verdicts-cluster', { enforce: 'baseline' }, {}, 'asked', 'allowed'],
    // Memory is newer than what the API server saw when it chose the entry.
    ['/validate/advise-warn', { enforce: 'baseline' }, { enforce: 'baseline' }, 'asked', 'denied'],
    ['/validate/enforce', { warn: 'baseline' }, { warn: 'baseline' }, 'asked', 'allowed'],
    // What an entry does not speak of is no contradiction.
    ['/validate/enforce', { enforce: 'baseline' }, {}, 'memory', 'denied'],
    ['/validate/enforce', { enforce: 'privileged', warn: 'baseline' }, {}, 'memory', 'allowed'],
    ['/validate/advise-warn', { warn: 'baseline', audit: 'baseline' }, {}, 'memory', 'allowed'],
    ['/validate/verdicts-quarantine-only', { quarantine: 'typing-mistake' }, {}, 'memory', 'denied'],
    // In and NotIn.
    ['/validate/advise-warn-quarantine-off', { warn: 'baseline' }, { enforce: 'baseline' }, 'asked', 'denied'],
    ['/validate/advise-warn-quarantine-off', { warn: 'baseline', quarantine: 'off' }, {}, 'memory', 'allowed'],
    ['/validate/verdicts-cluster', { warn: 'baseline', quarantine: 'off' }, {}, 'asked', 'allowed'],
    // Upstream's labels.
    ['/validate/pod-security-enforce', { 'ps:warn': 'baseline' }, { 'ps:enforce': 'baseline' }, 'asked', 'denied'],
    ['/validate/pod-security-warn', { 'ps:enforce': 'baseline' }, { 'ps:warn': 'baseline' }, 'asked', 'allowed'],
    ['/validate/advise-warn', { warn: 'baseline', 'ps:enforce': 'baseline' }, { warn: 'baseline' }, 'asked', 'allowed'],
    ['/validate/pod-security-enforce', { 'ps:enforce': 'baseline' }, {}, 'memory', 'denied'],
    // Called by hand: nobody says which labels the API server saw.
    ['/validate', { warn: 'baseline' }, { enforce: 'baseline' }, 'memory', 'allowed'],
  ]
  for (const [path, cached, live, from, answer] of cases) {
    it(`${path} with ${JSON.stringify(cached)} in memory: ${from}, ${answer}`, async () => {
      const setting = { cached: labelled(cached), live: () => Promise.resolve(labelled(live)), podSecurityLabels: true }
      const { at, asked } = endpoints(setting)
      assert.equal(responseOf(await at(path)(bytes(bad), 5000)).allowed, answer === 'allowed')
      assert.deepEqual(asked, from === 'asked' ? ['shop'] : [])
    })
  }

  for (const [path, cached, live, type] of [
    ['/mutate/enforce', { seccomp: 'localhost.old' }, { enforce: 'baseline' }, 'RuntimeDefault'],
    ['/mutate/enforce', { seccomp: 'localhost.old', enforce: 'baseline' }, {}, 'Localhost'],
    ['/mutate/seccomp-only', { enforce: 'baseline' }, { seccomp: 'localhost.new' }, 'Localhost'],
    ['/mutate/seccomp-only', { enforce: 'baseline', seccomp: 'off' }, { seccomp: 'RuntimeDefault' }, 'RuntimeDefault'],
  ] as const) {
    it(`${path} with ${JSON.stringify(cached)} in memory injects ${type}`, async () => {
      const { at } = endpoints({ cached: labelled(cached), live: () => Promise.resolve(labelled(live)) })
      const [operation] = patchOf(await at(path)(bytes(review({}, GOOD)), 5000)) as [
        { value: { seccompProfile: { type: string } } },
      ]
      assert.equal(operation.value.seccompProfile.type, type)
    })
  }

  // A flagged image where verdicts hold everywhere: path, labels, is the API server asked, is the pod allowed.
  const everywhere: readonly (readonly [string, Labels, 'asked' | 'memory', 'allowed' | 'denied' | 'warned'])[] = [
    ['/validate/verdicts-cluster', {}, 'memory', 'denied'],
    ['/validate/verdicts-cluster', { warn: 'baseline' }, 'memory', 'denied'],
    ['/validate/verdicts-cluster', { quarantine: 'enforce' }, 'memory', 'denied'],
    ['/validate/verdicts-cluster', { quarantine: 'warn' }, 'memory', 'warned'],
    ['/validate/verdicts-cluster', { quarantine: 'off' }, 'asked', 'allowed'],
    ['/validate/verdicts-cluster', { enforce: 'baseline', quarantine: 'off' }, 'asked', 'allowed'],
    ['/validate/verdicts-quarantine-only', { warn: 'baseline' }, 'asked', 'allowed'],
    ['/validate/verdicts-quarantine-only', { quarantine: 'enforce' }, 'memory', 'denied'],
    ['/validate', {}, 'asked', 'allowed'],
  ]
  for (const [path, short, from, answer] of everywhere) {
    it(`a flagged image by ${path} with ${JSON.stringify(short)}: ${from}, ${answer}`, async () => {
      const { at, asked } = endpoints({
        cached: labelled(short),
        live: () => Promise.resolve(labelled(short)),
        findFlagged: () => ({ verdict: 'sha256-1', phase: 'denying', text: 'a dropped executable ran' }),
      })
      const { allowed, warnings } = responseOf(await at(path)(bytes(review()), 5000))
      assert.equal(allowed ? (warnings === undefined ? 'allowed' : 'warned') : 'denied', answer)
      assert.deepEqual(asked, from === 'asked' ? ['shop'] : [])
    })
  }

  it('reads once, even where the labels still contradict the entry', async () => {
    const { at, asked } = endpoints({ cached: undefined, live: () => Promise.resolve(labelled({ audit: 'baseline' })) })
    assert.equal(responseOf(await at('/validate/enforce')(bytes(bad), 5000)).allowed, true)
    assert.deepEqual(asked, ['shop'])
  })

  it('denies when the live read fails', async () => {
    const { at, outcomes } = endpoints({
      cached: labelled({ warn: 'baseline' }),
      live: () => Promise.reject(new Error('connect ECONNREFUSED')),
    })
    assert.deepEqual(responseOf(await at('/validate/enforce')(bytes(review()), 5000)), {
      uid: UID,
      allowed: false,
      status: {
        code: 500,
        reason: 'InternalError',
        message: 'drawbridge: the labels of namespace "shop" could not be read: connect ECONNREFUSED',
      },
    })
    assert.deepEqual(outcomes, ['failed'])
  })
})

describe('failing closed', () => {
  for (const [what, live, message] of [
    [
      'rejects',
      () => Promise.reject(new Error('connect ECONNREFUSED')),
      'drawbridge: the labels of namespace "shop" could not be read: connect ECONNREFUSED',
    ],
    [
      'throws',
      () => {
        throw new Error('a bug')
      },
      'drawbridge: the labels of namespace "shop" could not be read: a bug',
    ],
    [
      'finds no namespace',
      () => Promise.resolve(undefined),
      'drawbridge: the labels of namespace "shop" could not be read: there is no such namespace',
    ],
  ] as const) {
    it(`denies with the uid when the live read ${what}`, async () => {
      const { mutate, validate, outcomes, errors } = endpoints({ live })
      for (const handler of [mutate, validate]) {
        assert.deepEqual(responseOf(await handler(bytes(review()), 5000)), {
          uid: UID,
          allowed: false,
          status: { code: 500, reason: 'InternalError', message },
        })
      }
      assert.deepEqual(outcomes, ['failed', 'failed'])
      assert.deepEqual(errors, ['lookup of shop', 'lookup of shop'])
    })
  }

  it('denies before the deadline of the API server when the live read never ends', async () => {
    const { mutate, validate, outcomes } = endpoints({ live: () => new Promise(() => undefined) })
    for (const handler of [mutate, validate]) {
      assert.deepEqual(responseOf(await handler(bytes(review()), 20)), {
        uid: UID,
        allowed: false,
        status: {
          code: 504,
          reason: 'Timeout',
          message: 'drawbridge: the labels of namespace "shop" could not be read in time; try again',
        },
      })
    }
    assert.deepEqual(outcomes, ['failed', 'failed'])
  })

  it('does so while the API server still waits', async () => {
    const { mutate, validate } = endpoints({ live: () => new Promise(() => undefined) })
    const wait = 1000
    // Begins before the handlers do: only an answer that keeps something back of the time is there first.
    const givesUp = new Promise<'too late'>((resolve) => setTimeout(() => resolve('too late'), wait))
    const answers = [mutate, validate].map((handler) => Promise.race([handler(bytes(review()), wait), givesUp]))
    for (const answer of await Promise.all(answers)) {
      assert.ok(answer !== 'too late', 'the API server has given up')
      assert.equal(responseOf(answer).status?.code, 504)
    }
  })

  it('lets nobody see a live read that fails after its deadline', async () => {
    const rejections: ((error: Error) => void)[] = []
    const { validate } = endpoints({ live: () => new Promise((_resolve, reject) => void rejections.push(reject)) })
    assert.equal(responseOf(await validate(bytes(review()), 1)).allowed, false)
    // An unhandled rejection would end the process, and mocha's run with it.
    assert.equal(rejections.length, 1)
    rejections[0]!(new Error('too late'))
    await new Promise((resolve) => setImmediate(resolve))
  })

  it('denies when there is a bug in a handler, and says nothing of it', async () => {
    const { validate, outcomes, errors } = endpoints({
      cached: ENFORCED,
      findFlagged: () => {
        throw new Error('secret details')
      },
    })
    assert.deepEqual(responseOf(await validate(bytes(review()), 5000)), {
      uid: UID,
      allowed: false,
      status: {
        code: 500,
        reason: 'InternalError',
        message: 'drawbridge: internal error while judging this request; see the log of Drawbridge',
      },
    })
    assert.deepEqual([outcomes, errors], [['failed'], ['secret details']])
  })

  it('denies when what is decided later ends in a bug, and says nothing of it', async () => {
    const [outcomes, errors]: [string[], string[]] = [[], []]
    const observer = {
      reviewAnswered: ({ outcome }: { readonly outcome: string }) => void outcomes.push(outcome),
      httpError: (_listener: string, _status: number, error: Error) => void errors.push(error.message),
    } as unknown as AdmissionObserver
    const decide = (): Promise<never> => Promise.reject(new Error('secret details'))
    const reply = await answerBody('validate', bytes(review()), undefined, { observer, now: () => 0 }, decide)
    assert.equal(responseOf(reply).allowed, false)
    assert.ok(!reply.body.includes('secret'))
    assert.deepEqual([outcomes, errors], [['failed'], ['secret details']])
  })

  it('counts the time that a review had waited before it was decided', async () => {
    const seconds: number[] = []
    const observer = {
      reviewAnswered: (answered: { readonly seconds: number }) => void seconds.push(answered.seconds),
    } as unknown as AdmissionObserver
    const times = [1000, 1003]
    const context = { observer, now: () => times.shift()! }
    await answerBody('validate', bytes(review()), 40, context, ({ uid }) => allowUnchanged(uid))
    assert.deepEqual(seconds, [0.043])
  })

  it('quotes a namespace without its control characters, and never at any length', async () => {
    const { validate } = endpoints({ live: () => Promise.reject(new Error('x'.repeat(100_000))) })
    const { status } = responseOf(
      await validate(bytes(review({ namespace: `a\n\u001b[31m${'b'.repeat(5000)}` })), 5000),
    )
    assert.ok(/^[\x20-\x7e]{1,1024}$/.test(status!.message), status!.message.slice(0, 2000))
  })
})

describe('reviews that are none', () => {
  const cases: readonly (readonly [string, unknown, number, string])[] = [
    ['nothing', '', 400, 'the body is empty; wanted an AdmissionReview as JSON'],
    ['no JSON', '{"apiVersion":', 400, 'the body is not JSON; wanted an AdmissionReview'],
    ['an array', [], 400, 'not an AdmissionReview: wanted a JSON object'],
    ['another kind', { ...review(), kind: 'Pod' }, 400, 'not an AdmissionReview: kind is "Pod"'],
    [
      'the old version',
      { ...review(), apiVersion: 'admission.k8s.io/v1beta1' },
      400,
      'wanted apiVersion admission.k8s.io/v1, found "admission.k8s.io/v1beta1"',
    ],
    ['an empty uid', review({ uid: '' }), 400, 'malformed AdmissionReview: request.uid is empty'],
  ]
  for (const [what, body, status, error] of cases) {
    it(`answers ${status} to ${what}`, async () => {
      const { validate, mutate, refused } = endpoints({ cached: ENFORCED })
      for (const handler of [validate, mutate]) {
        const reply = await handler(bytes(body), 5000)
        assert.deepEqual([reply.status, JSON.parse(reply.body)], [status, { error }])
      }
      assert.deepEqual(refused, [error, error])
    })
  }

  for (const [what, uid] of [
    ['without uid', undefined],
    ['whose uid is a number', 7],
    ['whose uid is null', null],
  ] as const) {
    it(`answers 400 to one ${what}`, async () => {
      const reply = await endpoints({ cached: ENFORCED }).validate(bytes(review({ uid })), 5000)
      assert.equal(reply.status, 400)
      assert.match(JSON.parse(reply.body).error, /^malformed AdmissionReview: .*uid/)
    })
  }

  for (const [what, request] of [
    ['an unknown operation', { operation: 'PATCH' }],
    ['no kind', { kind: null }],
    ['a resource that is a text', { resource: 'pods' }],
    ['a namespace that is a number', { namespace: 7 }],
    ['groups that are no list', { userInfo: { groups: 'system:nodes' } }],
  ] as const) {
    it(`denies one with a uid and ${what}`, async () => {
      const { validate, mutate, asked } = endpoints({ cached: ENFORCED })
      for (const handler of [validate, mutate]) {
        const { uid, allowed, status } = responseOf(await handler(bytes(review(request)), 5000))
        assert.deepEqual([uid, allowed, status!.code], [UID, false, 400])
        assert.match(status!.message, /^drawbridge: malformed AdmissionReview: /)
      }
      assert.deepEqual(asked, [])
    })
  }

  it('denies a pod that cannot be read', async () => {
    const { validate } = endpoints({ cached: ENFORCED })
    for (const object of [
      { metadata: {}, spec: { containers: 'none' } },
      { metadata: {}, spec: null },
      'a pod',
      null,
    ]) {
      const { allowed, status } = responseOf(await validate(bytes(review({ object })), 5000))
      assert.deepEqual([allowed, status!.code], [false, 400], JSON.stringify(object))
    }
  })

  it('answers any JSON, and never allows a review that it could not read', async () => {
    const { validate, mutate } = endpoints({ cached: ENFORCED })
    await assertProperty(
      asyncProperty(jsonValue(), boolean(), async (value, inside) => {
        const body = bytes(inside ? review({ object: value }) : value)
        for (const handler of [validate, mutate]) {
          const reply = await handler(body, 5000)
          if (!inside) assert.equal(reply.status, 400)
          else if (handler === validate) assert.equal(responseOf(reply).allowed, false)
          else assert.equal(responseOf(reply).patch, undefined)
        }
      }),
      { numRuns: 300 },
    )
  })
})

describe('what is never mutated', () => {
  const MIRROR = { 'kubernetes.io/config.mirror': 'a-hash' }
  const deployment = {
    kind: { group: 'apps', version: 'v1', kind: 'Deployment' },
    resource: { group: 'apps', version: 'v1', resource: 'deployments' },
    object: { metadata: { name: 'web' }, spec: { template: { metadata: {}, spec: GOOD } } },
  }
  const nodes = { username: 'system:node:node1', groups: ['system:nodes', 'system:authenticated'] }
  const mirror = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web', annotations: MIRROR }, spec: GOOD }
  const never: readonly (readonly [string, object])[] = [
    ['a pod on UPDATE', { operation: 'UPDATE', oldObject: { metadata: {}, spec: GOOD } }],
    ['ephemeral containers', { operation: 'UPDATE', subResource: 'ephemeralcontainers' }],
    ['a subresource on CREATE', { subResource: 'binding' }],
    ['a template', deployment],
    ['a mirror pod of a node', { object: mirror, userInfo: nodes }],
    ['a Windows pod', { object: { metadata: { name: 'web' }, spec: { ...GOOD, os: { name: 'windows' } } } }],
    ['a pod that has chosen', { object: { metadata: {}, spec: SAFE } }],
    ['what is no pod', { object: { metadata: {}, spec: { containers: 7 } } }],
  ]
  for (const [what, request] of never) {
    it(`leaves ${what} alone`, async () => {
      const { mutate, outcomes } = endpoints({ cached: ENFORCED })
      assert.deepEqual(responseOf(await mutate(bytes(review(request, GOOD)), 5000)), { uid: UID, allowed: true })
      assert.deepEqual(outcomes, ['allowed'])
    })
  }

  it('mutates a pod that only claims to be a mirror pod', async () => {
    const { mutate, outcomes } = endpoints({ cached: ENFORCED })
    assert.notEqual(patchOf(await mutate(bytes(review({ object: mirror })), 5000)), undefined)
    assert.deepEqual(outcomes, ['mutated'])
  })
})
