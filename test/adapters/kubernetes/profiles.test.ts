import assert from 'node:assert/strict'
import { KubernetesError } from '../../../src/adapters/kubernetes/client.ts'
import type { KubernetesClient, WatchEvent } from '../../../src/adapters/kubernetes/client.ts'
import { watchProfiles } from '../../../src/adapters/kubernetes/profiles.ts'

const PATH = '/apis/drawbridge.dev/v1alpha1/admissionprofiles'
const object = (name: string, version: string, spec: string) => ({
  metadata: { name, resourceVersion: version, uid: name },
  spec,
})

/** An API server that lists these, gives single ones on request, and watches until told otherwise. */
function fakeApiServer(listed: readonly object[], live: Readonly<Record<string, object>> = {}) {
  const asked: string[] = []
  const watcher: { emit?: (event: WatchEvent) => void; reached?: () => void } = {}
  const watching = new Promise<void>((resolve) => (watcher.reached = resolve))
  const client: Pick<KubernetesClient, 'request' | 'watch'> = {
    request: (_method, path) => {
      asked.push(path)
      if (path === PATH) return Promise.resolve({ metadata: { resourceVersion: '10' }, items: listed })
      const found = live[path.slice(PATH.length + 1)]
      return found === undefined
        ? Promise.reject(new KubernetesError(path.endsWith('/broken') ? 500 : 404, 'No', 'no such thing'))
        : Promise.resolve(found)
    },
    watch: (_path, _query, onEvent, signal) => {
      watcher.emit = onEvent
      watcher.reached?.()
      return new Promise((resolve) => signal.addEventListener('abort', () => resolve()))
    },
  }
  return { client, asked, watching, emit: (event: WatchEvent) => watcher.emit?.(event) }
}

const start = (server: ReturnType<typeof fakeApiServer>) => {
  const time = { now: 0 }
  const problems: string[] = []
  const profiles = watchProfiles<{ readonly spec: string }>({
    client: server.client,
    load: (found) => {
      const { spec } = found as { readonly spec: string }
      return spec === 'bad' ? { problems: ['spec: is bad', 'and worse'] } : { profile: { spec } }
    },
    now: () => time.now,
    onProblem: (message) => problems.push(message),
  })
  return { profiles, time, problems }
}

describe('watchProfiles', () => {
  it('knows what is listed and follows changes, each with another generation', async () => {
    const server = fakeApiServer([object('a', '1', 'first'), object('b', '2', 'bad')])
    const { profiles, problems } = start(server)
    try {
      await profiles.synced(1000)
      await server.watching
      assert.deepEqual(
        [profiles.get('a'), profiles.get('b'), profiles.get('c')],
        [{ spec: 'first' }, undefined, undefined],
      )
      assert.deepEqual(problems, ['AdmissionProfile b cannot be used: spec: is bad; and worse'])
      const generations = [profiles.generation()]
      server.emit({ type: 'MODIFIED', object: object('a', '11', 'second') })
      assert.deepEqual(profiles.get('a'), { spec: 'second' })
      generations.push(profiles.generation())
      server.emit({ type: 'MODIFIED', object: object('a', '12', 'bad') })
      assert.equal(profiles.get('a'), undefined)
      generations.push(profiles.generation())
      server.emit({ type: 'ADDED', object: object('b', '13', 'good') })
      generations.push(profiles.generation())
      server.emit({ type: 'DELETED', object: object('b', '14', 'good') })
      assert.equal(profiles.get('b'), undefined)
      generations.push(profiles.generation())
      assert.equal(new Set(generations).size, generations.length)
    } finally {
      await profiles.stop()
    }
  })

  it('reads a name at most once a second, and shares the answer', async () => {
    const server = fakeApiServer([], { new: object('new', '20', 'fresh') })
    const { profiles, time, problems } = start(server)
    try {
      await profiles.synced(1000)
      await Promise.all([profiles.read('new'), profiles.read('new'), profiles.read('gone'), profiles.read('broken')])
      assert.deepEqual(profiles.get('new'), { spec: 'fresh' })
      time.now = 999
      await profiles.read('gone')
      time.now = 1000
      await profiles.read('gone')
      await profiles.read('../secrets')
      await profiles.read('')
      assert.deepEqual(server.asked.slice(1), [`${PATH}/new`, `${PATH}/gone`, `${PATH}/broken`, `${PATH}/gone`])
      assert.deepEqual(problems, ['AdmissionProfile broken could not be read: no such thing'])
    } finally {
      await profiles.stop()
    }
  })

  it('says that the CRD is not installed', async () => {
    const server = fakeApiServer([])
    const { profiles } = start({
      ...server,
      client: {
        ...server.client,
        request: () => Promise.reject(new KubernetesError(404, 'NotFound', 'page not found')),
      },
    })
    try {
      await assert.rejects(profiles.synced(20), {
        name: 'KubernetesError',
        message: 'the AdmissionProfile CRD is not installed: kubectl apply -f manifests/crds',
      })
    } finally {
      await profiles.stop()
    }
  })
})
