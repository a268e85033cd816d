/** Whose token is this? Asked of the API server: it alone knows whether the pod that a token is bound to still exists. */
import type { KubernetesClient } from './client.ts'

/** Tokens for sensors are made for this audience: one that a pod has for the API server itself is refused here, and the other way round. */
export const AUDIENCE = 'drawbridge.dev'

const PATH = '/apis/authentication.k8s.io/v1/tokenreviews'
/** A sensor waits for the answer, and sends nothing else meanwhile. */
const TIMEOUT_MILLISECONDS = 5_000
/** In `extra` of tokens that are bound to a pod (Kubernetes 1.30) or a node. */
const NODE_NAME = 'authentication.kubernetes.io/node-name'

interface Status {
  readonly authenticated?: unknown
  readonly audiences?: unknown
  readonly user?: { readonly username?: unknown; readonly extra?: Readonly<Record<string, unknown>> }
}

/**
 * Returns the user of a token for our audience, and the node it is bound to; undefined when it is not valid.
 *
 * @throws KubernetesError when the API server cannot be asked
 */
export async function reviewToken(
  client: Pick<KubernetesClient, 'request'>,
  token: string,
): Promise<{ readonly username: string; readonly node?: string | undefined } | undefined> {
  const { status } = (await client.request('POST', PATH, {
    timeoutMs: TIMEOUT_MILLISECONDS,
    body: {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenReview',
      spec: { token, audiences: [AUDIENCE] },
    },
  })) as { readonly status?: Status }
  if (status?.authenticated !== true || typeof status.user?.username !== 'string') return undefined
  // An authenticator that knows nothing of audiences leaves them out: then the token was not made for us.
  if (!Array.isArray(status.audiences) || !status.audiences.includes(AUDIENCE)) return undefined
  const names = status.user.extra?.[NODE_NAME]
  const node: unknown = Array.isArray(names) && names.length === 1 ? names[0] : undefined
  return { username: status.user.username, node: typeof node === 'string' && node !== '' ? node : undefined }
}
