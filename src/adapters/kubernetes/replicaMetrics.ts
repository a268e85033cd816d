/** The metrics of every replica, asked through the API server: whoever asks needs no road into the pod network, and no token of Drawbridge's. */
import { parseMetrics } from '../../doctor/metrics.ts'
import type { Replica } from '../../doctor/types.ts'
import { KubernetesError } from './client.ts'
import type { KubernetesClient } from './client.ts'

const TIMEOUT_MILLISECONDS = 10_000
const ADMIN_PORT = 8445
const MAX_PODS = 50

interface Pod {
  readonly metadata: { readonly name: string }
  readonly status?: { readonly phase?: string }
}

const why = (error: unknown, what: string): string =>
  error instanceof KubernetesError && error.status === 403
    ? `needs the right to ${what}`
    : error instanceof Error
      ? error.message
      : String(error)

/** One entry for each pod of the installation that runs, or one that says why there is none. Never rejects. */
export async function readReplicaMetrics(
  client: Pick<KubernetesClient, 'request' | 'requestText'>,
  namespace: string,
): Promise<readonly Replica[]> {
  const pods = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods`
  let items: readonly Pod[]
  try {
    const list = (await client.request('GET', pods, {
      // Others may run pods there too, and label them: these run under Drawbridge's own account.
      query: {
        labelSelector: 'app.kubernetes.io/name=drawbridge',
        fieldSelector: 'spec.serviceAccountName=drawbridge,status.phase=Running',
        limit: String(MAX_PODS),
      },
      timeoutMs: TIMEOUT_MILLISECONDS,
    })) as { readonly items?: readonly Pod[] }
    items = list.items ?? []
  } catch (error) {
    return [{ name: `the replicas in ${namespace}`, why: why(error, `list pods in ${namespace}`) }]
  }
  const running = items.filter(({ status }) => status?.phase === 'Running')
  return Promise.all(
    running.map(async ({ metadata: { name } }): Promise<Replica> => {
      try {
        const path = `${pods}/https:${name}:${ADMIN_PORT}/proxy/metrics`
        return { name, metrics: parseMetrics(await client.requestText(path, TIMEOUT_MILLISECONDS)) }
      } catch (error) {
        return { name, why: why(error, `get pods/proxy in ${namespace}`) }
      }
    }),
  )
}
