import type { Check, CheckFunction } from '../types.ts'
import { seccompAnnotations } from './seccompProfile_baseline.ts'
import { seccompMustBeSetOnLinux } from './seccompProfile_restricted.ts'

/*
 * Every container must run under a seccomp profile that filters. Pod Security's baseline allows none.
 *
 * Restricted fields: spec.securityContext.seccompProfile.type,
 * spec.{containers,initContainers,ephemeralContainers}[*].securityContext.seccompProfile.type
 * Allowed values: RuntimeDefault, Localhost (with a localhostProfile: CVE-2023-2431);
 * undefined in a container if the pod names a profile; Windows pods need not set one
 *
 * At every version: a cluster that runs Drawbridge has the fields, whatever version of the standards a label asks for. Below 1.19 the
 * annotations that seccompProfile_baseline reads are judged as well, since this check replaces it.
 *
 * Source: docs/design.md (profile standard); Drawbridge's own.
 */

const ID = 'seccompProfile_standard'

const annotations = seccompAnnotations(ID)
const seccompProfileStandard_1_19 = seccompMustBeSetOnLinux(ID)

const seccompProfileStandard_1_0: CheckFunction = (metadata, spec) => [
  ...seccompProfileStandard_1_19(metadata, spec),
  ...annotations(metadata, spec),
]

export const seccompProfile_standard: Check = {
  id: ID,
  profiles: ['standard'],
  versions: [
    { since: 0, check: seccompProfileStandard_1_0 },
    { since: 19, check: seccompProfileStandard_1_19 },
  ],
  replaces: ['seccompProfile_baseline'],
}
