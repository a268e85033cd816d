/** The program at work: signals, the debugger, the log level, and memory that runs short. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { constants, getPriority } from 'node:os'
import { join } from 'node:path'
import { enterContainer } from '../bench/container.ts'
import { imageEnvironment } from '../bench/servers.ts'
import { cli, dropAlert, podReview, root, RunningProgram, temporaryFolder, until } from './server.ts'

const IMAGE = 'registry.example/shop/web:1.4.2'

/** A review of which the second half is sent when `finish` is called. */
function startReview(server: RunningProgram): { finish(): Promise<{ status: number; connection: unknown }> } {
  const body = JSON.stringify(podReview(IMAGE))
  const sent = request(`${server.file.webhook}/validate`, {
    method: 'POST',
    ca: readFileSync(server.file.ca),
    headers: { 'Content-Type': 'application/json', 'Content-Length': body.length, Connection: 'keep-alive' },
  })
  const answered = new Promise<IncomingMessage>((resolve, reject) => sent.on('response', resolve).on('error', reject))
  // Until it is asked for, an end of the connection is nobody's error.
  answered.catch(() => undefined)
  sent.write(body.slice(0, 100))
  return {
    async finish() {
      sent.end(body.slice(100))
      const { statusCode = 0, headers } = await answered
      return { status: statusCode, connection: headers.connection }
    },
  }
}

const metric = async (server: RunningProgram, name: string): Promise<number> =>
  Number(new RegExp(`^${name} (.*)$`, 'm').exec((await server.admin('/metrics')).text)?.[1])

describe('signals', () => {
  const folder = temporaryFolder()
  after(() => folder.remove())
  const configured = (text: string): readonly string[] => {
    const file = join(folder.path, 'drawbridge.yaml')
    writeFileSync(file, text)
    return ['--config', file]
  }

  it('SIGTERM: what is under way is answered, with Connection: close, and the exit code is 0', async () => {
    const server = await RunningProgram.start(folder.path)
    const review = startReview(server)
    // Its first half is there when a later request is answered on another connection.
    await server.review('/validate', podReview(IMAGE))
    server.child.kill('SIGTERM')
    await until('the line about stopping', () => server.output().includes('stopping ...'))
    assert.deepEqual(await review.finish(), { status: 200, connection: 'close' })
    assert.equal(await server.exited, 0)
    assert.match(server.output(), /drawbridge: stopped\n$/)
  })

  it('a second one, later, ends the process at once, with 1', async () => {
    const server = await RunningProgram.start(folder.path, configured('drain: 1h\n'))
    startReview(server)
    await server.review('/validate', podReview(IMAGE))
    let ended = false
    void server.exited.then(() => (ended = true))
    server.child.kill('SIGTERM')
    await until('the line about stopping', () => server.output().includes('stopping ...'))
    await until('the end', () => ended || (server.child.kill('SIGTERM'), false))
    assert.equal(await server.exited, 1)
  })

  it('SIGTERM while it starts ends it at once, with 0', async () => {
    const silent = createServer(() => undefined)
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    const kubeconfig = join(folder.path, 'kubeconfig')
    const { port } = silent.address() as AddressInfo
    writeFileSync(
      kubeconfig,
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Config',
        clusters: [{ name: 'c', cluster: { server: `https://127.0.0.1:${port}` } }],
        contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
        users: [{ name: 'u', user: {} }],
        'current-context': 'c',
      }),
    )
    const connected = new Promise<void>((resolve) => silent.once('connection', () => resolve()))
    const child = spawn(
      process.execPath,
      [join(root, 'bin/drawbridge.js'), 'serve', '--kubeconfig', kubeconfig, '--data', folder.path, '--port', '0'],
      { cwd: folder.path, stdio: ['ignore', 'pipe', 'inherit'] },
    )
    let output = ''
    child.stdout.on('data', (chunk) => (output += String(chunk)))
    const exited = new Promise<number | null>((resolve) => child.once('close', resolve))
    await connected
    child.kill('SIGTERM')
    assert.equal(await exited, 0)
    assert.equal(output, 'drawbridge: stopped before it had started\n')
    silent.close()
  })

  it('puts the admission thread before all others', async () => {
    const server = await RunningProgram.start(folder.path)
    const threads = lowerThreads(server.child.pid!)
    assert.equal(await server.stop(), 0)
    // Names by Node 24: V8's helpers, and the alert thread.
    assert.ok(threads.includes('V8Worker') && threads.includes('WorkerThread'), threads.join())
  })

  it('SIGUSR1 opens no debugger', async () => {
    const server = await RunningProgram.start(folder.path)
    server.child.kill('SIGUSR1')
    // Signals are delivered in order: when this one has had its effect, the other one has had its own.
    assert.equal(await server.stop(), 0)
    assert.doesNotMatch(server.output(), /debugger/i)
    assert.match(readFileSync(join(root, 'Dockerfile'), 'utf8'), /^ENTRYPOINT .*"--disable-sigusr1"/m)
  })
})

