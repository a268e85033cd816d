import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import type { AdmissionRequest, PodTemplate } from '../../src/kube/types.ts'
import { judge, type Judgement } from '../../src/policy/judge.ts'
import { resolveNamespace } from '../../src/policy/namespace.ts'
import type { FindFlagged } from '../../src/policy/types.ts'

const policyOf = (labels: Readonly<Record<string, string>>) =>
  resolveNamespace(Object.fromEntries(Object.entries(labels).map(([name, value]) => [`drawbridge.dev/${name}`, value])))

const STANDARD = policyOf({ enforce: 'standard' })
const BASELINE = policyOf({ enforce: 'baseline' })

const GOOD = {
  metadata: { name: 'web' },
  spec: {
    securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
    containers: [{ name: 'web', image: 'nginx:1' }],
  },
}
const BAD = { ...GOOD, spec: { ...GOOD.spec, hostPID: true } }
const BAD_LINE =
  'host namespaces (hostNamespaces): spec.hostPID is true, must be false or not set; fix: remove hostPID; exception: drawbridge.dev/exception'

const podRequest = (object: unknown, changes: Partial<AdmissionRequest> = {}): AdmissionRequest => ({
  uid: 'u',
  kind: { group: '', version: 'v1', kind: 'Pod' },
  resource: { group: '', version: 'v1', resource: 'pods' },
  operation: 'CREATE',
  namespace: 'shop',
  object,
  ...changes,
})
const deployment = (template: unknown) => ({ metadata: { name: 'shop' }, spec: { template } })
const deploymentRequest = (template: unknown, changes: Partial<AdmissionRequest> = {}): AdmissionRequest =>
  podRequest(deployment(template), {
    kind: { group: 'apps', version: 'v1', kind: 'Deployment' },
    resource: { group: 'apps', version: 'v1', resource: 'deployments' },
    ...changes,
  })

/** Flags every image that contains `bad` as denying and every one that contains `odd` as warning. */
const findFlagged: FindFlagged = (image, namespace) => {
  if (image.includes('bad')) {
    return { verdict: 'sha256-b', phase: 'denying', text: `${image} is denied in ${namespace} (verdict sha256-b)` }
  }
  return image.includes('odd') ? { verdict: 'sha256-o', phase: 'warning', text: `${image} is odd` } : undefined
}
const using = (...images: readonly string[]) => ({
  ...GOOD,
  spec: { ...GOOD.spec, containers: images.map((image, index) => ({ name: `c${index}`, image })) },
})

const denied = ({ allowed, code }: Judgement): boolean => !allowed && code === 403
const isPlainAllowance = ({ allowed, code, message, warnings, violations, flagged }: Judgement): boolean =>
  allowed && code === 200 && message === '' && warnings.length + violations.length + flagged.length === 0

