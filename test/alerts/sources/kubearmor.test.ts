import assert from 'node:assert/strict'
import { kubearmor } from '../../../src/alerts/sources/kubearmor.ts'
import { findingOf, outcomeOf } from './support.ts'

type Json = Readonly<Record<string, unknown>>

const ID = 'b75628d4225b8071d5795da342cf2a5c03b1d67b22b40016697fcd17a0db20e4'
const DIGEST = `sha256:${'20575ece'.repeat(8)}`

const alert = (change: Json = {}): Json => ({
  Timestamp: 1696316210,
  UpdatedTime: '2023-10-03T06:56:50.829165Z',
  HostName: 'node1',
  NamespaceName: 'shop',
  PodName: 'mysql-0',
  ContainerID: ID,
  ContainerName: 'mysql',
  ContainerImage: `docker.io/library/mysql:5.6@${DIGEST}`,
  ProcessName: '/bin/touch',
  PolicyName: 'file-integrity',
  Severity: '1',
  Tags: 'NIST,MITRE_T1036_masquerading',
  ATags: ['NIST', 'MITRE_T1036_masquerading', 'FGT1555'],
  Type: 'MatchedPolicy',
  Source: '/bin/touch SECRET',
  Operation: 'File',
  Resource: '/sbin/x SECRET',
  Action: 'Block',
  ...change,
})

describe('alerts/sources/kubearmor', () => {
  it('decodes a matched policy, without its command lines', () => {
    const expected = {
      detector: 'kubearmor',
      source: 'kubearmor',
      rule: 'file-integrity',
      priority: '1',
      tags: ['FGT1555', 'MITRE_T1036_masquerading', 'NIST'],
      techniques: ['T1036'],
      time: Date.UTC(2023, 9, 3, 6, 56, 50, 829),
      timeText: '2023-10-03T06:56:50.829165000Z',
      target: '/bin/touch',
      node: 'node1',
      containerId: ID,
      containerName: 'mysql',
      namespace: 'shop',
      pod: 'mysql-0',
      image: `docker.io/library/mysql:5.6@${DIGEST}`,
      imageDigest: DIGEST,
    }
    assert.deepEqual(findingOf(kubearmor.decode(alert())), expected)
    const { Type, PolicyName, ProcessName, UpdatedTime, ...rest } = alert()
    const nested = { ...rest, UpdatedTime, EventType: 'Alert', OutputFields: { Type, PolicyName, ProcessName } }
    assert.deepEqual(findingOf(kubearmor.decode(nested)), expected)
  })

  const cases: readonly (readonly [string, unknown, string])[] = [
    ['a policy that only audits', alert({ Action: 'Audit' }), 'finding: file-integrity'],
    ['the default posture', alert({ PolicyName: 'DefaultPosture' }), 'finding: DefaultPosture'],
    ['a container log', alert({ Type: 'ContainerLog' }), 'telemetry'],
    ['a host log', alert({ Type: 'HostLog' }), 'telemetry'],
    ['a policy of a host', alert({ Type: 'MatchedHostPolicy' }), 'telemetry'],
    ['a network policy', alert({ Type: 'MatchedNetworkPolicy' }), 'telemetry'],
    ['another case', alert({ Type: 'matchedpolicy' }), 'telemetry'],
    ['no type', alert({ Type: undefined }), 'refused: fields-malformed'],
    ['no policy', alert({ PolicyName: '' }), 'refused: rule-missing'],
    ['no time', alert({ UpdatedTime: '', Timestamp: null }), 'refused: time-missing'],
    ['a time that is none', alert({ UpdatedTime: 'now' }), 'refused: time-malformed'],
    ['seconds that are a fraction', alert({ UpdatedTime: '', Timestamp: 0.5 }), 'refused: time-malformed'],
    ['null', null, 'refused: not-an-object'],
  ]
  for (const [name, item, expected] of cases) {
    it(`makes of ${name}: ${expected}`, () => assert.equal(outcomeOf(kubearmor.decode(item)), expected))
  }

  it('falls back to whole seconds, to the joined tags and to the first word of Source', () => {
    const older = alert({ UpdatedTime: undefined, ATags: null, ProcessName: undefined })
    const { timeText, tags, target } = findingOf(kubearmor.decode(older))
    assert.deepEqual(
      [timeText, tags, target],
      ['2023-10-03T06:56:50.000000000Z', ['MITRE_T1036_masquerading', 'NIST'], '/bin/touch'],
    )
  })
})
