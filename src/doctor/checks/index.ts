/** Every check of a cluster, in the order in which things depend on each other. One file each. */
import type { Check } from '../types.ts'
import { brake } from './brake.ts'
import { caBundle } from './caBundle.ts'
import { crds } from './crds.ts'
import { exceptions } from './exceptions.ts'
import { guards } from './guards.ts'
import { kubernetes } from './kubernetes.ts'
import { namespaces } from './namespaces.ts'
import { reachable } from './reachable.ts'
import { replicas } from './replicas.ts'
import { rights } from './rights.ts'
import { seccomp } from './seccomp.ts'
import { secrets } from './secrets.ts'
import { sensors } from './sensors.ts'
import { verdicts } from './verdicts.ts'
import { webhooks } from './webhooks.ts'

export const CHECKS: readonly Check[] = [
  kubernetes,
  crds,
  webhooks,
  caBundle,
  reachable,
  replicas,
  guards,
  rights,
  secrets,
  sensors,
  namespaces,
  seccomp,
  brake,
  verdicts,
  exceptions,
]
