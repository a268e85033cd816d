import assert from 'node:assert/strict'
import { KubernetesError } from '../../../src/adapters/kubernetes/client.ts'
import type { KubernetesClient, RequestSettings } from '../../../src/adapters/kubernetes/client.ts'
import { listPages, podPages } from '../../../src/adapters/kubernetes/podPages.ts'

type Answer = object | KubernetesError | Promise<unknown>

/** Gives one answer after the other and remembers what was asked. */
function scripted(answers: readonly Answer[]): {
  readonly client: Pick<KubernetesClient, 'request'>
  readonly asked: { readonly path: string; readonly query: RequestSettings['query'] }[]
} {
  const asked: { readonly path: string; readonly query: RequestSettings['query'] }[] = []
  const rest = [...answers]
  return {
    asked,
    client: {
      request: (_method, path, settings) => {
        asked.push({ path, query: settings?.query })
        const answer = rest.shift()
        if (answer === undefined) return Promise.reject(new Error('asked too often'))
        return answer instanceof KubernetesError ? Promise.reject(answer) : Promise.resolve(answer)
      },
    },
  }
}

const item = (name: string, namespace = 'shop'): object => ({ metadata: { name, namespace } })
const page = (names: readonly string[], next?: string): object => ({
  items: names.map((name) => item(name)),
  metadata: next === undefined ? {} : { continue: next },
})
const GONE = new KubernetesError(410, 'Expired', 'the continue token is too old')

const namesOf = async (pages: AsyncIterable<readonly unknown[]>): Promise<string[][]> => {
  const found: string[][] = []
  for await (const items of pages) found.push(items.map((one) => (one as { metadata: { name: string } }).metadata.name))
  return found
}
const list = (client: Pick<KubernetesClient, 'request'>, signal?: AbortSignal): AsyncGenerator<readonly unknown[]> =>
  listPages(client, '/api/v1/pods', { retryMs: 0, pageSize: 2, signal })

describe('listPages', () => {
  it('follows continue tokens to the end', async () => {
    const { client, asked } = scripted([page(['a', 'b'], 't1'), page(['c', 'd'], 't2'), page(['e'])])
    assert.deepEqual(await namesOf(list(client)), [['a', 'b'], ['c', 'd'], ['e']])
    assert.deepEqual(asked, [
      { path: '/api/v1/pods', query: { limit: '2', continue: undefined } },
      { path: '/api/v1/pods', query: { limit: '2', continue: 't1' } },
      { path: '/api/v1/pods', query: { limit: '2', continue: 't2' } },
    ])
  })

  it('gives no page for nothing', async () => {
    assert.deepEqual(await namesOf(list(scripted([page([])]).client)), [])
    assert.deepEqual(await namesOf(list(scripted([{ items: null, metadata: null }]).client)), [])
  })

  it('starts over when a token has expired, and gives nothing twice', async () => {
    const { client, asked } = scripted([
      page(['a', 'b'], 't1'),
      GONE,
      page(['a', 'b'], 't2'),
      page(['b2', 'c'], 't3'),
      page(['d']),
    ])
    assert.deepEqual(await namesOf(list(client)), [['a', 'b'], ['b2', 'c'], ['d']])
    assert.equal(asked[2]?.query?.['continue'], undefined)
  })

  it('compares keys, not names: shop/z comes before shop2/a, and shop-2 before shop', async () => {
    const ordered = [item('z', 'shop-2'), item('z', 'shop'), item('a', 'shop2')]
    const { client } = scripted([
      { items: ordered.slice(0, 2), metadata: { continue: 't1' } },
      GONE,
      { items: ordered, metadata: {} },
    ])
    assert.deepEqual(await namesOf(list(client)), [['z', 'z'], ['a']])
  })

  it('gives up when starting over brings nothing new', async () => {
    const again = [GONE, page(['a'], 't')]
    const { client } = scripted([page(['a'], 't'), ...again, ...again, ...again, GONE])
    await assert.rejects(namesOf(list(client)), /continue token is too old/)
  })

  for (const error of [
    new KubernetesError(429, 'TooManyRequests', 'later'),
    new KubernetesError(503, 'ServiceUnavailable', 'later'),
    new KubernetesError(0, 'Unreachable', 'connection refused'),
    new KubernetesError(0, 'Timeout', 'no answer'),
  ]) {
    it(`asks again after ${error.reason}, four times in all`, async () => {
      assert.deepEqual(await namesOf(list(scripted([error, error, error, page(['a'])]).client)), [['a']])
      await assert.rejects(namesOf(list(scripted([error, error, error, error, page(['a'])]).client)), error)
    })
  }

  it('does not ask again what is forbidden', async () => {
    const { client, asked } = scripted([new KubernetesError(403, 'Forbidden', 'not allowed'), page(['a'])])
    await assert.rejects(namesOf(list(client)), /not allowed/)
    assert.equal(asked.length, 1)
  })

  it('ends without an error when it is stopped, between pages and in the middle of a request', async () => {
    const stop = new AbortController()
    const pages = list(scripted([page(['a'], 't1'), new Promise(() => undefined)]).client, stop.signal)
    assert.equal((await pages.next()).done, false)
    const second = pages.next()
    stop.abort()
    assert.equal((await second).done, true)
    assert.deepEqual(await namesOf(list(scripted([]).client, stop.signal)), [])
  })
})

describe('podPages', () => {
  it('names the workload of each pod, and keeps the pod as it is', async () => {
    const pod = {
      metadata: {
        name: 'web-5d5-x',
        namespace: 'shop',
        labels: { 'pod-template-hash': '5d5' },
        ownerReferences: [{ kind: 'ReplicaSet', name: 'web-5d5', controller: true }],
      },
      spec: {},
    }
    const { client, asked } = scripted([{ items: [pod, item('bare'), null, {}], metadata: {} }])
    const found: object[] = []
    for await (const items of podPages(client, 'shop')) found.push(...items)
    assert.deepEqual(found, [
      { namespace: 'shop', name: 'web-5d5-x', workload: 'Deployment/web', object: pod },
      { namespace: 'shop', name: 'bare', workload: 'Pod/bare', object: item('bare') },
      { namespace: '', name: '', workload: 'Pod/', object: null },
      { namespace: '', name: '', workload: 'Pod/', object: {} },
    ])
    assert.equal(asked[0]?.path, '/api/v1/namespaces/shop/pods')
  })

  it('lists all namespaces in one go', async () => {
    const { client, asked } = scripted([page(['a'])])
    for await (const items of podPages(client, undefined)) assert.equal(items.length, 1)
    assert.equal(asked[0]?.path, '/api/v1/pods')
  })
})
