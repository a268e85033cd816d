/**
 * `drawbridge.yaml`: load -> default -> validate -> freeze. Unknown keys are errors: a misspelt setting that is silently ignored is worse than
 * a server that does not start. What the API server must know is not here but in the webhook configurations.
 */
import { load as parseYaml, YAMLException } from 'js-yaml'
import * as z from 'zod'

const port = z.int().min(0).max(65535)
const listener = (defaultPort: number) =>
  z.strictObject({ address: z.string().min(1).default('127.0.0.1'), port: port.default(defaultPort) })

/** `90s`, `15m`, `12h`, `30d` as milliseconds. */
export const duration = z
  .string()
  .regex(/^\d{1,6}(ms|s|m|h|d)$/, 'wanted a duration such as 90s, 15m, 12h or 30d')
  .transform((text) => {
    const unit = /[a-z]+$/.exec(text)![0] as 'ms' | 's' | 'm' | 'h' | 'd'
    return Number.parseInt(text, 10) * { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }[unit]
  })

/** What the log can be limited to, from the most to the least that is said. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

const namespaceName = z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, 'wanted the exact name of a namespace')

const ruleOverride = z.strictObject({
  class: z
    .string()
    .regex(/^[a-z0-9-]{1,63}$/, 'wanted lower-case letters, digits and dashes')
    .optional(),
  subject: z.enum(['image', 'person', 'spec']).optional(),
  weight: z.number().min(0).max(1000).optional(),
})

/** What one credential may do; a limit of its own instead of the one for all. */
const alertsPerSecond = z.int().min(1).max(1_000_000)
const verdictsPerHour = z.int().min(1).max(1_000_000)

const RECOGNISED_BY = ['token', 'tokenFile', 'certificate', 'serviceAccount'] as const

/** One condition of `ruleOverrides`: any of these values. */
const anyOf = (value: z.ZodType<string>) => z.array(value).min(1).max(100).optional()
const anyName = z.string().min(1).max(256)

const ruleOverrides = z
  .array(
    z
      .strictObject({
        match: z
          .strictObject({
            rules: anyOf(anyName),
            tags: anyOf(anyName),
            techniques: anyOf(
              z.string().regex(/^T\d{4}(\.\d{3})?$/, 'wanted a MITRE ATT&CK technique such as T1059 or T1059.004'),
            ),
            sources: anyOf(anyName),
            namespaces: anyOf(namespaceName),
            images: anyOf(z.string().min(1).max(512)),
          })
          .refine(
            (match) => Object.values(match).some((values) => values !== undefined),
            'wanted at least one condition',
          ),
        ...ruleOverride.shape,
      })
      .refine(
        (entry) => entry.class !== undefined || entry.subject !== undefined || entry.weight !== undefined,
        'wanted class, subject or weight',
      ),
  )
  .max(1000)

const credential = z
  .strictObject({
    name: z.string().min(1).max(63),
    token: z.string().regex(/^\S*$/, 'wanted no white space').min(16, 'wanted at least 16 characters').optional(),
    tokenFile: z.string().min(1).optional(),
    certificate: z
      .strictObject({
        commonName: z.string().min(1).max(64).optional(),
        dnsName: z.string().min(1).max(253).optional(),
        uri: z.string().min(1).max(2048).optional(),
      })
      .refine((names) => Object.keys(names).length === 1, 'wanted one of commonName, dnsName and uri')
      .optional(),
    serviceAccount: z
      .string()
      .regex(/^[a-z0-9][-a-z0-9]{0,62}\/[a-z0-9][-.a-z0-9]{0,252}$/, 'wanted namespace/name of a service account')
      .optional(),
    sources: z.array(z.string()).min(1).optional(),
    node: z.string().min(1).max(253).optional(),
    nodeFromToken: z.boolean().optional(),
    alertsPerSecond: alertsPerSecond.optional(),
    verdictsPerHour: verdictsPerHour.optional(),
  })
  .refine(
    (settings) => RECOGNISED_BY.filter((key) => settings[key] !== undefined).length === 1,
    'wanted one of token, tokenFile, certificate and serviceAccount',
  )
  .refine(
    ({ nodeFromToken, serviceAccount, node }) =>
      nodeFromToken !== true || (serviceAccount !== undefined && node === undefined),
    'nodeFromToken is for a serviceAccount, and instead of node',
  )