describe('judge: pods', () => {
  it('allows a good pod and notes the profile', () => {
    const judgement = judge({ request: podRequest(GOOD), policy: STANDARD })
    assert.ok(isPlainAllowance(judgement))
    assert.deepEqual(judgement.auditAnnotations, { 'enforce-policy': 'standard:latest' })
  })

  it('denies a bad pod with 403', () => {
    const judgement = judge({ request: podRequest(BAD), policy: STANDARD })
    assert.ok(denied(judgement))
    assert.equal(judgement.message, `drawbridge: pod "web" breaks profile standard:latest:\n- ${BAD_LINE}`)
    assert.deepEqual(judgement.warnings, [])
    assert.deepEqual(
      judgement.violations.map(({ check }) => check),
      ['hostNamespaces'],
    )
  })

  it('says the same in a dry run', () => {
    const request = podRequest(BAD)
    assert.deepEqual(
      judge({ request: { ...request, dryRun: true }, policy: STANDARD }),
      judge({ request, policy: STANDARD }),
    )
  })

  it('names a pod that has only a prefix for a name', () => {
    const object = { ...BAD, metadata: { generateName: 'web-7d9f-' } }
    assert.match(judge({ request: podRequest(object), policy: STANDARD }).message, /pod "web-7d9f-" breaks/u)
  })

  it('asks nothing of a namespace that asks for nothing', () => {
    const policy = policyOf({})
    assert.ok(isPlainAllowance(judge({ request: podRequest('no pod'), policy, findFlagged })))
  })

  it('warns and audits without denying', () => {
    const policy = policyOf({ warn: 'baseline', audit: 'baseline', 'audit-version': 'v1.30' })
    const judgement = judge({ request: podRequest(BAD), policy })
    assert.ok(judgement.allowed)
    assert.deepEqual(judgement.warnings, ['drawbridge: pod "web" would break profile baseline:latest', BAD_LINE])
    assert.deepEqual(judgement.auditAnnotations, {
      'audit-violations': `drawbridge: pod "web" breaks profile baseline:v1.30:\n- ${BAD_LINE}`,
    })
    assert.deepEqual(judgement.violations, [])
  })

  it('does not warn about a pod that it denies, as upstream', () => {
    const policy = policyOf({ enforce: 'baseline', warn: 'restricted' })
    assert.deepEqual(judge({ request: podRequest(BAD), policy }).warnings, [])
    assert.ok(judge({ request: podRequest(GOOD), policy }).warnings.length > 1)
  })

  const restrictedProblem =
    'drawbridge: namespace label drawbridge.dev/enforce: "strict" is no profile; restricted:latest is enforced until it is corrected'

  it('enforces restricted where a label cannot be resolved, and says so first', () => {
    const judgement = judge({ request: podRequest(GOOD), policy: policyOf({ enforce: 'strict' }) })
    assert.ok(denied(judgement))
    assert.ok(
      judgement.message.startsWith(`${restrictedProblem}\ndrawbridge: pod "web" breaks profile restricted:latest:\n`),
    )
    assert.equal(judgement.auditAnnotations['error'], restrictedProblem.slice('drawbridge: '.length))
  })

  it('warns of a label that cannot be resolved where the pod passes', () => {
    const container = {
      name: 'web',
      securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
    }
    const object = { ...GOOD, spec: { ...GOOD.spec, containers: [container] } }
    const judgement = judge({ request: podRequest(object), policy: policyOf({ enforce: 'strict' }) })
    assert.ok(judgement.allowed)
    assert.deepEqual(judgement.warnings, [restrictedProblem])
  })

  it('judges a pod by its resource even if the kind says otherwise, and the other way round', () => {
    const kind = { group: '', version: 'v1', kind: 'Service' }
    assert.ok(denied(judge({ request: podRequest(BAD, { kind }), policy: STANDARD })))
    const resource = { group: '', version: 'v1', resource: 'services' }
    assert.ok(denied(judge({ request: podRequest(BAD, { resource }), policy: STANDARD })))
  })
})

describe('judge: which requests', () => {
  const allowedRequests: Readonly<Record<string, AdmissionRequest>> = {
    delete: podRequest(undefined, { operation: 'DELETE', oldObject: BAD }),
    connect: podRequest({}, { operation: 'CONNECT', subResource: 'exec' }),
    service: podRequest(
      {},
      {
        kind: { group: '', version: 'v1', kind: 'Service' },
        resource: { group: '', version: 'v1', resource: 'services' },
      },
    ),
    'deployment scale': deploymentRequest(undefined, {
      subResource: 'scale',
      kind: { group: 'autoscaling', version: 'v1', kind: 'Scale' },
    }),
    'deployment status': deploymentRequest(BAD, { operation: 'UPDATE', subResource: 'status' }),
    'a ReplicationController without template': podRequest(
      { metadata: {}, spec: { template: null } },
      {
        kind: { group: '', version: 'v1', kind: 'ReplicationController' },
        resource: { group: '', version: 'v1', resource: 'replicationcontrollers' },
      },
    ),
    ...Object.fromEntries(
      ['exec', 'attach', 'binding', 'eviction', 'log', 'portforward', 'proxy', 'status'].map((subResource) => [
        `pods/${subResource}`,
        podRequest(BAD, { subResource }),
      ]),
    ),
  }
  for (const [name, request] of Object.entries(allowedRequests)) {
    it(`allows ${name}`, () => {
      assert.ok(isPlainAllowance(judge({ request, policy: STANDARD, findFlagged })))
    })
  }

  for (const subResource of ['ephemeralcontainers', 'resize', 'future']) {
    it(`judges pods/${subResource}`, () => {
      const request = podRequest(BAD, { operation: 'UPDATE', subResource, oldObject: GOOD })
      assert.ok(denied(judge({ request, policy: STANDARD })))
    })
  }
})

