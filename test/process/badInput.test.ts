/**
 * Everything under "Bad input" that reaches a running server: each gets the right status and one clear line, is counted, and the next valid
 * request works. One server for all. (A damaged ledger file: story.test.ts.)
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cli, dropAlert, podReview, root, RunningProgram, temporaryFolder } from './server.ts'
import type { Answer } from './server.ts'

const LIMIT = 8 * 1024 * 1024

/** Sum of the samples of a metric whose labels contain all of `labels`. */
function sample(metrics: string, name: string, labels: Readonly<Record<string, string>>): number {
  return metrics
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .filter((line) => Object.entries(labels).every(([label, value]) => line.includes(`${label}="${value}"`)))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
}

interface Case {
  readonly what: string
  readonly send: (server: RunningProgram) => Promise<Answer>
  readonly status: number
  /** The one clear line, found by `line`. */
  readonly says: string | RegExp
  readonly line: (answer: Answer) => unknown
  readonly counted: readonly [metric: string, labels: Readonly<Record<string, string>>]
}

const errorLine = (answer: Answer): unknown => answer.body.error
const denialLine = (answer: Answer): unknown => answer.body.response.status.message
const refusedLine = (answer: Answer): unknown => {
  const { line, code, message } = answer.body.refused[0]
  return `line ${line}: ${code}: ${message}`
}
const decisionLine = (answer: Answer): unknown =>
  `${answer.body.decisions[0].decision}: ${answer.body.decisions[0].reason}`

// oxlint-disable-next-line typescript/no-explicit-any
const review = (change: (review: any) => void): object => {
  const value = structuredClone(podReview('registry.example/shop/bad:1'))
  change(value)
  return value
}
/** An alert as text, because numbers above 2^53 and raw bytes do not survive as values. */
const alertText = (image: string): string => JSON.stringify(dropAlert(image))
const alertWithout = (field: string): object => {
  const value: Record<string, unknown> = { ...dropAlert('registry.example/shop/bad:1') }
  delete value[field]
  return value
}

const NOT_A_REVIEW: Case['counted'] = ['drawbridge_admission_refused_total', { webhook: 'validate' }]
const refusedAs = (code: string): Case['counted'] => ['drawbridge_alerts_refused_total', { source: 'falco', code }]

