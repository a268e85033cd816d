import type { KubernetesClient } from './client.ts'

/** The minor version of the cluster (35 for 1.35); undefined where it says none. */
export async function readMinor(client: KubernetesClient): Promise<number | undefined> {
  const { minor } = (await client.request('GET', '/version')) as { readonly minor?: unknown }
  // Some providers append a plus sign.
  const number = typeof minor === 'string' ? Number.parseInt(minor, 10) : Number.NaN
  return Number.isInteger(number) ? number : undefined
}
