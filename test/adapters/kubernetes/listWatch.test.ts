import assert from 'node:assert/strict'

import * as fc from 'fast-check'

import { KubernetesError } from '../../../src/adapters/kubernetes/client.ts'
import type { KubernetesClient, WatchEvent } from '../../../src/adapters/kubernetes/client.ts'
import { isLater, listWatch } from '../../../src/adapters/kubernetes/listWatch.ts'
import type { ListWatch } from '../../../src/adapters/kubernetes/listWatch.ts'
import { tokenBucket } from '../../../src/adapters/kubernetes/tokenBucket.ts'
import { readVerdictObject } from '../../../src/adapters/kubernetes/verdictObject.ts'

interface Thing {
  readonly name: string
  readonly version: number
  readonly uid: string
}

const object = ({ name, version, uid }: Thing): unknown => ({
  metadata: { name, uid, resourceVersion: String(version) },
})
const thing = (name: string, version: number, uid = `uid-${name}`): Thing => ({ name, version, uid })

/** What one watch request of a test answers: events, then how it ends. */
interface Script {
  readonly events: readonly WatchEvent[]
  readonly end?: Error
}

/** es2023 has no Promise.withResolvers. */
function deferred(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  const box: { resolve?: () => void } = {}
  const promise = new Promise<void>((resolve) => (box.resolve = resolve))
  return { promise, resolve: () => box.resolve?.() }
}

/** Plays lists and watches in turn; the last watch stays open. Resolves `done` when it is reached. */
function play(lists: readonly (readonly Thing[] | Error)[], watches: readonly Script[]) {
  const log: string[] = []
  const asked: string[] = []
  const position = { list: 0, watch: 0, version: 0 }
  const { promise: done, resolve: finish } = deferred()
  const client: Pick<KubernetesClient, 'request' | 'watch'> = {
    request: (_method, _path, settings) => {
      const page = lists[position.list]
      position.list += 1
      asked.push(`list${settings?.query?.['continue'] === undefined ? '' : ' more'}`)
      if (page === undefined || page instanceof Error)
        return Promise.reject(page ?? new Error('no such list in this test'))
      // The server's version never goes back, not even when everything is deleted.
      position.version = Math.max(position.version, ...page.map((item) => item.version))
      return Promise.resolve({ metadata: { resourceVersion: String(position.version) }, items: page.map(object) })
    },
    watch: async (_path, query, onEvent, signal) => {
      const script = watches[position.watch]
      position.watch += 1
      asked.push(`watch ${query['resourceVersion']}`)
      if (script === undefined) {
        finish()
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
        return
      }
      for (const event of script.events) onEvent(event)
      if (script.end !== undefined) throw script.end
    },
  }
  const reflector: ListWatch<Thing> = listWatch<Thing>({
    client,
    path: '/things',
    select: (value) => {
      const { name, uid, resourceVersion } = (value as { metadata: Record<string, string> }).metadata
      return thing(name ?? '', Number(resourceVersion), uid ?? '')
    },
    onAdd: (value) => log.push(`+${value.name}${value.version}`),
    onUpdate: (value, old) => log.push(`~${old.name}${old.version}>${value.version}`),
    onDelete: (old) => log.push(`-${old.name}${old.version}`),
    onSynced: () => log.push('synced'),
    maxBackoffMs: 1,
    random: () => 0,
  })
  return { reflector, log, asked, done }
}

const event = (type: string, value: Thing): WatchEvent => ({ type, object: object(value) })
const gone: WatchEvent = { type: 'ERROR', object: { code: 410, message: 'too old' } }

