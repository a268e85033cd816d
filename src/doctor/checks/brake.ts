/** Does somebody hold the brake, and since when? */
import { readMode } from '../../verdicts/brake.ts'
import { at, ok, problem, textAt, unknown, warning, word } from '../text.ts'
import type { Check } from '../types.ts'

/** When the key was last written: by whoever owns it, else with the object. */
function since(object: unknown): string {
  const fields = at(object, 'metadata', 'managedFields')
  const owner = Array.isArray(fields)
    ? fields.find((one) => at(one, 'fieldsV1', 'f:data', 'f:quarantine') !== undefined)
    : undefined
  return textAt(owner, 'time') ?? textAt(object, 'metadata', 'creationTimestamp') ?? 'an unknown time'
}

export const brake: Check = {
  id: 'brake',
  async run({ reader, namespace }) {
    const reading = await reader.get(`/api/v1/namespaces/${encodeURIComponent(namespace)}/configmaps/drawbridge`)
    if (reading.kind === 'unreadable') return [unknown(`the brake (ConfigMap drawbridge): ${reading.why}`)]
    const value = reading.kind === 'found' ? at(reading.object, 'data', 'quarantine') : undefined
    if (value === undefined || value === '') return [ok('the brake is not set')]
    const release = `kubectl -n ${word(namespace)} delete configmap drawbridge`
    const mode = readMode(value)
    const object = reading.kind === 'found' ? reading.object : undefined
    if (mode === undefined)
      return [
        problem(
          `the brake says ${JSON.stringify(value).slice(0, 40)}, which is none of enforce, warn, off: enforce holds`,
          release,
        ),
      ]
    return mode === 'enforce'
      ? [ok('the brake says enforce')]
      : [warning(`the brake is on (${mode}): no verdict denies, since ${since(object)}`, release)]
  },
}
