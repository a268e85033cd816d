/** The two webhook configurations `drawbridge` as the API server holds them, for a comparison with what this version registers. */
import { CONFIGURATION_NAME } from './caBundles.ts'
import { KubernetesError } from './client.ts'
import type { KubernetesClient } from './client.ts'

const GROUP_PATH = '/apis/admissionregistration.k8s.io/v1'

/**
 * Both objects, unchecked; undefined: not there.
 *
 * @throws KubernetesError when they cannot be read
 */
export async function readWebhookConfigurations(
  client: Pick<KubernetesClient, 'request'>,
): Promise<{ readonly mutating: unknown; readonly validating: unknown }> {
  const read = async (resource: string): Promise<unknown> => {
    try {
      return await client.request('GET', `${GROUP_PATH}/${resource}/${CONFIGURATION_NAME}`)
    } catch (error) {
      if (error instanceof KubernetesError && error.status === 404) return undefined
      throw error
    }
  }
  const [mutating, validating] = await Promise.all([
    read('mutatingwebhookconfigurations'),
    read('validatingwebhookconfigurations'),
  ])
  return { mutating, validating }
}
