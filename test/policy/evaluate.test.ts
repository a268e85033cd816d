import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import type { Container, PodSpec, PodTemplate } from '../../src/kube/types.ts'
import { CHECKS } from '../../src/policy/checks/index.ts'
import { evaluate } from '../../src/policy/evaluate.ts'
import { compileRegistry } from '../../src/policy/registry.ts'
import type { BuiltinProfile, Check, MinorVersion, Violation } from '../../src/policy/types.ts'

/** A value or nothing, in the ways that JSON can hold nothing. */
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.oneof(arbitrary, fc.constantFrom(undefined, null))

const profileType = fc.record({
  type: maybe(fc.constantFrom('RuntimeDefault', 'Localhost', 'Unconfined', '')),
  localhostProfile: maybe(fc.constantFrom('', 'a.json')),
})
const shared = {
  runAsNonRoot: maybe(fc.boolean()),
  runAsUser: maybe(fc.constantFrom(0, 1, 1000)),
  seccompProfile: maybe(profileType),
  appArmorProfile: maybe(profileType),
  seLinuxOptions: maybe(
    fc.record({ type: maybe(fc.constantFrom('', 'container_t', 'spc_t')), user: maybe(fc.constantFrom('', 'u')) }),
  ),
  windowsOptions: maybe(fc.record({ hostProcess: maybe(fc.boolean()) })),
}
const capabilityNames = maybe(
  fc.array(fc.constantFrom('ALL', 'CHOWN', 'SYS_ADMIN', 'NET_BIND_SERVICE'), { maxLength: 3 }),
)
const container = fc.record({
  name: fc.constantFrom('a', 'b', 'c'),
  securityContext: maybe(
    fc.record({
      ...shared,
      privileged: maybe(fc.boolean()),
      allowPrivilegeEscalation: maybe(fc.boolean()),
      procMount: maybe(fc.constantFrom('Default', 'Unmasked')),
      capabilities: maybe(fc.record({ add: capabilityNames, drop: capabilityNames })),
    }),
  ),
  ports: maybe(fc.array(fc.record({ hostPort: maybe(fc.constantFrom(0, 80)) }), { maxLength: 2 })),
  livenessProbe: maybe(fc.record({ httpGet: maybe(fc.record({ host: maybe(fc.constantFrom('', 'h')) })) })),
})
const template = fc.record({
  metadata: fc.record({
    annotations: maybe(
      fc.dictionary(
        fc.constantFrom(
          'container.apparmor.security.beta.kubernetes.io/a',
          'seccomp.security.alpha.kubernetes.io/pod',
          'container.seccomp.security.alpha.kubernetes.io/b',
        ),
        fc.constantFrom('runtime/default', 'unconfined', ''),
      ),
    ),
  }),
  spec: fc.record({
    containers: fc.array(container, { minLength: 1, maxLength: 3 }),
    initContainers: maybe(fc.array(container, { maxLength: 2 })),
    ephemeralContainers: maybe(fc.array(container, { maxLength: 2 })),
    securityContext: maybe(
      fc.record({
        ...shared,
        sysctls: maybe(
          fc.array(fc.record({ name: fc.constantFrom('kernel.msgmax', 'net.ipv4.tcp_rmem') }), { maxLength: 2 }),
        ),
      }),
    ),
    volumes: maybe(
      fc.array(
        fc.constantFrom(
          { name: 'e', emptyDir: {} },
          { name: 'h', hostPath: { path: '/' } },
          { name: 'n', nfs: {}, emptyDir: {} },
        ),
        { maxLength: 2 },
      ),
    ),
    hostPID: maybe(fc.boolean()),
    hostUsers: maybe(fc.boolean()),
    os: maybe(fc.record({ name: fc.constantFrom('linux', 'windows') })),
  }),
}) as fc.Arbitrary<unknown> as fc.Arbitrary<PodTemplate>

const profile = fc.constantFrom<BuiltinProfile>('privileged', 'baseline', 'standard', 'restricted')
const version: fc.Arbitrary<MinorVersion> = fc.oneof(
  fc.integer({ min: 0, max: 40 }),
  fc.constant<MinorVersion>('latest'),
)

