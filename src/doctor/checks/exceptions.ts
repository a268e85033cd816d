/** Which exceptions end soon, or grant nothing? */
import { time } from '../../cli/io.ts'
import { GROUP, VERSION } from '../../kube/names.ts'
import { isExpired, readAdmissionException } from '../../policy/exceptions.ts'
import { count, nameIn, ok, some, unknown, warning, word } from '../text.ts'
import type { Check } from '../types.ts'

const WEEK = 7 * 86_400_000

export const exceptions: Check = {
  id: 'exceptions',
  async run({ reader, now }) {
    const list = await reader.list(`/apis/${GROUP}/${VERSION}/admissionexceptions`)
    if (list.kind !== 'found')
      return [
        unknown(`exceptions: ${list.kind === 'absent' ? 'the API server knows no AdmissionException' : list.why}`),
      ]
    const read = list.items.map((item) => ({ name: nameIn(item), ...readAdmissionException(item) }))
    const malformed = read.filter(({ problem }) => problem !== undefined)
    const ending = read.flatMap(({ name, exception }) =>
      exception !== undefined && !isExpired(exception, now) && exception.expiresAt - now < WEEK
        ? [{ name, at: exception.expiresAt }]
        : [],
    )
    const expired = read.filter(({ exception }) => exception !== undefined && isExpired(exception, now)).length
    const found = [
      ...malformed.map(({ name, problem }) =>
        warning(
          `exception ${name} cannot be read and grants nothing: ${problem}`,
          `kubectl edit admissionexception ${word(name)}`,
        ),
      ),
      ...(ending.length > 0
        ? [
            warning(
              `${count(ending.length, 'exception')} ${ending.length === 1 ? 'ends' : 'end'} within a week: ${some(ending.sort((a, b) => a.at - b.at).map((one) => `${one.name} ${time(one.at)}`))}`,
              `repair what it excuses, or grant it anew: kubectl edit admissionexception ${word(ending[0]!.name)}`,
            ),
          ]
        : []),
    ]
    return found.length > 0 ? found : [ok(`${count(read.length, 'exception')}, ${expired} expired`)]
  },
}