const updatePod = (object: unknown, oldObject: unknown) =>
  judge({ request: podRequest(object, { operation: 'UPDATE', oldObject }), policy: STANDARD })

describe('judge: updates of pods', () => {
  it('leaves a pod alone that is older than the profile', () => {
    assert.ok(isPlainAllowance(updatePod({ ...BAD, metadata: { name: 'web', labels: { a: 'b' } } }, BAD)))
  })

  it('judges the whole pod again when an image changes', () => {
    assert.ok(
      denied(updatePod({ ...BAD, spec: { ...BAD.spec, containers: [{ name: 'web', image: 'nginx:2' }] } }, BAD)),
    )
  })

  it('judges the whole pod again when an ephemeral container comes', () => {
    const debug = { ...BAD, spec: { ...BAD.spec, ephemeralContainers: [{ name: 'debug', image: 'd' }] } }
    assert.ok(denied(updatePod(debug, BAD)))
  })

  for (const [name, oldObject] of Object.entries({ 'is missing': undefined, 'cannot be read': { spec: 7 } })) {
    it(`judges a pod whose old object ${name}`, () => {
      assert.ok(denied(updatePod(BAD, oldObject)))
    })
  }
})

describe('judge: workloads', () => {
  const withoutSeccomp = { ...GOOD, spec: { ...GOOD.spec, securityContext: { runAsNonRoot: true } } }

  const asCreated = (template: PodTemplate): PodTemplate => ({
    ...template,
    spec: { ...template.spec, securityContext: GOOD.spec.securityContext },
  })

  it('warns of what a template says', () => {
    const request = deploymentRequest(withoutSeccomp)
    assert.match(judge({ request, policy: STANDARD }).warnings.join('\n'), /seccompProfile/)
  })

  it('does not warn of what its pods will be given', () =>
    assert.ok(isPlainAllowance(judge({ request: deploymentRequest(withoutSeccomp), policy: STANDARD, asCreated }))))

  it('judges a pod as it is: injection has been there before', () =>
    assert.ok(denied(judge({ request: podRequest(withoutSeccomp), policy: STANDARD, asCreated }))))

  it('warns that the pods will be denied, with paths in the template', () => {
    const judgement = judge({ request: deploymentRequest(BAD), policy: STANDARD })
    assert.ok(judgement.allowed)
    assert.deepEqual(judgement.warnings, [
      'drawbridge: Deployment "shop": its pods will be denied, they break profile standard:latest',
      BAD_LINE.replace('spec.hostPID', 'spec.template.spec.hostPID'),
    ])
    assert.deepEqual(judgement.auditAnnotations, {})
    assert.equal(judgement.violations.length, 1)
  })

  it('warns once where enforce and warn are the same, twice where they differ', () => {
    const same = policyOf({ enforce: 'baseline', warn: 'baseline' })
    assert.equal(judge({ request: deploymentRequest(BAD), policy: same }).warnings.length, 2)
    const other = policyOf({ enforce: 'baseline', warn: 'baseline', 'warn-version': 'v1.30' })
    assert.deepEqual(judge({ request: deploymentRequest(BAD), policy: other }).warnings.slice(2), [
      'drawbridge: Deployment "shop": its pods would break profile baseline:v1.30',
      BAD_LINE.replace('spec.hostPID', 'spec.template.spec.hostPID'),
    ])
  })

  it('says nothing about a good template', () => {
    assert.ok(isPlainAllowance(judge({ request: deploymentRequest(GOOD), policy: STANDARD })))
  })
})

const updateDeployment = (images: readonly string[], before: readonly string[]) =>
  judge({
    request: deploymentRequest(using(...images), {
      operation: 'UPDATE',
      oldObject: deployment(using(...before)),
    }),
    policy: STANDARD,
    findFlagged,
  })
