/** Every measurement, in the order in which they run. */
import { admissionUnderAlerts } from './admissionUnderAlerts.ts'
import { alertsCluster } from './alertsCluster.ts'
import { alertsDurable } from './alertsDurable.ts'
import { alertsInMemory } from './alertsInMemory.ts'
import { alertsMemory } from './alertsMemory.ts'
import { directoryMemory } from './directoryMemory.ts'
import { endpoint } from './endpoint.ts'
import type { Measurement } from './types.ts'

export const measurements: readonly Measurement[] = [
  endpoint,
  directoryMemory,
  alertsInMemory,
  alertsDurable,
  alertsCluster,
  admissionUnderAlerts,
  alertsMemory,
]
