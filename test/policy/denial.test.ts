import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import {
  asWarnings,
  denialText,
  malformedText,
  MAX_DENIAL,
  MAX_WARNING,
  nameSubject,
  profileWarnings,
  violationLine,
  type DenialParts,
} from '../../src/policy/denial.ts'
import { evaluate } from '../../src/policy/evaluate.ts'
import type { Violation } from '../../src/policy/types.ts'
import type { PodSpec } from '../../src/kube/types.ts'

const HOST_PID: Violation = {
  check: 'hostNamespaces',
  reason: 'host namespaces',
  path: 'spec.hostPID',
  found: 'true',
  required: 'false or not set',
  fix: 'remove hostPID',
}
const privileged = (index: number): Violation => ({
  check: 'privileged',
  reason: 'privileged',
  path: `spec.containers[${index}].securityContext.privileged`,
  found: 'true',
  required: 'false or not set',
  fix: 'remove it',
  container: `c${index}`,
})

const WEB = { kind: 'Pod', name: 'web', path: '' }
const parts = (changes: Partial<DenialParts> = {}): DenialParts => ({
  subject: WEB,
  problems: [],
  enforce: { profile: 'standard', version: 'latest' },
  violations: [HOST_PID],
  flagged: [],
  ...changes,
})

describe('violationLine', () => {
  it('says what, which check, where, found, required, fix, exception', () => {
    assert.equal(
      violationLine(HOST_PID),
      'host namespaces (hostNamespaces): spec.hostPID is true, must be false or not set; fix: remove hostPID; exception: drawbridge.dev/exception',
    )
  })

  it('names the container, and the check once where upstream calls it the same', () => {
    assert.equal(
      violationLine(privileged(1)),
      'privileged: container "c1": spec.containers[1].securityContext.privileged is true, must be false or not set; fix: remove it; exception: drawbridge.dev/exception',
    )
    assert.match(violationLine({ ...HOST_PID, check: 'runAsUser', reason: 'runAsUser=0' }), /^runAsUser=0: /u)
    assert.match(
      violationLine({ ...HOST_PID, check: 'seccompProfile_standard', reason: 'seccompProfile' }),
      /^seccompProfile_standard: /u,
    )
  })

  it('puts the place of a template before the path', () => {
    assert.match(violationLine(HOST_PID, 'spec.template'), /: spec\.template\.spec\.hostPID is true,/u)
  })

  it('escapes hostile values and keeps the advice when it shortens them', () => {
    const line = violationLine({
      ...HOST_PID,
      container: 'x\n\u202e'.repeat(400),
      path: `metadata.annotations["${'k\u0000'.repeat(5000)}"]`,
      found: `evil\nsecond line ${'v'.repeat(100_000)}`,
    })
    assert.equal(
      line,
      'host namespaces (hostNamespaces): container "x\\u{a}\\u{...\\u{202e}": metadata.annotations["k\\u{0}k\\u{0}k\\...u{0}k\\u{0}k\\u{0}k\\u{0}k\\u{0}k\\u{0}"] is evil\\u{a}se...vvvvvvvvvv, must be false or not set; fix: remove hostPID; exception: drawbridge.dev/exception',
    )
  })

  it('is one printable line of at most 255 characters, whatever the values', () => {
    const text = fc.string({ unit: 'binary', maxLength: 400 })
    fc.assert(
      fc.property(text, text, fc.option(text, { nil: undefined }), (path, found, container) => {
        const line = violationLine({ ...HOST_PID, path, found, container }, 'spec.jobTemplate.spec.template')
        assert.match(line, /^[\x20-\x7e]{1,255}$/u)
        assert.ok(line.endsWith('; fix: remove hostPID; exception: drawbridge.dev/exception'))
      }),
    )
  })
})