const CASES: readonly Case[] = [
  {
    what: 'a review with a wrong content type',
    send: (server) => server.post(`${server.file.webhook}/validate`, '{}', { 'Content-Type': 'text/plain' }),
    status: 415,
    says: 'Content-Type is "text/plain", wanted application/json',
    line: errorLine,
    counted: ['drawbridge_http_errors_total', { listener: 'webhook', status: '415' }],
  },
  {
    what: 'a review that is not JSON',
    send: (server) => server.review('/validate', '{"kind": '),
    status: 400,
    says: 'the body is not JSON; wanted an AdmissionReview',
    line: errorLine,
    counted: NOT_A_REVIEW,
  },
  {
    what: 'an empty review',
    send: (server) => server.review('/validate', ''),
    status: 400,
    says: 'the body is empty; wanted an AdmissionReview as JSON',
    line: errorLine,
    counted: NOT_A_REVIEW,
  },
  {
    what: 'JSON that is not an AdmissionReview',
    send: (server) => server.review('/validate', { kind: 'Pod', apiVersion: 'v1' }),
    status: 400,
    says: 'not an AdmissionReview: kind is "Pod"',
    line: errorLine,
    counted: NOT_A_REVIEW,
  },
  {
    what: 'a review of another version',
    send: (server) =>
      server.review(
        '/validate',
        review((one) => (one.apiVersion = 'admission.k8s.io/v1beta1')),
      ),
    status: 400,
    says: 'wanted apiVersion admission.k8s.io/v1, found "admission.k8s.io/v1beta1"',
    line: errorLine,
    counted: NOT_A_REVIEW,
  },
  {
    what: 'a review whose fields have wrong types, but whose uid can be answered',
    send: (server) =>
      server.review(
        '/validate',
        review((one) => (one.request.operation = 5)),
      ),
    status: 200,
    says: 'drawbridge: malformed AdmissionReview: request.operation: wanted a string, found a number',
    line: denialLine,
    counted: NOT_A_REVIEW,
  },
  {
    what: 'a review over the limit',
    send: (server) => server.review('/validate', Buffer.alloc(LIMIT + 1, 0x20)),
    status: 413,
    says: `the body is larger than ${LIMIT} bytes`,
    line: errorLine,
    counted: ['drawbridge_http_errors_total', { listener: 'webhook', status: '413' }],
  },
  {
    what: 'a pod that the schema would reject',
    send: (server) =>
      server.review(
        '/validate',
        review((one) => (one.request.object.spec.containers = 'none')),
      ),
    status: 200,
    says: /^drawbridge: .*spec\.containers/,
    line: denialLine,
    counted: ['drawbridge_admission_requests_total', { webhook: 'validate', outcome: 'denied' }],
  },
  {
    what: 'an alert without a token',
    send: (server) => server.post(`${server.file.alerts}/alerts/falco`, alertText('registry.example/shop/bad:1')),
    status: 401,
    says: 'no valid credential: send the alert token as Bearer token or as Basic password',
    line: errorLine,
    counted: ['drawbridge_alert_requests_refused_total', { source: 'falco', reason: 'unauthorized' }],
  },
  {
    what: 'an alert with a wrong token',
    send: (server) =>
      server.post(`${server.file.alerts}/alerts/falco`, alertText('registry.example/shop/bad:1'), {
        Authorization: `Bearer ${server.file.adminToken}`,
      }),
    status: 401,
    says: 'no valid credential: send the alert token as Bearer token or as Basic password',
    line: errorLine,
    counted: ['drawbridge_alert_requests_refused_total', { source: 'falco', reason: 'unauthorized' }],
  },
  {
    what: 'an alert for a sensor that nobody knows',
    send: (server) => server.alert('{}', 'suricata'),
    status: 404,
    says: 'unknown source; known are: falco, falcosidekick, k8s-audit, tracee, tetragon, kubearmor',
    line: errorLine,
    counted: ['drawbridge_alert_requests_refused_total', { source: 'unknown', reason: 'unknown-source' }],
  },
  {
    what: 'an alert with a wrong content type',
    send: (server) =>
      server.post(`${server.file.alerts}/alerts/falco`, alertText('registry.example/shop/bad:1'), {
        Authorization: `Bearer ${server.file.alertToken}`,
        'Content-Type': 'text/plain',
      }),
    status: 415,
    says: 'Content-Type is "text/plain", wanted application/json',
    line: errorLine,
    counted: ['drawbridge_alert_requests_refused_total', { reason: 'bad-request' }],
  },
  {
    what: 'an alert that is not JSON',
    send: (server) => server.alert('{"rule": "x"'),
    status: 400,
    says: 'line 1: not-json: a JSON object that is broken or not closed',
    line: refusedLine,
    counted: refusedAs('not-json'),
  },
  {
    what: 'an alert without a rule',
    send: (server) => server.alert(alertWithout('rule')),
    status: 400,
    says: /^line 1: rule-missing: .+/,
    line: refusedLine,
    counted: refusedAs('rule-missing'),
  },
  {
    what: 'an alert without a time',
    send: (server) => server.alert(alertWithout('time')),
    status: 400,
    says: /^line 1: time-missing: .+/,
    line: refusedLine,
    counted: refusedAs('time-missing'),
  },
  {
    what: 'an alert with "output_fields": null',
    send: (server) => server.alert({ ...dropAlert('registry.example/shop/bad:1'), output_fields: null }),
    status: 200,
    says: 'unattributed: the alert names no image',
    line: decisionLine,
    counted: ['drawbridge_alert_decisions_total', { decision: 'unattributed' }],
  },
  {
    what: 'an alert for a container that nobody knows, and no image named',
    send: (server) =>
      server.alert({ ...dropAlert('registry.example/shop/bad:1'), output_fields: { 'container.id': 'feedfacecafe' } }),
    status: 200,
    says: 'unattributed: the alert names no image',
    line: decisionLine,
    counted: ['drawbridge_alert_decisions_total', { decision: 'unattributed' }],
  },
  {
    what: 'an alert with numbers above 2^53',
    send: (server) =>
      server.alert(
        alertText('registry.example/shop/large:1').replace(
          '"output_fields":{',
          '"output_fields":{"proc.exe_ino.ctime_duration_proc_start":18446744073670260079,"evt.time.iso8601":1783763098682419669,',
        ),
      ),
    status: 200,
    says: /^contributed: drop weighs 100/,
    line: decisionLine,
    counted: ['drawbridge_alert_decisions_total', { decision: 'contributed' }],
  },
  {
    what: 'an alert that is not UTF-8',
    send(server) {
      const [before, after] = alertText('registry.example/shop/bytes:1').split('/tmp/sleep') as [string, string]
      return server.alert(Buffer.concat([Buffer.from(`${before}/tmp/`), Buffer.from([0xff, 0xfe]), Buffer.from(after)]))
    },
    status: 200,
    says: /^contributed: drop weighs 100/,
    line: decisionLine,
    counted: ['drawbridge_alert_requests_not_utf8_total', { source: 'falco' }],
  },
]

