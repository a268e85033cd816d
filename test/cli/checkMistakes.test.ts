/** Input that means something else than its author thinks: `check` says so instead of judging what is not there. */
import assert from 'node:assert/strict'
import { folderWith, run } from './fakes.ts'

const namespace = (name: string, labels: string): string =>
  `apiVersion: v1\nkind: Namespace\nmetadata: { name: ${name}, labels: { ${labels} } }\n---\n`
const pod = (name: string, spec: string, annotations = '{}'): string =>
  `apiVersion: v1\nkind: Pod\nmetadata: { name: ${name}, namespace: shop, annotations: ${annotations} }\nspec: { ${spec} }\n---\n`
const SAFE = 'securityContext: { runAsNonRoot: true }, containers: [{ name: web, image: web:1 }]'
const CONFIG_MAP = 'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: a }\n'

const check = (stdin: string, ...options: readonly string[]): ReturnType<typeof run> =>
  run(['check', '-f', '-', ...options], { stdin })

/** The last line of the output, the code, and what was said on the side. */
async function numbers(stdin: string, ...options: readonly string[]): Promise<readonly unknown[]> {
  const { code, out, err } = await check(stdin, ...options)
  return [code, out.split('\n').at(-2), err]
}

describe('drawbridge check: merge keys', () => {
  const defaults = 'x: &defaults { hostPID: true, hostIPC: true }\n'
  const merging = (spec: string): string =>
    `${defaults}apiVersion: v1\nkind: Pod\nmetadata: { name: web, namespace: shop }\nspec: { ${SAFE}, ${spec} }\n`

  for (const [what, spec, found] of [
    ['copies what an alias holds', '<<: *defaults', ['spec.hostPID', 'spec.hostIPC']],
    ['lets the key beside it win, before', 'hostPID: false, <<: *defaults', ['spec.hostIPC']],
    ['lets the key beside it win, after', '<<: *defaults, hostPID: false', ['spec.hostIPC']],
    ['takes the first of a list', '<<: [{ hostPID: false }, *defaults]', ['spec.hostIPC']],
    ['copies nothing for a quoted key', '"<<": *defaults', []],
  ] as const) {
    it(what, async () => {
      const { out } = await check(merging(spec), '-o', 'json')
      const [{ message = '' }] = (JSON.parse(out) as { objects: [{ message?: string }] }).objects
      assert.deepEqual([...message.matchAll(/spec\.host\w+(?= is)/g)].map(String), found)
    })
  }

  it('are applied to namespaces, profiles and exceptions too', async () => {
    const folder = folderWith({
      'exceptions.yaml': `x: &x { namespaces: [shop], serviceAccounts: ['*'], images: ['web:1'], checks: [hostNamespaces] }
apiVersion: drawbridge.dev/v1alpha1
kind: AdmissionException
metadata: { name: legacy }
spec: { <<: *x, reason: a test, expiresAt: '2099-01-01T00:00:00Z' }
`,
      'profiles.yaml': `x: &x { level: baseline }
apiVersion: drawbridge.dev/v1alpha1
kind: AdmissionProfile
metadata: { name: tier }
spec: { extends: { <<: *x } }
`,
    })
    try {
      const input = `x: &x { drawbridge.dev/enforce: tier }
${namespace('shop', '<<: *x')}${pod('web', `${SAFE}, hostPID: true`, '{ drawbridge.dev/exception: legacy }')}`
      assert.deepEqual(
        await numbers(
          input,
          '--exceptions',
          folder.path('exceptions.yaml'),
          '--profiles',
          folder.path('profiles.yaml'),
        ),
        [0, '1 allowed, 0 denied, 1 without pods', ''],
      )
    } finally {
      folder.remove()
    }
  })

  it('are bounded, and a source that is no mapping is an error with its line', async function () {
    this.timeout(4000)
    const keys = Array.from({ length: 100 }, (_, index) => `k${index}: 1`).join(', ')
    const copies = Array.from({ length: 2000 }, (_, index) => `b${index}: { <<: [${Array(20).fill('*a').join()}] }`)
    assert.deepEqual(await check(`a: &a { ${keys} }\n${copies.join('\n')}\n`), {
      code: 2,
      out: '',
      err: 'drawbridge: standard input:6: not YAML: merge keys exceeded maxTotalMergeKeys (10000)\n',
    })
    const { code, err } = await check('apiVersion: v1\nkind: Pod\nspec: { <<: 1 }\n')
    assert.deepEqual([code, err.startsWith('drawbridge: standard input:3: not YAML: cannot merge mappings')], [2, true])
  })
})

