import type { ProfileCheck } from '../profileCheck.ts'
import type { Check } from '../types.ts'
import { allowPrivilegeEscalation } from './allowPrivilegeEscalation.ts'
import { allowedHostPaths } from './allowedHostPaths.ts'
import { allowedRegistries } from './allowedRegistries.ts'
import { appArmorProfile } from './appArmorProfile.ts'
import { capabilities_baseline } from './capabilities_baseline.ts'
import { capabilities_restricted } from './capabilities_restricted.ts'
import { hostNamespaces } from './hostNamespaces.ts'
import { hostPathVolumes } from './hostPathVolumes.ts'
import { hostPorts } from './hostPorts.ts'
import { hostProbesAndHostLifecycle } from './hostProbesAndHostLifecycle.ts'
import { imageDigest } from './imageDigest.ts'
import { latestTag } from './latestTag.ts'
import { privileged } from './privileged.ts'
import { procMount } from './procMount.ts'
import { procMount_restricted } from './procMount_restricted.ts'
import { readOnlyRootFilesystem } from './readOnlyRootFilesystem.ts'
import { restrictedVolumes } from './restrictedVolumes.ts'
import { runAsGroupRange } from './runAsGroupRange.ts'
import { runAsNonRoot } from './runAsNonRoot.ts'
import { runAsNonRoot_standard } from './runAsNonRoot_standard.ts'
import { runAsUser } from './runAsUser.ts'
import { runAsUserRange } from './runAsUserRange.ts'
import { seLinuxOptions } from './seLinuxOptions.ts'
import { seccompProfile_baseline } from './seccompProfile_baseline.ts'
import { seccompProfile_restricted } from './seccompProfile_restricted.ts'
import { seccompProfile_standard } from './seccompProfile_standard.ts'
import { serviceAccountToken } from './serviceAccountToken.ts'
import { sysctls } from './sysctls.ts'
import { windowsHostProcess } from './windowsHostProcess.ts'

/** Every check. A new one is: its file, its fixtures, its line here. The order does not matter: the registry sorts by ID. */
export const CHECKS: readonly Check[] = [
  allowPrivilegeEscalation,
  appArmorProfile,
  capabilities_baseline,
  capabilities_restricted,
  hostNamespaces,
  hostPathVolumes,
  hostPorts,
  hostProbesAndHostLifecycle,
  privileged,
  procMount,
  procMount_restricted,
  restrictedVolumes,
  runAsNonRoot,
  runAsNonRoot_standard,
  runAsUser,
  seLinuxOptions,
  seccompProfile_baseline,
  seccompProfile_restricted,
  seccompProfile_standard,
  sysctls,
  windowsHostProcess,
]

/** The checks that run only where an AdmissionProfile asks for them. A new one is: its file, its fixtures, its line here. */
export const PROFILE_CHECKS: readonly ProfileCheck[] = [
  allowedHostPaths,
  allowedRegistries,
  imageDigest,
  latestTag,
  readOnlyRootFilesystem,
  runAsGroupRange,
  runAsUserRange,
  serviceAccountToken,
]

/** The ID of every check there is, sorted: what exceptions may name. */
export const CHECK_IDS: readonly string[] = [...CHECKS, ...PROFILE_CHECKS].map(({ id }) => id).sort()
