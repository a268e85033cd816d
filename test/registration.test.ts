import assert from 'node:assert/strict'
import { Registry } from 'prom-client'
import { createOperationObserver } from '../src/observe/operation.ts'
import type { Logger } from '../src/observe/logger.ts'
import { followRegistration } from '../src/registration.ts'
import { webhookConfigurations } from '../manifests/webhooks.ts'

const [mutating, validating] = webhookConfigurations({
  endpoint: { url: 'https://127.0.0.1:8443' },
  ownNamespace: 'drawbridge',
  scope: 'namespaces',
})

/** A logger that keeps its lines, and an observer that writes to it. */
function observed() {
  const lines: string[] = []
  const write = (level: string) => (fields: object | string, message?: string) =>
    void lines.push(`${level} ${typeof fields === 'string' ? fields : `${message} ${JSON.stringify(fields)}`}`)
  const logger = { info: write('info'), warn: write('warn'), child: () => logger } as unknown as Logger
  const registry = new Registry()
  return {
    lines,
    observer: createOperationObserver(logger, registry),
    gauge: async () => (await registry.metrics()).match(/^drawbridge_webhook_differences (.*)$/m)?.[1],
  }
}

describe('followRegistration', () => {
  it('says a difference once, and again when it is another one or gone', async () => {
    const { lines, observer, gauge } = observed()
    let live: { mutating: unknown; validating: unknown } | Error = { mutating: undefined, validating }
    const reads = { done: 0 }
    const stop = followRegistration({
      read: () => {
        reads.done += 1
        return live instanceof Error ? Promise.reject(live) : Promise.resolve(live)
      },
      comparedWith: { ownNamespace: 'drawbridge' },
      observer,
      everyMilliseconds: 1,
    })
    const read = async (times: number): Promise<void> => {
      const wanted = reads.done + times
      while (reads.done < wanted) await new Promise((resolve) => setTimeout(resolve, 1))
    }
    assert.equal(await gauge(), '-1')
    await read(3)
    assert.equal(await gauge(), '1')
    assert.deepEqual(lines, [
      'warn the registered webhook configurations differ from this version; drawbridge doctor says what to do {"differences":["MutatingWebhookConfiguration drawbridge is not registered, should be registered"],"count":1}',
    ])
    live = { mutating, validating }
    await read(3)
    assert.equal(await gauge(), '0')
    assert.equal(lines.at(-1), 'info the registered webhook configurations are those of this version')
    live = new Error('not allowed')
    await read(3)
    assert.equal(await gauge(), '-1')
    assert.equal(lines.at(-1), 'warn the registered webhook configurations cannot be read {"problem":"not allowed"}')
    assert.equal(lines.length, 3)
    await stop()
    const { done } = reads
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal(reads.done, done)
  })

  it('shows a change of the log level', () => {
    const { lines, observer } = observed()
    observer.logLevelChanged('debug', 0)
    assert.deepEqual(lines, ['info the log level was changed {"logLevel":"debug","until":"1970-01-01T00:00:00.000Z"}'])
  })
})
