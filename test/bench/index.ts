/** Every measurement, in the order in which they run. */
import { admissionUnderAlerts } from './admissionUnderAlerts.ts'
import { alertsCluster } from './alertsCluster.ts'
import { alertsDurable } from './alertsDurable.ts'
import { alertsInMemory } from './alertsInMemory.ts'
import { alertsMemory } from './alertsMemory.ts'
import { apiServer } from './apiServer.ts'
import { compute } from './compute.ts'
import { directoryMemory } from './directoryMemory.ts'
import { endpoint } from './endpoint.ts'
import { idle } from './idle.ts'
import { peersBeside } from './peersBeside.ts'
import type { Measurement } from './types.ts'
import { verdictLookup } from './verdictLookup.ts'

export const measurements: readonly Measurement[] = [
  compute,
  endpoint,
  peersBeside,
  verdictLookup,
  idle,
  apiServer,
  directoryMemory,
  alertsInMemory,
  alertsDurable,
  alertsCluster,
  admissionUnderAlerts,
  alertsMemory,
]
