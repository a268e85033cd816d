import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { checkPodShape } from '../../src/kube/podShape.ts'

const web = { name: 'web', image: 'nginx' }

const shapeOf = (json: string, rootPath = ''): string | undefined => {
  const pod = JSON.parse(json) as { readonly metadata: unknown; readonly spec: unknown }
  return checkPodShape(pod.metadata, pod.spec, rootPath)
}
const withSpec = (spec: object): string => JSON.stringify({ metadata: {}, spec: { containers: [web], ...spec } })
const withContainer = (container: object): string => withSpec({ containers: [web, { ...web, ...container }] })

interface Place {
  readonly path: string
  readonly value: unknown
  readonly replace: (pod: object, value: unknown) => void
}

/** Every value below `root`, with the path that a message names. */
function placesIn(root: object): readonly Place[] {
  const walk = (value: unknown, path: string, steps: readonly string[]): readonly Place[] => {
    const isMap = /\.(labels|annotations)$/u.test(path)
    const own: Place = {
      path,
      value,
      replace: (pod, replacement) => {
        const holder = steps.slice(0, -1).reduce((at, step) => at[step] as Json, pod as Json)
        holder[steps.at(-1)!] = replacement
      },
    }
    if (typeof value !== 'object' || value === null) return [own]
    const inner = Object.entries(value).flatMap(([key, child]) => {
      const step = Array.isArray(value) ? `[${key}]` : isMap ? `["${key}"]` : path === '' ? key : `.${key}`
      return walk(child, `${path}${step}`, [...steps, key])
    })
    return path === '' ? inner : [own, ...inner]
  }
  return walk(root, '', [])
}

type Json = Record<string, unknown>

function everyOption(): object {
  return {
    seLinuxOptions: { user: 'a', role: 'a', type: 'a', level: 'a' },
    seccompProfile: { type: 'a', localhostProfile: 'a' },
    appArmorProfile: { type: 'a', localhostProfile: 'a' },
    windowsOptions: { hostProcess: true, runAsUserName: 'a' },
  }
}

function everyContainer(): object {
  const handler = { httpGet: { host: 'a' }, tcpSocket: { host: 'a' } }
  return {
    name: 'a',
    image: 'a',
    command: ['a'],
    args: ['a'],
    ports: [{ hostPort: 1, containerPort: 1 }],
    securityContext: {
      privileged: true,
      allowPrivilegeEscalation: true,
      capabilities: { add: ['a'], drop: ['a'] },
      procMount: 'a',
      readOnlyRootFilesystem: true,
      runAsNonRoot: true,
      runAsUser: 1,
      runAsGroup: 1,
      ...everyOption(),
    },
    livenessProbe: handler,
    readinessProbe: handler,
    startupProbe: handler,
    lifecycle: { postStart: handler, preStop: handler },
    restartPolicy: 'a',
    volumeMounts: [{ name: 'a', readOnly: true }],
  }
}

