import assert from 'node:assert/strict'
import * as fc from 'fast-check'

import { renderSeccompProfile, seccompProfiles } from '../../manifests/seccompProfiles.ts'
import { MAX_PROFILE_BYTES, profileName, profileProblem } from '../../src/seccomp/profileFile.ts'

const minimal = {
  defaultAction: 'SCMP_ACT_ERRNO',
  architectures: ['SCMP_ARCH_X86_64'],
  syscalls: [{ names: ['read'], action: 'SCMP_ACT_ALLOW' }],
}
const problem = (change: object): string | undefined => profileProblem(JSON.stringify({ ...minimal, ...change }))

describe('a profile for nodes', () => {
  it('may be each of ours, and the smallest one', () => {
    for (const [name, profile] of Object.entries(seccompProfiles)) {
      assert.equal(profileProblem(renderSeccompProfile(profile)), undefined, name)
      assert.equal(profileName(`${name}.json`), name)
    }
    assert.equal(problem({}), undefined)
  })

  for (const [what, change, expected] of [
    ['that allows what it does not name', { defaultAction: 'SCMP_ACT_ALLOW' }, /defaultAction must deny/],
    ['that only logs what it does not name', { defaultAction: 'SCMP_ACT_LOG' }, /defaultAction must deny/],
    ['without a default', { defaultAction: undefined }, /defaultAction/],
    ['without architectures', { architectures: [] }, /architectures/],
    ["in Docker's form", { archMap: [] }, /archMap/],
    ['without rules', { syscalls: [] }, /syscalls/],
    ['with a rule for nothing', { syscalls: [{ names: [], action: 'SCMP_ACT_ALLOW' }] }, /syscalls\[0\]\.names/],
    ['with an unknown action', { syscalls: [{ names: ['read'], action: 'ALLOW' }] }, /syscalls\[0\]\.action/],
    [
      'that depends on capabilities',
      { syscalls: [{ names: ['mount'], action: 'SCMP_ACT_ALLOW', includes: { caps: ['CAP_SYS_ADMIN'] } }] },
      /includes or excludes/,
    ],
    ['that is too large', { comment: 'x'.repeat(MAX_PROFILE_BYTES) }, /more than/],
  ] as const)
    it(`is refused ${what}`, () => assert.match(problem(change) ?? '', expected))

  it('is refused when it is no JSON or no object', () => {
    for (const text of ['', '{', '[]', 'null', '"x"']) assert.notEqual(profileProblem(text), undefined, text)
  })

  it('never throws', () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => void profileProblem(text)))
  })

  it('has the name of a label value: no path, nothing hidden', () => {
    const names = [
      'web.json',
      `${'a'.repeat(53)}.json`,
      '../web.json',
      '.drawbridge',
      'Web.json',
      'a.b.json',
      `${'a'.repeat(54)}.json`,
      'web',
    ]
    assert.deepEqual(names.map(profileName), ['web', 'a'.repeat(53), ...Array.from({ length: 6 }, () => undefined)])
  })
})