describe('denialText', () => {
  it('is one line per failed check under a headline', () => {
    assert.equal(
      denialText(parts({ violations: [HOST_PID, privileged(0)] })),
      `drawbridge: pod "web" breaks profile standard:latest:
- host namespaces (hostNamespaces): spec.hostPID is true, must be false or not set; fix: remove hostPID; exception: drawbridge.dev/exception
- privileged: container "c0": spec.containers[0].securityContext.privileged is true, must be false or not set; fix: remove it; exception: drawbridge.dev/exception`,
    )
  })

  it('counts what does not fit, and gives every check a line before any gets its second', () => {
    const violations = [...Array.from({ length: 1000 }, (_, index) => privileged(index)), { ...HOST_PID, check: 'z' }]
    assert.equal(
      denialText(parts({ violations })),
      `drawbridge: pod "web" breaks profile standard:latest:
- privileged: container "c0": spec.containers[0].securityContext.privileged is true, must be false or not set; fix: remove it; exception: drawbridge.dev/exception
- privileged: container "c1": spec.containers[1].securityContext.privileged is true, must be false or not set; fix: remove it; exception: drawbridge.dev/exception
- privileged: container "c2": spec.containers[2].securityContext.privileged is true, must be false or not set; fix: remove it; exception: drawbridge.dev/exception
- privileged: container "c3": spec.containers[3].securityContext.privileged is true, must be false or not set; fix: remove it; exception: drawbridge.dev/exception
- host namespaces (z): spec.hostPID is true, must be false or not set; fix: remove hostPID; exception: drawbridge.dev/exception
- and 996 more; see all with: drawbridge check -f FILE`,
    )
  })

  it('names the checks that got no line', () => {
    const violations = ['check1', 'check2', 'check3', 'check4', 'check5', 'check6', 'check7', 'check8', 'check9'].map(
      (check) => ({ ...HOST_PID, check }),
    )
    assert.match(
      denialText(parts({ violations })),
      /\n- and 3 more \(check7, check8, check9\); see all with: drawbridge check -f FILE$/u,
    )
  })

  it('says the label problem first, then the flagged image, then the checks, then the note', () => {
    assert.equal(
      denialText(
        parts({
          problems: ['namespace label x: "y" is no profile', 'a second one'],
          flagged: [{ path: 'spec.containers[0].image', text: 'image nginx is denied by verdict v' }],
          note: 'note: a mirror pod',
        }),
      ),
      `drawbridge: namespace label x: "y" is no profile
drawbridge: pod "web" uses an image that runtime alerts flagged:
- spec.containers[0].image: image nginx is denied by verdict v
drawbridge: pod "web" breaks profile standard:latest:
- host namespaces (hostNamespaces): spec.hostPID is true, must be false or not set; fix: remove hostPID; exception: drawbridge.dev/exception
note: a mirror pod`,
    )
  })

  it('shows violations and verdicts both, in at most 1 KiB, however long each is', () => {
    const text = fc.string({ unit: 'binary', maxLength: 1200 })
    const few = { maxLength: 12 }
    fc.assert(
      fc.property(
        text,
        fc.array(text, few),
        fc.array(text, few),
        fc.array(text, { maxLength: 2 }),
        fc.boolean(),
        fc.option(fc.integer({ min: 1, max: 240 }), { nil: undefined }),
        (name, found, flagged, problems, noted, back) => {
          const rollback = back === undefined ? undefined : 'k'.repeat(back)
          const message = denialText(
            parts({
              subject: { ...WEB, name },
              problems,
              exceptions: found.map((one) => 'e'.repeat(one.length)),
              rollback,
              violations: found.map((value, index) => ({
                ...privileged(index),
                check: `check${index % 5}`,
                found: value,
              })),
              flagged: flagged.map((line, index) => ({ path: `spec.containers[${index}].image`, text: line })),
              note: noted ? 'note: a mirror pod cannot be prevented; its node runs it anyway' : undefined,
            }),
          )
          assert.ok(Buffer.byteLength(message) <= MAX_DENIAL, `${message.length} characters`)
          assert.match(message, /^[\x20-\x7e\n]*$/u)
          if (found.length > 0) assert.match(message, /\n- .*must be false or not set; fix: remove it;/u)
          if (flagged.length > 0) assert.match(message, /\n- spec\.containers\[0\]\.image: /u)
          if (rollback !== undefined && (found.length === 0 || problems.length === 0))
            assert.ok(message.split('\n').includes(rollback), 'the way back is whole or not there')
        },
      ),
      { numRuns: 500 },
    )
  })

  it('contains the phrase of every check that a usual bad pod breaks', () => {
    const spec: PodSpec = { hostNetwork: true, containers: [{ name: 'a', securityContext: { privileged: true } }] }
    const message = denialText(parts({ violations: evaluate('baseline', 'latest', {}, spec) }))
    for (const phrase of ['host namespaces', 'privileged']) assert.ok(message.includes(phrase))
  })
})

describe('warnings', () => {
  it('are a headline and the same lines as a denial', () => {
    assert.deepEqual(profileWarnings('pod "web" would break profile restricted:latest', [HOST_PID], ''), [
      'drawbridge: pod "web" would break profile restricted:latest',
      violationLine(HOST_PID),
    ])
    assert.deepEqual(profileWarnings('x', [], ''), [])
  })

  it('stay few and short for 1,000 violations', () => {
    const violations = Array.from({ length: 1000 }, (_, index) => privileged(index))
    const warnings = profileWarnings('x', violations, 'spec.template')
    assert.ok(warnings.length <= 12)
    assert.ok(warnings.every((warning) => warning.length <= MAX_WARNING))
    assert.match(warnings.at(-1) ?? '', /^and \d+ more; see all with: drawbridge check -f FILE$/u)
  })

  it('cut a long line between words and lose nothing', () => {
    const line = Array.from({ length: 100 }, (_, index) => `word${index}`).join(' ')
    const warnings = asWarnings(line)
    assert.ok(warnings.length > 1)
    assert.ok(warnings.every((warning) => warning.length <= MAX_WARNING))
    assert.equal(warnings.join(' '), line)
    assert.deepEqual(asWarnings('x'.repeat(300)), ['x'.repeat(255), 'x'.repeat(45)])
  })
})

describe('names', () => {
  it('writes pods in small letters and other kinds as they are', () => {
    assert.equal(nameSubject(WEB), 'pod "web"')
    assert.equal(nameSubject({ kind: 'Deployment', name: 'web', path: 'spec.template' }), 'Deployment "web"')
    assert.equal(nameSubject({ ...WEB, name: 'a\u202eb' }), 'pod "a\\u{202e}b"')
  })

  it('says why an object cannot be judged', () => {
    assert.equal(
      malformedText(WEB, 'spec.hostPID: wanted a boolean, found a string'),
      'drawbridge: pod "web" cannot be judged: spec.hostPID: wanted a boolean, found a string',
    )
  })
})