describe('checkPodShape', () => {
  const right: Readonly<Record<string, string>> = {
    minimal: withSpec({}),
    'unknown fields': withSpec({ tolerations: 7, future: { a: [] } }),
    'null fields': withSpec({
      securityContext: null,
      initContainers: null,
      volumes: null,
      hostPID: null,
      os: { name: null },
    }),
    'null fields in a container': withContainer({
      image: null,
      securityContext: { capabilities: null, runAsUser: null, seccompProfile: null },
      ports: null,
      lifecycle: { preStop: null },
    }),
    'null annotations': '{"metadata":{"annotations":{"a":null},"labels":null},"spec":{"containers":[{"name":"a"}]}}',
    'volumes of every type': withSpec({ volumes: [{ name: 'a', emptyDir: {}, csi: null }, { name: 'b' }] }),
    'an own __proto__ key': '{"metadata":{},"spec":{"__proto__":{"hostPID":"x"},"containers":[{"name":"a"}]}}',
  }
  for (const [name, json] of Object.entries(right)) {
    it(`accepts ${name}`, () => {
      assert.equal(shapeOf(json), undefined)
    })
  }

  const wrong: readonly (readonly [string, string, string])[] = [
    ['no spec', '{"metadata":{}}', 'spec: wanted an object, found nothing'],
    ['no metadata', '{"spec":{"containers":[{"name":"a"}]}}', 'metadata: wanted an object, found nothing'],
    ['a spec that is a list', '{"metadata":{},"spec":[]}', 'spec: wanted an object, found an empty list'],
    [
      'no containers',
      '{"metadata":{},"spec":{}}',
      'spec.containers: wanted a list with at least one element, found nothing',
    ],
    [
      'empty containers',
      '{"metadata":{},"spec":{"containers":[]}}',
      'spec.containers: wanted a list with at least one element, found an empty list',
    ],
    [
      'containers as an object',
      withSpec({ containers: { 0: web } }),
      'spec.containers: wanted a list, found an object',
    ],
    ['a null container', withSpec({ containers: [null] }), 'spec.containers[0]: wanted an object, found nothing'],
    ['a nameless container', withSpec({ containers: [{}] }), 'spec.containers[0].name: wanted a string, found nothing'],
    [
      'an image that is a number',
      withContainer({ image: 7 }),
      'spec.containers[1].image: wanted a string, found a number',
    ],
    ['hostPID as text', withSpec({ hostPID: 'true' }), 'spec.hostPID: wanted a boolean, found a string'],
    ['hostPID as number', withSpec({ hostPID: 1 }), 'spec.hostPID: wanted a boolean, found a number'],
    [
      'privileged as text',
      withContainer({ securityContext: { privileged: 'true' } }),
      'spec.containers[1].securityContext.privileged: wanted a boolean, found a string',
    ],
    [
      'a user as text',
      withSpec({ securityContext: { runAsUser: '0' } }),
      'spec.securityContext.runAsUser: wanted an integer, found a string',
    ],
    [
      'half a user',
      withSpec({ securityContext: { runAsUser: 0.5 } }),
      'spec.securityContext.runAsUser: wanted an integer, found a number',
    ],
    [
      'a security context that is a list',
      withContainer({ securityContext: [{ privileged: true }] }),
      'spec.containers[1].securityContext: wanted an object, found a list',
    ],
    [
      'capabilities as text',
      withContainer({ securityContext: { capabilities: { add: 'SYS_ADMIN' } } }),
      'spec.containers[1].securityContext.capabilities.add: wanted a list, found a string',
    ],
    [
      'a null capability',
      withContainer({ securityContext: { capabilities: { add: [null] } } }),
      'spec.containers[1].securityContext.capabilities.add[0]: wanted a string, found nothing',
    ],
    [
      'a volume type that is text',
      withSpec({ volumes: [{ name: 'a', emptyDir: 'x' }] }),
      'spec.volumes[0].emptyDir: wanted an object, found a string',
    ],
    [
      'a probe host that is an object',
      withContainer({ livenessProbe: { httpGet: { host: {} } } }),
      'spec.containers[1].livenessProbe.httpGet.host: wanted a string, found an object',
    ],
    [
      'an annotation that is an object, under a hostile key',
      '{"metadata":{"annotations":{"a\\n\\u202eb":{}}},"spec":{"containers":[{"name":"a"}]}}',
      'metadata.annotations["a\\u{a}\\u{202e}b"]: wanted a string, found an object',
    ],
  ]
  for (const [name, json, expected] of wrong) {
    it(`names ${name}`, () => {
      assert.equal(shapeOf(json), expected)
    })
  }

  /** Every field that the shape declares, with a value of its type. */
  const everything = {
    metadata: {
      name: 'a',
      generateName: 'a',
      namespace: 'a',
      uid: 'a',
      labels: { a: 'a' },
      annotations: { a: 'a' },
      ownerReferences: [{ apiVersion: 'a', kind: 'a', name: 'a', uid: 'a', controller: true }],
    },
    spec: {
      containers: [everyContainer()],
      initContainers: [everyContainer()],
      ephemeralContainers: [everyContainer()],
      volumes: [
        {
          name: 'a',
          hostPath: { path: 'a' },
          image: { reference: 'a' },
          projected: { sources: [{ serviceAccountToken: { audience: 'a' } }] },
        },
      ],
      securityContext: {
        runAsNonRoot: true,
        runAsUser: 1,
        runAsGroup: 1,
        fsGroup: 1,
        supplementalGroups: [1],
        ...everyOption(),
        sysctls: [{ name: 'a', value: 'a' }],
      },
      hostNetwork: true,
      hostPID: true,
      hostIPC: true,
      hostUsers: true,
      serviceAccountName: 'a',
      serviceAccount: 'a',
      automountServiceAccountToken: true,
      nodeName: 'a',
      os: { name: 'a' },
      runtimeClassName: 'a',
    },
  }
  for (const place of placesIn(everything)) {
    it(`looks at ${place.path}`, () => {
      // Not structuredClone: what stands in two places would stay one.
      const broken = JSON.parse(JSON.stringify(everything)) as typeof everything
      const kind = typeof place.value
      const wanted = Array.isArray(place.value)
        ? 'a list'
        : kind === 'object'
          ? 'an object'
          : kind === 'number'
            ? 'an integer'
            : `a ${kind}`
      place.replace(broken, kind === 'boolean' ? 7 : true)
      const found = kind === 'boolean' ? 'a number' : 'a boolean'
      assert.equal(checkPodShape(broken.metadata, broken.spec, ''), `${place.path}: wanted ${wanted}, found ${found}`)
    })
  }

  it('puts the place of a template before the path', () => {
    assert.equal(
      shapeOf(withSpec({ hostIPC: 0 }), 'spec.template'),
      'spec.template.spec.hostIPC: wanted a boolean, found a number',
    )
  })

  it('does not follow a value into unknown depth', () => {
    const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`
    assert.equal(shapeOf(`{"metadata":{},"spec":{"containers":[{"name":"a"}],"affinity":${deep}}}`), undefined)
    assert.equal(
      shapeOf(`{"metadata":{},"spec":{"containers":[{"name":"a"}],"hostPID":${deep}}}`),
      'spec.hostPID: wanted a boolean, found a list',
    )
  })

  it('never throws and answers in one short line, whatever the JSON', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (metadata, spec) => {
        const line = checkPodShape(metadata, spec, '')
        assert.ok(line === undefined || /^[\x20-\x7e]{1,260}$/u.test(line))
      }),
    )
  })
})
