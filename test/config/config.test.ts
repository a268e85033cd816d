import assert from 'node:assert/strict'
import { ConfigError, parseConfig } from '../../src/config/config.ts'

const problems = (text: string): string => {
  try {
    parseConfig(text, 'drawbridge.yaml')
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error))
    return error.message
  }
  return 'accepted'
}

describe('drawbridge.yaml', () => {
  it('has safe defaults when it is empty', () => {
    const config = parseConfig('', 'drawbridge.yaml')
    assert.equal(config.webhook.address, '127.0.0.1')
    assert.deepEqual(config.standalone.namespaceLabels, { 'drawbridge.dev/enforce': 'standard' })
    assert.deepEqual([config.quarantine.warnAt, config.quarantine.denyAt], [50, 100])
    assert.equal(config.quarantine.expireAfter, 30 * 86_400_000)
    assert.ok(Object.isFrozen(config) && Object.isFrozen(config.quarantine))
  })

  for (const [mistake, text, message] of [
    ['an unknown key', 'webhok: {}', 'drawbridge.yaml: unknown key "webhok" at the top'],
    ['an unknown nested key', 'quarantine: {denyat: 3}', 'drawbridge.yaml: unknown key "denyat" under quarantine'],
    [
      'a wrong type',
      'webhook: {port: many}',
      'drawbridge.yaml: webhook.port: Invalid input: expected number, received string',
    ],
    [
      'a port out of range',
      'webhook: {port: 70000}',
      'drawbridge.yaml: webhook.port: Too big: expected number to be <=65535',
    ],
    [
      'thresholds in the wrong order',
      'quarantine: {warnAt: 200}',
      'drawbridge.yaml: quarantine: warnAt must not be larger than denyAt',
    ],
    [
      'a duration without a unit',
      'drain: "10"',
      'drawbridge.yaml: drain: wanted a duration such as 90s, 15m, 12h or 30d',
    ],
    [
      'a short token',
      'alerts: {credentials: [{name: a, token: short}]}',
      'drawbridge.yaml: alerts.credentials.0.token: wanted at least 16 characters',
    ],
    [
      'no token',
      'alerts: {credentials: [{name: a}]}',
      'drawbridge.yaml: alerts.credentials.0: wanted one of token, tokenFile, certificate and serviceAccount',
    ],
    [
      'two ways to know one sender',
      'alerts: {credentials: [{name: a, token: token-of-enough-length, serviceAccount: falco/falco}]}',
      'drawbridge.yaml: alerts.credentials.0: wanted one of token, tokenFile, certificate and serviceAccount',
    ],
    [
      'a service account without its namespace',
      'alerts: {credentials: [{name: a, serviceAccount: falco}]}',
      'drawbridge.yaml: alerts.credentials.0.serviceAccount: wanted namespace/name of a service account',
    ],
    [
      'two names of a certificate',
      'alerts: {clientCa: ca.crt, credentials: [{name: a, certificate: {commonName: a, uri: b}}]}',
      'drawbridge.yaml: alerts.credentials.0.certificate: wanted one of commonName, dnsName and uri',
    ],
    [
      'a certificate that nobody verifies',
      'alerts: {credentials: [{name: a, certificate: {commonName: a}}]}',
      'drawbridge.yaml: alerts: a credential with a certificate needs clientCa',
    ],
    [
      "a token's node without a token of that kind",
      'alerts: {credentials: [{name: a, token: token-of-enough-length, nodeFromToken: true}]}',
      'drawbridge.yaml: alerts.credentials.0: nodeFromToken is for a serviceAccount, and instead of node',
    ],
    [
      'two credentials of one name',
      'alerts: {credentials: [{name: a, token: token-of-enough-length}, {name: a, token: another-of-enough-length}]}',
      'drawbridge.yaml: alerts: credentials: two have the same name, or one is called "generated"',
    ],
    [
      "the generated credential's name",
      'alerts: {credentials: [{name: generated, token: token-of-enough-length}]}',
      'drawbridge.yaml: alerts: credentials: two have the same name, or one is called "generated"',
    ],
    [
      'an exemption by pattern',
      'exemptions: {namespaces: ["team-*"]}',
      'drawbridge.yaml: exemptions.namespaces.0: wanted the exact name of a namespace',
    ],
    ['an exemption by label', 'exemptions: {labels: [a]}', 'drawbridge.yaml: unknown key "labels" under exemptions'],
    [
      'an override without a condition',
      'ruleOverrides: [{match: {}, weight: 0}]',
      'drawbridge.yaml: ruleOverrides.0.match: wanted at least one condition',
    ],
    [
      'an override that says nothing',
      'ruleOverrides: [{match: {rules: [R]}}]',
      'drawbridge.yaml: ruleOverrides.0: wanted class, subject or weight',
    ],
    [
      'a condition that it does not know',
      'ruleOverrides: [{match: {pods: [p], rules: [R]}, weight: 0}]',
      'drawbridge.yaml: unknown key "pods" under ruleOverrides.0.match',
    ],
    [
      'a namespace by pattern',
      'ruleOverrides: [{match: {namespaces: ["team-*"]}, weight: 0}]',
      'drawbridge.yaml: ruleOverrides.0.match.namespaces.0: wanted the exact name of a namespace',
    ],
    [
      'a technique that is none',
      'ruleOverrides: [{match: {techniques: [execution]}, weight: 0}]',
      'drawbridge.yaml: ruleOverrides.0.match.techniques.0: wanted a MITRE ATT&CK technique such as T1059 or T1059.004',
    ],
    ['a list', '- a', 'drawbridge.yaml: Invalid input: expected object, received array'],
  ] as const) {
    it(`refuses ${mistake} in one line`, () => assert.equal(problems(text), message))
  }

  it('takes 1,000 overrides and no more', () => {
    const entries = (count: number): string => `ruleOverrides:\n${'- {match: {rules: [R]}, weight: 0}\n'.repeat(count)}`
    assert.equal(problems(entries(1000)), 'accepted')
    assert.match(problems(entries(1001)), /^drawbridge.yaml: ruleOverrides: Too big/)
  })

  it('names the line of what is not YAML', () => {
    assert.match(problems('webhook:\n  port: [1'), /^drawbridge\.yaml:\d+: not YAML: /)
  })

  it('reports every problem at once', () => {
    assert.equal(problems('a: 1\ndrain: x').split('\n').length, 2)
  })

  it('keeps __proto__ from becoming anything', () => {
    assert.match(problems('__proto__: {polluted: true}'), /__proto__|accepted/)
    assert.equal(({} as Record<string, unknown>)['polluted'], undefined)
  })
})
