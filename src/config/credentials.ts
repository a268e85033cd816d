/** The secrets of `drawbridge.yaml` and of the data folder, read at the start and again whenever their files have changed. */
import { ConfigError } from './config.ts'
import type { Config } from './config.ts'
import { keepTokens, readAuthority, readTokens } from './secrets.ts'

/** The credential that every server has, besides those of `alerts.credentials`. */
export const GENERATED = 'generated'

type CredentialSettings = Config['alerts']['credentials'][number]

/** A credential with its secrets; otherwise as `alerts.credentials[]`. */
export interface LoadedCredential extends Pick<
  CredentialSettings,
  'certificate' | 'serviceAccount' | 'sources' | 'node' | 'nodeFromToken'
> {
  readonly name: string
  readonly tokens?: readonly string[] | undefined
  readonly alertsPerSecond: number
}

/** All that is secret, and the CA of the clients. Plain values: they can be compared, and sent to another thread. */
export interface Secrets {
  /** Of the file in the data folder; the first is the newest for people. */
  readonly alertTokens: readonly string[]
  readonly adminTokens: readonly string[]
  readonly credentials: readonly LoadedCredential[]
  /** PEM. */
  readonly clientCa?: string | undefined
}

/**
 * Says what no reading of the file alone can know.
 *
 * @param sources names of the sensors that are understood
 * @param standalone there is no API server to ask about service accounts
 * @throws ConfigError with one line for each problem
 */
export function checkCredentials(
  config: Config,
  file: string,
  { sources, standalone }: { readonly sources: readonly string[]; readonly standalone: boolean },
): void {
  const problems = config.alerts.credentials.flatMap((credential, index) => {
    const where = `${file}: alerts.credentials.${index}`
    const unknown = (credential.sources ?? []).filter((source) => !sources.includes(source))
    return [
      ...unknown.map(
        (source) => `${where}.sources: unknown source ${JSON.stringify(source)}; known are: ${sources.join(', ')}`,
      ),
      ...(standalone && credential.serviceAccount !== undefined
        ? [`${where}.serviceAccount: standalone there is no API server that could be asked`]
        : []),
    ]
  })
  if (problems.length > 0) throw new ConfigError(problems.join('\n'))
}

/**
 * Returns a function that reads everything. Its first call throws ConfigError for a file that cannot be used; later ones then keep the last
 * good content of that file and report it, once for each problem.
 *
 * @param files where the generated tokens are kept
 */
export function secretReader(
  config: Config,
  files: { readonly alertToken: string; readonly adminToken: string },
  onProblem: (problem: string) => void,
): () => Promise<Secrets> {
  const good = new Map<string, unknown>()
  const reported = new Map<string, string>()

  const keepGood = async <T>(file: string, read: (file: string) => Promise<T>): Promise<T> => {
    try {
      const value = await read(file)
      good.set(file, value)
      reported.delete(file)
      return value
    } catch (error) {
      if (!good.has(file)) throw error
      const { message } = error as Error
      if (reported.get(file) !== message) onProblem(`${message}; what was read before stays in use`)
      reported.set(file, message)
      return good.get(file) as T
    }
  }
  const { alerts, admin } = config
  /** Made at the start only: a file that vanishes later is a problem, not a wish for another token. */
  const generated = (file: string) => keepGood(file, good.has(file) ? readTokens : keepTokens)

  return async () => {
    const alertTokens = await generated(files.alertToken)
    const adminTokens =
      admin.tokenFile === undefined ? await generated(files.adminToken) : await keepGood(admin.tokenFile, readTokens)
    const credentials = await Promise.all(
      alerts.credentials.map(async ({ name, token, tokenFile, alertsPerSecond, ...rest }) => ({
        name,
        tokens:
          token !== undefined ? [token] : tokenFile === undefined ? undefined : await keepGood(tokenFile, readTokens),
        certificate: rest.certificate,
        serviceAccount: rest.serviceAccount,
        sources: rest.sources,
        node: rest.node,
        nodeFromToken: rest.nodeFromToken,
        alertsPerSecond: alertsPerSecond ?? alerts.limits.alertsPerSecond,
      })),
    )
    const tokens = credentials.flatMap((credential) => credential.tokens ?? []).concat(alertTokens)
    // Whose alert it is would depend on the order of the list.
    if (new Set(tokens).size < tokens.length) throw new ConfigError('two of alerts.credentials have the same token')
    return {
      alertTokens,
      adminTokens,
      credentials: [
        { name: GENERATED, tokens: alertTokens, alertsPerSecond: alerts.limits.alertsPerSecond },
        ...credentials,
      ],
      clientCa: alerts.clientCa === undefined ? undefined : await keepGood(alerts.clientCa, readAuthority),
    }
  }
}

/**
 * Calls `read` every few seconds and `onChange` when the value differs from the last one. By content, not by time of change: the kubelet
 * replaces a folder's symlink. Returns a function that stops and resolves when nothing of it is under way.
 */
export function followSecrets(options: {
  readonly read: () => Promise<Secrets>
  readonly initial: Secrets
  readonly everyMilliseconds: number
  readonly onChange: (next: Secrets) => Promise<void>
  readonly onProblem: (problem: string) => void
}): () => Promise<void> {
  let last = JSON.stringify(options.initial)
  let reported = ''
  let looking: Promise<void> | undefined
  const look = async (): Promise<void> => {
    try {
      const next = await options.read()
      const text = JSON.stringify(next)
      if (text !== last) await options.onChange(next)
      last = text
      reported = ''
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error)
      // Looked at every few seconds, said once.
      if (problem !== reported) options.onProblem(problem)
      reported = problem
    } finally {
      looking = undefined
    }
  }
  const timer = setInterval(() => void (looking ??= look()), options.everyMilliseconds)
  timer.unref()
  return async () => {
    clearInterval(timer)
    await looking
  }
}
