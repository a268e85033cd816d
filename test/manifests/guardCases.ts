/** Changes of a namespace's labels and who may make them: judged by the expressions' text here, and by the API server in test/cluster. */

/** Labels without their prefix; `ps:` stands for upstream's. */
export type Short = Readonly<Record<string, string>>

export const labelsOf = (short: Short): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(short).map(([key, value]) => [
      key.startsWith('ps:') ? `pod-security.kubernetes.io/${key.slice(3)}` : `drawbridge.dev/${key}`,
      value,
    ]),
  )

/** Who may: everybody who may change namespaces; those with `weaken` on baseline; those with `weaken` on everything. */
export type Needed = 'nothing' | 'baseline' | 'all'

export const USERS = ['guard-manager', 'guard-baseline', 'guard-weakener', 'guard-admin'] as const
export type User = (typeof USERS)[number]

export const ALLOWED: Readonly<Record<Needed, readonly User[]>> = {
  nothing: USERS,
  baseline: ['guard-baseline', 'guard-weakener', 'guard-admin'],
  all: ['guard-weakener', 'guard-admin'],
}

type Change = readonly [Short, Short, Needed]

export const UPDATES: readonly Change[] = [
  // Nothing honoured changes.
  [{}, {}, 'nothing'],
  [{ enforce: 'restricted', seccomp: 'off' }, { enforce: 'restricted', seccomp: 'off' }, 'nothing'],
  [{ enforce: 'restricted' }, { enforce: 'restricted', other: 'x' }, 'nothing'],
  // A first enforce label, in any shape.
  [{}, { enforce: 'baseline' }, 'nothing'],
  [{}, { enforce: 'my-profile' }, 'nothing'],
  [{}, { enforce: 'Privileged' }, 'nothing'],
  [{}, { enforce: 'baseline', 'enforce-version': 'v1.20', seccomp: 'localhost.web' }, 'nothing'],
  [{}, { enforce: 'privileged' }, 'all'],
  [{ warn: 'baseline' }, { warn: 'baseline', enforce: 'baseline' }, 'nothing'],
  // Raising and lowering.
  [{ enforce: 'privileged' }, { enforce: 'baseline' }, 'nothing'],
  [{ enforce: 'baseline' }, { enforce: 'standard' }, 'nothing'],
  [{ enforce: 'baseline' }, { enforce: 'restricted' }, 'nothing'],
  [{ enforce: 'standard' }, { enforce: 'restricted' }, 'nothing'],
  [
    { enforce: 'baseline', 'enforce-version': 'v1.20' },
    { enforce: 'restricted', 'enforce-version': 'v1.20' },
    'nothing',
  ],
  [{ enforce: 'baseline' }, { enforce: 'restricted', 'enforce-version': 'latest' }, 'nothing'],
  [{ enforce: 'baseline' }, { enforce: 'privileged' }, 'baseline'],
  [{ enforce: 'baseline' }, {}, 'baseline'],
  [{ enforce: 'restricted' }, { enforce: 'standard' }, 'all'],
  [{ enforce: 'standard' }, { enforce: 'baseline' }, 'all'],
  [{ enforce: 'restricted' }, {}, 'all'],
  // Names that cannot be compared.
  [{ enforce: 'baseline' }, { enforce: 'my-profile' }, 'baseline'],
  [{ enforce: 'my-profile' }, { enforce: 'restricted' }, 'all'],
  [{ enforce: 'my-profile' }, { enforce: 'other-profile' }, 'all'],
  [{ enforce: 'baseline' }, { enforce: 'Restricted' }, 'baseline'],
  [{ enforce: 'baseline' }, { enforce: 'restricted.x' }, 'baseline'],
  [{ enforce: 'baseline' }, { enforce: '' }, 'baseline'],
  [{ enforce: '' }, { enforce: 'restricted' }, 'all'],
  // Versions.
  [{ enforce: 'baseline' }, { enforce: 'baseline', 'enforce-version': 'latest' }, 'nothing'],
  [{ enforce: 'baseline' }, { enforce: 'baseline', 'enforce-version': 'v1.20' }, 'baseline'],
  [{ enforce: 'baseline' }, { enforce: 'restricted', 'enforce-version': 'v1.0' }, 'baseline'],
  [
    { enforce: 'baseline', 'enforce-version': 'v1.30' },
    { enforce: 'baseline', 'enforce-version': 'v1.29' },
    'baseline',
  ],
  [
    { enforce: 'baseline', 'enforce-version': 'v1.29' },
    { enforce: 'baseline', 'enforce-version': 'v1.30' },
    'baseline',
  ],
  [{ enforce: 'baseline', 'enforce-version': 'v1.29' }, { enforce: 'baseline' }, 'baseline'],
  [{ enforce: 'baseline', 'enforce-version': 'latest' }, { enforce: 'baseline' }, 'baseline'],
  [
    { enforce: 'baseline', 'enforce-version': 'V1.29' },
    { enforce: 'baseline', 'enforce-version': 'latest' },
    'baseline',
  ],
  [{ 'enforce-version': 'v1.0' }, { 'enforce-version': 'v1.30', enforce: 'baseline' }, 'nothing'],
  // Warn and audit.
  [{ enforce: 'baseline' }, { enforce: 'baseline', warn: 'restricted', audit: 'my-profile' }, 'nothing'],
  [{ warn: 'baseline' }, { warn: 'restricted' }, 'nothing'],
  [{ warn: 'restricted' }, { warn: 'baseline' }, 'all'],
  [{ audit: 'restricted' }, {}, 'all'],
  [{ enforce: 'baseline', audit: 'restricted' }, { enforce: 'baseline' }, 'baseline'],
  [{ warn: 'restricted' }, { warn: 'restricted', 'warn-version': 'v1.0' }, 'all'],
  [{ audit: 'restricted' }, { audit: 'restricted', 'audit-version': 'v1.0' }, 'all'],
  // Seccomp.
  [{ enforce: 'baseline' }, { enforce: 'baseline', seccomp: 'RuntimeDefault' }, 'nothing'],
  [{ enforce: 'baseline' }, { enforce: 'baseline', seccomp: 'off' }, 'baseline'],
  [{ enforce: 'baseline' }, { enforce: 'baseline', seccomp: 'localhost.loose' }, 'baseline'],
  [{ enforce: 'my-profile' }, { enforce: 'my-profile', seccomp: 'RuntimeDefault' }, 'all'],
  [{ enforce: 'baseline', seccomp: 'off' }, { enforce: 'baseline', seccomp: 'RuntimeDefault' }, 'nothing'],
  [{ enforce: 'baseline', seccomp: 'off' }, { enforce: 'baseline' }, 'baseline'],
  [{ enforce: 'baseline', seccomp: 'localhost.web' }, { enforce: 'baseline', seccomp: 'RuntimeDefault' }, 'baseline'],
  [{ enforce: 'baseline' }, { enforce: 'restricted', seccomp: 'off' }, 'baseline'],
  [{}, { seccomp: 'RuntimeDefault' }, 'nothing'],
  [{}, { seccomp: 'off' }, 'all'],
  // Quarantine.
  [{ enforce: 'baseline' }, { enforce: 'baseline', quarantine: 'enforce' }, 'nothing'],
  [{ enforce: 'baseline' }, { enforce: 'baseline', quarantine: 'warn' }, 'baseline'],
  [{ enforce: 'baseline' }, { enforce: 'baseline', quarantine: 'off' }, 'baseline'],
  [{ quarantine: 'off' }, { quarantine: 'warn' }, 'nothing'],
  [{ quarantine: 'warn' }, { quarantine: 'enforce' }, 'nothing'],
  [{ quarantine: 'enforce' }, { quarantine: 'warn' }, 'all'],
  [{ quarantine: 'enforce' }, { quarantine: 'Off' }, 'all'],
  [{ quarantine: 'Off' }, { quarantine: 'off' }, 'all'],
  [{ quarantine: 'enforce' }, {}, 'all'],
  [{}, { quarantine: 'warn' }, 'all'],
  // When down.
  [{ enforce: 'baseline' }, { enforce: 'baseline', 'when-down': 'deny' }, 'nothing'],
  [{ enforce: 'baseline', 'when-down': 'net' }, { enforce: 'baseline', 'when-down': 'deny' }, 'nothing'],
  [{ enforce: 'baseline', 'when-down': 'deny' }, { enforce: 'baseline', 'when-down': 'net' }, 'baseline'],
  [{ enforce: 'baseline' }, { enforce: 'baseline', 'when-down': 'net' }, 'baseline'],
  // Upstream's labels, and both kinds together: leaving two profiles needs the verb on both.
  [{}, { 'ps:enforce': 'baseline', 'ps:enforce-version': 'v1.20' }, 'nothing'],
  [{ 'ps:enforce': 'baseline' }, { 'ps:enforce': 'restricted' }, 'nothing'],
  [{ 'ps:enforce': 'baseline' }, {}, 'baseline'],
  [{ 'ps:warn': 'restricted' }, { 'ps:warn': 'baseline' }, 'all'],
  [{ enforce: 'baseline', 'ps:enforce': 'restricted' }, { 'ps:enforce': 'restricted' }, 'all'],
  [{ enforce: 'baseline', 'ps:enforce': 'baseline' }, { enforce: 'baseline' }, 'baseline'],
  [{ enforce: 'baseline' }, { enforce: 'baseline', 'ps:enforce': 'restricted' }, 'nothing'],
  // What one kind asks for the other never takes back, at whatever version, known or not.
  [
    { enforce: 'baseline' },
    { enforce: 'baseline', 'ps:enforce': 'restricted', 'ps:enforce-version': 'v1.0' },
    'nothing',
  ],
  [
    { enforce: 'baseline', 'enforce-version': 'v1.0', 'ps:enforce': 'baseline' },
    { enforce: 'restricted', 'enforce-version': 'v1.0', 'ps:enforce': 'baseline' },
    'nothing',
  ],
  [{ 'ps:enforce': 'baseline' }, { 'ps:enforce': 'baseline', enforce: 'my-profile' }, 'nothing'],
  [{ enforce: 'my-profile' }, { enforce: 'my-profile', 'ps:enforce': 'baseline' }, 'nothing'],
  [{ enforce: 'my-profile' }, { enforce: 'my-profile', 'ps:enforce': 'privileged' }, 'all'],
  [{ 'ps:enforce': 'baseline' }, { 'ps:enforce': 'baseline', enforce: 'privileged' }, 'baseline'],
  [{ enforce: 'baseline', 'ps:enforce': 'Baseline' }, { enforce: 'restricted', 'ps:enforce': 'Baseline' }, 'nothing'],
  [{ enforce: 'baseline', 'ps:enforce': 'Baseline' }, { enforce: 'baseline', 'ps:enforce': 'baseline' }, 'all'],
  [{ enforce: 'baseline', 'ps:enforce': 'Baseline' }, { enforce: 'baseline' }, 'all'],
  // Upstream knows no standard: it enforces restricted:latest, and warns of nothing.
  [{ 'ps:enforce': 'standard' }, { 'ps:enforce': 'restricted' }, 'all'],
  [{ 'ps:enforce': 'baseline' }, { 'ps:enforce': 'standard' }, 'baseline'],
  [{ 'ps:warn': 'baseline' }, { 'ps:warn': 'standard' }, 'all'],
  [{ 'ps:audit': 'baseline' }, { 'ps:audit': 'restricted' }, 'nothing'],
  // Moved from one kind to the other: the profile that is left decides.
  [{ enforce: 'baseline' }, { 'ps:enforce': 'baseline' }, 'baseline'],
  [{ 'ps:enforce': 'baseline' }, { enforce: 'restricted' }, 'baseline'],
  [{ 'ps:enforce': 'restricted' }, { enforce: 'restricted' }, 'all'],
  [{ warn: 'restricted' }, { 'ps:warn': 'restricted' }, 'all'],
  // Two labels in one request: the free one does not carry the other.
  [{ enforce: 'baseline' }, { enforce: 'restricted', quarantine: 'off' }, 'baseline'],
  [{ enforce: 'baseline', warn: 'restricted' }, { enforce: 'restricted', warn: 'baseline' }, 'baseline'],
  [{ enforce: 'restricted', quarantine: 'warn' }, { enforce: 'baseline', quarantine: 'enforce' }, 'all'],
  [{ seccomp: 'RuntimeDefault' }, { enforce: 'restricted', seccomp: 'off' }, 'all'],
  [{ enforce: 'baseline' }, { enforce: 'restricted', warn: 'restricted', quarantine: 'enforce' }, 'nothing'],
  // From a profile with the verb to another: what holds then is the other's.
  [{ enforce: 'baseline' }, { enforce: 'restricted', 'enforce-version': 'v1.30' }, 'baseline'],
  [{ enforce: 'restricted', 'enforce-version': 'v1.30' }, {}, 'all'],
  [{ enforce: 'my-profile' }, {}, 'all'],
  // Values that cannot be resolved, first or later, are free nowhere: to correct one needs the verb.
  ...['enforce', 'warn', 'audit', 'ps:enforce', 'ps:warn', 'ps:audit'].flatMap((label): Change[] => [
    [{}, { [label]: 'baseline', [`${label}-version`]: 'v1.30' }, 'nothing'],
    [{}, { [`${label}-version`]: 'latest' }, 'nothing'],
    ...['', 'V1.30', 'v1.030', 'v1', '1.30', 'v1.30.1', 'Latest', 'v1.12345'].map((version): Change => [
      {},
      { [label]: 'baseline', [`${label}-version`]: version },
      'all',
    ]),
    [
      { [label]: 'baseline' },
      { [label]: 'restricted', [`${label}-version`]: 'x' },
      label.endsWith('enforce') ? 'baseline' : 'all',
    ],
  ]),
  ...['', 'Enforce', 'on', 'true'].flatMap((quarantine): Change[] => [
    [{}, { quarantine }, 'all'],
    [{ enforce: 'baseline' }, { enforce: 'baseline', quarantine }, 'baseline'],
    [{ enforce: 'baseline', quarantine: 'off' }, { enforce: 'baseline', quarantine }, 'baseline'],
    [{ quarantine }, { quarantine: 'enforce' }, 'all'],
  ]),
  ...['', 'Off', 'runtimedefault', 'Unconfined', 'localhost', 'localhost.a..b', 'web.json'].flatMap(
    (seccomp): Change[] => [
      [{}, { seccomp }, 'all'],
      [{ enforce: 'baseline' }, { enforce: 'baseline', seccomp }, 'baseline'],
      [{ enforce: 'baseline', seccomp: 'off' }, { enforce: 'baseline', seccomp }, 'baseline'],
      [{ seccomp }, { seccomp: 'RuntimeDefault' }, 'all'],
    ],
  ),
  [{ seccomp: 'off' }, { seccomp: 'localhost.web' }, 'nothing'],
  [{ seccomp: 'off' }, { seccomp: 'localhost.a.b_c-d' }, 'nothing'],
  ...['', 'Deny', 'open'].map((whenDown): Change => [
    { enforce: 'baseline' },
    { enforce: 'baseline', 'when-down': whenDown },
    'baseline',
  ]),
]

