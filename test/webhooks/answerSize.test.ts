/** An answer lies in memory until it is read, and nobody has to read: it must not be as large as who asks likes. */
import assert from 'node:assert/strict'
import { createMutate } from '../../webhooks/mutate.ts'
import { createValidate } from '../../webhooks/validate.ts'
import { admissionContext, podReview } from './admission.ts'

const LONG = 1024 * 1024
const MOST_CHARACTERS = 16 * 1024

const plain = admissionContext({
  labels: { 'drawbridge.dev/enforce': 'restricted', 'drawbridge.dev/warn': 'restricted' },
})
const hardening = {
  allowPrivilegeEscalation: false,
  dropAllCapabilities: true,
  runAsNonRoot: true,
  readOnlyRootFilesystem: true,
} as const
const context: typeof plain = { ...plain, resolvePolicy: (labels) => ({ ...plain.resolvePolicy(labels), hardening }) }
const endpoints = { mutate: createMutate(context), validate: createValidate(context) }

const pod = (containers: readonly object[]): object => ({
  metadata: { name: 'web', annotations: { a: 'b' }, labels: { c: 'd' } },
  spec: {
    serviceAccountName: 'default',
    volumes: [{ name: 'v', hostPath: { path: '/' } }],
    securityContext: { seccompProfile: { type: 'Localhost', localhostProfile: 'x' }, sysctls: [{ name: 's' }] },
    containers,
  },
})
const container = {
  name: 'web',
  image: 'registry.example/shop/web:1',
  securityContext: { procMount: 'x', capabilities: { add: ['CHOWN'] }, seLinuxOptions: { type: 'x' } },
}
const REVIEW = podReview(pod([container]), { name: 'web', subResource: '', userInfo: { username: 'u', groups: ['g'] } })

/** A copy for each text in a value, with that text long. */
function* withLongTexts(value: unknown, path = ''): Generator<readonly [path: string, copy: unknown]> {
  if (typeof value === 'string') yield [path, '\u00e9'.repeat(LONG)]
  else if (typeof value === 'object' && value !== null)
    for (const [key, inner] of Object.entries(value))
      for (const [at, copy] of withLongTexts(inner, `${path}/${key}`))
        yield [at, Array.isArray(value) ? value.with(Number(key), copy) : { ...value, [key]: copy }]
}

describe('the size of an answer', () => {
  for (const [name, endpoint] of Object.entries(endpoints)) {
    it(`does not grow with any text of the review: ${name}`, async () => {
      const answers = new Map<string, number>()
      for (const [path, review] of withLongTexts(REVIEW))
        answers.set(path, (await endpoint(Buffer.from(JSON.stringify(review)), 5000)).body.length)
      assert.ok(answers.size > 20 && answers.has('/request/uid'), [...answers.keys()].join())
      assert.deepEqual(
        [...answers].filter(([, length]) => length > MOST_CHARACTERS),
        [],
      )
    })

    it(`does not grow with the number of containers beyond what pods have: ${name}`, async () => {
      for (const one of [{ name: 'a' }, { ...container, securityContext: {} }]) {
        const review = podReview(pod(Array<object>(100_000).fill(one)))
        const { body } = await endpoint(Buffer.from(JSON.stringify(review)), 5000)
        assert.ok(body.length < MOST_CHARACTERS, `${body.length} characters`)
      }
    })
  }
})
