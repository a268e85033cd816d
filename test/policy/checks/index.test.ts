import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { checkPodShape } from '../../../src/kube/podShape.ts'
import { CHECK_IDS, CHECKS, PROFILE_CHECKS } from '../../../src/policy/checks/index.ts'
import { MAX_WARNING, violationLine } from '../../../src/policy/denial.ts'
import type { Check, Violation } from '../../../src/policy/types.ts'
import { FIXTURES } from '../../fixtures/checks/index.ts'
import { PROFILE_FIXTURES } from '../../fixtures/profileChecks/index.ts'

const summary = ({ path, found }: Violation): string => `${path}=${found}`

const functionAt = (check: Check, since: number) => {
  const version = check.versions.find((candidate) => candidate.since === since)
  assert.ok(version, `${check.id} has no version since 1.${since}`)
  return version.check
}

describe('checks', () => {
  for (const { id, phrase, versions } of FIXTURES) {
    for (const { since, pass, fail } of versions) {
      describe(`${id} since 1.${since}`, () => {
        const check = CHECKS.find((candidate) => candidate.id === id)
        assert.ok(check, `fixtures for an unknown check ${id}`)

        for (const [name, template] of Object.entries(pass)) {
          it(`passes: ${name}`, () => {
            assert.equal(checkPodShape(template.metadata, template.spec, ''), undefined)
            assert.deepEqual(functionAt(check, since)(template.metadata, template.spec).map(summary), [])
          })
        }

        for (const [name, [template, expected]] of Object.entries(fail)) {
          it(`fails: ${name}`, () => {
            assert.equal(checkPodShape(template.metadata, template.spec, ''), undefined)
            const violations = functionAt(check, since)(template.metadata, template.spec)
            assert.deepEqual(violations.map(summary), expected)
            for (const violation of violations) {
              assert.equal(violation.check, id)
              assert.ok(violation.reason.includes(phrase), `${violation.reason} lacks upstream's phrase ${phrase}`)
              assert.equal(violation.container, containerOf(violation))
              assert.ok(violationLine(violation).length <= MAX_WARNING)
              assert.ok(violationLine(violation).includes(phrase))
            }
          })
        }
      })
    }
  }
})

describe('checks that only profiles ask for', () => {
  for (const { id, phrase, off, pass, fail } of PROFILE_FIXTURES) {
    describe(id, () => {
      const check = PROFILE_CHECKS.find((candidate) => candidate.id === id)
      assert.ok(check, `fixtures for an unknown check ${id}`)
      const level = { extends: { level: 'baseline' } } as const

      it('does not run where no profile asks for it', () => {
        assert.equal(check.create({ ...level, ...off }), undefined)
        assert.equal(check.create(level), undefined)
      })

      for (const [name, [settings, template]] of Object.entries(pass)) {
        it(`passes: ${name}`, () => {
          assert.equal(checkPodShape(template.metadata, template.spec, ''), undefined)
          const violations = check.create({ ...level, ...settings })?.(template.metadata, template.spec)
          assert.deepEqual(violations?.map(summary), [])
        })
      }

      for (const [name, [settings, template, expected]] of Object.entries(fail)) {
        it(`fails: ${name}`, () => {
          assert.equal(checkPodShape(template.metadata, template.spec, ''), undefined)
          const violations = check.create({ ...level, ...settings })?.(template.metadata, template.spec) ?? []
          assert.deepEqual(violations.map(summary), expected)
          for (const violation of violations) {
            assert.equal(violation.check, id)
            assert.equal(violation.container, containerOf(violation))
            assert.ok(violationLine(violation).length <= MAX_WARNING)
            assert.ok(violationLine(violation).includes(phrase))
          }
        })
      }
    })
  }
})

/** The container that a path is about, by the names in the fixtures' minimal pod. */
const containerOf = ({ path, container }: Violation): string | undefined => {
  if (path.startsWith('spec.containers')) return 'web'
  if (path.startsWith('spec.initContainers')) return 'setup'
  if (path.startsWith('spec.ephemeralContainers')) return 'debug'
  // Seccomp annotations name a container.
  return path.startsWith('metadata.annotations["container.seccomp') ? container : undefined
}

describe('the list of checks', () => {
  const ids = CHECKS.map(({ id }) => id)

  it('has one file per check, named by its ID', () => {
    const files = readdirSync('src/policy/checks').map((file) => file.replace(/\.ts$/u, ''))
    assert.deepEqual(files.filter((file) => file !== 'index').sort(), CHECK_IDS)
    assert.equal(new Set(CHECK_IDS).size, CHECK_IDS.length)
  })

  it('has one fixture file per check, and no other', () => {
    const files = readdirSync('test/fixtures/checks').map((file) => file.replace(/\.ts$/u, ''))
    assert.deepEqual(files.filter((file) => file !== 'index' && file !== 'pods').sort(), [...ids].sort())
    assert.deepEqual(FIXTURES.map(({ id }) => id).sort(), [...ids].sort())
  })

  it('has one fixture file per check that only profiles ask for, and no other; each passes and fails', () => {
    const asked = PROFILE_CHECKS.map(({ id }) => id).sort()
    const files = readdirSync('test/fixtures/profileChecks').map((file) => file.replace(/\.ts$/u, ''))
    assert.deepEqual(files.filter((file) => file !== 'index' && file !== 'profiles').sort(), asked)
    assert.deepEqual(PROFILE_FIXTURES.map(({ id }) => id).sort(), asked)
    for (const { id, pass, fail } of PROFILE_FIXTURES) {
      assert.ok(Object.keys(pass).length > 0, `nothing passes ${id}`)
      assert.ok(Object.keys(fail).length > 0, `nothing fails ${id}`)
    }
  })

  for (const check of CHECKS) {
    it(`${check.id} has passing and failing fixtures for every version`, () => {
      const fixtures = FIXTURES.find(({ id }) => id === check.id)
      assert.deepEqual(
        fixtures?.versions.map(({ since }) => since),
        check.versions.map(({ since }) => since),
      )
      for (const { since, pass, fail } of fixtures?.versions ?? []) {
        assert.ok(Object.keys(pass).length > 0, `nothing passes since 1.${since}`)
        assert.ok(Object.keys(fail).length > 0, `nothing fails since 1.${since}`)
      }
    })
  }
})
