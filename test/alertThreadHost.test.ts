import assert from 'node:assert/strict'
import { startAlertThread } from '../src/alertThreadHost.ts'
import type { AlertThreadOptions } from '../src/alertThread.ts'
import { healthChecks } from '../src/health.ts'

/** A thread that answers until it is told the log level `hang`: then it loops for ever, as a bug would make it. */
const PROGRAM = `
  import { parentPort } from 'node:worker_threads'
  parentPort.on('message', ({ id, method, parameters }) => {
    if (method === 'setLogLevel' && parameters.level === 'hang') for (;;);
    if (method === 'setLogLevel' && parameters.level === 'end') process.exit(1)
    parentPort.postMessage({ type: 'answer', id, value: method === 'start' ? { port: 1 } : [] })
  })
`

describe('the alert thread', () => {
  const start = async (ended: (reason: string) => void) =>
    startAlertThread({
      options: { port: 0 } as unknown as AlertThreadOptions,
      applyVerdicts: () => undefined,
      onEnded: ended,
      program: new URL(`data:text/javascript,${encodeURIComponent(PROGRAM)}`),
      stuckMilliseconds: 200,
    })

  it('is ended and started again when it hangs', async () => {
    const thread = await new Promise<Awaited<ReturnType<typeof start>>>((resolve, reject) => {
      const started = start((reason) => {
        assert.equal(reason, 'it answered nothing for 0.2 s')
        started.then(resolve, reject)
      })
      started.then((one) => one.setLogLevel('hang').catch(() => undefined), reject)
    })
    assert.notEqual(thread.downSince(), undefined)
    assert.deepEqual(await thread.metrics(), [])
    const deadline = performance.now() + 10_000
    while (thread.downSince() !== undefined && performance.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 20))
    assert.equal(thread.downSince(), undefined)
    await thread.stop(0)
  })
})

describe('health', () => {
  let [downSince, now, isStopping]: [number | undefined, number, boolean] = [undefined, 0, false]
  let tls: readonly string[] = []
  let isSynced = true
  const { liveness, readiness } = healthChecks({
    certificates: { notReady: () => tls },
    view: { caches: { namespaces: { isSynced: () => isSynced, age: () => 0 } } },
    alertThread: { downSince: () => downSince },
    isStopping: () => isStopping,
    now: () => now,
  })
  const failing = (checks: typeof readiness) => checks.flatMap(({ name, problem }) => (problem() ? [name] : []))
  beforeEach(() => {
    ;[downSince, now, isStopping, tls, isSynced] = [undefined, 0, false, [], true]
  })

  it('is fine when everything is', () => {
    assert.deepEqual([...failing(liveness), ...failing(readiness)], [])
    assert.deepEqual(
      readiness.map(({ name }) => name),
      ['tls', 'namespaces', 'verdicts', 'shutdown'],
    )
  })

  it('is not ready without trust, a cache or the alert thread, and while it stops', () => {
    tls = ['caBundle does not trust']
    assert.deepEqual(failing(readiness), ['tls'])
    tls = []
    isSynced = false
    assert.deepEqual(failing(readiness), ['namespaces'])
    isSynced = true
    downSince = 0
    assert.deepEqual(failing(readiness), ['verdicts'])
    downSince = undefined
    isStopping = true
    assert.deepEqual(failing(readiness), ['shutdown'])
    assert.deepEqual(failing(liveness), [])
  })

  it('is dead only when the alert thread could not be started again for five minutes', () => {
    downSince = 1000
    now = 300_999
    assert.deepEqual(failing(liveness), [])
    now = 301_000
    assert.deepEqual(failing(liveness), ['alert-thread'])
  })
})
