/**
 * Typed calls between the admission thread and the alert thread, over one message port, in both directions.
 * Errors travel as their name and message. A call on a closed port rejects.
 */
import type { MessagePort, Worker } from 'node:worker_threads'

type Handlers = Readonly<Record<string, (parameters: never) => unknown>>

interface Call {
  readonly type: 'call'
  readonly id: number
  readonly method: string
  readonly parameters: unknown
}

interface Answer {
  readonly type: 'answer'
  readonly id: number
  readonly value?: unknown
  readonly error?: { readonly name: string; readonly message: string }
}

/** The other side's functions, each returning a promise. */
export type Remote<T extends Handlers> = {
  readonly [K in keyof T]: (parameters: Parameters<T[K]>[0]) => Promise<Awaited<ReturnType<T[K]>>>
}

/** An error that happened in the other thread. */
export class RemoteError extends Error {
  constructor(name: string, message: string) {
    super(message)
    this.name = name
  }
}

/**
 * Serves `handlers` to the other side and returns the other side's functions.
 * `close` rejects what is still waiting; call it when the thread has ended.
 */
export function connectThreads<T extends Handlers>(
  port: MessagePort | Worker,
  handlers: Handlers,
): { readonly remote: Remote<T>; readonly close: (reason: string) => void } {
  const waiting = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>()
  let nextId = 1
  let closed: string | undefined

  async function serve(call: Call): Promise<void> {
    try {
      const handler = handlers[call.method]
      if (handler === undefined) throw new Error(`no method ${call.method}`)
      const value = await handler(call.parameters as never)
      port.postMessage({ type: 'answer', id: call.id, value } satisfies Answer)
    } catch (error) {
      const { name, message } = error instanceof Error ? error : new Error(String(error))
      port.postMessage({ type: 'answer', id: call.id, error: { name, message } } satisfies Answer)
    }
  }

  port.on('message', (message: Call | Answer) => {
    if (message.type === 'call') {
      void serve(message)
      return
    }
    const promise = waiting.get(message.id)
    waiting.delete(message.id)
    if (message.error !== undefined) promise?.reject(new RemoteError(message.error.name, message.error.message))
    else promise?.resolve(message.value as never)
  })

  const remote = new Proxy(Object.create(null) as Remote<T>, {
    get: (_target, method) =>
      // A promise asks for `then`: the proxy itself must not look like one.
      method === 'then'
        ? undefined
        : (parameters: unknown) =>
            new Promise((resolve, reject) => {
              if (closed !== undefined) {
                reject(new Error(closed))
                return
              }
              const id = nextId++
              waiting.set(id, { resolve, reject })
              port.postMessage({ type: 'call', id, method: String(method), parameters } satisfies Call)
            }),
  })

  return {
    remote,
    close(reason) {
      closed = reason
      for (const { reject } of waiting.values()) reject(new Error(reason))
      waiting.clear()
    },
  }
}