describe('bad input', () => {
  const folder = temporaryFolder()
  let server: RunningProgram
  before(async () => (server = await RunningProgram.start(folder.path)))
  after(async () => {
    await server.kill()
    folder.remove()
  })

  for (const { what, send, status, says, line, counted } of CASES) {
    it(`${what}: ${status}, one clear line, counted`, async () => {
      const [metric, labels] = counted
      const count = async (): Promise<number> => sample((await server.admin('/metrics')).text, metric, labels)
      const before = await count()
      const answer = await send(server)
      assert.equal(answer.status, status, answer.text)
      const said = String(line(answer))
      if (typeof says === 'string') assert.equal(said, says)
      else assert.match(said, says)
      assert.ok(!said.includes('\n'), said)
      assert.equal(await count(), before + 1, `${metric} ${JSON.stringify(labels)}`)
      // The next request is answered as if nothing had happened.
      assert.equal(
        (await server.review('/validate', podReview('registry.example/shop/fine:1'))).body.response.allowed,
        true,
      )
    })
  }

  it('an unknown kind is allowed: nothing in it runs', async () => {
    const ingress = review((one) => {
      one.request.kind = { group: 'networking.k8s.io', version: 'v1', kind: 'Ingress' }
      one.request.resource = { group: 'networking.k8s.io', version: 'v1', resource: 'ingresses' }
      one.request.object = { metadata: { name: 'web' }, spec: {} }
    })
    for (const path of ['/mutate', '/validate'] as const) {
      const { status, body } = await server.review(path, ingress)
      assert.deepEqual([status, body.response.allowed, body.response.patch], [200, true, undefined])
    }
  })

  it('a pod that the schema would reject is not mutated, and not a crash', async () => {
    for (const object of [null, 5, {}, { spec: null }, { spec: { containers: [null] } }, { metadata: 5, spec: [] }]) {
      const bad = review((one) => (one.request.object = object))
      assert.equal((await server.review('/mutate', bad)).body.response.allowed, true)
      assert.equal((await server.review('/validate', bad)).body.response.allowed, false, JSON.stringify(object))
    }
  })

  it('a body is read as bytes, whatever character set it claims', async () => {
    for (const charset of ['utf-8', 'shift_jis', 'nonsense']) {
      const headers = {
        'Content-Type': `application/json; charset=${charset}`,
        Authorization: `Bearer ${server.file.alertToken}`,
      }
      const body = JSON.stringify(podReview('registry.example/shop/fine:1'))
      const reviewed = await server.post(`${server.file.webhook}/validate`, body, headers)
      assert.deepEqual([charset, reviewed.status, typeof reviewed.body.response.allowed], [charset, 200, 'boolean'])
      const text = alertText(`registry.example/shop/charset-${charset}:1`)
      const taken = await server.post(`${server.file.alerts}/alerts/falco`, text, headers)
      assert.deepEqual([charset, taken.status, taken.body.decisions[0].decision], [charset, 200, 'contributed'])
    }
  })

  it('a batch loses only what is bad in it', async () => {
    const lines = [
      alertText('registry.example/shop/batch:1'),
      '{"rule": ',
      '5',
      alertText('registry.example/shop/batch:2'),
    ]
    const { status, body } = await server.alert(lines.join('\n'))
    assert.equal(status, 200)
    assert.deepEqual(
      body.refused.map(({ line, code }: { line: number; code: string }) => [line, code]),
      [
        [2, 'not-json'],
        [3, 'not-an-object'],
      ],
    )
    for (const tag of [1, 2])
      assert.equal(
        (await server.review('/validate', podReview(`registry.example/shop/batch:${tag}`))).body.response.allowed,
        false,
      )
  })

  it('lost nothing: the alerts with odd numbers and odd bytes deny their images', async () => {
    for (const image of ['registry.example/shop/large:1', 'registry.example/shop/bytes:1'])
      assert.equal((await server.review('/validate', podReview(image))).body.response.allowed, false, image)
    assert.equal(
      (await server.review('/validate', podReview('registry.example/shop/bad:1'))).body.response.allowed,
      true,
    )
  })
})

