/** How uses are written: lazily, bounded, kept when a write fails. The API server is a script here; a real one is in test/cluster. */
import assert from 'node:assert/strict'
import { KubernetesError } from '../../../src/adapters/kubernetes/client.ts'
import { watchExceptions, type Exceptions } from '../../../src/adapters/kubernetes/exceptions.ts'
import { waitFor } from '../../cluster/harness.ts'

interface Patch {
  readonly name: string
  readonly version: string
  readonly uses: number
  readonly lastUsedBy: string
}

const object = (name: string, version: number, uses?: number): object => ({
  apiVersion: 'drawbridge.dev/v1alpha1',
  kind: 'AdmissionException',
  metadata: { name, uid: name, resourceVersion: String(version) },
  spec: {
    namespaces: ['shop'],
    images: ['nginx:1'],
    serviceAccounts: ['*'],
    checks: ['privileged'],
    reason: 'a test',
    expiresAt: '2099-01-01T00:00:00Z',
  },
  ...(uses === undefined ? {} : { status: { uses, lastUse: '2026-01-01T00:00:00Z', lastUsedBy: 'shop/Pod/old' } }),
})

describe('exceptions of the Kubernetes API', () => {
  let running: Exceptions | undefined
  afterEach(async () => {
    await running?.stop()
    running = undefined
  })

  /** `answer` decides each PATCH: an error, or undefined for success. */
  const start = async (
    names: readonly string[],
    answer: (patch: Patch, earlier: number) => Error | undefined = () => undefined,
    live: (name: string) => object | Error = (name) => object(name, 9, 40),
  ) => {
    const patches: Patch[] = []
    const problems: string[] = []
    running = watchExceptions({
      now: () => Date.UTC(2026, 10, 22),
      flushMs: 5,
      onProblem: (problem) => problems.push(problem),
      client: {
        request: (method, path, settings) => {
          if (path.endsWith('admissionexceptions'))
            return Promise.resolve({ metadata: { resourceVersion: '1' }, items: names.map((name) => object(name, 1)) })
          const name = path.replace(/^.*admissionexceptions\//, '').replace('/status', '')
          if (method === 'GET') {
            const found = live(name)
            return found instanceof Error ? Promise.reject(found) : Promise.resolve(found)
          }
          assert.deepEqual([method, settings?.contentType], ['PATCH', 'application/merge-patch+json'])
          assert.ok(path.endsWith(`/${name}/status`))
          const { metadata, status } = (settings?.body ?? {}) as {
            metadata: { resourceVersion: string }
            status: { uses: number; lastUsedBy: string }
          }
          const patch = { name, version: metadata.resourceVersion, uses: status.uses, lastUsedBy: status.lastUsedBy }
          const refused = answer(patch, patches.length)
          patches.push(patch)
          return refused === undefined
            ? Promise.resolve(object(name, 100 + patches.length, status.uses))
            : Promise.reject(refused)
        },
        watch: (_path, _query, _onEvent, signal) =>
          new Promise((resolve) => signal.addEventListener('abort', () => resolve())),
      },
    })
    await running.synced(1000)
    return { exceptions: running, patches, problems }
  }

  it('writes many uses at once', async () => {
    const { exceptions, patches } = await start(['a'])
    for (let use = 0; use < 1000; use += 1) exceptions.recordUse(['a'], 'shop/Pod/x')
    assert.deepEqual(patches, [])
    await waitFor(() => patches.length === 1, 1000, 'the write')
    exceptions.recordUse(['a'], 'shop/Pod/y\n')
    await waitFor(() => patches.length === 2, 1000, 'the second write')
    assert.deepEqual(patches, [
      { name: 'a', version: '1', uses: 1000, lastUsedBy: 'shop/Pod/x' },
      { name: 'a', version: '101', uses: 1001, lastUsedBy: 'shop/Pod/y\\u{a}' },
    ])
    assert.equal(exceptions.list()[0]?.use?.uses, 1001)
  })

  it('reads again after a conflict, and adds to what the other replica wrote', async () => {
    const conflict = new KubernetesError(409, 'Conflict', 'changed')
    const { exceptions, patches, problems } = await start(['a'], (_patch, earlier) =>
      earlier === 0 ? conflict : undefined,
    )
    exceptions.recordUse(['a'], 'shop/Pod/x')
    await waitFor(() => patches.length === 2, 1000, 'the second attempt')
    assert.deepEqual(patches[1], { name: 'a', version: '9', uses: 41, lastUsedBy: 'shop/Pod/x' })
    assert.deepEqual(problems, [])
  })

  it('keeps what could not be written, says so, and gives up on what is gone', async () => {
    const down = new KubernetesError(0, 'Unreachable', 'connection refused')
    const gone = new KubernetesError(404, 'NotFound', 'not found')
    const { exceptions, patches, problems } = await start(['a', 'b'], ({ name }, earlier) =>
      name === 'b' ? gone : earlier < 2 ? down : undefined,
    )
    exceptions.recordUse(['a'], 'shop/Pod/x')
    await waitFor(() => patches.length === 3, 1000, 'three attempts')
    assert.deepEqual(
      patches.map(({ uses }) => uses),
      [1, 1, 1],
    )
    assert.deepEqual(
      new Set(problems),
      new Set(['uses of AdmissionException a could not be written: connection refused']),
    )
    exceptions.recordUse(['b'], 'shop/Pod/x')
    await waitFor(() => patches.length === 4, 1000, 'the write of what is gone')
    await exceptions.stop()
    assert.equal(patches.length, 4)
    assert.equal(problems.length, 2)
  })

  it('writes at most 50 objects in one round, and the others later', async () => {
    const names = Array.from({ length: 120 }, (_, index) => `e${index}`)
    const { exceptions, patches } = await start(names)
    exceptions.recordUse(names, 'shop/Pod/x')
    await waitFor(() => patches.length >= 50, 1000, 'the first round')
    await waitFor(() => patches.length === 120, 1000, 'all rounds')
    assert.equal(new Set(patches.map(({ name }) => name)).size, 120)
  })

  it('counts nothing for a name that does not exist', async () => {
    const { exceptions, patches } = await start(['a'])
    exceptions.recordUse(['gone', '__proto__'], 'shop/Pod/x')
    await exceptions.stop()
    assert.deepEqual(patches, [])
  })
})
