/** `drawbridge check` over what other programs print: helm template, kustomize build, kubectl get; and whose labels count. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { CliIo } from '../../src/cli/io.ts'
import { runCli } from '../../src/cli/program.ts'
import type { CliActions } from '../../src/cli/program.ts'

async function check(stdin: string, ...argv: readonly string[]) {
  let [out, err] = ['', '']
  const io: CliIo = {
    out: (text) => (out += text),
    err: (text) => (err += text),
    readStdin: () => Promise.resolve(Buffer.from(stdin)),
    user: 'jane',
    now: () => 0,
  }
  const code = await runCli(['check', '-f', '-', ...argv], io, {} as CliActions, '1.2.3')
  return { code, out, err }
}

interface Checked {
  readonly kind: string
  readonly namespace: string
  readonly name: string
  readonly result: string
  readonly checks: readonly string[]
}

/** One line per object: what it is, what would happen, why. */
async function summary(stdin: string, ...argv: readonly string[]): Promise<readonly string[]> {
  const { out, err } = await check(stdin, '-o', 'json', ...argv)
  assert.equal(err, '')
  const { objects } = JSON.parse(out) as { objects: readonly Checked[] }
  return objects.map(({ kind, namespace, name, result, checks }) =>
    [`${kind} ${namespace}/${name}`, result, ...checks].join(' '),
  )
}

/** As `helm template` prints a chart: comments, an empty template, a hook, a test, lists, and text that no API server sees. */
const HELM = `---
# Source: shop/templates/namespace.yaml
apiVersion: v1
kind: Namespace
metadata:
  name: shop
  labels: { drawbridge.dev/enforce: baseline }
---
# Source: shop/templates/empty.yaml
# nothing is switched on
---
# Source: shop/templates/configmap.yaml
apiVersion: v1
kind: ConfigMap
metadata: { name: settings, namespace: shop }
data:
  script: |
    ---
    kind: Pod
---
# Source: shop/templates/deployment.yaml
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: shop }
spec:
  template:
    spec:
      containers:
        - { name: web, image: "registry.example/shop/web:1" }
---
# Source: shop/templates/hooks.yaml
apiVersion: batch/v1
kind: Job
metadata:
  name: migrate
  namespace: shop
  annotations: { helm.sh/hook: pre-install, helm.sh/hook-weight: "-5" }
spec:
  template:
    spec:
      hostPID: true
      restartPolicy: Never
      containers: [{ name: migrate, image: "registry.example/shop/migrate:1" }]
---
# Source: shop/templates/tests/connection.yaml
apiVersion: v1
kind: Pod
metadata: { name: test-connection, annotations: { helm.sh/hook: test } }
spec:
  containers: [{ name: wget, image: busybox }]
---

...
`

/** As `kustomize build` prints it: one object after the other, no first separator, names that it made. */
const KUSTOMIZE = `apiVersion: v1
kind: Namespace
metadata:
  labels:
    drawbridge.dev/enforce: restricted
  name: billing
---
apiVersion: batch/v1
kind: CronJob
metadata:
  name: prod-report
  namespace: billing
spec:
  jobTemplate:
    spec:
      template:
        spec:
          containers:
          - image: registry.example/billing/report@sha256:${'a'.repeat(64)}
            name: report
            securityContext:
              allowPrivilegeEscalation: false
              capabilities:
                drop:
                - ALL
              runAsNonRoot: true
  schedule: 0 3 * * *
`

/** As \`kubectl get pods -o yaml\` and \`-o json\` print it. */
const pod = (namespace: string): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'web', namespace },
  spec: { hostPID: true, containers: [{ name: 'web', image: 'a' }] },
  status: { phase: 'Running' },
})

describe('drawbridge check: what other programs print', () => {
  it('reads helm template: comments, empty documents, hooks and tests', async () => {
    assert.deepEqual(await summary(HELM, '--profile', 'privileged'), [
      'Namespace default/shop not-concerned',
      'ConfigMap shop/settings not-concerned',
      'Deployment shop/web allowed',
      'Job shop/migrate denied hostNamespaces',
      'Pod default/test-connection allowed',
    ])
  })

  it('reads kustomize build', async () => {
    assert.deepEqual(await summary(KUSTOMIZE), [
      'Namespace default/billing not-concerned',
      'CronJob billing/prod-report allowed',
    ])
    assert.deepEqual(await summary(KUSTOMIZE.replace('runAsNonRoot: true', 'runAsNonRoot: false')), [
      'Namespace default/billing not-concerned',
      'CronJob billing/prod-report denied runAsNonRoot',
    ])
  })

  it('reads the lists of kubectl, in YAML, JSON and with Windows line ends', async () => {
    const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [pod('a'), pod('b')] }, undefined, 2)
    const expected = ['Pod a/web denied hostNamespaces', 'Pod b/web denied hostNamespaces']
    assert.deepEqual(await summary(list, '--profile', 'baseline'), expected)
    assert.deepEqual(await summary(list.replace('"List"', '"PodList"'), '--profile', 'baseline'), expected)
    assert.deepEqual(
      await summary(HELM.replaceAll('\n', '\r\n'), '--profile', 'privileged'),
      await summary(HELM, '--profile', 'privileged'),
    )
    assert.deepEqual(await summary(`\ufeff${KUSTOMIZE}`), await summary(KUSTOMIZE))
  })
})

describe('drawbridge check: whose labels count', () => {
  const namespace = (labels: object): string =>
    JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop', labels } })
  const both = (labels: object): string => `${namespace(labels)}\n---\n${JSON.stringify(pod('shop'))}`

  for (const [what, labels, argv, code] of [
    ['what the input says', { 'drawbridge.dev/enforce': 'privileged' }, [], 0],
    ['what the input says, before an option', { 'drawbridge.dev/enforce': 'privileged' }, ['--profile', 'baseline'], 0],
    ['nothing, when the namespace asks for nothing', {}, [], 0],
    ['an option, where the input leaves it open', {}, ['--profile', 'baseline'], 1],
    ['a label option, where the input leaves it open', {}, ['--namespace-label', 'drawbridge.dev/enforce=baseline'], 1],
    [
      'an option about something else beside what the input says',
      { 'drawbridge.dev/enforce': 'baseline' },
      ['--namespace-label', 'drawbridge.dev/seccomp=off'],
      1,
    ],
    ['upstream labels not', { 'pod-security.kubernetes.io/enforce': 'baseline' }, [], 0],
    [
      'upstream labels when they are asked for',
      { 'pod-security.kubernetes.io/enforce': 'baseline' },
      ['--pod-security-labels'],
      1,
    ],
    [
      'upstream labels that ask for nothing more',
      { 'pod-security.kubernetes.io/enforce': 'privileged' },
      ['--pod-security-labels'],
      0,
    ],
  ] as const) {
    it(what, async () => assert.equal((await check(both(labels), ...argv)).code, code))
  }
})

describe('docs/check.md', () => {
  it('shows the JSON as it is', async () => {
    const page = readFileSync(join(import.meta.dirname, '../../../docs/check.md'), 'utf8')
    const [yaml, json] = [/```yaml\n([^]*?)```/.exec(page)?.[1], /```json\n([^]*?)```/.exec(page)?.[1]]
    const { out } = await check(yaml ?? '', '-o', 'json')
    assert.deepEqual(JSON.parse(json ?? ''), JSON.parse(out))
  })
})
