/** `drawbridge check` with exceptions: the same matcher, the same words, the clock of whoever runs it. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runCli, type CliActions } from '../../src/cli/program.ts'

const EXCEPTION = `
apiVersion: drawbridge.dev/v1alpha1
kind: AdmissionException
metadata: {name: legacy}
spec:
  namespaces: [shop]
  images: ["registry.example/shop/*:*"]
  serviceAccounts: [web]
  checks: [hostNamespaces]
  reason: a test
  expiresAt: 2026-12-31T00:00:00Z
---
`
const DEPLOYMENT = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  template:
    metadata: {annotations: {drawbridge.dev/exception: legacy}}
    spec:
      serviceAccount: web
      hostPID: true
      securityContext: {runAsNonRoot: true}
      containers: [{name: web, image: "registry.example/shop/web:1"}]
---
`

describe('drawbridge check with exceptions', () => {
  let folder: string
  before(() => (folder = mkdtempSync(join(tmpdir(), 'drawbridge-check-'))))
  after(() => rmSync(folder, { recursive: true }))

  const check = async (
    input: string,
    exceptions: string | undefined,
    now = Date.UTC(2026, 10, 22),
  ): Promise<{ readonly code: number; readonly message?: string; readonly exceptionsUsed?: readonly string[] }> => {
    let output = ''
    const io = {
      out: (text: string) => void (output += text),
      err: (text: string) => void (output += text),
      readStdin: () => Promise.resolve(Buffer.from(input)),
      user: 'me',
      now: () => now,
    }
    const file = join(folder, 'exceptions.yaml')
    writeFileSync(file, exceptions ?? '')
    const argv = ['check', '-f', '-', '-o', 'json', ...(exceptions === undefined ? [] : ['--exceptions', file])]
    const code = await runCli(argv, io, {} as CliActions, '0')
    const { objects } = JSON.parse(output) as {
      objects: { kind: string; message?: string; exceptionsUsed: string[] }[]
    }
    return { code, ...objects.find(({ kind }) => kind === 'Deployment') }
  }

  it('takes them from the input and from --exceptions', async () => {
    for (const [input, exceptions] of [
      [EXCEPTION + DEPLOYMENT, undefined],
      [DEPLOYMENT + EXCEPTION, undefined],
      [DEPLOYMENT, EXCEPTION],
    ] as const) {
      const { code, exceptionsUsed } = await check(input, exceptions)
      assert.deepEqual([code, exceptionsUsed], [0, ['legacy']])
    }
  })

  for (const [what, exceptions, now, note] of [
    ['expired', EXCEPTION, Date.UTC(2026, 11, 31), 'exception "legacy" expired at 2026-12-31T00:00:00Z'],
    ['missing', undefined, undefined, 'exception "legacy" does not exist'],
    [
      'defined twice',
      EXCEPTION + EXCEPTION,
      undefined,
      /^exception "legacy" is malformed and counts nowhere: defined twice, again in .*exceptions\.yaml$/,
    ],
    [
      'without expiry',
      EXCEPTION.replace(/ {2}expiresAt.*\n/, ''),
      undefined,
      'exception "legacy" is malformed and counts nowhere: spec.expiresAt: wanted a string, found nothing',
    ],
  ] as const) {
    it(`denies with one that is ${what}, in the words of the webhook`, async () => {
      const { code, message, exceptionsUsed } = await check(DEPLOYMENT, exceptions, now)
      assert.deepEqual([code, exceptionsUsed], [1, []])
      const last = message?.split('\n').at(-1) ?? ''
      if (typeof note === 'string') assert.equal(last, note)
      else assert.match(last, note)
    })
  }
})