describe('the log level', () => {
  const folder = temporaryFolder()
  let server: RunningProgram
  before(async () => (server = await RunningProgram.start(folder.path)))
  after(async () => {
    await server.kill()
    folder.remove()
  })
  const logLevel = (...args: readonly string[]) => cli(['log-level', ...args, '--data', folder.path])
  const allowed = podReview(IMAGE)
  const shown = (message: string): number => server.output().split(`"msg":"${message}"`).length - 1

  it('is changed in both threads without a restart, and changed back', async () => {
    assert.deepEqual(logLevel(), { code: 0, out: 'log level info\n', err: '' })
    await server.review('/validate', allowed)
    await server.alert(dropAlert('registry.example/shop/quiet:1'))
    assert.deepEqual([shown('admission answered'), shown('alert decided')], [0, 1])

    assert.equal(logLevel('debug').out, 'log level debug\n')
    await server.review('/validate', allowed)
    await until('the line of a debug level', () => shown('admission answered') === 1)

    assert.equal(logLevel('error').out, 'log level error\n')
    await server.alert(dropAlert('registry.example/shop/quiet:2'))
    await server.review('/validate', allowed)
    assert.deepEqual([shown('admission answered'), shown('alert decided')], [1, 1])
    // Changes are shown whatever the level is.
    await until('three lines about changes', () => shown('the log level was changed') === 2)
    logLevel('info')
  })

  it('goes back when its time is over', async () => {
    const { out } = logLevel('debug', '--for', '300ms')
    assert.match(out, /^log level debug until 20\d\d-\S+Z, then info\n$/)
    await until('the configured level', () => logLevel().out === 'log level info\n')
  })

  it('is refused when it makes no sense', () => {
    assert.match(logLevel('loud').err, /^error: command-argument value 'loud' is invalid/)
    assert.deepEqual(logLevel('debug', '--for', 'ever'), {
      code: 2,
      out: '',
      err: 'drawbridge: for: wanted a duration such as 90s, 15m, 12h or 30d\n',
    })
    assert.equal(logLevel('--for', '1m').err, 'drawbridge: --for says nothing without a level\n')
  })
})

/** The names of all threads of a process but its main one; each must be ten steps of niceness below that one, as far as there are so many. */
function lowerThreads(pid: number): readonly string[] {
  const threads = readdirSync(`/proc/${pid}/task`).filter((thread) => Number(thread) !== pid)
  const named = threads.map((thread) => {
    const name = readFileSync(`/proc/${pid}/task/${thread}/comm`, 'utf8').trim()
    return [name, getPriority(Number(thread))] as const
  })
  const wanted = Math.min(constants.priority.PRIORITY_LOW, getPriority(pid) + 10)
  assert.deepEqual(
    named.filter(([, priority]) => priority !== wanted),
    [],
  )
  return named.map(([name]) => name)
}

/** Sends hostile alerts until the alert thread has ended so often; meanwhile each review must be answered, with the denial of IMAGE. */
async function endAlertThread(server: RunningProgram, times: number, senders: number): Promise<void> {
  const body = Buffer.from(`{"kind":"EventList","items":[${'{"a":1},'.repeat(1_300_000)}{}]}`)
  const flooding = { on: true }
  let denied = 0
  const admission = (async () => {
    while (flooding.on) {
      const { status, body: answer } = await server.review('/validate', podReview(IMAGE))
      assert.deepEqual([status, answer.response.allowed], [200, false])
      denied += 1
    }
  })()
  const flood = Array.from({ length: senders }, async () => {
    while (flooding.on) await server.alert(body, 'k8s-audit').catch(() => undefined)
  })
  const restarts = async (): Promise<boolean> =>
    (await metric(server, 'drawbridge_alert_thread_restarts_total')) >= times
  // A process that the kernel has ended answers neither.
  await Promise.race([admission, until(`${times} ends of the alert thread`, restarts, 90_000)]).finally(
    () => (flooding.on = false),
  )
  await Promise.all([admission, ...flood])
  assert.ok(denied > 0)
  assert.match(server.output(), /"reason":"Worker terminated due to reaching memory limit/)
}

describe('memory that runs short', function () {
  this.timeout(120_000)
  const folder = temporaryFolder()
  after(() => folder.remove())

  it('ends the alert thread alone: admission answers all the time, and what was acknowledged is known', async () => {
    // As in a container of 256 MiB, on a machine of any size.
    const env = { NODE_OPTIONS: '--max-old-space-size=64 --max-semi-space-size=1' }
    const server = await RunningProgram.start(folder.path, [], ['--standalone'], env)
    try {
      assert.equal((await server.alert(dropAlert(IMAGE))).status, 200)
      await endAlertThread(server, 1, 3)
      await until('the next alert', async () => {
        const answer = await server.alert(dropAlert('registry.example/shop/next:1')).catch(() => undefined)
        return answer?.status === 200
      })
      assert.ok(lowerThreads(server.child.pid!).includes('WorkerThread'))
      assert.equal((await server.admin('/livez')).status, 200)
      await until('readiness', async () => (await server.admin('/readyz')).status === 200)
    } finally {
      await server.kill()
    }
  })

  it('gives it back when the alert thread has ended: a small container lives through many ends', async () => {
    // Undefined where this process may make none; then only the ends are tested, not the memory.
    const container = enterContainer(256)
    const env = container === undefined ? { NODE_OPTIONS: '--max-old-space-size=64' } : imageEnvironment()
    const server = await RunningProgram.start(folder.path, [], ['--standalone'], env).finally(() => container?.leave())
    try {
      assert.equal((await server.alert(dropAlert(IMAGE))).status, 200)
      await endAlertThread(server, 3, 8)
    } finally {
      await server.kill()
      container?.remove()
    }
  })
})
