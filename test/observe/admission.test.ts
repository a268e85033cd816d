/** What the log of admission holds when somebody makes much happen. */
import assert from 'node:assert/strict'
import { Registry } from 'prom-client'
import { createAdmissionObserver } from '../../src/observe/admission.ts'
import type { AnsweredReview } from '../../src/observe/admission.ts'
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

  it('counts answered reviews by the time that somebody reads metrics, however many there were', async () => {
    const registry = new Registry()
    const logger = { isLevelEnabled: () => false } as unknown as Logger
    const observer = createAdmissionObserver(logger, registry)
    const answer = (times: number, changes: Partial<AnsweredReview> = {}): void => {
      const usual = { webhook: 'validate', outcome: 'allowed', seconds: 0.002, kind: 'Pod', reasons: [] } as const
      for (let time = 0; time < times; time++) observer.reviewAnswered({ ...usual, dryRun: false, ...changes })
    }
    const counted = async (): Promise<readonly string[]> =>
      (await registry.metrics())
        .split('\n')
        .filter((line) => /^drawbridge_admission_(requests_total|seconds_(count|sum)|denials_total)\b/.test(line))
        .map((line) => line.slice('drawbridge_admission_'.length))
    answer(1)
    assert.deepEqual(await counted(), [
      'requests_total{webhook="validate",outcome="allowed"} 1',
      'seconds_sum{webhook="validate"} 0.002',
      'seconds_count{webhook="validate"} 1',
    ])
    answer(250)
    answer(99, { webhook: 'mutate', outcome: 'mutated', seconds: 0.5 })
    answer(2, { outcome: 'denied', reasons: ['privileged'] })
    const all = [
      'requests_total{webhook="validate",outcome="allowed"} 251',
      'requests_total{webhook="mutate",outcome="mutated"} 99',
      'requests_total{webhook="validate",outcome="denied"} 2',
    ]
    assert.deepEqual((await counted()).slice(0, 3), all)
    // And without anybody who reads: not more than 100 wait.
    const requests = registry.getSingleMetric('drawbridge_admission_requests_total') as unknown as {
      collect?: unknown
      get(): Promise<{ readonly values: readonly { readonly value: number }[] }>
    }
    const { collect } = requests
    requests.collect = undefined
    answer(300, { webhook: 'profiles' })
    const { values } = await requests.get()
    assert.ok(values.at(-1)!.value > 200, JSON.stringify(values))
    requests.collect = collect
    // Once, whoever reads.
    const [left, right] = await Promise.all([counted(), counted()])
    assert.deepEqual([left.slice(0, 3), right.slice(0, 3)], [all, all])
    assert.deepEqual(
      left.filter((line) => /count|denials/.test(line)),
      [
        'seconds_count{webhook="validate"} 253',
        'seconds_count{webhook="mutate"} 99',
        'seconds_count{webhook="profiles"} 300',
        'denials_total{check="privileged"} 2',
      ],
    )
  })
})
