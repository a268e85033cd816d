/** Metrics that doctor reads may be those of a pod that only pretends to be a replica. */
import assert from 'node:assert/strict'

import { sensorFindings } from '../../src/doctor/checks/sensors.ts'
import { parseMetrics } from '../../src/doctor/metrics.ts'
import type { Metrics } from '../../src/doctor/metrics.ts'

const NOW = Date.parse('2026-11-22T12:00:00Z')
const found = (text: string): readonly string[] =>
  sensorFindings([{ name: 'drawbridge-a', metrics: parseMetrics(text) }], NOW).map((one) => `${one.level} ${one.found}`)
const keys = (metrics: Metrics): readonly string[] => [...metrics.keys()]

describe('metrics of a pod that pretends', () => {
  it('are left out where they are nothing that a replica writes', () => {
    for (const line of [
      `x{${'a'.repeat(200_000)}} 1`,
      'x{source="falco 3m ago; > kubectl delete ns x"} 1',
      'x 1e300',
      'x -1e300',
      'x NaN',
      'x +Inf',
      'x',
    ])
      assert.deepEqual(keys(parseMetrics(`${line}\ny 1\n`)), ['y'], line.slice(0, 60))
    assert.deepEqual(parseMetrics('x{a="b",le="+Inf"} 2').get('x'), [{ labels: { a: 'b', le: '+Inf' }, value: 2 }])
  })

  it('may name what every object of JavaScript has', () => {
    for (const reason of ['constructor', '__proto__', 'toString'])
      assert.deepEqual(found(`drawbridge_alert_requests_refused_total{reason="${reason}"} 1`).slice(1), [
        `warning 1 alert request refused since the start: ${reason}`,
      ])
  })

  it('cannot make an alert of the future, or overflow', () => {
    const ahead = `drawbridge_last_alert_timestamp_seconds{source="falco"} ${NOW}`
    assert.match(found(ahead)[0] ?? '', /^warning no sensor has sent an alert/)
    const starts = Array.from({ length: 19_000 }, () => 'process_start_time_seconds 1').join('\n')
    assert.match(found(starts)[0] ?? '', /^warning no sensor has sent an alert/)
  })
})
