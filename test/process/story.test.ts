/** The main job, through the bundled program: mutate, deny, alert, deny again; credentials; a clean stop; SIGKILL. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cli, dropAlert, podReview, root, RunningProgram, temporaryFolder, until } from './server.ts'

const IMAGE = 'registry.example/shop/web:1.4.2'

describe('a standalone server', () => {
  const folder = temporaryFolder()
  let server: RunningProgram
  before(async () => (server = await RunningProgram.start(folder.path)))
  after(async () => {
    await server.kill()
    folder.remove()
  })

  it('leaves server.json for its owner only, with everything scripts need', () => {
    const path = join(folder.path, 'server.json')
    assert.equal(statSync(path).mode & 0o777, 0o600)
    for (const key of ['webhook', 'alerts', 'admin'] as const)
      assert.match(server.file[key], /^https:\/\/127\.0\.0\.1:\d+$/)
    assert.ok(server.file.ca.startsWith('/') && existsSync(server.file.ca))
    assert.ok(server.file.alertToken.length >= 32 && server.file.adminToken.length >= 32)
    assert.notEqual(server.file.alertToken, server.file.adminToken)
  })

  it('prints where it listens and how to try it', async () => {
    // server.json is written before the banner.
    while (!server.output().includes('dropped-executable.json')) await new Promise((done) => setTimeout(done, 20))
    for (const text of [
      server.file.webhook,
      server.file.alerts,
      server.file.admin,
      'plain-pod.json',
      'privileged-pod.json',
      'dropped-executable.json',
    ]) {
      assert.ok(server.output().includes(text), `${text} is missing in:\n${server.output()}`)
    }
    assert.ok(!server.output().includes(server.file.alertToken), 'the token itself is printed')
  })

  it('is alive, ready and measured without a token, and shows verdicts only with one', async () => {
    for (const path of ['/livez', '/readyz', '/metrics'])
      assert.equal((await server.post(server.file.admin + path, '')).status, 404)
    for (const path of ['/livez', '/readyz', '/metrics']) assert.equal((await server.admin(path)).status, 200, path)
    assert.match((await server.admin('/metrics')).text, /^# TYPE drawbridge_admission_requests_total counter$/m)
    assert.equal((await server.post(`${server.file.admin}/api/v1/verdicts`, '')).status, 401)
  })

  it('injects the seccomp profile', async () => {
    const review = podReview('registry.example/shop/other:1', { spec: { securityContext: { runAsNonRoot: true } } })
    const { status, body } = await server.review('/mutate', review)
    assert.equal(status, 200)
    assert.equal(body.response.uid, 'c0ffee00-0000-4000-8000-000000000001')
    assert.deepEqual(JSON.parse(Buffer.from(body.response.patch, 'base64').toString()), [
      { op: 'add', path: '/spec/securityContext/seccompProfile', value: { type: 'RuntimeDefault' } },
    ])
  })

  it('denies a privileged pod', async () => {
    const { status, body } = await server.review(
      '/validate',
      podReview(IMAGE, { container: { securityContext: { privileged: true } } }),
    )
    assert.equal(status, 200)
    assert.deepEqual([body.response.allowed, body.response.status.code], [false, 403])
    assert.match(body.response.status.message, /privileged/)
  })

  it('denies an image after the alert of a dropped executable, not after a terminal shell', async () => {
    assert.equal((await server.review('/validate', podReview(IMAGE))).body.response.allowed, true)
    const shell = await server.alert(dropAlert(IMAGE, { rule: 'Terminal shell in container' }))
    assert.equal(shell.status, 200, shell.text)
    assert.equal((await server.review('/validate', podReview(IMAGE))).body.response.allowed, true)
    const drop = await server.alert(dropAlert(IMAGE))
    assert.equal(drop.status, 200, drop.text)
    const { response } = (await server.review('/validate', podReview(IMAGE))).body
    assert.equal(response.allowed, false)
    for (const part of ['Drop and execute new binary in container', 'falco', IMAGE, 'drawbridge verdicts show']) {
      assert.ok(response.status.message.includes(part), `${part} is missing in: ${response.status.message}`)
    }
    const deployment = {
      ...(podReview(IMAGE) as { request: object }),
      request: {
        ...(podReview(IMAGE) as { request: object }).request,
        kind: { group: 'apps', version: 'v1', kind: 'Deployment' },
        resource: { group: 'apps', version: 'v1', resource: 'deployments' },
        object: {
          metadata: { name: 'web' },
          spec: { template: { metadata: {}, spec: { containers: [{ name: 'web', image: IMAGE }] } } },
        },
      },
    }
    assert.equal((await server.review('/validate', deployment)).body.response.allowed, false)
    assert.equal(
      (await server.review('/validate', podReview('registry.example/shop/web:1.4.3'))).body.response.allowed,
      true,
    )
  })

  it('takes the very request that Falco sends: userinfo in the URL, one object', async () => {
    const url = new URL(`${server.file.alerts}/alerts/falco`)
    url.username = 'falco'
    url.password = server.file.alertToken
    // node:https makes Basic of the userinfo, as libcurl does for Falco.
    const sample = readFileSync(join(root, 'test/fixtures/alerts/falco/pod.reverse_shell.jsonl'), 'utf8').split(
      '\n',
    )[0]!
    const alert = sample
      .replace(/"time":"[^"]*"/, `"time":"${new Date().toISOString()}"`)
      .replaceAll('1.4.2', 'falco-basic')
    const answer = await server.post(url.href, alert, { 'User-Agent': 'falcosecurity/falco' })
    assert.equal(answer.status, 200, answer.text)
    assert.equal(
      (await server.review('/validate', podReview('registry.example/shop/web:falco-basic'))).body.response.allowed,
      false,
    )
  })

  it('takes what Falcosidekick sends', async () => {
    const alert = { uuid: '0b6e6e3c-5f2b-4b6e-9a51-000000000000', ...dropAlert('registry.example/shop/web:sidekick') }
    assert.equal((await server.alert(alert, 'falcosidekick')).status, 200)
    assert.equal(
      (await server.review('/validate', podReview('registry.example/shop/web:sidekick'))).body.response.allowed,
      false,
    )
  })

  it('lists, shows, releases and confirms verdicts by command line, and the image may come back, and not', async () => {
    const list = cli(['verdicts', 'list', '--data', folder.path])
    assert.equal(list.code, 0, list.err)
    const name = /^(\S+?)…?\s+denying\s.*shop\/web:sidekick/m.exec(list.out)?.[1]
    assert.ok(name, list.out)
    assert.match(cli(['verdicts', 'show', name, '--data', folder.path]).out, /Drop and execute new binary in container/)
    const release = cli(['verdicts', 'release', name, '--reason', 'tried by a test', '--data', folder.path])
    assert.equal(release.code, 0, release.err)
    assert.equal(
      (await server.review('/validate', podReview('registry.example/shop/web:sidekick'))).body.response.allowed,
      true,
    )
    assert.equal(cli(['verdicts', 'release', 'ref-0000000000', '--reason', 'x', '--data', folder.path]).code, 1)

    // Somebody looked again: it was true.
    const confirm = cli(['verdicts', 'confirm', name, '--reason', 'tried by a test', '--data', folder.path])
    assert.equal(confirm.code, 0, confirm.err)
    assert.equal(
      (await server.review('/validate', podReview('registry.example/shop/web:sidekick'))).body.response.allowed,
      false,
    )
  })

  it('refuses a second server on the same data folder', () => {
    const second = cli(['serve', '--standalone', '--data', folder.path, '--port', '0', '--admin-port', '0'])
    assert.notEqual(second.code, 0)
    assert.match(second.err, /^drawbridge: .*in use/m)
    assert.ok(existsSync(join(folder.path, 'server.json')), 'the running server lost its server.json')
  })
})

describe('stopping', () => {
  it('ends with 0 on SIGTERM, removes server.json, and starts again with everything it knew', async () => {
    const folder = temporaryFolder()
    try {
      const first = await RunningProgram.start(folder.path)
      await first.alert(dropAlert(IMAGE))
      assert.equal(await first.stop(), 0, first.output())
      assert.equal(existsSync(join(folder.path, 'server.json')), false)
      const second = await RunningProgram.start(folder.path)
      assert.deepEqual(
        [second.file.alertToken, second.file.adminToken, second.file.ca],
        [first.file.alertToken, first.file.adminToken, first.file.ca],
      )
      assert.equal((await second.review('/validate', podReview(IMAGE))).body.response.allowed, false)
      await second.kill()
    } finally {
      folder.remove()
    }
  })

  it('takes one Ctrl-C that arrives twice, by the terminal and by a launcher, for one', async () => {
    const folder = temporaryFolder()
    try {
      const server = await RunningProgram.start(folder.path)
      server.child.kill('SIGINT')
      server.child.kill('SIGTERM')
      assert.equal(await server.exited, 0, server.output())
      assert.equal(existsSync(join(folder.path, 'server.json')), false)
    } finally {
      folder.remove()
    }
  })

  it('answers what is under way before it ends', async () => {
    const folder = temporaryFolder()
    try {
      const server = await RunningProgram.start(folder.path)
      const answers = Array.from({ length: 20 }, (_, index) =>
        server.alert(dropAlert(`registry.example/shop/stop:${index}`)),
      )
      await answers[0]
      const ended = server.stop()
      // Each is answered or refused as a connection; an answer of 200 must have been kept.
      const settled = await Promise.allSettled(answers)
      assert.equal(await ended, 0)
      const again = await RunningProgram.start(folder.path)
      for (const [index, one] of settled.entries()) {
        if (one.status !== 'fulfilled' || one.value.status !== 200) continue
        assert.equal(
          (await again.review('/validate', podReview(`registry.example/shop/stop:${index}`))).body.response.allowed,
          false,
          String(index),
        )
      }
      await again.kill()
    } finally {
      folder.remove()
    }
  })
})

describe('SIGKILL right after a 200 on an alert', function () {
  this.timeout(120_000)
  it('loses nothing, twenty times in a row', async () => {
    const folder = temporaryFolder()
    try {
      let server = await RunningProgram.start(folder.path)
      const acknowledged: string[] = []
      const sendDrop = async (image: string): Promise<void> => {
        const { status } = await server.alert(dropAlert(image))
        if (status === 200) acknowledged.push(image)
      }
      const mustDeny = async (images: readonly string[]): Promise<void> => {
        for (const image of images) {
          assert.equal((await server.review('/validate', podReview(image))).body.response.allowed, false, image)
        }
      }
      for (let round = 0; round < 20; round++) {
        // Others are under way when the process dies; whoever got 200 must be remembered.
        const others = Array.from({ length: 5 }, (_, index) =>
          sendDrop(`registry.example/shop/other-${round}:${index}`),
        )
        const settled = Promise.allSettled(others)
        await sendDrop(`registry.example/shop/killed:${round}`)
        const known = acknowledged.length
        await server.kill()
        await settled
        assert.ok(acknowledged.includes(`registry.example/shop/killed:${round}`))
        server = await RunningProgram.start(folder.path)
        await mustDeny(acknowledged.slice(Math.max(0, known - 6)))
      }
      await mustDeny(acknowledged)
      await server.kill()
    } finally {
      folder.remove()
    }
  })
})

describe('a ledger that was damaged', () => {
  it('is set aside with one clear line, and the server starts', async () => {
    const folder = temporaryFolder()
    try {
      const first = await RunningProgram.start(folder.path)
      await first.alert(dropAlert(IMAGE))
      await first.stop()
      writeFileSync(
        join(folder.path, 'ledger.sqlite'),
        'this is not a database, and it is long enough to be taken for one'.repeat(100),
      )
      const second = await RunningProgram.start(folder.path)
      await until('the line about the damage', () => /damaged/.test(second.output()))
      assert.match((await second.admin('/metrics')).text, /^drawbridge_ledger_problems_total [1-9]/m)
      assert.equal((await second.alert(dropAlert(IMAGE))).status, 200)
      assert.equal((await second.review('/validate', podReview(IMAGE))).body.response.allowed, false)
      await second.kill()
    } finally {
      folder.remove()
    }
  })
})