describe('judge: verdicts', () => {
  it('denies a pod with a flagged image in the words of the verdict', () => {
    const judgement = judge({ request: podRequest(using('bad:1')), policy: STANDARD, findFlagged })
    assert.ok(denied(judgement))
    assert.equal(
      judgement.message,
      'drawbridge: pod "web" uses an image that runtime alerts flagged:\n- spec.containers[0].image: bad:1 is denied in shop (verdict sha256-b)',
    )
    assert.equal(judgement.auditAnnotations['flagged-images'], 'sha256-b')
    assert.deepEqual(judgement.flagged, [
      {
        verdict: 'sha256-b',
        phase: 'denying',
        text: 'bad:1 is denied in shop (verdict sha256-b)',
        path: 'spec.containers[0].image',
        image: 'bad:1',
        denies: true,
      },
    ])
  })

  it('denies a template too', () => {
    const judgement = judge({ request: deploymentRequest(using('bad:1')), policy: STANDARD, findFlagged })
    assert.ok(denied(judgement))
    assert.equal(
      judgement.message,
      'drawbridge: Deployment "shop" uses an image that runtime alerts flagged:\n- spec.template.spec.containers[0].image: bad:1 is denied in shop (verdict sha256-b)',
    )
  })

  it('gives violations and verdict in one answer; a template gets its violations as warnings', () => {
    const object = { ...BAD, spec: { ...BAD.spec, containers: [{ name: 'web', image: 'bad:1' }] } }
    assert.match(
      judge({ request: podRequest(object), policy: STANDARD, findFlagged }).message,
      /flagged:\n- .*sha256-b\)\ndrawbridge: pod "web" breaks profile standard:latest:\n- host namespaces/u,
    )
    const { message, warnings } = judge({ request: deploymentRequest(object), policy: STANDARD, findFlagged })
    assert.doesNotMatch(message, /host namespaces/u)
    assert.equal(warnings.length, 2)
  })

  it('finds init and ephemeral containers and image volumes', () => {
    const places: Readonly<Record<string, object>> = {
      'spec.initContainers[0].image': { initContainers: [{ name: 'i', image: 'bad' }] },
      'spec.ephemeralContainers[0].image': { ephemeralContainers: [{ name: 'e', image: 'bad' }] },
      'spec.volumes[0].image.reference': { volumes: [{ name: 'v', image: { reference: 'bad' } }] },
    }
    for (const [path, change] of Object.entries(places)) {
      const object = { ...GOOD, spec: { ...GOOD.spec, ...change } }
      const judgement = judge({ request: podRequest(object), policy: STANDARD, findFlagged })
      assert.ok(denied(judgement), path)
      assert.equal(judgement.flagged[0]?.path, path)
    }
  })

  it('says a verdict once, however many containers use the image', () => {
    assert.equal(
      judge({ request: podRequest(using('bad', 'bad', 'bad')), policy: STANDARD, findFlagged }).flagged.length,
      1,
    )
  })

  it('warns about a suspicious image', () => {
    const judgement = judge({ request: podRequest(using('odd')), policy: STANDARD, findFlagged })
    assert.ok(judgement.allowed)
    assert.deepEqual(judgement.warnings, [
      'drawbridge: pod "web" uses a suspicious image: spec.containers[0].image: odd is odd',
    ])
  })

  it('turns denials into warnings where quarantine only warns', () => {
    const policy = policyOf({ enforce: 'standard', quarantine: 'warn' })
    const judgement = judge({ request: podRequest(using('bad')), policy, findFlagged })
    assert.ok(judgement.allowed)
    assert.deepEqual(judgement.warnings, [
      'drawbridge: pod "web" uses a flagged image (this namespace only warns): spec.containers[0].image: bad is denied in shop (verdict sha256-b)',
    ])
  })

  it('ignores verdicts where quarantine is off', () => {
    const policy = policyOf({ enforce: 'standard', quarantine: 'off' })
    assert.ok(isPlainAllowance(judge({ request: podRequest(using('bad')), policy, findFlagged })))
  })

  it('denies by quarantine alone', () => {
    const policy = policyOf({ quarantine: 'enforce' })
    assert.ok(denied(judge({ request: podRequest(using('bad')), policy, findFlagged })))
    assert.ok(isPlainAllowance(judge({ request: podRequest(BAD), policy, findFlagged })))
  })

  it('lets an update pass that adds no flagged image, with a warning, and denies one that does', () => {
    const scaled = updateDeployment(['bad:1', 'nginx:2'], ['bad:1', 'nginx:1'])
    assert.ok(scaled.allowed)
    assert.deepEqual(scaled.warnings, [
      'drawbridge: Deployment "shop" goes on using a flagged image (new pods with it are denied): spec.template.spec.containers[0].image: bad:1 is denied in shop (verdict sha256-b)',
    ])
    assert.ok(denied(updateDeployment(['bad:2'], ['bad:1'])))
    assert.ok(denied(updateDeployment(['bad:1'], ['nginx'])))
  })
})

