/** Pods that somebody made to hurt, over HTTP: a clear denial or a clear error, never a crash, never an allowance by accident, in linear time. */
import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import supertest from 'supertest'
import { parseReference } from '../../src/kube/reference.ts'
import { REVIEW_LIMIT_BYTES, webhookApp } from '../../src/server/webhookApp.ts'
import { createVerdictIndex, findFlagged } from '../../src/verdicts/index.ts'
import type { ImageVerdict } from '../../src/verdicts/types.ts'
import { resolveLive } from '../../webhooks/context.ts'
import { createMutate } from '../../webhooks/mutate.ts'
import { createValidateNamespaces } from '../../webhooks/namespaces.ts'
import { createValidateProfiles } from '../../webhooks/profiles.ts'
import { createValidate } from '../../webhooks/validate.ts'
import { admissionContext, answerIn, podReview, UID } from './admission.ts'
import type { ReviewAnswer } from './admission.ts'

const DIGEST = `sha256:${'e'.repeat(64)}`
const VERDICT: ImageVerdict = {
  name: `sha256-${'e'.repeat(64)}`,
  digests: [DIGEST],
  references: ['registry.example/shop/evil:1', 'docker.io/library/evil:latest'],
  contributions: {},
  evidence: [],
  phase: 'denying',
  phaseSince: 0,
  reason: 'score 100 reached 100',
  expiresAt: Number.MAX_SAFE_INTEGER,
}

const bugs: Error[] = []
const context = admissionContext({
  labels: { 'drawbridge.dev/enforce': 'standard' },
  findFlagged: findFlagged(createVerdictIndex([VERDICT]), parseReference, () => 1),
  onError: (error) => bugs.push(error),
})
const [mutate, validate] = [createMutate(context), createValidate(context)]
const app = webhookApp({
  routes: {
    '/mutate': mutate,
    '/validate': validate,
    '/validate-profiles': createValidateProfiles({ ...context, allNamespaces: () => new Map() }),
    '/validate-namespaces': createValidateNamespaces({
      ...context,
      resolveLive: (labels) => resolveLive(labels, context),
    }),
  },
  onError: (_status, error) => bugs.push(error),
})

type Json = Record<string, unknown>

const container = (changes: object = {}): Json => ({ name: 'web', image: 'registry.example/shop/web:1', ...changes })
const SAFE: Json = {
  securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
  containers: [container()],
}
const pod = (spec: unknown, metadata: unknown = { name: 'web' }): Json => ({ metadata, spec })
const privileged = (name: string): Json => container({ name, securityContext: { privileged: true } })

/** Sends text as it is to both endpoints; the answer of `/validate`, after what must hold for every answer. */
async function send(text: string): Promise<ReviewAnswer> {
  bugs.length = 0
  const post = (path: string): supertest.Test =>
    supertest(app).post(`${path}?timeout=5s`).set('Content-Type', 'application/json').send(text)
  const [mutated, validated] = [await post('/mutate'), await post('/validate')]
  assert.deepEqual([mutated.status, validated.status, bugs], [200, 200, []], validated.text.slice(0, 500))
  for (const { text: body } of [mutated, validated]) assertReadable(answerIn(body))
  return answerIn(validated.text)
}
const ask = (object: unknown, changes: object = {}): Promise<ReviewAnswer> =>
  send(JSON.stringify(podReview(object, changes)))

/** Texts are printable, on their lines, and within the bounds of rule 6. */
function assertReadable({ uid, status, warnings = [], auditAnnotations = {} }: ReviewAnswer): void {
  assert.equal(uid, UID)
  assert.match(status?.message ?? '', /^[\x20-\x7e\n]{0,1024}$/)
  for (const warning of warnings) assert.match(warning, /^[\x20-\x7e]{0,255}$/)
  for (const value of Object.values(auditAnnotations)) assert.match(value, /^[\x20-\x7e\n]{0,1024}$/)
}

