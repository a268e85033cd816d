/** An installation as it should be, made from the code itself, which tests then spoil. */
import { load } from 'js-yaml'
import { createAuthority, issueLeaf } from '../../certs/authority.ts'
import { guardObjects } from '../../manifests/guard.ts'
import { readCrds } from '../../manifests/render.ts'
import { safetyNetObjects } from '../../manifests/safetyNet.ts'
import { verdictGuardObjects } from '../../manifests/verdictGuard.ts'
import { webhookConfigurations } from '../../manifests/webhooks.ts'
import { parseMetrics } from '../../src/doctor/metrics.ts'
import { doctor } from '../../src/doctor/doctor.ts'
import type { ClusterReader, LocalServer, Replica } from '../../src/doctor/types.ts'
import type { CliIo } from '../../src/cli/io.ts'

// oxlint-disable-next-line typescript/no-explicit-any
export type Objects = Map<string, any>

export const NOW = Date.parse('2026-11-22T12:00:00Z')
export const REGISTRATION = '/apis/admissionregistration.k8s.io/v1'
export const VALIDATING = `${REGISTRATION}/validatingwebhookconfigurations/drawbridge`
const OWN = '/api/v1/namespaces/drawbridge'

const authority = await createAuthority(NOW)
const leaf = await issueLeaf(authority, ['drawbridge.drawbridge.svc'], NOW)
export const otherAuthority = await createAuthority(NOW)
export const base64 = (text: string): string => Buffer.from(text).toString('base64')

export const METRICS = `
drawbridge_build_info{version="1.0",node="24"} 1
process_start_time_seconds ${NOW / 1000 - 7200}
drawbridge_ca_bundle_trusted 1
drawbridge_certificate_expiry_seconds{certificate="leaf"} 31535999
drawbridge_certificate_expiry_seconds{certificate="authority"} 315359999
drawbridge_last_alert_timestamp_seconds{source="falco"} ${NOW / 1000 - 180}
`
export const REFUSED = 'admission webhook "profiles.drawbridge.dev" denied the request: drawbridge: AdmissionProfile'

/** Everything by the path that it is read from; lists by the path of the list. */
export function healthy(): Objects {
  const objects: Objects = new Map()
  objects.set('/version', { minor: '35', gitVersion: 'v1.35.4' })
  for (const text of readCrds()) {
    const crd = load(text) as { metadata: { name: string } }
    objects.set(`/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${crd.metadata.name}`, {
      ...crd,
      status: { conditions: [{ type: 'Established', status: 'True' }] },
    })
  }
  const configurations = webhookConfigurations({
    endpoint: { service: { namespace: 'drawbridge', name: 'drawbridge' } },
    caBundle: authority.certificate,
    ownNamespace: 'drawbridge',
    scope: 'namespaces',
  })
  for (const configuration of structuredClone(configurations)) {
    const resource = `${configuration.kind.toLowerCase()}s`
    objects.set(`${REGISTRATION}/${resource}/drawbridge`, configuration)
    objects.set(`${REGISTRATION}/${resource}`, [configuration])
  }
  const paths: Record<string, string> = {
    ValidatingAdmissionPolicy: `${REGISTRATION}/validatingadmissionpolicies`,
    ValidatingAdmissionPolicyBinding: `${REGISTRATION}/validatingadmissionpolicybindings`,
    ClusterRole: '/apis/rbac.authorization.k8s.io/v1/clusterroles',
  }
  for (const object of [
    ...guardObjects({ ownNamespace: 'drawbridge' }),
    ...verdictGuardObjects({ ownNamespace: 'drawbridge' }),
    ...safetyNetObjects({ ownNamespace: 'drawbridge', scope: 'namespaces' }),
  ])
    objects.set(`${paths[object.kind]}/${object.metadata.name}`, structuredClone(object))
  objects.set('/apis/apps/v1/namespaces/drawbridge/deployments/drawbridge', {
    kind: 'Deployment',
    metadata: { name: 'drawbridge', annotations: { 'meta.helm.sh/release-name': 'drawbridge' } },
    spec: { replicas: 2 },
    status: { readyReplicas: 2 },
  })
  objects.set('/apis/policy/v1/namespaces/drawbridge/poddisruptionbudgets/drawbridge', {})
  objects.set(`${OWN}/secrets/drawbridge-tokens`, { data: { 'alert-token': 'eA==', 'admin-token': 'eA==' } })
  objects.set(`${OWN}/secrets/drawbridge-tls`, {
    data: { 'tls.crt': base64(leaf.certificate), 'tls.key': 'c2VjcmV0', 'ca.crt': base64(authority.certificate) },
  })
  objects.set('/api/v1/namespaces', [
    { metadata: { name: 'shop', labels: { 'drawbridge.dev/enforce': 'standard' } } },
    { metadata: { name: 'kube-system', labels: {} } },
  ])
  for (const kind of ['admissionprofiles', 'imageverdicts', 'admissionexceptions'])
    objects.set(`/apis/drawbridge.dev/v1alpha1/${kind}`, [])
  return objects
}

