/** What holds for the whole engine over pods as people write them: mutation, then judgement, with verdicts. */
import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import jsonPatch from 'fast-json-patch'
import { containersOf } from '../../src/kube/containers.ts'
import { checkPodShape } from '../../src/kube/podShape.ts'
import type { Container, PodTemplate } from '../../src/kube/types.ts'
import { mutatePod } from '../../src/mutation/index.ts'
import { CHECKS } from '../../src/policy/checks/index.ts'
import { evaluate } from '../../src/policy/evaluate.ts'
import { judge } from '../../src/policy/judge.ts'
import type { Judgement } from '../../src/policy/judge.ts'
import { findingLines, judgeExisting } from '../../src/policy/judgeExisting.ts'
import { resolveNamespace } from '../../src/policy/namespace.ts'
import { BUILTIN_PROFILES, compileRegistry } from '../../src/policy/registry.ts'
import type { BuiltinProfile, Check, NamespacePolicy, Violation } from '../../src/policy/types.ts'
import { realisticPod } from './realisticPods.ts'

const profile = fc.constantFrom<BuiltinProfile>(...BUILTIN_PROFILES)
const version = fc.oneof(
  fc.integer({ min: 0, max: 40 }).map((minor) => `v1.${minor}`),
  fc.constant('latest'),
)
const minor = fc.oneof(fc.integer({ min: 0, max: 40 }), fc.constant('latest' as const))
const seccompLabel = fc.constantFrom('RuntimeDefault', 'localhost.web', 'off', undefined)

const policy: fc.Arbitrary<NamespacePolicy> = fc
  .record({ enforce: profile, version, seccomp: seccompLabel })
  .map(({ enforce, version: at, seccomp }) =>
    resolveNamespace({
      'drawbridge.dev/enforce': enforce,
      'drawbridge.dev/enforce-version': at,
      ...(seccomp === undefined ? {} : { 'drawbridge.dev/seccomp': seccomp }),
    }),
  )

const judged = (object: unknown, asked: NamespacePolicy): Judgement =>
  judge({
    policy: asked,
    findFlagged: (image) =>
      image.includes('evil') ? { verdict: 'sha256-e', phase: 'denying', text: `${image} is flagged` } : undefined,
    request: {
      uid: 'u',
      operation: 'CREATE',
      kind: { group: '', version: 'v1', kind: 'Pod' },
      resource: { group: '', version: 'v1', resource: 'pods' },
      namespace: 'shop',
      object,
    },
  })

/** As the API server applies it. */
const mutated = (pod: PodTemplate, { seccomp }: NamespacePolicy): PodTemplate =>
  jsonPatch.applyPatch(
    structuredClone(pod),
    structuredClone([...mutatePod(pod, { seccomp, requesterIsNode: false })]),
    true,
    true,
  ).newDocument

/** A violation by what it says, not by where: positions change with the order. */
const saying = ({ check, container, found, required }: Violation): string =>
  JSON.stringify([check, container, found, required])
const byWords = ({ violations }: Judgement): readonly string[] => violations.map(saying).sort()
const byPlace = ({ violations }: Judgement): readonly string[] =>
  violations.map(({ check, path, found }) => JSON.stringify([check, path, found]))

const withContainers = (
  pod: PodTemplate,
  change: (list: readonly Container[]) => readonly Container[],
): PodTemplate => {
  const { containers, initContainers, ephemeralContainers, ...rest } = pod.spec
  return {
    ...pod,
    spec: {
      ...rest,
      containers: change(containers),
      ...(initContainers && { initContainers: change(initContainers) }),
      ...(ephemeralContainers && { ephemeralContainers: change(ephemeralContainers) }),
    },
  }
}

/** A check may not replace one that is not in the list. */
const compiled = (checks: readonly Check[]) => {
  const ids = new Set(checks.map(({ id }) => id))
  return compileRegistry(
    checks.map((check) => ({ ...check, replaces: (check.replaces ?? []).filter((id) => ids.has(id)) })),
  )
}

const RUNS = { numRuns: 300 }

