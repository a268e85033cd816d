/**
 * Webhook, scan and check are one engine: every pod of the upstream Pod Security suite gets the same findings from all three.
 * The pods are read where Go keeps the module that test/conformance/go.mod names; nothing of them is kept here.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { load } from 'js-yaml'
import { checkObject } from '../../src/cli/check.ts'
import type { Labels } from '../../src/kube/types.ts'
import { findingLines, judgeExisting } from '../../src/policy/judgeExisting.ts'
import { resolveNamespace } from '../../src/policy/namespace.ts'
import { createValidate } from '../../webhooks/validate.ts'
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
  readonly level: string
  readonly version: string
  readonly passes: boolean
  readonly object: Readonly<Record<string, unknown>> & { readonly kind: string; readonly apiVersion: string }
}

function* readPods(testdata: string): Generator<UpstreamPod> {
  for (const file of readdirSync(testdata, { recursive: true, encoding: 'utf8' }).sort()) {
    const [, level, version, expected] = /^(\w+)\/(v1\.\d+)\/(pass|fail)\/[^/]+\.yaml$/.exec(file) ?? []
    if (level === undefined || version === undefined) continue
    const object = load(readFileSync(join(testdata, file), 'utf8')) as UpstreamPod['object']
    yield { file, level, version, passes: expected === 'pass', object }
  }
}

interface Answer {
  readonly allowed: boolean
  readonly message: string
}

const NAMESPACE = 'shop'
const SETTINGS = { podSecurityLabels: true }

/** What the API server is told, from the bytes of a review to the bytes of the answer. */
async function askWebhook(object: object, labels: Labels): Promise<Answer> {
  const validate = createValidate(admissionContext({ labels, resolving: SETTINGS }))
  const reply = await validate(Buffer.from(JSON.stringify(podReview(object))), 5000)
  const { allowed, status } = answerIn(reply.body)
  return { allowed, message: status?.message ?? '' }
}

const askCheck = (object: UpstreamPod['object'], labels: Labels): Answer => {
  const { result, message, patch } = checkObject({ file: 'pod.yaml', object }, NAMESPACE, labels, SETTINGS)
  assert.deepEqual(patch, [], 'upstream labels inject nothing')
  return { allowed: result === 'allowed', message: message ?? '' }
}

/** The lines of a denial, which has room for 1 KiB: those that are there, and how many there are in all. */
function linesOf(message: string): { readonly lines: readonly string[]; readonly count: number } {
  const all = message.split('\n').flatMap((line) => (line.startsWith('- ') ? [line.slice(2)] : []))
  const more = Number(/^and (\d+) more/.exec(all.at(-1) ?? '')?.[1] ?? 0)
  const lines = more === 0 ? all : all.slice(0, -1)
  return { lines, count: lines.length + more }
}

async function assertAgreement({ file, level, version, passes, object }: UpstreamPod): Promise<void> {
  const labels = {
    'pod-security.kubernetes.io/enforce': level,
    'pod-security.kubernetes.io/enforce-version': version,
  }
  const webhook = await askWebhook(object, labels)
  assert.equal(webhook.allowed, passes, `${file}: the webhook ${webhook.allowed ? 'allows' : 'denies'} it`)
  assert.deepEqual(askCheck(object, labels), webhook, `${file}: check and webhook differ`)

  const finding = judgeExisting(object, NAMESPACE, resolveNamespace(labels, SETTINGS), {})
  const scanned = finding === undefined ? [] : findingLines(finding)
  const { lines, count } = linesOf(webhook.message)
  assert.equal(finding?.result, passes ? undefined : 'denied', `${file}: scan and webhook differ`)
  assert.equal(scanned.length, count, `${file}: scan finds ${scanned.length}, the webhook ${count}`)
  assert.deepEqual(
    lines.filter((line) => !scanned.includes(line)),
    [],
    `${file}: the webhook says lines that scan does not`,
  )
  // The other way round wherever all lines had room.
  if (lines.length === count) assert.deepEqual(scanned.toSorted(), lines.toSorted(), file)
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
    for (const pod of readPods(testdata)) {
      await assertAgreement(pod)
      count += 1
      if (!pod.passes) denied += 1
    }
    assert.ok(count >= FEWEST_PODS, `only ${count} pods were found in ${testdata}`)
    assert.ok(denied > 1000, `only ${denied} of them must be denied`)
  })
})
