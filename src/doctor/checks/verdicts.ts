/** Which verdicts wait for a person? */
import { GROUP, VERSION } from '../../kube/names.ts'
import { at, count, nameIn, ok, textAt, unknown, warning, word } from '../text.ts'
import type { Check } from '../types.ts'

const MOST = 5

export const verdicts: Check = {
  id: 'verdicts',
  async run({ reader }) {
    const list = await reader.list(`/apis/${GROUP}/${VERSION}/imageverdicts`)
    if (list.kind !== 'found')
      return [unknown(`verdicts: ${list.kind === 'absent' ? 'the API server knows no ImageVerdict' : list.why}`)]
    const inPhase = (phase: string) => list.items.filter((item) => at(item, 'status', 'phase') === phase)
    const pending = inPhase('pending')
    const shown = pending.slice(0, MOST).map((item) => {
      const name = nameIn(item)
      const image = textAt(item, 'status', 'references', 0) ?? textAt(item, 'status', 'digests', 0) ?? 'an image'
      return warning(
        `verdict ${name} of ${image} waits for a person: it warns and denies nothing`,
        `drawbridge verdicts show ${word(name)} --kubeconfig FILE, then confirm or release it (docs/runbook.md)`,
      )
    })
    return [
      ...shown,
      ...(pending.length > MOST
        ? [warning(`${pending.length - MOST} more verdicts wait for a person`, 'kubectl get imageverdicts')]
        : []),
      ...(pending.length === 0
        ? [ok(`${count(list.items.length, 'verdict')}, ${inPhase('denying').length} denying, none waits for a person`)]
        : []),
    ]
  },
}
