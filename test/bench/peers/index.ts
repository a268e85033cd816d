/** The webhooks that Drawbridge is measured beside, in the order in which they run. */
import { gatekeeper } from './gatekeeper.ts'
import { kyverno } from './kyverno.ts'
import type { Peer } from './peer.ts'
import { pepr } from './pepr.ts'
import { podSecurityAdmission } from './podSecurityAdmission.ts'

export const peers: readonly Peer[] = [podSecurityAdmission, pepr, kyverno, gatekeeper]
