/** What the log of admission holds when somebody makes much happen. */
import assert from 'node:assert/strict'
import { Registry } from 'prom-client'
import { createAdmissionObserver } from '../../src/observe/admission.ts'
import type { Logger } from '../../src/observe/logger.ts'

describe('what admission reports', () => {
  it('logs failed reads of namespaces at most once a second, counts all, and says how many it did not log', async () => {
    const lines: object[] = []
    const clock = { now: 0 }
    const registry = new Registry()
    const logger = { error: (fields: object) => void lines.push(fields) } as unknown as Logger
    const observer = createAdmissionObserver(logger, registry, () => clock.now)
    for (const time of [0, 1, 999, 1000, 1500, 5000, 9000]) {
      clock.now = time
      observer.namespaceLookupFailed(`n${time}`, new Error('no answer'))
    }
    assert.deepEqual(lines, [
      { namespace: 'n0', error: 'Error: no answer' },
      { namespace: 'n1000', error: 'Error: no answer', unlogged: 2 },
      { namespace: 'n5000', error: 'Error: no answer', unlogged: 1 },
      { namespace: 'n9000', error: 'Error: no answer' },
    ])
    assert.match(await registry.metrics(), /^drawbridge_namespace_lookup_failures_total 7$/m)
  })
})
