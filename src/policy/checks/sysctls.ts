import type { Check, CheckFunction } from '../types.ts'
import { inPod } from '../checkHelpers.ts'

/*
 * Only sysctls that are namespaced and cannot harm other pods are allowed.
 *
 * Restricted fields: spec.securityContext.sysctls[*].name
 * Allowed values: kernel.shm_rmid_forced, net.ipv4.ip_local_port_range, net.ipv4.tcp_syncookies, net.ipv4.ping_group_range,
 * net.ipv4.ip_unprivileged_port_start; since 1.27 net.ipv4.ip_local_reserved_ports; since 1.29 net.ipv4.tcp_keepalive_time,
 * net.ipv4.tcp_fin_timeout, net.ipv4.tcp_keepalive_intvl, net.ipv4.tcp_keepalive_probes; since 1.32 net.ipv4.tcp_rmem,
 * net.ipv4.tcp_wmem; since 1.37 net.ipv4.tcp_slow_start_after_idle, net.ipv4.tcp_notsent_lowat
 *
 * Source: kubernetes/pod-security-admission:policy/check_sysctls.go
 */

const ALLOWED_1_0 = [
  'kernel.shm_rmid_forced',
  'net.ipv4.ip_local_port_range',
  'net.ipv4.tcp_syncookies',
  'net.ipv4.ping_group_range',
  'net.ipv4.ip_unprivileged_port_start',
]
const ALLOWED_1_27 = [...ALLOWED_1_0, 'net.ipv4.ip_local_reserved_ports']
const ALLOWED_1_29 = [
  ...ALLOWED_1_27,
  'net.ipv4.tcp_keepalive_time',
  'net.ipv4.tcp_fin_timeout',
  'net.ipv4.tcp_keepalive_intvl',
  'net.ipv4.tcp_keepalive_probes',
]
const ALLOWED_1_32 = [...ALLOWED_1_29, 'net.ipv4.tcp_rmem', 'net.ipv4.tcp_wmem']
const ALLOWED_1_37 = [...ALLOWED_1_32, 'net.ipv4.tcp_slow_start_after_idle', 'net.ipv4.tcp_notsent_lowat']

const RULE = {
  check: 'sysctls',
  reason: 'forbidden sysctls',
  required: 'a safe sysctl of this version',
  fix: 'remove it',
}

const onlyAllowed = (names: readonly string[]): CheckFunction => {
  const allowed = new Set(names)
  return (_metadata, spec) =>
    inPod(
      RULE,
      (spec.securityContext?.sysctls ?? []).flatMap(({ name }, index) =>
        allowed.has(name) ? [] : [{ path: `spec.securityContext.sysctls[${index}].name`, found: name }],
      ),
    )
}

export const sysctls: Check = {
  id: 'sysctls',
  profiles: ['baseline', 'standard', 'restricted'],
  versions: [
    { since: 0, check: onlyAllowed(ALLOWED_1_0) },
    { since: 27, check: onlyAllowed(ALLOWED_1_27) },
    { since: 29, check: onlyAllowed(ALLOWED_1_29) },
    { since: 32, check: onlyAllowed(ALLOWED_1_32) },
    { since: 37, check: onlyAllowed(ALLOWED_1_37) },
  ],
}