describe('the engine over realistic pods', function () {
  this.timeout(20_000)
  it('is given pods that are readable, some that pass each profile and some that do not', () => {
    const pods = fc.sample(realisticPod, { numRuns: 500, seed: 4 })
    for (const { metadata, spec } of pods) assert.equal(checkPodShape(metadata, spec, ''), undefined)
    for (const name of ['baseline', 'standard', 'restricted'] as const) {
      const passing = pods.filter(({ metadata, spec }) => evaluate(name, 'latest', metadata, spec).length === 0).length
      assert.ok(passing > 0 && passing < 450, `${passing} of 500 pass ${name}`)
    }
    const broken = new Set(
      pods.flatMap(({ metadata, spec }) =>
        BUILTIN_PROFILES.flatMap((name) => evaluate(name, 'latest', metadata, spec)).map(({ check }) => check),
      ),
    )
    const never = CHECKS.filter(({ id }) => !broken.has(id)).map(({ id }) => id)
    assert.deepEqual(never, [])
  })

  it('never allows what it denied, when a check is added', () => {
    fc.assert(
      fc.property(realisticPod, profile, minor, fc.subarray([...CHECKS]), fc.nat(), (pod, name, at, some, pick) => {
        const added = CHECKS[pick % CHECKS.length] as Check
        const before = evaluate(name, at, pod.metadata, pod.spec, compiled(some))
        const more = compiled(some.includes(added) ? some : CHECKS.filter((one) => one === added || some.includes(one)))
        if (before.length > 0) assert.ok(evaluate(name, at, pod.metadata, pod.spec, more).length > 0)
      }),
      RUNS,
    )
  })

  it('never allows what it denied, when a container is added', () => {
    fc.assert(
      fc.property(realisticPod, realisticPod, policy, (pod, other, asked) => {
        const more = { ...pod, spec: { ...pod.spec, containers: [...pod.spec.containers, ...other.spec.containers] } }
        if (!judged(pod, asked).allowed) assert.equal(judged(more, asked).allowed, false)
      }),
      RUNS,
    )
  })

  it('denies a pod with a flagged image whatever else it is, and says nothing less of it', () => {
    fc.assert(
      fc.property(realisticPod, policy, fc.nat(), (pod, asked, pick) => {
        const at = pick % pod.spec.containers.length
        const containers = pod.spec.containers.map((one, index) => (index === at ? { ...one, image: 'evil:1' } : one))
        const judgement = judged({ ...pod, spec: { ...pod.spec, containers } }, asked)
        assert.equal(judgement.allowed, false)
        assert.equal(judgement.flagged.length, 1)
        assert.deepEqual(byPlace(judgement), byPlace(judged(pod, asked)))
      }),
      RUNS,
    )
  })

  it('does not depend on the order of containers', () => {
    fc.assert(
      fc.property(realisticPod, policy, (pod, asked) => {
        const [before, after] = [
          judged(pod, asked),
          judged(
            withContainers(pod, (list) => list.toReversed()),
            asked,
          ),
        ]
        assert.equal(after.allowed, before.allowed)
        assert.deepEqual(byWords(after), byWords(before))
      }),
      RUNS,
    )
  })

  it('does not depend on the names of containers or on the kind of list they are in', () => {
    fc.assert(
      fc.property(realisticPod, profile, (pod, name) => {
        const { annotations: _annotations, ...metadata } = pod.metadata
        const all = containersOf(pod.spec).map(({ container }, index) => ({ ...container, name: `c${index}` }))
        const { initContainers: _init, ephemeralContainers: _ephemeral, ...rest } = pod.spec
        const denied = (spec: PodTemplate['spec']): boolean => evaluate(name, 'latest', metadata, spec).length > 0
        assert.equal(denied({ ...rest, containers: all }), denied(pod.spec))
      }),
      RUNS,
    )
  })

  it('never breaks a pod by mutating it: what was right stays right, and what was injected is right', () => {
    fc.assert(
      fc.property(realisticPod, policy, (pod, asked) => {
        const after = mutated(pod, asked)
        const known = new Set(byPlace(judged(pod, asked)))
        assert.deepEqual(
          byPlace(judged(after, asked)).filter((violation) => !known.has(violation)),
          [],
        )
      }),
      RUNS,
    )
  })

  it('denies no pod for the seccomp profile that it injected', () => {
    fc.assert(
      fc.property(realisticPod, policy, (pod, asked) => {
        const after = mutated(pod, asked)
        fc.pre(after.spec.securityContext?.seccompProfile !== undefined && !pod.spec.securityContext?.seccompProfile)
        const paths = judged(after, asked).violations.map(({ path }) => path)
        assert.ok(!paths.some((path) => path.startsWith('spec.securityContext.seccompProfile')))
        for (const { path, container } of containersOf(after.spec))
          if (container.securityContext?.seccompProfile === undefined)
            assert.ok(!paths.some((one) => one.startsWith(`${path}.securityContext.seccompProfile`)), path)
      }),
      RUNS,
    )
  })

  it('mutates once: a second time finds nothing to do, and the judgement stays', () => {
    fc.assert(
      fc.property(realisticPod, policy, (pod, asked) => {
        const once = mutated(pod, asked)
        assert.deepEqual(mutatePod(once, { seccomp: asked.seccomp, requesterIsNode: false }), [])
        assert.deepEqual(judged(mutated(once, asked), asked), judged(once, asked))
      }),
      RUNS,
    )
  })

  it('finds the same in a pod that runs as in the pod that was created', () => {
    fc.assert(
      fc.property(realisticPod, policy, (pod, asked) => {
        const [created, running] = [judged(pod, asked), judgeExisting(pod, 'shop', asked, {})]
        assert.equal(running === undefined, created.allowed)
        assert.deepEqual(running?.violations ?? [], created.violations)
        for (const line of running ? findingLines(running) : []) assert.match(line, /^[\x20-\x7e]{1,255}$/)
      }),
      RUNS,
    )
  })
})