describe('listWatch', () => {
  const cases: readonly (readonly [
    string,
    readonly (readonly Thing[] | Error)[],
    readonly Script[],
    string,
    string,
  ])[] = [
    [
      'goes on from the last version after a regular end',
      [[thing('a', 1)]],
      [
        { events: [event('ADDED', thing('b', 2)), event('MODIFIED', thing('a', 3))] },
        { events: [event('DELETED', thing('b', 4))] },
      ],
      '+a1 synced +b2 ~a1>3 -b2',
      'list, watch 1, watch 3, watch 4',
    ],
    [
      'goes on from the last version after a broken connection, and from a bookmark',
      [[thing('a', 1)]],
      [{ events: [event('BOOKMARK', thing('', 9))], end: new KubernetesError(0, 'Unreachable', 'reset') }],
      '+a1 synced',
      'list, watch 1, watch 9',
    ],
    [
      'lists again and compares after 410 in the stream',
      [
        [thing('a', 1), thing('b', 2)],
        [thing('a', 5), thing('c', 6)],
      ],
      [{ events: [gone] }],
      '+a1 +b2 synced ~a1>5 +c6 -b2 synced',
      'list, watch 2, list, watch 6',
    ],
    [
      'lists again after 410 as the answer',
      [[thing('a', 1)], [thing('a', 7)]],
      [{ events: [], end: new KubernetesError(410, 'Expired', 'too old') }],
      '+a1 synced ~a1>7 synced',
      'list, watch 1, list, watch 7',
    ],
    [
      'lists again after a line that is not JSON: it may have been any event',
      [[thing('a', 1)], [thing('a', 1), thing('b', 2)]],
      [{ events: [], end: new KubernetesError(0, 'NotJson', 'a watch line is not a watch event') }],
      '+a1 synced +b2 synced',
      'list, watch 1, list, watch 2',
    ],
    [
      'tells a recreated object from a changed one',
      [[thing('a', 1)], [thing('a', 8, 'another uid')]],
      [{ events: [gone] }],
      '+a1 synced -a1 +a8 synced',
      'list, watch 1, list, watch 8',
    ],
    [
      'ignores what it already knows',
      [[thing('a', 5)]],
      [{ events: [event('ADDED', thing('a', 5)), event('MODIFIED', thing('a', 4))] }],
      '+a5 synced',
      'list, watch 5, watch 4',
    ],
    [
      'tries again when listing fails',
      [
        new KubernetesError(0, 'Unreachable', 'refused'),
        new KubernetesError(410, 'Expired', 'continue'),
        [thing('a', 1)],
      ],
      [],
      '+a1 synced',
      'list, list, list, watch 1',
    ],
  ]
  for (const [what, lists, watches, log, asked] of cases) {
    it(what, async () => {
      const run = play(lists, watches)
      await run.done
      await run.reflector.stop()
      assert.equal(run.log.join(' '), log)
      assert.equal(run.asked.join(', '), asked)
    })
  }

  it('takes in a write of our own, and the late answer to it does not bring a deleted object back', async () => {
    const run = play([[thing('a', 1)]], [{ events: [event('DELETED', thing('a', 5))] }])
    await run.done
    run.reflector.inject(object(thing('a', 4)))
    assert.equal(run.reflector.get('a'), undefined)
    run.reflector.inject(object(thing('a', 6)))
    assert.equal(run.reflector.get('a')?.version, 6)
    run.reflector.inject({ metadata: null })
    run.reflector.inject(undefined)
    assert.equal(run.reflector.size(), 1)
    await run.reflector.stop()
    assert.equal(run.log.join(' '), '+a1 synced -a1 +a6')
  })

  it('forgets what a deletion of our own took away, unless it is newer', async () => {
    const run = play([[thing('a', 1), thing('b', 4)]], [])
    await run.done
    run.reflector.forget('b', '3')
    run.reflector.forget('c', '9')
    run.reflector.forget('a', '1')
    assert.equal(run.reflector.size(), 1)
    run.reflector.inject(object(thing('a', 1)))
    assert.equal(run.reflector.get('a'), undefined)
    await run.reflector.stop()
    assert.equal(run.log.join(' '), '+a1 +b4 synced -a1')
  })

  it('takes no deletion for one of the object that was made after it', async () => {
    const run = play(
      [[thing('a', 1)]],
      [{ events: [event('ADDED', thing('a', 7, 'new')), event('DELETED', thing('a', 5))] }],
    )
    await run.done
    assert.equal(run.reflector.get('a')?.version, 7)
    await run.reflector.stop()
    assert.equal(run.log.join(' '), '+a1 synced -a1 +a7')
  })

  it('ends up with what the server holds, whatever is lost on the way', async () => {
    const version = fc.integer({ min: 1, max: 5 })
    const state = fc.dictionary(fc.constantFrom('a', 'b', 'c'), version, { noNullPrototype: true })
    await fc.assert(
      fc.asyncProperty(fc.array(state, { minLength: 1, maxLength: 5 }), async (states) => {
        // Each list is a later state of the world; every watch between them is lost.
        const lists = states.map((names, index) =>
          Object.entries(names).map(([name, at]) => thing(name, index * 10 + at)),
        )
        const run = play(
          lists,
          states.slice(1).map(() => ({ events: [gone] })),
        )
        await run.done
        await run.reflector.stop()
        const last = lists.at(-1) ?? []
        assert.deepEqual(
          [...run.reflector.values()].sort((a, b) => a.name.localeCompare(b.name)),
          [...last].sort((a, b) => a.name.localeCompare(b.name)),
        )
      }),
      { numRuns: 30 },
    )
  })
})