/** Exported for the documentation, which lists exactly its keys. */
export const schema = z.strictObject({
  webhook: listener(8443).prefault({}),
  alerts: z
    .strictObject({
      address: z.string().min(1).default('127.0.0.1'),
      port: port.default(8444),
      clientCa: z.string().min(1).optional(),
      limits: z
        .strictObject({
          alertsPerSecond: alertsPerSecond.default(20_000),
          verdictsPerHour: verdictsPerHour.default(1000),
        })
        .prefault({}),
      credentials: z.array(credential).max(64).default([]),
    })
    .prefault({})
    .refine(
      ({ credentials }) => new Set(credentials.map(({ name }) => name).concat('generated')).size > credentials.length,
      'credentials: two have the same name, or one is called "generated"',
    )
    .refine(
      ({ clientCa, credentials }) => clientCa !== undefined || credentials.every(({ certificate }) => !certificate),
      'a credential with a certificate needs clientCa',
    ),
  admin: z
    .strictObject({
      address: z.string().min(1).default('127.0.0.1'),
      port: port.default(8445),
      tokenFile: z.string().min(1).optional(),
    })
    .prefault({}),
  tls: z
    .strictObject({
      /** Folder with ca.crt, tls.crt and tls.key that something else keeps; absent: self-made under the data folder. */
      directory: z.string().min(1).optional(),
      /** More DNS names and addresses for the self-made certificate. */
      names: z.array(z.string().min(1).max(253)).max(64).default([]),
      /** The Secret that all replicas share; inside a cluster `drawbridge-tls` where nothing is said. */
      secret: z
        .string()
        .regex(/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/, 'wanted the exact name of a Secret')
        .optional(),
      /** The Services that the certificate of the Secret is for. */
      services: z
        .array(z.string().regex(/^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/, 'wanted the exact name of a Service'))
        .min(1)
        .max(8)
        .default(['drawbridge']),
      /** Who writes caBundle of the webhook configurations. */
      caBundle: z.enum(['manage', 'leave']).optional(),
      /** How long API servers may take to learn of a new caBundle. */
      caPropagation: duration.refine((value) => value <= 86_400_000, 'wanted at most 1d').prefault('2m'),
    })
    .prefault({})
    .refine(
      ({ directory, secret }) => directory === undefined || secret === undefined,
      'directory or secret, not both',
    ),
  standalone: z
    .strictObject({
      namespaceLabels: z.record(z.string(), z.string()).default({ 'drawbridge.dev/enforce': 'standard' }),
      /** A file or folder of Namespace objects in YAML. */
      namespaces: z.string().min(1).optional(),
      /** A file or folder of AdmissionException objects in YAML. */
      exceptions: z.string().min(1).optional(),
      /** A file or folder of AdmissionProfile objects in YAML. */
      profiles: z.string().min(1).optional(),
    })
    .prefault({}),
  quarantine: z
    .strictObject({
      preset: z.enum(['standard', 'strict']).default('standard'),
      /** What verdicts do at most; in a cluster the brake's ConfigMap says it where there is one. */
      mode: z.enum(['enforce', 'warn', 'off']).default('enforce'),
      warnAt: z.number().positive().max(10_000).default(50),
      denyAt: z.number().positive().max(10_000).default(100),
      expireAfter: duration.refine((value) => value >= 60_000, 'wanted at least 1m').prefault('30d'),
      /** Where a verdict denies; docs/verdicts.md. */
      reach: z.enum(['auto', 'cluster', 'evidence']).default('auto'),
      /** What is never denied before a person confirmed the verdict. */
      protected: z
        .strictObject({
          images: z.array(z.string().min(1).max(512)).max(1000).default([]),
          namespaces: z
            .array(namespaceName)
            .max(1000)
            .default(['kube-system', 'kube-public', 'kube-node-lease', 'drawbridge']),
        })
        .prefault({}),
      /** What happens to a workload that a verdict stops and that has a good revision; docs/verdicts.md. */
      rollback: z.enum(['suggest', 'automatic']).default('suggest'),
      /** Images that may become denied within an hour without a person. */
      budget: z
        .strictObject({
          perNamespace: z.int().min(0).max(100_000).default(2),
          perCluster: z.int().min(0).max(100_000).default(10),
        })
        .prefault({}),
    })
    .prefault({})
    .refine(({ warnAt, denyAt }) => warnAt <= denyAt, 'warnAt must not be larger than denyAt'),
  rules: z.record(z.string().min(1).max(256), ruleOverride).default({}),
  /** The first entry that matches an alert applies, instead of `rules`. */
  ruleOverrides: ruleOverrides.default([]),
  podSecurityLabels: z.boolean().default(false),
  /** Exact names, as in upstream's AdmissionConfiguration. Requests that match one pass every check; verdicts still hold. */
  exemptions: z
    .strictObject({
      users: z.array(z.string().min(1).max(1024)).max(1000).default([]),
      namespaces: z.array(namespaceName).max(1000).default([]),
      runtimeClasses: z
        .array(z.string().regex(/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/, 'wanted the exact name of a RuntimeClass'))
        .max(1000)
        .default([]),
    })
    .prefault({}),
  /** The namespace that Drawbridge itself runs in, for a server outside of it: where the brake and its leases are. */
  namespace: namespaceName.default('drawbridge'),
  seccomp: z
    .strictObject({
      /** Where the nodes report which profiles they have; absent: they do not, and profiles are injected as they are asked for. */
      reports: namespaceName.optional(),
    })
    .prefault({}),
  drain: duration.refine((value) => value <= 3_600_000, 'wanted at most 1h').prefault('10s'),
  log: z.strictObject({ level: z.enum(LOG_LEVELS).default('info') }).prefault({}),
})

