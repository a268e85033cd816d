/** Live reads of namespaces: how many at once, who waits, and until when. */
import assert from 'node:assert/strict'
import { KubernetesError } from '../../../src/adapters/kubernetes/client.ts'
import type { KubernetesClient } from '../../../src/adapters/kubernetes/client.ts'
import { watchNamespaces } from '../../../src/adapters/kubernetes/namespaces.ts'
import type { Namespaces } from '../../../src/adapters/kubernetes/namespaces.ts'

const LIST = '/api/v1/namespaces'

/** One read that the API server has not answered yet. */
interface OpenRead {
  readonly name: string
  readonly timeoutMs: number | undefined
  readonly answer: (object: object) => void
  readonly fail: (error: Error) => void
}

const labelled = (name: string): object => ({
  metadata: { name, resourceVersion: '2', labels: { 'drawbridge.dev/enforce': 'standard' } },
})

/** Namespaces of an API server that answers reads only when the test says so. */
function slowServer(now: () => number = () => 0): { readonly namespaces: Namespaces; readonly reads: OpenRead[] } {
  const reads: OpenRead[] = []
  const client: KubernetesClient = {
    server: 'https://test',
    request: (_method, path, settings) =>
      path === LIST
        ? Promise.resolve({ metadata: { resourceVersion: '1' }, items: [] })
        : new Promise((answer, fail) => {
            reads.push({ name: path.slice(LIST.length + 1), timeoutMs: settings?.timeoutMs, answer, fail })
          }),
    requestText: () => Promise.reject(new Error('not asked')),
    watch: (_path, _query, _onEvent, signal) =>
      new Promise((resolve) => signal.addEventListener('abort', () => resolve())),
    serverTime: () => undefined,
    close: () => undefined,
  }
  return { namespaces: watchNamespaces({ client, now }), reads }
}

const ask = (namespaces: Namespaces, count: number, timeoutMs = 60_000, prefix = 'n'): readonly Promise<unknown>[] =>
  Array.from({ length: count }, (_, index) =>
    namespaces.getLive(`${prefix}${index}`, timeoutMs).catch((error: unknown) => error),
  )

/** Lets everything that needs no outside world happen. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('live reads of namespaces', () => {
  it('are at most 32 at once; the next in line follows each that ends, however it ends', async () => {
    const { namespaces, reads } = slowServer()
    const answers = ask(namespaces, 40)
    await settle()
    assert.equal(reads.length, 32)
    reads[0]!.answer(labelled('n0'))
    reads[1]!.fail(new KubernetesError(500, 'InternalError', 'broken'))
    reads[2]!.fail(new KubernetesError(404, 'NotFound', 'not found'))
    await settle()
    assert.deepEqual(
      reads.slice(32).map(({ name }) => name),
      ['n32', 'n33', 'n34'],
    )
    assert.deepEqual(await answers[0], { 'drawbridge.dev/enforce': 'standard' })
    assert.equal(((await answers[1]) as Error).message, 'broken')
    assert.equal(await answers[2], undefined)
    for (const { name, answer } of reads) answer(labelled(name))
    await settle()
    for (const { name, answer } of reads) answer(labelled(name))
    await Promise.all(answers)
    assert.equal(reads.length, 40)
    // All turns are free again.
    const again = ask(namespaces, 33, 60_000, 'm')
    await settle()
    assert.equal(reads.length, 72)
    for (const { name, answer } of reads) answer(labelled(name))
    await settle()
    for (const { name, answer } of reads) answer(labelled(name))
    await Promise.all(again)
    await namespaces.stop()
  })

  it('fail at their deadline when no turn comes, are not asked for later, and can be asked for again', async () => {
    const { namespaces, reads } = slowServer()
    const busy = ask(namespaces, 32)
    const late = (await namespaces.getLive('late', 5).catch((error: unknown) => error)) as KubernetesError
    assert.ok(late instanceof KubernetesError)
    assert.equal(late.message, 'too many namespaces are being read from the Kubernetes API; try again')
    for (const { name, answer } of reads) answer(labelled(name))
    await Promise.all(busy)
    assert.equal(reads.length, 32)
    const again = namespaces.getLive('late')
    await settle()
    reads[32]!.answer(labelled('late'))
    assert.deepEqual(await again, { 'drawbridge.dev/enforce': 'standard' })
    await namespaces.stop()
  })

  it('leave the API server what waiting has left of the time', async () => {
    const clock = { now: 0 }
    const { namespaces, reads } = slowServer(() => clock.now)
    const answers = ask(namespaces, 33, 2000)
    await settle()
    clock.now = 1500
    reads[0]!.answer(labelled('n0'))
    await settle()
    assert.deepEqual([reads[0]!.timeoutMs, reads[32]!.timeoutMs], [2000, 500])
    for (const { name, answer } of reads) answer(labelled(name))
    await Promise.all(answers)
    await namespaces.stop()
  })

  it('fail at once when 1,000 wait', async () => {
    const { namespaces, reads } = slowServer()
    const waiting = ask(namespaces, 1032, 50)
    await assert.rejects(namespaces.getLive('one-more'), /too many namespaces/)
    const ended = await Promise.all(waiting.slice(32))
    assert.ok(ended.every((error) => error instanceof KubernetesError))
    assert.equal(reads.length, 32)
    for (const { name, answer } of reads) answer(labelled(name))
    await namespaces.stop()
  })
})