describe('drawbridge check: namespaces described twice', () => {
  it('cannot be used where the labels differ, and says where both are', async () => {
    const folder = folderWith({
      'a.yaml': namespace('shop', 'drawbridge.dev/enforce: restricted'),
      'b.yaml': namespace('shop', 'drawbridge.dev/enforce: privileged'),
    })
    try {
      assert.deepEqual(await run(['check', '-f', folder.path()]), {
        code: 2,
        out: '',
        err: `drawbridge: ${folder.path('b.yaml')}: namespace shop has other labels in ${folder.path('a.yaml')}: which ones count?\n`,
      })
    } finally {
      folder.remove()
    }
    const more = namespace('shop', 'a: b') + namespace('shop', 'a: b, c: d')
    assert.equal((await check(more + pod('web', SAFE))).code, 2)
    const proto = namespace('shop', 'constructor: x') + namespace('shop', 'a: b')
    assert.equal((await check(proto + pod('web', SAFE))).code, 2)
  })

  it('are one where the labels are the same', async () => {
    const twice = namespace('shop', 'drawbridge.dev/enforce: privileged, a: b')
    const same = namespace('shop', 'a: b, drawbridge.dev/enforce: privileged')
    assert.deepEqual(await numbers(twice + same + pod('web', 'hostPID: true, containers: [{ name: a, image: b }]')), [
      0,
      '1 allowed, 0 denied, 2 without pods',
      '',
    ])
  })
})

describe('drawbridge check: an AdmissionReview', () => {
  const review = (request: object): string =>
    JSON.stringify({
      apiVersion: 'admission.k8s.io/v1',
      kind: 'AdmissionReview',
      request: {
        uid: 'u',
        operation: 'CREATE',
        namespace: 'shop',
        kind: { group: '', version: 'v1', kind: 'Pod' },
        resource: { group: '', version: 'v1', resource: 'pods' },
        ...request,
      },
    })

  it('is judged by what it reviews, in its namespace', async () => {
    const object = { metadata: { name: 'web' }, spec: { hostPID: true, containers: [{ name: 'web', image: 'web:1' }] } }
    const { code, out } = await check(`${namespace('shop', 'drawbridge.dev/enforce: baseline')}${review({ object })}`)
    assert.equal(code, 1)
    assert.match(out, /^denied {3}Pod shop\/web {2}standard input$/m)
    assert.match(out, /breaks profile baseline:latest:\n {2}- host namespaces/)
    const deployment = {
      kind: { group: 'apps', version: 'v1', kind: 'Deployment' },
      resource: { group: 'apps', version: 'v1', resource: 'deployments' },
      object: { kind: 'ConfigMap', metadata: null, spec: { template: object } },
    }
    assert.match((await check(review(deployment))).out, /^denied {3}Deployment shop\/\(no name\) \(its pods\)/)
  })

  for (const [what, text, message] of [
    [
      'reviews nothing that will exist',
      review({ operation: 'DELETE', object: null }),
      'AdmissionReview: request.object is missing (DELETE): nothing to check',
    ],
    [
      'has no request',
      '{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}',
      'AdmissionReview: malformed AdmissionReview: request: wanted an object, found nothing',
    ],
    [
      'is of another version',
      review({}).replace('/v1"', '/v1beta1"'),
      'AdmissionReview: wanted apiVersion admission.k8s.io/v1, found "admission.k8s.io/v1beta1"',
    ],
  ] as const) {
    it(`cannot be used when it ${what}`, async () =>
      assert.deepEqual(await check(text), { code: 2, out: '', err: `drawbridge: standard input: ${message}\n` }))
  }
})

