/** manifests/seccomp: the files are what the table gives, and no profile allows more than RuntimeDefault does. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { manifestsDirectory } from '../../manifests/render.ts'
import { RUNTIME_DEFAULT_SYSCALLS } from '../../manifests/runtimeDefault.ts'
import { renderSeccompProfile, seccompProfiles } from '../../manifests/seccompProfiles.ts'
import type { SeccompProfile, SyscallRule } from '../../manifests/seccompProfiles.ts'

const folder = join(manifestsDirectory(), 'seccomp')
const names = Object.keys(seccompProfiles)
const ofAction = ({ syscalls }: SeccompProfile, action: SyscallRule['action']): readonly SyscallRule[] =>
  syscalls.filter((rule) => rule.action === action)
/** Calls that pass whatever their arguments. */
const freely = (profile: SeccompProfile): ReadonlySet<string> =>
  new Set(
    [...ofAction(profile, 'SCMP_ACT_ALLOW'), ...ofAction(profile, 'SCMP_ACT_LOG')]
      .filter(({ args }) => args === undefined)
      .flatMap((rule) => rule.names),
  )

describe('manifests/seccomp', () => {
  for (const [name, profile] of Object.entries(seccompProfiles)) {
    it(`${name}.json is in step with its definition (UPDATE_MANIFESTS=yes rewrites it)`, () => {
      const file = join(folder, `${name}.json`)
      if (process.env['UPDATE_MANIFESTS'] === 'yes') writeFileSync(file, renderSeccompProfile(profile))
      assert.equal(readFileSync(file, 'utf8'), renderSeccompProfile(profile))
      assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')), profile)
    })

    it(`${name} allows nothing that RuntimeDefault denies`, () => {
      const allowed = new Set(RUNTIME_DEFAULT_SYSCALLS)
      assert.deepEqual(
        [...freely(profile)].filter((call) => !allowed.has(call)),
        [],
      )
      assert.equal(profile.defaultAction, 'SCMP_ACT_ERRNO')
    })

    it(`${name} says of each call one thing for the same arguments`, () => {
      const seen = new Set<string>()
      for (const { names: calls, args } of profile.syscalls)
        for (const call of calls) {
          const key = `${call} ${JSON.stringify(args)}`
          assert.ok(!seen.has(key), key)
          seen.add(key)
        }
      for (const call of freely(profile))
        assert.equal(profile.syscalls.filter((rule) => rule.names.includes(call)).length, 1, call)
    })

    it(`${name} has a reason for each denied group`, () => {
      const denied = [...ofAction(profile, 'SCMP_ACT_ERRNO'), ...ofAction(profile, 'SCMP_ACT_LOG')]
      assert.ok(denied.length > 0)
      for (const { comment } of denied) assert.match(comment ?? '', /^[\w -]+: .{20,}/u)
    })

    it(`${name} has a name that a namespace label can carry`, () =>
      assert.match(`localhost.${name}`, /^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/u))
  }

  it('holds no file that nothing makes', () => {
    assert.deepEqual(readdirSync(folder).sort(), names.map((name) => `${name}.json`).sort())
  })

  it('has audit variants that only log what RuntimeDefault allows, and deny the rest of what the profile denies', () => {
    for (const name of names.filter((one) => !one.startsWith('audit-'))) {
      const [plain, audit] = [seccompProfiles[name]!, seccompProfiles[`audit-${name}`]!]
      const calls = (profile: SeccompProfile, action: SyscallRule['action']): readonly string[] =>
        ofAction(profile, action).flatMap((rule) => rule.names)
      const logged = calls(audit, 'SCMP_ACT_LOG')
      assert.ok(logged.length > 0, name)
      assert.deepEqual(
        [...logged, ...calls(audit, 'SCMP_ACT_ERRNO')].sort(),
        calls(plain, 'SCMP_ACT_ERRNO').toSorted(),
        name,
      )
      assert.deepEqual(
        logged.filter((call) => !RUNTIME_DEFAULT_SYSCALLS.includes(call)),
        [],
        name,
      )
    }
  })

  it('is for x86-64 and arm64, and for 32-bit programs only where no argument is looked at', () => {
    for (const [name, { architectures }] of Object.entries(seccompProfiles)) {
      assert.deepEqual(architectures.slice(0, 2), ['SCMP_ARCH_X86_64', 'SCMP_ARCH_AARCH64'], name)
      assert.equal(architectures.length > 2, name === 'no-ptrace' || name.startsWith('audit-'), name)
    }
  })
})
