/**
 * Webhook, scan and check are one engine: every pod of the upstream Pod Security suite gets the same findings, word for word, from the
 * handler of the webhook and from the two commands as they are run.
 * The pods are read where Go keeps the module that test/conformance/go.mod names; nothing of them is kept here.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { load } from 'js-yaml'
import type { CheckedObject } from '../../src/cli/check.ts'
import type { OpenScan } from '../../src/cli/scan.ts'
import type { Labels } from '../../src/kube/types.ts'
import { resolveNamespace } from '../../src/policy/namespace.ts'
import { createValidate } from '../../webhooks/validate.ts'
import { run } from '../cli/fakes.ts'
import { admissionContext, answerIn, podReview } from '../webhooks/admission.ts'

const MODULE = 'k8s.io/pod-security-admission'
const FOLDER = join(import.meta.dirname, '../../../test/conformance')
/** As of v0.35: levels, versions, checks and tweaks multiplied. Fewer means that something was not found. */
const FEWEST_PODS = 4000

/** The suite's pods; undefined where there is no Go, or no module and no network. */
function findTestdata(): string | undefined {
  const go = (...args: readonly string[]): string | undefined => {
    const { status, stdout } = spawnSync('go', args, { cwd: FOLDER, encoding: 'utf8', timeout: 120_000 })
    return status === 0 ? stdout.trim() : undefined
  }
  const where = (): string | undefined => go('list', '-mod=mod', '-m', '-f', '{{.Dir}}', MODULE)
  let module = where()
  if (module === '') {
    go('mod', 'download', MODULE)
    module = where()
  }
  return module ? join(module, 'test/testdata') : undefined
}

interface UpstreamPod {
  readonly file: string
  readonly passes: boolean
  /** The file as it is. */
  readonly yaml: string
  readonly object: object
}

/** The pods of each level and version: what one namespace holds. */
function readPods(testdata: string): ReadonlyMap<string, readonly UpstreamPod[]> {
  const groups = new Map<string, UpstreamPod[]>()
  for (const file of readdirSync(testdata, { recursive: true, encoding: 'utf8' }).sort()) {
    const [, level, version, expected] = /^(\w+)\/(v1\.\d+)\/(pass|fail)\/[^/]+\.yaml$/.exec(file) ?? []
    if (level === undefined || version === undefined) continue
    const yaml = readFileSync(join(testdata, file), 'utf8')
    const pods = groups.get(`${level} ${version}`) ?? []
    pods.push({ file, passes: expected === 'pass', yaml, object: load(yaml) as object })
    groups.set(`${level} ${version}`, pods)
  }
  return groups
}

interface Answer {
  readonly allowed: boolean
  readonly message: string
  readonly warnings: readonly string[]
}

const NAMESPACE = 'shop'
const SETTINGS = { podSecurityLabels: true }

/** What the API server is told, from the bytes of a review to the bytes of the answer. */
async function askWebhook(object: object, labels: Labels): Promise<Answer> {
  const validate = createValidate(admissionContext({ labels, resolving: SETTINGS }))
  const reply = await validate(Buffer.from(JSON.stringify(podReview(object))), 5000)
  const { allowed, status, warnings = [] } = answerIn(reply.body)
  return { allowed, message: status?.message ?? '', warnings }
}

/** The command line over one text: the namespace and the files, as `cat` would put them together. One answer for each pod. */
async function runCheck(pods: readonly UpstreamPod[], labels: Labels): Promise<readonly Answer[]> {
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE, labels } }
  const stdin = [JSON.stringify(namespace), ...pods.map(({ yaml }) => yaml)].join('\n---\n')
  const argv = ['check', '-f', '-', '-n', NAMESPACE, '--pod-security-labels', '-o', 'json']
  const { code, out, err } = await run(argv, { stdin })
  assert.deepEqual([code, err], [pods.some(({ passes }) => !passes) ? 1 : 0, ''])
  const { objects } = JSON.parse(out) as { readonly objects: readonly CheckedObject[] }
  return objects.slice(1).map(({ result, message = '', warnings, patch }) => {
    assert.deepEqual(patch, [], 'upstream labels inject nothing')
    return { allowed: result === 'allowed', message, warnings }
  })
}

