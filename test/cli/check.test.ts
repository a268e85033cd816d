import assert from 'node:assert/strict'
import { folderWith, run } from './fakes.ts'

const GOOD = `apiVersion: v1
kind: Pod
metadata: { name: good, namespace: shop }
spec:
  containers:
    - name: web
      image: registry.example/web:1
      securityContext: { runAsUser: 1000 }
`
const PRIVILEGED = GOOD.replace('name: good', 'name: bad').replace(
  '{ runAsUser: 1000 }',
  '{ runAsUser: 1000, privileged: true }',
)
const GOOD_TEXT = `allowed  Pod shop/good  standard input
  mutated: /spec/securityContext = {"seccompProfile":{"type":"RuntimeDefault"}}

1 allowed, 0 denied
`

const check = (stdin: string, ...options: string[]): ReturnType<typeof run> =>
  run(['check', '-f', '-', ...options], { stdin })

/** The message of a command that ended with 2. */
async function unusable(stdin: string, ...options: string[]): Promise<string> {
  const { code, out, err } = await check(stdin, ...options)
  assert.deepEqual([code, out], [2, ''], err)
  return err
}

describe('drawbridge check', () => {
  it('says what would be mutated and allowed, and ends with 0', async () =>
    assert.deepEqual(await check(GOOD), { code: 0, out: GOOD_TEXT, err: '' }))

  it('says what would be denied, in the words of the webhook, and ends with 1', async () => {
    const { code, out } = await check(PRIVILEGED)
    assert.equal(code, 1)
    assert.equal(
      out,
      `denied   Pod shop/bad  standard input
  mutated: /spec/securityContext = {"seccompProfile":{"type":"RuntimeDefault"}}
  drawbridge: pod "bad" breaks profile standard:latest:
  - privileged: container "web": spec.containers[0].securityContext.privileged is true, must be false or not set; fix: remove it; exception: drawbridge.dev/exception

0 allowed, 1 denied
`,
    )
  })

  it('wraps to the terminal, and only there', async () => {
    const { out } = await run(['check', '-f', '-'], { stdin: PRIVILEGED, columns: 80 })
    for (const line of out.split('\n')) assert.ok(line.length <= 80, line)
    const unwrapped = await check(PRIVILEGED)
    assert.equal(out.replaceAll(/\s+/g, ' '), unwrapped.out.replaceAll(/\s+/g, ' '))
  })

  it('reads files and folders, and ignores what is neither YAML nor JSON', async () => {
    const folder = folderWith({ 'a/good.yaml': GOOD, 'a/deep/bad.yml': PRIVILEGED, 'a/notes.txt': '{', 'b.json': '[' })
    try {
      const { code, out } = await run(['check', '-f', folder.path('a'), '-f', folder.path('a/good.yaml'), '-o', 'json'])
      const { objects } = JSON.parse(out) as { objects: { file: string; result: string }[] }
      assert.equal(code, 1)
      assert.deepEqual(
        objects.map(({ file, result }) => [file, result]),
        [
          [folder.path('a/deep/bad.yml'), 'denied'],
          [folder.path('a/good.yaml'), 'allowed'],
          [folder.path('a/good.yaml'), 'allowed'],
        ],
      )
    } finally {
      folder.remove()
    }
  })

  it('prints JSON for programs', async () => {
    const { objects } = JSON.parse((await check(PRIVILEGED, '-o', 'json')).out) as { objects: object[] }
    assert.deepEqual(objects, [
      {
        file: 'standard input',
        kind: 'Pod',
        namespace: 'shop',
        name: 'bad',
        result: 'denied',
        patch: [{ op: 'add', path: '/spec/securityContext', value: { seccompProfile: { type: 'RuntimeDefault' } } }],
        message:
          'drawbridge: pod "bad" breaks profile standard:latest:\n- privileged: container "web": spec.containers[0].securityContext.privileged is true, must be false or not set; fix: remove it; exception: drawbridge.dev/exception',
        warnings: [],
        checks: ['privileged'],
        exceptionsUsed: [],
      },
    ])
  })

  for (const [kind, apiVersion, wrapping] of [
    ['Deployment', 'apps/v1', (spec: object) => ({ template: { spec } })],
    ['DaemonSet', 'apps/v1', (spec: object) => ({ template: { spec } })],
    ['StatefulSet', 'apps/v1', (spec: object) => ({ template: { spec } })],
    ['ReplicaSet', 'apps/v1', (spec: object) => ({ template: { spec } })],
    ['ReplicationController', 'v1', (spec: object) => ({ template: { spec } })],
    ['Job', 'batch/v1', (spec: object) => ({ template: { spec } })],
    ['CronJob', 'batch/v1', (spec: object) => ({ jobTemplate: { spec: { template: { spec } } } })],
  ] as const) {
    it(`judges the pods of a ${kind}`, async () => {
      const container = { name: 'web', image: 'a', securityContext: { runAsUser: 1000, privileged: true } }
      const object = { apiVersion, kind, metadata: { name: 'web' }, spec: wrapping({ containers: [container] }) }
      const { code, out } = await check(JSON.stringify(object))
      assert.equal(code, 1)
      assert.ok(out.startsWith(`denied   ${kind} default/web (its pods)  standard input\n`), out)
      assert.match(out, /- privileged: /)
    })
  }

  it('judges a PodTemplate', async () => {
    const spec = { containers: [{ name: 'web', image: 'a', securityContext: { privileged: true } }] }
    const object = { apiVersion: 'v1', kind: 'PodTemplate', metadata: { name: 'web' }, template: { spec } }
    assert.equal((await check(JSON.stringify(object))).code, 1)
  })

  it('opens lists, and counts what has no pods', async () => {
    const list = `apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n- ${GOOD.replaceAll('\n', '\n  ')}`
    const { code, out } = await check(list)
    assert.deepEqual([code, out.split('\n').at(-2)], [0, '1 allowed, 0 denied, 1 without pods'])
  })

  it('judges by the labels of a Namespace in the input, wherever it stands', async () => {
    const namespace =
      'apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {drawbridge.dev/enforce: privileged}}\n'
    assert.equal((await check(`${PRIVILEGED}---\n${namespace}`)).code, 0)
    // A namespace that asks for nothing is not concerned.
    assert.equal((await check(`${PRIVILEGED}---\n${namespace.replace(/, labels: \{.*?\}/, '')}`)).code, 0)
  })

  for (const [options, code] of [
    [['--profile', 'privileged'], 0],
    [['--profile', 'baseline'], 0],
    [['--profile', 'restricted'], 1],
    [['--namespace-label', 'drawbridge.dev/enforce=restricted'], 1],
    [['--namespace-label', 'drawbridge.dev/enforce=privileged'], 0],
    [['--namespace-label', 'drawbridge.dev/seccomp=off'], 1],
    [['--namespace-label', 'drawbridge.dev/enforce=no-such-profile'], 1],
    [['--profile', 'restricted', '--namespace-label', 'drawbridge.dev/enforce=privileged'], 1],
  ] as const) {
    it(`${options.join(' ')} ends with ${code}`, async () => assert.equal((await check(GOOD, ...options)).code, code))
  }

  it('uses --namespace for objects that name none', async () => {
    const { out } = await check(GOOD.replace(', namespace: shop', ''), '-n', 'other')
    assert.match(out, /^allowed {2}Pod other\/good /)
  })

  for (const [what, input, message] of [
    ['nothing', '', 'drawbridge: standard input: no Kubernetes objects found\n'],
    ['only comments', '# nothing\n---\n', 'drawbridge: standard input: no Kubernetes objects found\n'],
    ['no object', 'hello', 'drawbridge: standard input: document 1: not a Kubernetes object\n'],
    ['no kind', 'a: 1', 'drawbridge: standard input: document 1: kind or apiVersion is missing\n'],
    [
      'a mistake in a second document',
      `${GOOD}---\n[]`,
      'drawbridge: standard input: document 2: not a Kubernetes object\n',
    ],
    [
      'a list in a list',
      'apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: List, items: []}]',
      'drawbridge: standard input: document 1: a list inside a list\n',
    ],
    [
      'a list that contains itself',
      '&a\napiVersion: v1\nkind: List\nitems: [*a]',
      'drawbridge: standard input: document 1: a list inside a list\n',
    ],
    [
      'labels that are not text',
      'apiVersion: v1\nkind: Namespace\nmetadata: {name: a, labels: {b: true}}',
      'drawbridge: standard input: namespace a: labels must be text (quote numbers and true or false)\n',
    ],
    [
      'a namespace without a name',
      'apiVersion: v1\nkind: Namespace',
      'drawbridge: standard input: a Namespace has no metadata.name\n',
    ],
  ] as const) {
    it(`refuses ${what} in one line`, async () => assert.equal(await unusable(input), message))
  }

  it('names file and line of what is not YAML', async () => {
    const folder = folderWith({ 'bad.yaml': 'a: 1\nb: [\n' })
    try {
      const { code, err } = await run(['check', '-f', folder.path('bad.yaml')])
      assert.equal(code, 2)
      assert.match(err, /^drawbridge: .*bad\.yaml:3: not YAML: .+\n$/)
    } finally {
      folder.remove()
    }
  })

  it('names what is not there', async () => {
    const folder = folderWith({ 'empty/notes.txt': '' })
    try {
      const missing = await run(['check', '-f', folder.path('none.yaml')])
      assert.deepEqual(missing, {
        code: 2,
        out: '',
        err: `drawbridge: ${folder.path('none.yaml')}: cannot be read: no such file or folder\n`,
      })
      const empty = await run(['check', '-f', folder.path('empty')])
      assert.deepEqual(empty, {
        code: 2,
        out: '',
        err: `drawbridge: ${folder.path('empty')}: no .yaml, .yml, .json files in this folder\n`,
      })
    } finally {
      folder.remove()
    }
  })

  it('refuses a label that is none', async () =>
    assert.equal(await unusable(GOOD, '--namespace-label', 'x'), 'drawbridge: --namespace-label x: wanted key=value\n'))

  it('denies a pod that the schema would refuse, and does not crash on it', async () => {
    for (const spec of ['5', '{}', '{containers: 5}', '{containers: [5]}', '{containers: [{name: 5}]}', 'null']) {
      const { code, out } = await check(`apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: ${spec}`)
      assert.equal(code, 1, spec)
      assert.match(out, /not a pod: /, spec)
    }
  })

  it('takes __proto__ and constructor for the names that they are', async () => {
    const { code, out } = await check(
      `${GOOD.replace('name: good,', 'name: __proto__,').replace('namespace: shop', 'namespace: constructor')}  __proto__: {hostPID: false}\n`,
    )
    assert.equal(code, 0, out)
    assert.match(out, /^allowed {2}Pod constructor\/__proto__ /)
    assert.equal(({} as { hostPID?: unknown }).hostPID, undefined)
  })

  it('lets no name move the cursor', async () => {
    const { out } = await check(GOOD.replace('name: good', 'name: "\\e[2Jgood\\nallowed"'))
    assert.ok(out.startsWith('allowed  Pod shop/?[2Jgood?allowed  '), out)
  })

  it('does not hang on aliases that name billions of things', async function () {
    this.timeout(4000)
    const levels = Array.from(
      { length: 9 },
      (_, level) => `a${level + 1}: &a${level + 1} [${Array(10).fill(`*a${level}`).join(', ')}]`,
    )
    const bomb = `a0: &a0 {name: x}\n${levels.join('\n')}\napiVersion: v1\nkind: Pod\nmetadata: {name: bomb, labels: *a9, annotations: {a: *a9}}\nspec: {containers: *a9, volumes: *a9}\n`
    assert.notEqual((await check(bomb)).code, 0)
    assert.notEqual((await check(bomb, '-o', 'json')).code, 0)
    const items = Array(1000).fill('*a').join(', ')
    const lists = `a: &a {apiVersion: v1, kind: ConfigMap}\napiVersion: v1\nkind: List\nitems: [${items}]\n`
    assert.match((await check(lists)).out, /1000 without pods/)
  })
})