describe('a configuration that cannot be used', () => {
  // One for all: the first start makes the keys, which takes seconds.
  const folder = temporaryFolder()
  after(() => folder.remove())

  for (const [what, text, message] of [
    ['an unknown key', 'quarantin: {}', 'unknown key "quarantin" at the top'],
    [
      'a value of the wrong kind',
      'webhook: {port: many}',
      'webhook.port: Invalid input: expected number, received string',
    ],
    ['a token file that is not there', 'admin: {tokenFile: /nowhere/token}', undefined],
    ['namespaces that are not there', 'standalone: {namespaces: /nowhere/namespaces.yaml}', undefined],
  ] as const) {
    it(`${what}: one clear line, and the server does not start`, () => {
      writeFileSync(join(folder.path, 'drawbridge.yaml'), text)
      const { code, err } = cli(['serve', '--standalone', '--data', 'data', '--port', '0', '--admin-port', '0'], {
        cwd: folder.path,
      })
      assert.equal(code, 2, err)
      const said = err.split('\n').filter((line) => !line.startsWith('{"level":"info"'))
      assert.equal(said.length, 2, err)
      if (message === undefined) assert.match(said[0]!, /^drawbridge: \/nowhere\/.*cannot be read/)
      else assert.equal(said[0], `drawbridge: drawbridge.yaml: ${message}`)
    })
  }

  it('a data folder that is a file', () => {
    const { code, err } = cli([
      'serve',
      '--standalone',
      '--data',
      join(root, 'package.json'),
      '--port',
      '0',
      '--admin-port',
      '0',
    ])
    assert.notEqual(code, 0)
    assert.match(err, /^drawbridge: .*package\.json/)
    assert.equal(err.split('\n').length, 2, err)
  })

  it('a server that is not running', () => {
    const { code, err } = cli(['verdicts', 'list', '--data', folder.path])
    assert.equal(code, 2)
    assert.match(err, /^drawbridge: .*server\.json: no server is running with this data folder; .+\n$/)
    const demo = spawnSync(process.execPath, [join(root, 'scripts/demo.js'), folder.path], { encoding: 'utf8' })
    assert.equal(demo.status, 2)
    assert.match(
      demo.stderr,
      /^demo: no server is running with the data folder .+; start one in another terminal \(make run\), or name its folder: make demo DATA=\.\.\.\n$/,
    )
  })
})
