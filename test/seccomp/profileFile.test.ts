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

const rule = (change: object): object => ({ syscalls: [{ names: ['read'], action: 'SCMP_ACT_ERRNO', ...change }] })
const argument = (change: object): object => rule({ args: [{ index: 0, value: 1, op: 'SCMP_CMP_EQ', ...change }] })

describe('a profile for nodes', () => {
  it('may be each of ours, and the smallest one', () => {
    for (const [name, profile] of Object.entries(seccompProfiles)) {
      assert.equal(profileProblem(renderSeccompProfile(profile)), undefined, name)
      assert.equal(profileName(`${name}.json`), name)
    }
    assert.equal(problem({}), undefined)
    assert.equal(problem({ defaultErrnoRet: 38, flags: ['SECCOMP_FILTER_FLAG_LOG'], comment: 'x' }), undefined)
    assert.equal(problem(argument({ value: 2 ** 64 - 2048, valueTwo: null })), undefined)
    assert.equal(problem(rule({ args: null, errnoRet: null })), undefined)
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
    [
      'whose default Go reads from another field',
      { DefaultAction: 'SCMP_ACT_ALLOW' },
      /"DefaultAction" is read as defaultAction/,
    ],
    ['whose rules Go reads from another field', { 'SY\u017fCALLS': [] }, /is read as syscalls/],
    [
      'with a field of a rule that Go reads as another',
      rule({ ACTION: 'SCMP_ACT_ALLOW' }),
      /"ACTION" is read as action/,
    ],
    ['with a field of an argument that Go reads as another', argument({ Op: 'SCMP_CMP_EQ' }), /"Op" is read as op/],
    ['with an unknown architecture', { architectures: ['SCMP_ARCH_AMD64'] }, /SCMP_ARCH_AMD64/],
    ['with an errno that is none', { defaultErrnoRet: -1 }, /defaultErrnoRet/],
    ['with the name of an errno', rule({ errnoRet: 'EPERM' }), /syscalls\[0\]\.errnoRet/],
    ['with flags that runtimes do not know', { flags: ['X'] }, /flags/],
    ['that asks a listener that is not there', rule({ action: 'SCMP_ACT_NOTIFY' }), /listenerPath/],
    ['with arguments that are no list', rule({ args: { index: 0 } }), /syscalls\[0\]\.args/],
    ['with a seventh argument', argument({ index: 6 }), /syscalls\[0\]\.args\[0\]\.index/],
    ['with a negative value', argument({ valueTwo: -1 }), /syscalls\[0\]\.args\[0\]\.valueTwo/],
    ['with an unknown comparison', argument({ op: '==' }), /syscalls\[0\]\.args\[0\]\.op/],
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