/** The answer to a pod that must be denied. */
async function denial(object: unknown): Promise<string> {
  const { allowed, status } = await ask(object)
  assert.equal(allowed, false, JSON.stringify(object).slice(0, 300))
  return `${status?.code}: ${status?.message}`
}
const malformed = (mismatch: string): string => `400: drawbridge: pod "web" cannot be judged: ${mismatch}`

describe('hostile pods: fields of a wrong type', () => {
  const inContainer = (changes: object): Json => pod({ ...SAFE, containers: [container(changes)] })
  const inPod = (changes: object): Json => pod({ ...SAFE, ...changes })

  for (const [object, mismatch] of [
    [pod(null), 'spec: wanted an object, found nothing'],
    [pod([]), 'spec: wanted an object, found an empty list'],
    [pod('x'), 'spec: wanted an object, found a string'],
    [inPod({ containers: null }), 'spec.containers: wanted a list with at least one element, found nothing'],
    [inPod({ containers: [] }), 'spec.containers: wanted a list with at least one element, found an empty list'],
    [inPod({ containers: {} }), 'spec.containers: wanted a list, found an object'],
    [inPod({ containers: { length: 1, 0: container() } }), 'spec.containers: wanted a list, found an object'],
    [
      inPod({ containers: Array(2001).fill(container()) }),
      'spec.containers: wanted a list of at most 2000, found 2001',
    ],
    [
      inPod({ initContainers: Array(2001).fill(container()) }),
      'spec.initContainers: wanted a list of at most 2000, found 2001',
    ],
    [inPod({ containers: [null] }), 'spec.containers[0]: wanted an object, found nothing'],
    [inPod({ containers: [[container()]] }), 'spec.containers[0]: wanted an object, found a list'],
    [inPod({ initContainers: 'x' }), 'spec.initContainers: wanted a list, found a string'],
    [inPod({ ephemeralContainers: [1] }), 'spec.ephemeralContainers[0]: wanted an object, found a number'],
    [inPod({ hostPID: 'false' }), 'spec.hostPID: wanted a boolean, found a string'],
    [inPod({ hostNetwork: 0 }), 'spec.hostNetwork: wanted a boolean, found a number'],
    [
      inPod({ volumes: [{ name: 'v', hostPath: '/etc' }] }),
      'spec.volumes[0].hostPath: wanted an object, found a string',
    ],
    [inPod({ volumes: [{ name: 'v', emptyDir: 'x' }] }), 'spec.volumes[0].emptyDir: wanted an object, found a string'],
    [inPod({ securityContext: [] }), 'spec.securityContext: wanted an object, found an empty list'],
    [inContainer({ image: ['x'] }), 'spec.containers[0].image: wanted a string, found a list'],
    [inContainer({ name: null }), 'spec.containers[0].name: wanted a string, found nothing'],
    [
      inContainer({ securityContext: { privileged: 'true' } }),
      'spec.containers[0].securityContext.privileged: wanted a boolean, found a string',
    ],
    [
      inContainer({ securityContext: { runAsUser: 0.5 } }),
      'spec.containers[0].securityContext.runAsUser: wanted an integer, found a number',
    ],
    [
      inContainer({ securityContext: { capabilities: { add: { 0: 'SYS_ADMIN' } } } }),
      'spec.containers[0].securityContext.capabilities.add: wanted a list, found an object',
    ],
    [
      inContainer({ securityContext: { capabilities: { add: ['CHOWN', ['SYS_ADMIN']] } } }),
      'spec.containers[0].securityContext.capabilities.add[1]: wanted a string, found a list',
    ],
    [
      inContainer({ ports: [{ hostPort: '80' }] }),
      'spec.containers[0].ports[0].hostPort: wanted an integer, found a string',
    ],
    [pod(SAFE, { name: 'web', annotations: [] }), 'metadata.annotations: wanted an object, found an empty list'],
    [
      pod(SAFE, { name: 'web', annotations: { a: { b: 1 } } }),
      'metadata.annotations["a"]: wanted a string, found an object',
    ],
  ] as const) {
    it(`denies: ${mismatch}`, async () => assert.equal(await denial(object), malformed(mismatch)))
  }

  for (const object of [null, [], 'pod', 5, true, {}]) {
    it(`denies an object that is ${JSON.stringify(object)}`, async () => assert.match(await denial(object), /^400: /))
  }

  it('takes null for absent: what is allowed without a field is allowed with null in it, and no more', async () => {
    const nulls = { hostPID: null, hostNetwork: null, volumes: null, initContainers: null, os: null }
    assert.equal((await ask(pod({ ...SAFE, ...nulls }))).allowed, true)
    const settings = { runAsNonRoot: null, runAsUser: null, seccompProfile: null, privileged: null }
    assert.equal((await ask(pod({ ...SAFE, containers: [container({ securityContext: settings })] }))).allowed, true)
    assert.match(await denial(pod({ ...SAFE, securityContext: null })), /^403: [^]*runAsNonRoot[^]*seccompProfile/)
  })

  it('allows no bad pod because of anything that stands beside what is bad', async () => {
    const bad = { ...SAFE, hostPID: true, containers: [container(), privileged('bad')] }
    const places = ['metadata', 'name', 'volumes', 'initContainers', 'ephemeralContainers', 'os', 'hostIPC', 'other']
    const property = fc.asyncProperty(
      fc.constantFrom(...places),
      fc.jsonValue({ maxDepth: 4 }),
      async (place, value) => {
        const object = place === 'metadata' ? pod(bad, value) : pod({ ...bad, [place]: value })
        const reply = await validate(Buffer.from(JSON.stringify(podReview(object))), 5000)
        const answer = answerIn(reply.body)
        assertReadable(answer)
        assert.equal(answer.allowed, false)
      },
    )
    await fc.assert(property, { numRuns: 300 })
  })
})

