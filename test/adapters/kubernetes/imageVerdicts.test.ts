/** Whose write was it? The order of an event and an answer cannot be chosen on a real API server: test/cluster has the rest. */
import assert from 'node:assert/strict'

import type { KubernetesClient, WatchEvent } from '../../../src/adapters/kubernetes/client.ts'
import { createKubernetesVerdictStore } from '../../../src/adapters/kubernetes/imageVerdicts.ts'
import { loaded } from '../../correlator/loaded.ts'
import { emptyVerdict, numberedName } from '../../correlator/support.ts'

interface Stored {
  readonly metadata: { readonly name: string; readonly uid: string; readonly resourceVersion: string }
  readonly status?: unknown
}

/** An API server of one kind of object. Events are told before the answer to the write that caused them, or when asked for. */
function apiServer(eventsFirst: boolean) {
  const objects = new Map<string, Stored>()
  const untold: WatchEvent[] = []
  let version = 0
  let onEvent: (event: WatchEvent) => void = () => assert.fail('nobody watches')
  const tell = (): void => untold.splice(0).forEach((event) => onEvent(event))
  const change = (type: 'ADDED' | 'MODIFIED' | 'DELETED', name: string, status: unknown): Stored => {
    const object = { metadata: { name, uid: name, resourceVersion: String(++version) }, status }
    if (type === 'DELETED') objects.delete(name)
    else objects.set(name, object)
    untold.push({ type, object })
    return object
  }
  const request: KubernetesClient['request'] = async (method, path, { body } = {}) => {
    const name = path.split('/imageverdicts/')[1]?.split('/')[0]
    const { metadata, status } = (body ?? {}) as Partial<Stored>
    if (method === 'GET') return { metadata: { resourceVersion: String(version) }, items: [...objects.values()] }
    const object =
      method === 'POST'
        ? change('ADDED', metadata!.name, undefined)
        : change(method === 'DELETE' ? 'DELETED' : 'MODIFIED', name!, status)
    if (eventsFirst) tell()
    await new Promise((resolve) => setImmediate(resolve))
    return object
  }
  const watch: KubernetesClient['watch'] = (_path, _query, listener, signal) => {
    onEvent = listener
    return new Promise((resolve) => signal.addEventListener('abort', () => resolve()))
  }
  return {
    client: { request, watch } as KubernetesClient,
    tell,
    /** A write by somebody else. */
    touch: (name: string): void => {
      change('MODIFIED', name, objects.get(name)?.status)
      tell()
    },
  }
}

describe('whether a replica takes itself for the only one that writes', () => {
  for (const eventsFirst of [true, false]) {
    const when = eventsFirst ? 'when events come before answers' : 'when answers come before events'

    /** What the last write was told after `act`; before it nobody else has written for long. */
    const aloneAfter = async (
      act: (on: {
        readonly write: (index: number) => Promise<unknown>
        readonly remove: (index: number) => Promise<unknown>
        readonly touch: (name: string) => void
        readonly pass: (milliseconds: number) => void
      }) => Promise<unknown>,
    ): Promise<boolean | undefined> => {
      const api = apiServer(eventsFirst)
      const told: (boolean | undefined)[] = []
      let time = 0
      let turn = 0
      const take = (_count: number, alone?: boolean): boolean => {
        told.push(alone)
        return true
      }
      const store = createKubernetesVerdictStore({ client: api.client, now: () => time, writes: { take } })
      await loaded(store)
      const write = async (index: number): Promise<void> => {
        const next = emptyVerdict(index, `turn ${turn++}`)
        await store.write(next.name, () => next)
        api.tell()
      }
      const remove = async (index: number): Promise<void> => {
        await store.remove?.(numberedName(index), () => true)
        api.tell()
      }
      await write(1)
      time += 6000
      await act({ write, remove, touch: api.touch, pass: (milliseconds) => (time += milliseconds) })
      await write(1)
      await store.close()
      return told.at(-1)
    }

    it(`does, ${when}: its own writes and deletions are its own`, async () => {
      assert.equal(await aloneAfter(() => Promise.resolve()), true)
      const acts = async ({ write, remove }: Parameters<Parameters<typeof aloneAfter>[0]>[0]): Promise<void> => {
        await write(2)
        await write(1)
        await remove(2)
      }
      assert.equal(await aloneAfter(acts), true)
    })

    it(`does not, ${when}: another wrote another verdict, or the one that it was writing`, async () => {
      assert.equal(await aloneAfter(async ({ touch }) => touch(numberedName(1))), false)
      const during = async ({ write, touch }: Parameters<Parameters<typeof aloneAfter>[0]>[0]): Promise<void> => {
        const written = write(1)
        touch(numberedName(1))
        await written
      }
      assert.equal(await aloneAfter(during), false)
    })

    it(`does again, ${when}: five seconds after another's write`, async () => {
      const after = (milliseconds: number) =>
        aloneAfter(async ({ touch, pass }) => {
          touch(numberedName(1))
          pass(milliseconds)
        })
      assert.equal(await after(5000), false)
      assert.equal(await after(5001), true)
    })
  }
})
