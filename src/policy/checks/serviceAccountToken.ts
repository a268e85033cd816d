import { inPod, NOT_SET } from '../checkHelpers.ts'
import type { Finding } from '../checkHelpers.ts'
import type { PodSpec } from '../../kube/types.ts'
import type { ProfileCheck } from '../profileCheck.ts'

/*
 * Pods must not be given a token of their service account with which the API server can be asked, neither by themselves nor as a volume.
 *
 * Restricted fields: spec.automountServiceAccountToken, spec.volumes[*].projected.sources[*].serviceAccountToken.audience
 * Allowed values: false. The service account may say false as well, but is not seen here: the pod must say it. Audiences other than the API
 * server's: such a token is for somebody else (a mesh, a cloud, a vault), and people who switch off the automatic one ask for it this way.
 *
 * Source: Drawbridge's own (AdmissionProfile).
 */

const ID = 'serviceAccountToken'
const REASON = 'service account token'
const AUTOMOUNT = { check: ID, reason: REASON, required: 'false', fix: 'set it to false' }
const PROJECTED = {
  check: ID,
  reason: REASON,
  required: "another's than the API server's",
  fix: 'remove the token, or name whom it is for',
}

/** How clusters name their API server unless told otherwise; what else one accepts (`--api-audiences`) is not seen here. */
const API_SERVER = /^(?:https?:\/\/)?kubernetes\.default(?:[.:/]|$)/u

const tokensForApiServer = ({ volumes }: PodSpec): readonly Finding[] =>
  (volumes ?? []).flatMap(({ projected }, volume) =>
    (projected?.sources ?? []).flatMap(({ serviceAccountToken: token }, source) => {
      if (token == null) return []
      // An absent audience is the API server.
      const audience = token.audience ?? ''
      return audience === '' || API_SERVER.test(audience)
        ? [
            {
              path: `spec.volumes[${volume}].projected.sources[${source}].serviceAccountToken.audience`,
              found: audience === '' ? NOT_SET : audience,
            },
          ]
        : []
    }),
  )

export const serviceAccountToken: ProfileCheck = {
  id: ID,
  create: ({ automountServiceAccountToken }) =>
    automountServiceAccountToken === false
      ? (_metadata, spec) => {
          const value = spec.automountServiceAccountToken
          // Where it is not false the API server has added its own volume by now: one finding is enough.
          return value === false
            ? inPod(PROJECTED, tokensForApiServer(spec))
            : inPod(AUTOMOUNT, [
                { path: 'spec.automountServiceAccountToken', found: value === true ? 'true' : NOT_SET },
              ])
        }
      : undefined,
}