describe('hostile pods: big ones', function () {
  this.timeout(20_000)
  const many = (count: number, make: (index: number) => Json): Json[] =>
    Array.from({ length: count }, (_, index) => make(index))

  it('finds the one bad container among 1,000', async () => {
    const containers = many(1000, (index) => (index === 999 ? privileged('bad') : container({ name: `c${index}` })))
    assert.match(
      await denial(pod({ ...SAFE, containers })),
      /^403: [^]*- privileged: container "bad": spec\.containers\[999\]\.securityContext\.privileged is true/,
    )
    assert.equal((await ask(pod({ ...SAFE, containers: containers.slice(0, 999) }))).allowed, true)
  })

  it('counts what 1,000 bad containers break', async () =>
    assert.match(await denial(pod({ ...SAFE, containers: many(1000, (i) => privileged(`c${i}`)) })), /and 99\d more/))

  for (const [what, annotations] of [
    ['one annotation of 4 MiB', { a: 'x'.repeat(4 * 1024 * 1024) }],
    ['20,000 annotations', Object.fromEntries(many(20_000, (i) => ({ i })).map(({ i }) => [`a${String(i)}`, 'x']))],
    ['an annotation of 1 MiB that asks for exceptions', { 'drawbridge.dev/exception': 'a,'.repeat(512 * 1024) }],
    [
      'AppArmor annotations of 10,000 containers that are not there',
      Object.fromEntries(
        many(10_000, (i) => ({ i })).map(({ i }) => [
          `container.apparmor.security.beta.kubernetes.io/c${String(i)}`,
          'runtime/default',
        ]),
      ),
    ],
  ] as const) {
    it(`judges a pod with ${what} by what it asks for`, async () => {
      const metadata = { name: 'web', annotations }
      assert.equal((await ask(pod(SAFE, metadata))).allowed, true)
      assert.match(await denial(pod({ ...SAFE, hostPID: true }, metadata)), /^403: [^]*hostNamespaces/)
    })
  }

  /** JSON that nests `depth` lists; JSON.stringify could not write it. */
  const deep = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`
  const withDeep = (spec: string, metadata = '{"name":"web"}'): string =>
    JSON.stringify(podReview('HERE')).replace('"HERE"', `{"metadata":${metadata},"spec":${spec}}`)
  const safe = JSON.stringify(SAFE).slice(0, -1)

  it('denies an annotation of 100,000 levels', async () => {
    const { allowed, status } = await send(withDeep(`${safe}}`, `{"name":"web","annotations":{"a":${deep(100_000)}}}`))
    assert.deepEqual([allowed, status?.code], [false, 400])
  })

  it('judges a pod with 100,000 levels in a field that nobody reads', async () => {
    assert.equal((await send(withDeep(`${safe},"other":${deep(100_000)}}`))).allowed, true)
    assert.equal((await send(withDeep(`${safe},"hostPID":true,"other":${deep(100_000)}}`))).allowed, false)
  })

  it('compares an update of 100,000 levels', async () => {
    const volumes = `"volumes":[{"name":"v","emptyDir":{"a":${deep(100_000)}}}]`
    const object = `{"metadata":{"name":"web"},"spec":${safe},"hostPID":true,${volumes}}}`
    const review = JSON.stringify(podReview('NEW', { operation: 'UPDATE', oldObject: 'OLD' }))
    // What is too deep to compare counts as changed, so the pod is judged.
    assert.equal((await send(review.replace('"NEW"', object).replace('"OLD"', object))).allowed, false)
  })

  it('denies a bad pod whose review fills the limit to the last byte, and refuses one byte more', async () => {
    const review = (padding: number): string =>
      JSON.stringify(
        podReview(pod({ ...SAFE, hostPID: true }, { name: 'web', annotations: { a: 'x'.repeat(padding) } })),
      )
    const padding = REVIEW_LIMIT_BYTES - review(0).length
    assert.equal((await send(review(padding))).allowed, false)
    const refused = await supertest(app)
      .post('/validate')
      .set('Content-Type', 'application/json')
      .send(review(padding + 1))
    assert.deepEqual(
      [refused.status, refused.body],
      [413, { error: `the body is larger than ${REVIEW_LIMIT_BYTES} bytes` }],
    )
  })
})

describe('hostile pods: names and images', () => {
  const named = (name: string): Json => pod({ ...SAFE, containers: [privileged(name)] }, { name })
  for (const [what, name, shown] of [
    ['zero-width characters', 'we\u200bb', 'we\\u{200b}b'],
    ['characters that turn the text around', '\u202egood', '\\u{202e}good'],
    ['letters that look like others', 'w\u0435b', 'w\\u{435}b'],
    ['line ends', 'web"\ndrawbridge: allowed', 'web"\\u{a}drawbridge: allowed'],
    ['terminal codes', '\u001b[2J', '\\u{1b}[2J'],
    ['a lone surrogate', '\ud800', '\\u{d800}'],
    ['__proto__', '__proto__', '__proto__'],
    ['constructor', 'constructor', 'constructor'],
  ] as const) {
    it(`shows ${what} for what they are`, async () => {
      const message = await denial(named(name))
      assert.ok(message.startsWith(`403: drawbridge: pod "${shown}" breaks profile standard:latest:\n`), message)
      assert.ok(message.includes(`container "${shown}": `), message)
    })
  }

  const using = (image: string): Json => pod({ ...SAFE, containers: [container({ image })] })
  for (const image of [
    'registry.example/shop/evil:1',
    'REGISTRY.example/shop/evil:1',
    'Registry.Example/shop/evil:1',
    `other.example/any/name@${DIGEST}`,
    `registry.example/shop/web:1@${DIGEST}`,
    DIGEST,
    'evil',
    'evil:latest',
    'library/evil',
    'docker.io/evil',
    'DOCKER.IO/library/evil',
    'index.docker.io/library/evil:latest',
  ]) {
    it(`denies the flagged image as ${image}`, async () => {
      const message = await denial(using(image))
      assert.match(
        message,
        /^403: drawbridge: pod "web" uses an image that runtime alerts flagged:\n- spec\.containers\[0\]\.image: /,
      )
    })
  }

  /** No runtime takes these for an image: https://github.com/distribution/reference, and the kubelet says InvalidImageName. */
  const NO_REFERENCES = [
    'registry.example/..',
    'REGISTRY.example/..',
    'registry.example/../shop/evil:1',
    'registry.example//shop/evil:1',
    'registry.example/shop/EVIL:1',
    'registry.example/shop/evil:1\u200b',
    'registry.example/shop/ev\u200bil:1',
    'registry.example/shop/\u0435vil:1',
    'registry.example/shop/evil:1 ',
    'registry.example/shop/evil:1\n',
    'registry.example/shop/evil:1\u0000',
    `evil@${DIGEST.toUpperCase()}`,
    `evil@${DIGEST} `,
    'evil:',
    ':',
    '@',
    '../evil',
    `${'a/'.repeat(100_000)}evil`,
  ]
  for (const image of NO_REFERENCES) {
    it(`answers an image that is none: ${JSON.stringify(image).slice(0, 60)}`, async () => {
      assert.equal(parseReference(image), undefined)
      await ask(using(image))
      // What else is wrong with the pod is found whatever its image is called.
      const message = await denial(pod({ ...SAFE, hostPID: true, containers: [container({ image })] }))
      assert.match(message, /hostNamespaces/)
    })
  }

  it('finds a flagged image volume, and a flagged image behind 999 others', async () => {
    const volumes = [{ name: 'v', image: { reference: `x.example/y@${DIGEST}` } }]
    assert.match(await denial(pod({ ...SAFE, volumes })), /- spec\.volumes\[0\]\.image\.reference: /)
    const containers = Array.from({ length: 1000 }, (_, index) =>
      container({ name: `c${index}`, image: index === 999 ? 'evil' : `good:${index}` }),
    )
    assert.match(await denial(pod({ ...SAFE, containers })), /- spec\.containers\[999\]\.image: /)
  })
})

describe('hostile pods: keys', () => {
  const review = (object: string, request = ''): string =>
    JSON.stringify(podReview('HERE'))
      .replace('"HERE"', object)
      .replace('"namespace":"shop"', `"namespace":"shop"${request}`)
  const safe = JSON.stringify(SAFE).slice(1, -1)
  const object = (spec: string, metadata = '"name":"web"'): string => `{"metadata":{${metadata}},"spec":{${spec}}}`

  it('reads nothing through __proto__, constructor or prototype', async () => {
    for (const key of ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty']) {
      for (const value of ['{"hostPID":false,"privileged":false}', 'null', '[]', '"x"']) {
        const extra = `"${key}":${value}`
        assert.equal((await send(review(object(`${safe},${extra}`)))).allowed, true, extra)
        assert.equal((await send(review(object(`${safe},"hostPID":true,${extra}`)))).allowed, false, extra)
        const metadata = `"name":"web","annotations":{"${key}":"x"},"labels":{"${key}":"x"}`
        assert.equal((await send(review(object(`${safe},"hostPID":true`, metadata)))).allowed, false, extra)
      }
    }
    // What would come from a prototype is not what the pod says: a safe setting there is no safe setting.
    const inherited = `"__proto__":{${safe}},"containers":[{"name":"web","image":"web:1"}]`
    assert.equal((await send(review(object(inherited)))).allowed, false)
    assert.equal(({} as { hostPID?: unknown }).hostPID, undefined)
  })

  it('denies the volume whose type is __proto__ by its type', async () => {
    const volumes = '"volumes":[{"name":"v","__proto__":"x"}]'
    assert.equal((await send(review(object(`${safe},${volumes}`)))).allowed, false)
  })

  it('takes the last of two equal keys, as Go does, so both see the same pod', async () => {
    assert.equal((await send(review(object(`${safe},"hostPID":false,"hostPID":true`)))).allowed, false)
    assert.equal((await send(review(object(`${safe},"hostPID":true,"hostPID":false`)))).allowed, true)
    const bad = object(`${safe},"hostPID":true`)
    assert.equal((await send(review(`${object(safe)},"object":${bad}`))).allowed, false)
    assert.equal((await send(review(bad, ',"operation":"CONNECT"'))).allowed, false)
  })

  it('knows keys by their exact case, as the API server does', async () => {
    assert.equal((await send(review(object(`${safe},"hostPID":true,"hostpid":false,"HOSTPID":false`)))).allowed, false)
  })
})

describe('hostile pods: time is linear', function () {
  this.timeout(20_000)
  const FACTOR = 12
  /** Linear is FACTOR, quadratic FACTOR squared; in between lie garbage collection and a busy machine. */
  const BOUND = FACTOR * 5

  const text = (count: number): string => '\u200b'.repeat(count)
  const list = (count: number, make: (index: number) => object): object[] =>
    Array.from({ length: count }, (_, index) => make(index))

  for (const [what, size, make] of [
    ['containers that break everything', 120, (n) => pod({ containers: list(n, (i) => privileged(`c${i}`)) })],
    ['containers of the same name', 120, (n) => pod({ containers: list(n, () => privileged('c')) })],
    ['ephemeral containers', 120, (n) => pod({ ...SAFE, ephemeralContainers: list(n, (i) => privileged(`c${i}`)) })],
    [
      'flagged images',
      120,
      (n) => pod({ ...SAFE, containers: list(n, (i) => container({ image: `x${i}@${DIGEST}` })) }),
    ],
    ['volumes', 250, (n) => pod({ ...SAFE, volumes: list(n, (i) => ({ name: `v${i}`, hostPath: { path: '/' } })) })],
    ['sysctls', 250, (n) => pod({ ...SAFE, securityContext: { sysctls: list(n, (i) => ({ name: `s${i}` })) } })],
    [
      'capabilities',
      2000,
      (n) =>
        pod({
          ...SAFE,
          containers: [container({ securityContext: { capabilities: { add: Array(n).fill('SYS_ADMIN') } } })],
        }),
    ],
    ['host ports', 500, (n) => pod({ ...SAFE, containers: [container({ ports: list(n, () => ({ hostPort: 80 })) })] })],
    [
      'annotations',
      500,
      (n) =>
        pod(SAFE, {
          annotations: Object.fromEntries(
            list(n, (i) => ({ i })).map((_, i) => [
              `container.apparmor.security.beta.kubernetes.io/c${i}`,
              'unconfined',
            ]),
          ),
        }),
    ],
    ['a long name', 10_000, (n) => pod({ hostPID: true, containers: [privileged(text(n))] }, { name: text(n) })],
    ['a long image', 10_000, (n) => pod({ ...SAFE, containers: [container({ image: 'a-'.repeat(n) })] })],
    [
      'a long image with many parts',
      10_000,
      (n) => pod({ ...SAFE, containers: [container({ image: 'a/'.repeat(n) })] }),
    ],
    [
      'an annotation about exceptions',
      10_000,
      (n) => pod(SAFE, { annotations: { 'drawbridge.dev/exception': 'a,'.repeat(n) } }),
    ],
  ] as readonly (readonly [string, number, (count: number) => Json])[]) {
    it(`in ${what}`, async () => {
      const best = async (count: number): Promise<number> => {
        const object = make(count)
        const creates = Buffer.from(JSON.stringify(podReview(object)))
        const updates = Buffer.from(JSON.stringify(podReview(object, { operation: 'UPDATE', oldObject: object })))
        let fastest = Number.POSITIVE_INFINITY
        for (let round = 0; round < 3; round += 1) {
          // CPU time: what other processes take is not ours.
          const started = process.cpuUsage()
          for (const handler of [mutate, validate]) for (const body of [creates, updates]) await handler(body, 5000)
          const { user, system } = process.cpuUsage(started)
          fastest = Math.min(fastest, (user + system) / 1000)
        }
        return fastest
      }
      await best(size)
      let ratio = Number.POSITIVE_INFINITY
      // What is quadratic is so every time; a collection of garbage is not.
      for (let attempt = 0; attempt < 4 && ratio >= BOUND; attempt += 1) {
        const [small, large] = [await best(size), await best(size * FACTOR)]
        // Under a tenth of a millisecond the clock measures itself.
        ratio = Math.min(ratio, large / Math.max(small, 0.1))
      }
      assert.ok(ratio < BOUND, `${FACTOR} times as much took ${ratio.toFixed(0)} times as long`)
    })
  }
})