type DeepReadonly<T> = T extends (infer U)[]
  ? readonly DeepReadonly<U>[]
  : T extends object
    ? { readonly [K in keyof T]: DeepReadonly<T[K]> }
    : T

/** The whole configuration, with every default filled in, frozen. */
export type Config = DeepReadonly<z.output<typeof schema>>

/** Configuration that cannot be used. `message` has one line for each problem. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) for (const inner of Object.values(value)) deepFreeze(inner)
  return Object.freeze(value)
}

function describe(issue: z.core.$ZodIssue): string {
  const path = issue.path.map(String).join('.')
  if (issue.code === 'unrecognized_keys') {
    const where = path === '' ? 'at the top' : `under ${path}`
    return `unknown ${issue.keys.length === 1 ? 'key' : 'keys'} ${issue.keys.map((key) => `"${key}"`).join(', ')} ${where}`
  }
  return path === '' ? issue.message : `${path}: ${issue.message}`
}

/**
 * Reads the text of a `drawbridge.yaml`; an empty text gives all defaults.
 *
 * @param file name for messages only
 * @throws ConfigError with one clear line for each problem
 */
export function parseConfig(text: string, file: string): Config {
  let document: unknown
  try {
    document = text.trim() === '' ? {} : parseYaml(text)
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error
    const line = error.mark === undefined ? '' : `:${error.mark.line + 1}`
    throw new ConfigError(`${file}${line}: not YAML: ${error.reason}`)
  }
  const result = schema.safeParse(document ?? {})
  if (!result.success)
    throw new ConfigError(result.error.issues.map((issue) => `${file}: ${describe(issue)}`).join('\n'))
  return deepFreeze(result.data)
}
