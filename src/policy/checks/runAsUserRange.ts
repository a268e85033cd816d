import { idsInRanges } from '../idRange.ts'
import type { ProfileCheck } from '../profileCheck.ts'

/*
 * Every container must run as a user of the profile's ranges, and say so: what an image would choose is not known here.
 *
 * Restricted fields: spec.securityContext.runAsUser,
 * spec.{containers,initContainers,ephemeralContainers}[*].securityContext.runAsUser
 * Allowed values: those in `runAsUser` of the profile; undefined in a container if the pod's is in them; Windows pods need not set one
 *
 * Source: Drawbridge's own (AdmissionProfile).
 */

export const runAsUserRange: ProfileCheck = {
  id: 'runAsUserRange',
  create: ({ runAsUser }) => runAsUser && idsInRanges('runAsUserRange', 'runAsUser', runAsUser),
}
