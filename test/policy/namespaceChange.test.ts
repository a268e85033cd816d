import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { resolveNamespace } from '../../src/policy/namespace.ts'
import {
  createPodGroups,
  existingPodWarnings,
  labelDenial,
  labelProblems,
  mayDenyMore,
  unknownLabelWarnings,
} from '../../src/policy/namespaceChange.ts'
import type { ProfileAtVersion, Violation } from '../../src/policy/types.ts'

const problemsOf = (short: Readonly<Record<string, string>>): readonly string[] => {
  const labels = Object.fromEntries(Object.entries(short).map(([key, value]) => [`drawbridge.dev/${key}`, value]))
  return labelProblems(labels, resolveNamespace(labels))
}

describe('labels that cannot be resolved', () => {
  for (const [short, line] of [
    [{ enforce: 'strict' }, 'namespace label drawbridge.dev/enforce: "strict" is no profile'],
    [{ warn: 'strict' }, 'namespace label drawbridge.dev/warn: "strict" is no profile'],
    [
      { enforce: 'baseline', 'enforce-version': '1.30' },
      'namespace label drawbridge.dev/enforce-version: "1.30" is no version (latest or v1.N)',
    ],
    [
      { seccomp: 'Off' },
      'namespace label drawbridge.dev/seccomp: "Off" is no setting (RuntimeDefault, localhost.<name> or off)',
    ],
    [{ quarantine: 'yes' }, 'namespace label drawbridge.dev/quarantine: "yes" is no setting (enforce, warn or off)'],
    [{ 'when-down': 'allow' }, 'namespace label drawbridge.dev/when-down: "allow" is no setting (deny or net)'],
  ] as const) {
    it(JSON.stringify(short), () => assert.deepEqual(problemsOf(short), [line]))
  }

  it('finds nothing wrong with good ones', () => {
    assert.deepEqual(problemsOf({ enforce: 'standard', 'when-down': 'net', seccomp: 'off', warn: 'restricted' }), [])
  })

  it('refuses in one line of at most 1 KiB, whatever the labels are', () => {
    fc.assert(
      fc.property(
        fc.dictionary(
          fc.constantFrom(
            'enforce',
            'warn',
            'audit',
            'seccomp',
            'quarantine',
            'when-down',
            'enforce-version',
            'warn-version',
          ),
          fc.string({ unit: 'binary', maxLength: 300 }),
        ),
        (short) => {
          const line = labelDenial(problemsOf(short))
          assert.ok(line.length <= 1024 && !line.includes('\n'), line)
        },
      ),
    )
  })

  it('warns about keys that nothing reads', () => {
    assert.deepEqual(
      unknownLabelWarnings({ 'drawbridge.dev/enforced': 'x', 'drawbridge.dev/enforce': 'x', team: 'y' }),
      ['drawbridge: namespace label drawbridge.dev/enforced is unknown and does nothing'],
    )
  })
})

describe('mayDenyMore', () => {
  const at = (text: string): ProfileAtVersion | undefined => {
    const [profile = '', version = ''] = text.split(':')
    return text === '' ? undefined : { profile, version: version === 'latest' ? version : Number(version) }
  }
  for (const [before, after, expected] of [
    ['', '', false],
    ['', 'baseline:latest', true],
    ['', 'privileged:latest', false],
    ['baseline:latest', '', false],
    ['baseline:latest', 'baseline:latest', false],
    ['baseline:latest', 'restricted:latest', true],
    ['restricted:latest', 'baseline:latest', false],
    ['restricted:latest', 'privileged:30', false],
    ['restricted:latest', 'baseline:30', true],
    ['baseline:30', 'baseline:31', true],
    ['restricted:latest', 'my-profile:latest', true],
    ['my-profile:latest', 'my-profile:latest', false],
    ['my-profile:latest', 'baseline:latest', true],
  ] as const) {
    it(`${before || 'nothing'} to ${after || 'nothing'}: ${expected}`, () =>
      assert.equal(mayDenyMore(at(before), at(after)), expected))
  }
})

const violations = (...reasons: readonly string[]): readonly Violation[] =>
  reasons.map((reason) => ({ check: 'x', reason, path: 'p', found: 'f', required: 'r', fix: 'f' }))

describe('warnings about existing pods', () => {
  const profile = { profile: 'restricted', version: 'latest' } as const

  it('groups by reasons, largest group first', () => {
    const groups = createPodGroups()
    groups.add('web-1', violations('privileged'))
    groups.add('db-1', violations('host namespaces', 'privileged', 'privileged'))
    groups.add('good', [])
    groups.add('db-2', violations('privileged', 'host namespaces'))
    groups.add('db-3', violations('privileged', 'host namespaces'))
    assert.deepEqual(existingPodWarnings('shop', profile, groups, { checked: 5, total: 5 }), [
      'drawbridge: 4 existing pods in namespace "shop" would be denied by enforce restricted:latest, and cannot be replaced when they end',
      'db-1 (and 2 other pods): host namespaces, privileged',
      'web-1: privileged',
    ])
  })

  it('says when it stopped early, also where nothing was found', () => {
    const stopped = 'the time was over'
    assert.deepEqual(existingPodWarnings('shop', profile, createPodGroups(), { checked: 10, total: 20, stopped }), [
      'drawbridge: only the first 10 of 20 existing pods were checked against restricted:latest: the time was over',
    ])
    assert.deepEqual(existingPodWarnings('shop', profile, createPodGroups(), { checked: 20, total: 20 }), [])
  })

  it('stays small, however many kinds of violations there are', () => {
    const groups = createPodGroups()
    for (let index = 0; index < 3000; index++) groups.add(`p${index}`, violations(`reason ${index} ${'x'.repeat(500)}`))
    const lines = existingPodWarnings('n'.repeat(63), profile, groups, { checked: 3000, total: undefined })
    assert.ok(lines.every((line) => line.length <= 255))
    assert.equal(lines.at(-1), 'and 2988 more pods for other reasons')
    assert.ok(lines.join('').length < 4096)
  })
})