describe('judge: mirror pods', () => {
  const mirror = { ...BAD, metadata: { name: 'web', annotations: { 'kubernetes.io/config.mirror': 'x' } } }
  const node = { username: 'system:node:a', groups: ['system:nodes'] }

  it('denies as upstream and says that it cannot be prevented', () => {
    const judgement = judge({ request: podRequest(mirror, { userInfo: node }), policy: STANDARD })
    assert.ok(denied(judgement))
    assert.equal(judgement.cannotBePrevented, true)
    assert.match(judgement.message, /\nnote: a mirror pod cannot be prevented; its node runs it anyway$/u)
  })

  it('believes the annotation of nobody else', () => {
    const judgement = judge({ request: podRequest(mirror), policy: STANDARD })
    assert.ok(denied(judgement))
    assert.equal(judgement.cannotBePrevented, false)
    assert.doesNotMatch(judgement.message, /mirror/u)
  })
})

describe('judge: hostile input', () => {
  const malformed = { metadata: { name: 'web' }, spec: { containers: [{ name: 'web' }], hostPID: 'true' } }

  it('denies a pod that it cannot read with 400 and one line', () => {
    const judgement = judge({ request: podRequest(malformed), policy: BASELINE })
    assert.equal(judgement.allowed, false)
    assert.equal(judgement.code, 400)
    assert.equal(
      judgement.message,
      'drawbridge: pod "web" cannot be judged: spec.hostPID: wanted a boolean, found a string',
    )
  })

  it('denies a template that it cannot read, since its images cannot be read either', () => {
    const judgement = judge({ request: deploymentRequest(malformed), policy: BASELINE })
    assert.equal(
      judgement.message,
      'drawbridge: Deployment "shop" cannot be judged: spec.template.spec.hostPID: wanted a boolean, found a string',
    )
  })

  it('only warns where nothing is enforced', () => {
    const judgement = judge({ request: podRequest(malformed), policy: policyOf({ warn: 'baseline' }) })
    assert.ok(judgement.allowed)
    assert.deepEqual(judgement.warnings, [
      'drawbridge: pod "web" cannot be judged: spec.hostPID: wanted a boolean, found a string',
    ])
  })

  it('never throws and never allows arbitrary JSON as a pod under restricted', () => {
    const policy = policyOf({ enforce: 'restricted' })
    const anything = fc.jsonValue()
    fc.assert(
      fc.property(anything, anything, anything, (object, spec, container) => {
        const objects = [
          object,
          { metadata: {}, spec },
          { metadata: {}, spec: { containers: spec } },
          { metadata: {}, spec: { containers: [container] } },
          { metadata: {}, spec: { containers: [{ name: 'a', securityContext: container }] } },
        ]
        for (const candidate of objects) {
          const judgement = judge({ request: podRequest(candidate), policy, findFlagged })
          assert.equal(judgement.allowed, false)
          assert.ok(judgement.message.length > 0 && judgement.message.length <= 1024)
          judge({ request: podRequest(candidate, { operation: 'UPDATE', oldObject: object }), policy, findFlagged })
          judge({ request: deploymentRequest(candidate), policy, findFlagged })
        }
      }),
    )
  })

  it('is not fooled by __proto__ keys', () => {
    const object = JSON.parse(
      '{"metadata":{},"spec":{"__proto__":{"securityContext":{"runAsNonRoot":true}},"containers":[{"name":"a","__proto__":{"image":"x"}}]}}',
    ) as unknown
    assert.ok(denied(judge({ request: podRequest(object), policy: STANDARD })))
  })

  it('judges 1,000 containers in one short answer', () => {
    const containers = Array.from({ length: 1000 }, (_, index) => ({ name: `c${index}`, image: `bad:${index}` }))
    const judgement = judge({
      request: podRequest({ metadata: {}, spec: { containers } }),
      policy: STANDARD,
      findFlagged,
    })
    assert.ok(denied(judgement))
    assert.ok(judgement.message.length <= 1024)
    assert.equal(judgement.flagged.length, 1000)
    assert.match(judgement.message, /\n- and 99\d more\n/u)
  })
})
