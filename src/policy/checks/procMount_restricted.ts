import type { Check } from '../types.ts'
import { onlyDefaultProcMount } from './procMount.ts'

/*
 * The runtime's masks over /proc must stay, in user namespaces too.
 *
 * Restricted fields: spec.{containers,initContainers,ephemeralContainers}[*].securityContext.procMount
 * Allowed values: Default, undefined
 *
 * Since 1.35, where the baseline check became weaker; before that version the baseline check says the same.
 *
 * Source: kubernetes/pod-security-admission:policy/check_procMount_restricted.go
 */

export const procMount_restricted: Check = {
  id: 'procMount_restricted',
  profiles: ['restricted'],
  versions: [{ since: 35, check: onlyDefaultProcMount('procMount_restricted') }],
  replaces: ['procMount'],
}