export const CREATIONS: readonly (readonly [Short, Needed])[] = [
  [{}, 'nothing'],
  [{ enforce: 'baseline' }, 'nothing'],
  [{ enforce: 'restricted', 'enforce-version': 'v1.29', warn: 'privileged', quarantine: 'enforce' }, 'nothing'],
  [{ enforce: 'nobody-made-this' }, 'nothing'],
  [{ enforce: 'baseline', seccomp: 'localhost.web', 'when-down': 'deny' }, 'nothing'],
  [{ enforce: 'privileged' }, 'all'],
  [{ enforce: 'baseline', seccomp: 'off' }, 'all'],
  [{ enforce: 'baseline', quarantine: 'off' }, 'all'],
  [{ enforce: 'baseline', quarantine: 'warn' }, 'all'],
  [{ quarantine: 'off' }, 'all'],
  [{ enforce: 'baseline', 'when-down': 'net' }, 'all'],
  [{ 'ps:enforce': 'privileged' }, 'all'],
  [{ quarantine: 'Enforce' }, 'all'],
  [{ enforce: 'baseline', quarantine: 'Off' }, 'all'],
  [{ enforce: 'baseline', seccomp: 'Off' }, 'all'],
  [{ enforce: 'baseline', 'enforce-version': '1.30' }, 'all'],
  [{ enforce: 'baseline', 'when-down': 'Net' }, 'all'],
  [{ 'ps:enforce': 'standard' }, 'nothing'],
  [{ 'ps:enforce': 'baseline', 'ps:enforce-version': 'x' }, 'all'],
]

export const show = (short: Short): string => JSON.stringify(short).replaceAll('"', '')