/** The command over a cluster in memory: for each denied pod, by its place, the lines that are printed below it. */
async function runScan(pods: readonly UpstreamPod[], labels: Labels): Promise<ReadonlyMap<number, readonly string[]>> {
  const openScan: OpenScan = async ({ podSecurityLabels }) => ({
    namespaces: async () => new Map([[NAMESPACE, labels]]),
    async *pods() {
      yield pods.map(({ object }, place) => {
        const name = String(place)
        return { namespace: NAMESPACE, name, workload: `Pod/${name}`, object }
      })
    },
    resolvePolicy: (found) => resolveNamespace(found, { podSecurityLabels }),
    profileNames: [],
    judging: {},
    notes: [],
    signal: new AbortController().signal,
    close: () => Promise.resolve(),
  })
  const { code, out, err } = await run(['scan', '--pod-security-labels', '-o', 'details'], { actions: { openScan } })
  assert.deepEqual([code, err], [pods.some(({ passes }) => !passes) ? 1 : 0, ''])
  const blocks = out.split('\n\n').map((block) => block.split('\n'))
  return new Map(
    blocks.flatMap(([title = '', ...lines]) => {
      const place = /^denied {2}shop\/Pod\/(\d+) {2}\(pod \1\)$/.exec(title)?.[1]
      return place === undefined ? [] : [[Number(place), lines.map((line) => line.replace(/^ {2}- /, ''))] as const]
    }),
  )
}

/** The lines of a denial, which has room for 1 KiB: those that are there, and how many there are in all. */
function linesOf(message: string): { readonly lines: readonly string[]; readonly count: number } {
  const all = message.split('\n').flatMap((line) => (line.startsWith('- ') ? [line.slice(2)] : []))
  const more = Number(/^and (\d+) more/.exec(all.at(-1) ?? '')?.[1] ?? 0)
  const lines = more === 0 ? all : all.slice(0, -1)
  return { lines, count: lines.length + more }
}

async function assertAgreement(group: string, pods: readonly UpstreamPod[]): Promise<void> {
  const [level = '', version = ''] = group.split(' ')
  const labels = {
    'pod-security.kubernetes.io/enforce': level,
    'pod-security.kubernetes.io/enforce-version': version,
  }
  const checked = await runCheck(pods, labels)
  const scanned = await runScan(pods, labels)
  assert.equal(checked.length, pods.length)
  for (const [place, { file, passes, object }] of pods.entries()) {
    const webhook = await askWebhook(object, labels)
    assert.equal(webhook.allowed, passes, `${file}: the webhook ${webhook.allowed ? 'allows' : 'denies'} it`)
    assert.deepEqual(checked[place], webhook, `${file}: check and webhook differ`)

    const found = scanned.get(place) ?? []
    const { lines, count } = linesOf(webhook.message)
    assert.equal(scanned.has(place), !passes, `${file}: scan and webhook differ`)
    assert.equal(found.length, count, `${file}: scan finds ${found.length}, the webhook ${count}`)
    assert.deepEqual(
      lines.filter((line) => !found.includes(line)),
      [],
      `${file}: the webhook says lines that scan does not`,
    )
    // The other way round wherever all lines had room.
    if (lines.length === count) assert.deepEqual(found.toSorted(), lines.toSorted(), file)
  }
}

describe('webhook, scan and check over the upstream pods', () => {
  const testdata = findTestdata()
  if (testdata === undefined && process.env['CI'] !== 'true') {
    process.stderr.write(
      `\n*** SKIPPED: webhook, scan and check over the upstream pods: Go is needed to find them ***\n\n`,
    )
    return
  }

  it('say the same of every one', async function () {
    this.timeout(120_000)
    assert.ok(testdata !== undefined, `Go, and the module ${MODULE}, are needed in CI`)
    let [count, denied] = [0, 0]
    for (const [group, pods] of readPods(testdata)) {
      await assertAgreement(group, pods)
      count += pods.length
      denied += pods.filter(({ passes }) => !passes).length
    }
    assert.ok(count >= FEWEST_PODS, `only ${count} pods were found in ${testdata}`)
    assert.ok(denied > 1000, `only ${denied} of them must be denied`)
  })
})