const byContent = (violations: readonly Violation[]) =>
  violations.map(({ check, container: name, found }) => `${check} ${name} ${found}`).sort()

const reversed = (list: readonly Container[] | undefined) => list?.toReversed()

describe('evaluate', () => {
  it('gives one violation per offending container, sorted by check and then as in the pod', () => {
    const spec: PodSpec = {
      hostPID: true,
      containers: [
        { name: 'web', securityContext: { privileged: true } },
        { name: 'log', securityContext: { privileged: true, capabilities: { add: ['NET_RAW'] } } },
      ],
    }
    assert.deepEqual(
      evaluate('baseline', 'latest', {}, spec).map(({ check, container: name, path }) => [check, name, path]),
      [
        ['capabilities_baseline', 'log', 'spec.containers[1].securityContext.capabilities.add'],
        ['hostNamespaces', undefined, 'spec.hostPID'],
        ['privileged', 'web', 'spec.containers[0].securityContext.privileged'],
        ['privileged', 'log', 'spec.containers[1].securityContext.privileged'],
      ],
    )
  })

  it('judges an unknown profile as restricted', () => {
    const spec: PodSpec = { containers: [{ name: 'web' }] }
    assert.deepEqual(evaluate('my-own', 'latest', {}, spec), evaluate('restricted', 'latest', {}, spec))
    assert.ok(evaluate('my-own', 'latest', {}, spec).length > 0)
  })

  it('never throws, whatever a readable pod holds', () => {
    fc.assert(
      fc.property(template, profile, version, ({ metadata, spec }, name, minor) => {
        evaluate(name, minor, metadata, spec)
      }),
    )
  })

  it('is never weaker under a stricter profile of the same version', () => {
    // From 1.25: below, restricted did not yet ask for seccomp, users or, on Windows, differently.
    fc.assert(
      fc.property(template, fc.integer({ min: 25, max: 40 }), ({ metadata, spec }, minor) => {
        const denied = (name: BuiltinProfile) => evaluate(name, minor, metadata, spec).length > 0
        if (denied('baseline')) assert.ok(denied('standard'))
        if (denied('standard')) assert.ok(denied('restricted'))
      }),
      { numRuns: 500 },
    )
  })

  it('never turns a denial into an allowance by a check that is added', () => {
    fc.assert(
      fc.property(template, profile, version, fc.subarray([...CHECKS]), ({ metadata, spec }, name, minor, some) => {
        const registry = compileRegistry(withReplaced(some))
        const denied = evaluate(name, minor, metadata, spec, registry).length > 0
        if (denied) assert.ok(evaluate(name, minor, metadata, spec).length > 0)
      }),
      { numRuns: 500 },
    )
  })

  it('does not depend on the order of containers', () => {
    fc.assert(
      fc.property(template, profile, version, ({ metadata, spec }, name, minor) => {
        const other: PodSpec = {
          ...spec,
          containers: spec.containers.toReversed(),
          initContainers: reversed(spec.initContainers),
          ephemeralContainers: reversed(spec.ephemeralContainers),
        }
        assert.deepEqual(
          byContent(evaluate(name, minor, metadata, other)),
          byContent(evaluate(name, minor, metadata, spec)),
        )
      }),
    )
  })

  it('judges 1,000 containers, each by name', () => {
    const containers = Array.from({ length: 1000 }, (_, index) => ({
      name: `c${index}`,
      securityContext: { privileged: true },
    }))
    const violations = evaluate('baseline', 'latest', {}, { containers })
    assert.equal(violations.length, 1000)
    assert.equal(violations[999]?.path, 'spec.containers[999].securityContext.privileged')
  })
})

/** A check may not replace one that is not in the list: what a subset lacks is left out of `replaces`. */
const withReplaced = (checks: readonly Check[]): readonly Check[] => {
  const ids = new Set(checks.map(({ id }) => id))
  return checks.map((check) => ({ ...check, replaces: (check.replaces ?? []).filter((id) => ids.has(id)) }))
}
