/** Reads once what several checks need, and works out how this Drawbridge was installed. */
import { liveEntries } from '../../manifests/differences.ts'
import type { LiveConfigurations } from '../../manifests/differences.ts'
import { serviceAccountUser } from '../../manifests/verdictGuard.ts'
import type { QuarantineScope } from '../kube/webhookEntries.ts'
import { at, objectOf, word } from './text.ts'
import type { ClusterReader, Installation, LocalServer, Reading } from './types.ts'

export const REGISTRATION = '/apis/admissionregistration.k8s.io/v1'

export interface DoctorOptions {
  readonly reader: ClusterReader
  readonly namespace: string
  readonly local?: LocalServer | undefined
  readonly now: number
  readonly version: string
}

async function readConfigurations(
  reader: ClusterReader,
): Promise<{ readonly configurations?: LiveConfigurations; readonly configurationsWhy: string }> {
  const [mutating, validating] = await Promise.all([
    reader.get(`${REGISTRATION}/mutatingwebhookconfigurations/drawbridge`),
    reader.get(`${REGISTRATION}/validatingwebhookconfigurations/drawbridge`),
  ])
  const unreadable = [mutating, validating].find((reading) => reading.kind === 'unreadable')
  if (unreadable?.kind === 'unreadable') return { configurationsWhy: unreadable.why }
  return {
    configurations: { mutating: objectOf(mutating), validating: objectOf(validating) },
    configurationsWhy: '',
  }
}

/** The user that the guard of verdicts lets write their status; undefined: there is no such guard, or it cannot be read. */
function userOfGuard(policy: Reading): string | undefined {
  const variables = at(objectOf(policy), 'spec', 'variables')
  if (!Array.isArray(variables)) return undefined
  const expression = variables
    .map((one) => String(at(one, 'expression')))
    .find((text) => text.startsWith('request.userInfo'))
  const literal = /^request\.userInfo\.username == (".*")$/.exec(expression ?? '')?.[1]
  try {
    return literal === undefined ? undefined : String(JSON.parse(literal))
  } catch {
    return undefined
  }
}

/** `drawbridge manifests` with the options that this installation was made with. */
function manifestsCommand(options: {
  readonly configurations: LiveConfigurations | undefined
  readonly namespace: string
  readonly user: string
  readonly podSecurityLabels: boolean
  readonly scope: QuarantineScope
  readonly local: LocalServer | undefined
}): string {
  const entries = options.configurations === undefined ? [] : liveEntries(options.configurations)
  const url = options.local?.webhook ?? entries.find(({ endpoint }) => endpoint.startsWith('https:'))?.endpoint
  return [
    'drawbridge manifests',
    `--url ${word(url ?? 'https://HOST:8443')}`,
    `--ca ${word(options.local?.ca ?? 'DATA/tls/ca.crt')}`,
    ...(options.namespace === 'drawbridge' ? [] : [`--namespace ${word(options.namespace)}`]),
    ...(options.user === serviceAccountUser(options.namespace) ? [] : [`--user ${word(options.user)}`]),
    ...(options.scope === 'cluster' ? ['--quarantine-scope cluster'] : []),
    ...(options.podSecurityLabels ? ['--pod-security-labels'] : []),
    '| kubectl apply -f -',
  ].join(' ')
}

/** Never rejects: what cannot be read is said by the checks. */
export async function readInstallation(options: DoctorOptions): Promise<Installation> {
  const { reader, namespace, local, now, version } = options
  const apps = `/apis/apps/v1/namespaces/${encodeURIComponent(namespace)}`
  const [registered, deployment, statefulSet, verdictGuard] = await Promise.all([
    readConfigurations(reader),
    reader.get(`${apps}/deployments/drawbridge`),
    reader.get(`${apps}/statefulsets/drawbridge`),
    reader.get(`${REGISTRATION}/validatingadmissionpolicies/drawbridge-verdicts`),
  ])
  const workload = deployment.kind === 'absent' ? statefulSet : deployment
  const entries = registered.configurations === undefined ? [] : liveEntries(registered.configurations)
  const user = userOfGuard(verdictGuard) ?? serviceAccountUser(namespace)
  const podSecurityLabels = entries.some(({ name }) => name.startsWith('pod-security-'))
  const scope = entries.some(({ name }) => name === 'verdicts-cluster.drawbridge.dev') ? 'cluster' : 'namespaces'
  const isOutside =
    local !== undefined ||
    (workload.kind === 'absent' && !entries.some(({ endpoint }) => endpoint.startsWith('service ')))
  const isHelm = typeof at(objectOf(workload), 'metadata', 'annotations', 'meta.helm.sh/release-name') === 'string'
  const kind = isOutside ? 'outside' : isHelm ? 'helm' : 'manifests'
  const replicas = local === undefined ? (isOutside ? [] : await reader.replicas(namespace)) : [local.replica]
  return {
    reader,
    namespace,
    user,
    kind,
    workload,
    ...registered,
    podSecurityLabels,
    scope,
    replicas,
    repair:
      kind === 'helm'
        ? `helm upgrade drawbridge manifests/chart --namespace ${word(namespace)} --reset-then-reuse-values`
        : kind === 'manifests'
          ? `sed 's|image: "drawbridge:|image: "YOUR-REGISTRY/drawbridge:|' manifests/install.yaml | kubectl apply -f -`
          : manifestsCommand({
              ...registered,
              configurations: registered.configurations,
              namespace,
              user,
              podSecurityLabels,
              scope,
              local,
            }),
    now,
    version,
  }
}
