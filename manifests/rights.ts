/** The rights that Drawbridge itself needs, one by one, from manifests/rbac.yaml. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { loadAll } from 'js-yaml'
import { manifestsDirectory } from './render.ts'

/** One verb on one resource, as a SubjectAccessReview asks for it. */
export interface Right {
  readonly verb: string
  readonly group: string
  readonly resource: string
  readonly subresource?: string | undefined
  readonly name?: string | undefined
  /** Undefined: in the whole cluster. */
  readonly namespace?: string | undefined
}

interface Role {
  readonly kind: string
  readonly metadata: { readonly name: string }
  readonly rules?: readonly {
    readonly apiGroups: readonly string[]
    readonly resources: readonly string[]
    readonly resourceNames?: readonly string[]
    readonly verbs: readonly string[]
  }[]
}

/** @param namespace that Drawbridge runs in */
export function drawbridgeRights(namespace: string): readonly Right[] {
  const documents = loadAll(readFileSync(join(manifestsDirectory(), 'rbac.yaml'), 'utf8')) as readonly Role[]
  return documents
    .filter(({ kind, metadata }) => (kind === 'ClusterRole' || kind === 'Role') && metadata.name === 'drawbridge')
    .flatMap(({ kind, rules = [] }) =>
      rules.flatMap(({ apiGroups, resources, resourceNames = [undefined], verbs }) =>
        apiGroups.flatMap((group) =>
          resources.flatMap((full) =>
            resourceNames.flatMap((name) =>
              verbs.map((verb): Right => {
                const [resource = '', subresource] = full.split('/')
                return { verb, group, resource, subresource, name, namespace: kind === 'Role' ? namespace : undefined }
              }),
            ),
          ),
        ),
      ),
    )
}

/** As kubectl writes it: `patch secrets/drawbridge-tls in drawbridge`. */
export const rightText = ({ verb, group, resource, subresource, name, namespace }: Right): string =>
  [
    `${verb} ${resource}${group === '' ? '' : `.${group}`}${subresource === undefined ? '' : `/${subresource}`}`,
    ...(name === undefined ? [] : [`"${name}"`]),
    ...(namespace === undefined ? [] : [`in ${namespace}`]),
  ].join(' ')