describe('drawbridge check: misspelt names', () => {
  const KNOWN =
    'drawbridge.dev/enforce, drawbridge.dev/enforce-version, drawbridge.dev/warn, drawbridge.dev/warn-version, drawbridge.dev/audit, drawbridge.dev/audit-version, drawbridge.dev/seccomp, drawbridge.dev/quarantine, drawbridge.dev/when-down'
  for (const [label, warning] of [
    ['drawbridge.dev/enfroce', 'label drawbridge.dev/enfroce means nothing; did you mean drawbridge.dev/enforce?'],
    ['drawbridge.io/enforce', 'label drawbridge.io/enforce means nothing; did you mean drawbridge.dev/enforce?'],
    ['drawbridge.dev/Warn', 'label drawbridge.dev/Warn means nothing; did you mean drawbridge.dev/warn?'],
    ['drawbridge.dev/profile', `label drawbridge.dev/profile means nothing; known are ${KNOWN}`],
    [
      `drawbridge.dev/${'x'.repeat(300)}`,
      `label drawbridge.dev/${'x'.repeat(24)}...${'x'.repeat(38)} means nothing; known are ${KNOWN}`,
    ],
    ['drawbridge.dev/exception', `label drawbridge.dev/exception means nothing as a label; known are ${KNOWN}`],
    ['enforce', undefined],
    ['example.dev/enforce', undefined],
    ['pod-security.kubernetes.io/enforce', undefined],
    ['drawbridge.dev/when-down', undefined],
  ] as const) {
    it(`${warning === undefined ? 'says nothing of' : 'warns about'} the label ${label.slice(0, 40)}`, async () => {
      const said = (where: string): string => (warning === undefined ? '' : `drawbridge: ${where}: ${warning}\n`)
      const inFile = await numbers(
        namespace('shop', `${label}: x, drawbridge.dev/enforce: baseline`) + pod('web', SAFE),
      )
      assert.deepEqual(inFile, [0, '1 allowed, 0 denied, 1 without pods', said('namespace shop')])
      const asOption = await numbers(pod('web', SAFE), '--namespace-label', `${label}=x`)
      assert.deepEqual(asOption, [0, '1 allowed, 0 denied', said('--namespace-label')])
    })
  }

  for (const [annotation, warning] of [
    [
      'drawbridge.dev/exceptions',
      'annotation drawbridge.dev/exceptions means nothing; did you mean drawbridge.dev/exception?',
    ],
    ['drawbridge.dev/exempt', 'annotation drawbridge.dev/exempt means nothing; known is drawbridge.dev/exception'],
    [
      'drawbridge.dev/enforce',
      'annotation drawbridge.dev/enforce means nothing as an annotation of a pod; known is drawbridge.dev/exception',
    ],
    ['example.dev/exception', undefined],
  ] as const) {
    it(`${warning === undefined ? 'says nothing of' : 'warns about'} the annotation ${annotation}`, async () => {
      const { out } = await check(pod('web', SAFE, `{ ${annotation}: x }`), '-o', 'json')
      const [{ warnings }] = (JSON.parse(out) as { objects: [{ warnings: string[] }] }).objects
      assert.deepEqual(warnings, warning === undefined ? [] : [warning])
    })
  }

  it('warns ten times at most, and reads 20,000 annotations in no time', async () => {
    const many = Array.from({ length: 20_000 }, (_, index) => `drawbridge.dev/x${index}: y`).join(', ')
    const { code, out } = await check(pod('web', SAFE, `{ ${many} }`), '-o', 'json')
    const [{ warnings }] = (JSON.parse(out) as { objects: [{ warnings: string[] }] }).objects
    assert.deepEqual([code, warnings.length], [0, 10])
  })

  it('refuses a profile that nobody knows, and names those that are known', async () => {
    const ended = (profile: string, known = '') => ({
      code: 2,
      out: '',
      err: `drawbridge: --profile ${profile} (known: privileged, baseline, standard, restricted${known})\n`,
    })
    const asked = (profile: string, input = pod('web', SAFE)): ReturnType<typeof run> =>
      check(input, '--profile', profile)
    assert.deepEqual(await asked('restrcted'), ended('restrcted: no such profile; did you mean restricted?'))
    assert.deepEqual(await asked('tier'), ended('tier: no such profile'))
    assert.deepEqual(await asked('__proto__'), ended('__proto__: no such profile'))
    const tier =
      'apiVersion: drawbridge.dev/v1alpha1\nkind: AdmissionProfile\nmetadata: { name: tier }\nspec: { extends: { level: baseline } }\n---\n'
    assert.deepEqual(
      await asked('tiers', tier + pod('web', SAFE)),
      ended('tiers: no such profile; did you mean tier?', ', tier'),
    )
    assert.equal((await asked('tier', tier + pod('web', SAFE))).code, 0)
  })
})

describe('drawbridge check: nothing to judge', () => {
  it('is said, whole or of one file among others', async () => {
    const nothing = (where: string): string => `drawbridge: ${where}: nothing to judge: no pods and no workloads\n`
    assert.deepEqual(await check(CONFIG_MAP), {
      code: 0,
      out: '0 allowed, 0 denied, 1 without pods\n',
      err: nothing('standard input'),
    })
    assert.deepEqual(await numbers(namespace('shop', 'a: b')), [
      0,
      '0 allowed, 0 denied, 1 without pods',
      nothing('standard input'),
    ])
    const folder = folderWith({
      'a/web.yaml': pod('web', SAFE),
      'config.yaml': CONFIG_MAP,
      'empty.yaml': '# nothing\n',
      'namespace.yaml': namespace('shop', 'drawbridge.dev/enforce: standard'),
    })
    try {
      const files = ['a', 'config.yaml', 'empty.yaml', 'namespace.yaml'].flatMap((name) => ['-f', folder.path(name)])
      assert.deepEqual(
        (await run(['check', ...files])).err,
        nothing(folder.path('config.yaml')) + nothing(folder.path('empty.yaml')),
      )
      assert.equal((await run(['check', '-f', folder.path('empty.yaml')])).code, 2)
    } finally {
      folder.remove()
    }
  })
})
