/** Are tokens and certificates there? Only whether they are: what Secrets hold is never printed. */
import { at, objectOf, ok, problem, resourceOf, some, textAt, unknown, word } from '../text.ts'
import type { Check, Finding } from '../types.ts'

/** The Secret that the pods take their tokens from: its name is a value of the chart. */
function tokenSecret(workload: unknown): string {
  const volumes = at(workload, 'spec', 'template', 'spec', 'volumes')
  const volume = Array.isArray(volumes) ? volumes.find((one) => at(one, 'name') === 'tokens') : undefined
  return textAt(volume, 'secret', 'secretName') ?? 'drawbridge-tokens'
}

/** A mounted certificate that something else keeps; undefined: Drawbridge's own. */
function mountedSecret(workload: unknown): string | undefined {
  const volumes = at(workload, 'spec', 'template', 'spec', 'volumes')
  const volume = Array.isArray(volumes) ? volumes.find((one) => at(one, 'name') === 'tls') : undefined
  return textAt(volume, 'secret', 'secretName')
}

export const secrets: Check = {
  id: 'secrets',
  async run({ reader, namespace, workload, kind }) {
    if (kind === 'outside') return [ok('a server outside of the cluster keeps its tokens and keys in its data folder')]
    const object = objectOf(workload)
    const [tokens, mounted] = [tokenSecret(object), mountedSecret(object)]
    const where = word(namespace)
    const wanted = [
      {
        name: tokens,
        keys: ['alert-token', 'admin-token'],
        todo: `kubectl -n ${where} create secret generic ${word(tokens)} --from-literal=alert-token="$(openssl rand -hex 32)" --from-literal=admin-token="$(openssl rand -hex 32)"`,
      },
      mounted === undefined
        ? {
            name: 'drawbridge-tls',
            keys: ['tls.crt', 'tls.key', 'ca.crt'],
            todo: `kubectl -n ${where} rollout restart ${resourceOf(workload)} (it makes the Secret)`,
          }
        : { name: mounted, keys: ['tls.crt', 'tls.key', 'ca.crt'], todo: 'make the Secret (docs/certificates.md)' },
    ]
    const found = await Promise.all(
      wanted.map(async ({ name, keys, todo }): Promise<Finding | undefined> => {
        const reading = await reader.get(`/api/v1/namespaces/${encodeURIComponent(namespace)}/secrets/${name}`)
        if (reading.kind === 'unreadable') return unknown(`the Secret ${name}: ${reading.why}`)
        if (reading.kind === 'absent') return problem(`the Secret ${name} is missing`, todo)
        const missing = keys.filter((key) => !at(reading.object, 'data', key))
        return missing.length === 0 ? undefined : problem(`the Secret ${name} lacks ${some(missing)}`, todo)
      }),
    )
    const findings = found.filter((finding) => finding !== undefined)
    return findings.length > 0
      ? findings
      : [ok(`the Secrets ${wanted.map(({ name }) => name).join(' and ')} are there`)]
  },
}
