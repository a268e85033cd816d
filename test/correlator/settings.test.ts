import assert from 'node:assert/strict'
import { classify } from '../../src/alerts/classes.ts'
import { parseConfig } from '../../src/config/config.ts'
import { correlationOptions, settingsProblems } from '../../src/correlator/settings.ts'

describe('correlator/settings', () => {
  const config = parseConfig(
    `quarantine: {preset: strict, warnAt: 10, denyAt: 20, expireAfter: 1d}
rules: {Ours: {class: miner}, __proto__: {weight: 5}}
ruleOverrides: [{match: {rules: [Ours], namespaces: [ci]}, weight: 1}]`,
    'drawbridge.yaml',
  )

  it('turns the words of the file into the options of the correlator', () => {
    const { rules, thresholds } = correlationOptions(config)
    assert.deepEqual(thresholds, { warnAt: 10, denyAt: 20, flagMs: 24 * 3600_000 })
    const alert = { detector: 'kubearmor', rule: 'Ours' } as const
    assert.deepEqual(classify(alert, rules), { class: 'miner', subject: 'image', weight: 100 })
    assert.deepEqual(classify(alert, rules, { namespace: 'ci', references: [], digests: [] }).weight, 1)
    assert.equal(classify({ detector: 'falco', rule: 'Terminal shell in container' }, rules).weight, 100)
  })

  it('says which pattern is none', () => {
    assert.deepEqual(settingsProblems(config), [])
    const wrong = parseConfig('ruleOverrides: [{match: {images: ["*/x"]}, weight: 0}]', 'drawbridge.yaml')
    assert.deepEqual(settingsProblems(wrong), [
      'ruleOverrides.0.match.images.0: with "*" in it must begin with its registry, for example docker.io/',
    ])
  })
})
