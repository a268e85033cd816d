/** What `make e2e` plays, without a node: each line, filled in with another container, is a finding of the scenario's class about that container. */
import assert from 'node:assert/strict'

import { classify } from '../../src/alerts/classes.ts'
import { findSource } from '../../src/alerts/sources/index.ts'
import { falcoAlertAbout } from '../e2e/falco.ts'
import { SCENARIOS, TRACEE_SCENARIOS } from '../e2e/scenarios.ts'
import type { Scenario } from '../e2e/scenarios.ts'
import { alertsAbout, chosenSensor } from '../e2e/sensors.ts'
import type { Victim } from '../e2e/sensors.ts'
import { traceeEventAbout } from '../e2e/tracee.ts'
import { findingOf } from './sources/support.ts'

const ID = '0123456789ab'.padEnd(64, 'c')
const VICTIM: Victim = {
  namespace: 'victims',
  pod: 'zipapp',
  podUid: '11111111-2222-4333-8444-555555555555',
  podIp: '10.1.2.3',
  image: 'registry.example/zipapp:cell',
  containerId: ID,
  listener: { host: '10.123.0.1', port: 40123 },
}
const EXPECTED: Readonly<Record<string, readonly [lines: number, name: string, weight: number]>> = {
  drop: [2, 'drop', 100],
  shell: [3, 'reverse-shell', 100],
  ptrace: [1, 'ptrace-attach', 60],
  escape: [1, 'escape', 100],
  capable: [1, 'capabilities', 0],
  'tracee-drop': [1, 'drop', 60],
  'tracee-shell': [3, 'reverse-shell', 100],
  'tracee-inject': [1, 'code-injection', 100],
  'tracee-traceme': [1, 'anti-debug', 20],
  'tracee-escape': [1, 'escape', 100],
  'tracee-notify': [1, 'escape', 60],
}

describe('the alerts that make e2e plays', () => {
  const played = ({ sensor, alerts }: Scenario): readonly string[] =>
    alertsAbout(alerts!, VICTIM, sensor === 'tracee' ? traceeEventAbout : falcoAlertAbout)

  for (const scenario of [...SCENARIOS, ...TRACEE_SCENARIOS].filter(({ alerts }) => alerts !== undefined))
    it(`${scenario.sensor}, ${scenario.name}: findings of the class, about the victim and nobody else`, () => {
      const [count, name, weight] = EXPECTED[scenario.id]!
      const lines = played(scenario)
      assert.equal(lines.length, count)
      for (const line of lines) {
        const alert = findingOf(findSource(scenario.sensor)!.decode(JSON.parse(line)))
        const found = classify(alert)
        assert.deepEqual([found.class, found.weight], [name, weight])
        assert.ok(ID.startsWith(alert.containerId!))
        assert.deepEqual([alert.namespace, alert.pod, alert.containerName], ['victims', 'zipapp', 'zipapp'])
        assert.ok(Math.abs(Date.now() - alert.time) < 60_000, new Date(alert.time).toISOString())
        assert.doesNotMatch(line, /web-7d4b9c6f5|"shop"|127\.0\.0\.1|192\.0\.2\.10|4444"/)
      }
    })

  for (const { event, ...scenario } of TRACEE_SCENARIOS)
    it(`tracee, ${scenario.name}: the event is ${event}, of this pod and image, and numbers keep every digit`, () => {
      for (const line of played(scenario)) {
        const alert = findingOf(findSource('tracee')!.decode(JSON.parse(line)))
        assert.equal(alert.rule, event)
        assert.deepEqual([alert.podUid, alert.image], [VICTIM.podUid, VICTIM.image])
        assert.match(line, /"threadStartTime":1795327095801220113,/)
        assert.match(line, /"hostName":"zipapp"/)
      }
    })

  it('the connection of a reverse shell is the one to the listener', () => {
    const texts = ['shell', 'tracee-shell'].map((id) =>
      played([...SCENARIOS, ...TRACEE_SCENARIOS].find((one) => one.id === id)!).join('\n'),
    )
    assert.match(texts[0]!, /10\.1\.2\.3:\d+->10\.123\.0\.1:40123/)
    assert.match(texts[1]!, /"name":"IP address","type":"const char \*","value":"10\.123\.0\.1"/)
    assert.match(texts[1]!, /"sin_addr":"10\.123\.0\.1","sin_port":"40123"/)
  })

  it('SENSOR names a sensor that can run, or nothing', () => {
    assert.deepEqual([undefined, '', 'falco', 'tracee'].map(chosenSensor), [undefined, undefined, 'falco', 'tracee'])
    assert.throws(() => chosenSensor('Tracee'), {
      message: 'SENSOR=Tracee: no such sensor; wanted falco or tracee, or none, which plays their alerts',
    })
  })
})