describe('isLater', () => {
  for (const [a, b, expected] of [
    ['10', '9', true],
    ['9', '10', false],
    ['9', '9', false],
    ['9007199254740993', '9007199254740992', true],
    ['opaque', '9', true],
    ['9', '', true],
  ] as const) {
    it(`${a} after ${b}: ${expected}`, () => assert.equal(isLater(a, b), expected))
  }
})

describe('tokenBucket', () => {
  it('gives the burst, then so many each second, and nothing for a clock that goes back', () => {
    const clock = { now: 1000 }
    const bucket = tokenBucket(20, 100, () => clock.now)
    const takeAll = (): number => {
      let taken = 0
      while (bucket.take()) taken += 1
      return taken
    }
    assert.equal(takeAll(), 100)
    clock.now += 1000
    assert.equal(takeAll(), 20)
    clock.now -= 60_000
    assert.equal(takeAll(), 0)
    clock.now += 3_600_000
    assert.equal(takeAll(), 100)
  })
})

const at = (value: unknown): number | undefined =>
  (value as { verdict: { release?: { at: number } } }).verdict.release?.at

describe('readVerdictObject', () => {
  const name = `sha256-${'a'.repeat(64)}`
  const status = {
    phase: 'denying',
    phaseSince: '2026-11-22T05:57:29.490Z',
    reason: 'r',
    expiresAt: '2026-12-22T05:57:29Z',
  }
  const release = { by: 'alice', reason: 'ok', as: 'accepted' }
  const reading = (fields: object): unknown => readVerdictObject({ metadata: { name }, status, ...fields })

  it('dates a release by the API server when it has no time of its own, and never later than that', () => {
    const managed = { time: '2026-11-22T06:00:00Z', fieldsV1: { 'f:spec': { 'f:release': {} } } }
    const other = { time: '2026-11-22T07:00:00Z', fieldsV1: { 'f:spec': { 'f:mute': {} } } }
    const metadata = {
      name,
      managedFields: [other, managed, null, { time: 5 }],
      creationTimestamp: '2026-11-22T05:00:00Z',
    }
    const recorded = Date.UTC(2026, 10, 22, 6, 0, 0, 999)
    assert.equal(at(reading({ metadata, spec: { release } })), recorded)
    assert.equal(at(reading({ metadata, spec: { release: { ...release, at: '2099-01-01T00:00:00Z' } } })), recorded)
    assert.equal(
      at(reading({ metadata, spec: { release: { ...release, at: '2026-11-22T05:30:00Z' } } })),
      Date.UTC(2026, 10, 22, 5, 30),
    )
    // No record at all: as early as can be, so that nothing is forgiven by accident.
    assert.equal(at(reading({ spec: { release } })), 0)
  })

  for (const [what, fields, problem] of [
    ['an unknown phase', { status: { ...status, phase: 'asleep' } }, /^status\.phase: /],
    [
      'a time that is none',
      { status: { ...status, expiresAt: 'tomorrow' } },
      /^status\.expiresAt: is not an RFC 3339 time/,
    ],
    ['a short digest', { status: { ...status, digests: ['sha256:abc'] } }, /^status\.digests\.0: /],
    [
      '65 contributions',
      { status: { ...status, contributions: Array.from({ length: 65 }, () => ({})) } },
      /^status\.contributions/,
    ],
    ['a release without a reason', { spec: { release: { by: 'me', as: 'fixed' } } }, /^spec\.release\.reason: /],
    ['a foreign name', { metadata: { name: '../pods' } }, /^metadata\.name: /],
  ] as const) {
    it(`calls ${what} damaged`, () => {
      const result = reading(fields) as { kind: string; problem: string }
      assert.equal(result.kind, 'damaged')
      assert.match(result.problem, problem)
    })
  }

  it('calls an object without the machine’s part empty, and never throws', () => {
    assert.deepEqual(readVerdictObject({ metadata: { name }, spec: { release } }), { kind: 'empty' })
    fc.assert(fc.property(fc.anything(), (value) => void readVerdictObject(value)))
    fc.assert(
      fc.property(
        fc.anything(),
        (value) => void reading({ metadata: { name, managedFields: [value] }, status: value }),
      ),
    )
  })
})
