import { inPod, NOT_SET } from '../checkHelpers.ts'
import type { ProfileCheck } from '../profileCheck.ts'

/*
 * Pods must not be given the token of their service account.
 *
 * Restricted fields: spec.automountServiceAccountToken
 * Allowed values: false. The service account may say false as well, but is not seen here: the pod must say it.
 *
 * Source: Drawbridge's own (AdmissionProfile).
 */

const ID = 'serviceAccountToken'
const RULE = { check: ID, reason: 'service account token', required: 'false', fix: 'set it to false' }

export const serviceAccountToken: ProfileCheck = {
  id: ID,
  create: ({ automountServiceAccountToken }) =>
    automountServiceAccountToken === false
      ? (_metadata, spec) => {
          const value = spec.automountServiceAccountToken
          return inPod(
            RULE,
            value === false
              ? []
              : [{ path: 'spec.automountServiceAccountToken', found: value === true ? 'true' : NOT_SET }],
          )
        }
      : undefined,
}
