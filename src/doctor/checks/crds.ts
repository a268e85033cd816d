/** Are our kinds of objects there, served, and of this version? */
import { load } from 'js-yaml'
import { specDifferences } from '../../../manifests/differences.ts'
import { readCrds } from '../../../manifests/render.ts'
import { at, ok, problem, unknown } from '../text.ts'
import type { Check, Finding } from '../types.ts'

interface Definition {
  readonly kind: string
  readonly metadata: { readonly name: string }
}

/** Applied as one file each: `kubectl apply -f` of the folder. */
const TODO = 'kubectl apply -f manifests/crds/'

export const crds: Check = {
  id: 'crds',
  async run({ reader, kind, repair }) {
    const todo = kind === 'helm' ? repair : TODO
    const wanted = readCrds().map((text) => load(text) as Definition)
    const findings = await Promise.all(
      wanted.map(async (definition): Promise<Finding | undefined> => {
        const { name } = definition.metadata
        const reading = await reader.get(`/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${name}`)
        if (reading.kind === 'unreadable') return unknown(`${name}: ${reading.why}`)
        if (reading.kind === 'absent') return problem(`the CustomResourceDefinition ${name} is not installed`, todo)
        const conditions = at(reading.object, 'status', 'conditions')
        const isServed =
          Array.isArray(conditions) &&
          conditions.some((one) => at(one, 'type') === 'Established' && at(one, 'status') === 'True')
        if (!isServed) return problem(`the API server does not serve ${name}`, `kubectl describe crd ${name}`)
        const differing = specDifferences(definition, reading.object).filter(
          ({ field }) => field !== 'names' && field !== 'conversion',
        )
        return differing.length === 0
          ? undefined
          : problem(
              `the CustomResourceDefinition ${name} is of another version: ${differing.map(({ field }) => field).join(', ')} differ`,
              todo,
            )
      }),
    )
    const found = findings.filter((finding) => finding !== undefined)
    return found.length > 0 ? found : [ok(`${wanted.length} CustomResourceDefinitions of this version`)]
  },
}