export interface Spoiled {
  readonly objects?: ((objects: Objects) => void) | undefined
  /** Paths that may not be read. */
  readonly forbidden?: readonly string[] | undefined
  readonly dryRun?: { readonly status: number; readonly message: string } | undefined
  readonly mayDo?: ClusterReader['mayDo'] | undefined
  readonly replicas?: readonly Replica[] | undefined
  readonly local?: LocalServer | undefined
  /** Of the program. */
  readonly version?: string | undefined
}

/** Runs doctor on a spoiled installation. `lines`: what is not ok, as `LEVEL check: found > todo`. */
export async function examine(spoiled: Spoiled = {}): Promise<{
  readonly code: number
  readonly lines: readonly string[]
  readonly text: string
  readonly all: readonly string[]
}> {
  const objects = healthy()
  spoiled.objects?.(objects)
  const isForbidden = (path: string): boolean => spoiled.forbidden?.some((one) => path.startsWith(one)) ?? false
  const forbidden = { kind: 'unreadable', why: 'needs the right to get it' } as const
  const reader: ClusterReader = {
    get: async (path) =>
      isForbidden(path)
        ? forbidden
        : objects.has(path)
          ? { kind: 'found', object: objects.get(path) }
          : { kind: 'absent' },
    list: async (path) =>
      isForbidden(path)
        ? forbidden
        : objects.has(path)
          ? { kind: 'found', items: objects.get(path) as unknown[] }
          : { kind: 'absent' },
    dryRun: async () => spoiled.dryRun ?? { status: 403, message: REFUSED },
    mayDo: spoiled.mayDo ?? (async () => true),
    whoAmI: async () => undefined,
    replicas: async () => spoiled.replicas ?? [{ name: 'drawbridge-a', metrics: parseMetrics(METRICS) }],
  }
  const run = async (output: 'text' | 'json') => {
    let out = ''
    const io: CliIo = {
      out: (text) => void (out += text),
      err: () => undefined,
      readStdin: () => Promise.reject(new Error('not read')),
      user: 'you',
      now: () => NOW,
    }
    const code = await doctor(
      { namespace: 'drawbridge', output, version: spoiled.version ?? '1.0' },
      { reader, local: spoiled.local },
      io,
    )
    return { code, out }
  }
  const { code, out } = await run('json')
  const { findings } = JSON.parse(out) as {
    findings: { check: string; level: string; found: string; todo?: string }[]
  }
  const all = findings.map(
    ({ check, level, found, todo }) => `${level} ${check}: ${found}${todo === undefined ? '' : ` > ${todo}`}`,
  )
  return { code, all, lines: all.filter((line) => !line.startsWith('ok ')), text: (await run('text')).out }
}

/** The installation that docs/operations.md shows. */
export const EXAMPLE: Spoiled = {
  objects: (all) => {
    all.get(VALIDATING).webhooks[0].failurePolicy = 'Ignore'
    all.get('/api/v1/namespaces').push({ metadata: { name: 'web', labels: { 'drawbridge.dev/enforse': 'baseline' } } })
    all.set('/api/v1/namespaces/drawbridge/configmaps/drawbridge', {
      metadata: { managedFields: [{ time: '2026-11-20T08:00:00Z', fieldsV1: { 'f:data': { 'f:quarantine': {} } } }] },
      data: { quarantine: 'warn' },
    })
  },
  forbidden: ['/api/v1/namespaces/drawbridge/secrets'],
  replicas: [
    { name: 'drawbridge-7d4b9c6f5-x2x8q', metrics: parseMetrics(METRICS.replaceAll('"1.0"', '"0.1.0"')) },
    { name: 'drawbridge-7d4b9c6f5-z9k4m', metrics: parseMetrics(METRICS.replaceAll('"1.0"', '"0.1.0"')) },
  ],
  version: '0.1.0',
}
