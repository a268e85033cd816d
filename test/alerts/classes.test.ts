import assert from 'node:assert/strict'
import { classify, shippedClasses, shippedRules } from '../../src/alerts/classes.ts'

describe('alerts/classes', () => {
  const shipped: readonly (readonly [string, string, string, number])[] = [
    ['Drop and execute new binary in container', 'drop', 'image', 100],
    ['Fileless execution via memfd_create', 'fileless', 'image', 100],
    ['Netcat Remote Code Execution in Container', 'reverse-shell', 'image', 100],
    ['Redirect STDOUT/STDIN to Network Connection in Container', 'reverse-shell', 'image', 100],
    ['Detect release_agent File Container Escapes', 'escape', 'image', 100],
    ['Known Cryptominer Process Executed', 'miner', 'image', 100],
    ['PTRACE attached to process', 'ptrace-attach', 'image', 60],
    ['PTRACE anti-debug attempt', 'anti-debug', 'image', 20],
    ['Read sensitive file untrusted', 'sensitive-read', 'image', 20],
    ['Terminal shell in container', 'shell', 'person', 0],
    ['Launch Excessively Capable Container', 'capabilities', 'spec', 0],
    ['Launch Privileged Container', 'privileged', 'spec', 0],
    ['A rule of our own', 'other', 'image', 0],
    ['__proto__', 'other', 'image', 0],
  ]
  for (const [rule, name, subject, weight] of shipped) {
    it(`files "${rule}" under ${name}`, () => assert.deepEqual(classify({ rule }), { class: name, subject, weight }))
  }

  it('knows 25 stable, 31 incubating and 9 sandbox rules, each in a shipped class', () => {
    assert.equal(shippedRules.size, 65)
    for (const name of shippedRules.values()) assert.ok(shippedClasses.includes(name), name)
  })

  it('lets strict count person and spec rules, and nothing else', () => {
    for (const rule of shippedRules.keys()) {
      const normal = classify({ rule })
      const strict = classify({ rule }, { preset: 'strict' })
      assert.equal(strict.weight, normal.subject === 'image' ? normal.weight : 100, rule)
      if (normal.subject !== 'image') assert.equal(normal.weight, 0, rule)
    }
  })

  it('is overridden by rule', () => {
    const overrides = new Map([
      ['Terminal shell in container', { weight: 50 }],
      ['Ours', { class: 'drop' }],
      ['Odd', { weight: Number.NaN }],
      ['Drop and execute new binary in container', { subject: 'person' as const, weight: 0 }],
    ])
    assert.deepEqual(classify({ rule: 'Terminal shell in container' }, { overrides, preset: 'strict' }), {
      class: 'shell',
      subject: 'person',
      weight: 50,
    })
    assert.deepEqual(classify({ rule: 'Ours' }, { overrides }), { class: 'drop', subject: 'image', weight: 100 })
    assert.equal(classify({ rule: 'Odd' }, { overrides }).weight, 0)
    assert.deepEqual(classify({ rule: 'Drop and execute new binary in container' }, { overrides }), {
      class: 'drop',
      subject: 'person',
      weight: 0,
    })
  })
})
