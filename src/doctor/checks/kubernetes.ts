/** Is the cluster new enough? ValidatingAdmissionPolicy, which guards the opt-in, is generally available since 1.30. */
import { at, ok, problem, unknown } from '../text.ts'
import type { Check } from '../types.ts'

const OLDEST = 30

export const kubernetes: Check = {
  id: 'kubernetes',
  async run({ reader }) {
    const reading = await reader.get('/version')
    if (reading.kind !== 'found')
      return [unknown(`the version is not known: ${reading.kind === 'absent' ? 'not told' : reading.why}`)]
    const minor = Number.parseInt(String(at(reading.object, 'minor')), 10)
    const version = String(at(reading.object, 'gitVersion'))
    return minor >= OLDEST
      ? [ok(`Kubernetes ${version}`)]
      : [problem(`Kubernetes ${version}; Drawbridge needs 1.${OLDEST} or newer`, 'upgrade the cluster')]
  },
}
