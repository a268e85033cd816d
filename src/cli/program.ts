/** The command line: names, options, help with examples. Does no work of its own. */
import { Command, CommanderError, Option } from 'commander'
import { hostname } from 'node:os'
import { sources } from '../alerts/sources/index.ts'
import { addDoctorCommand } from './doctorCommand.ts'
import type { DoctorCommandOptions } from './doctorCommand.ts'
import { addDecisionCommands } from './decisionCommands.ts'
import { listExceptions, readExceptions } from './exceptions.ts'
import type { ExceptionAccess } from './exceptions.ts'
import { clean, EXIT, UnusableError } from './io.ts'
import type { CliIo } from './io.ts'
import { addJudgingCommands } from './judgingCommands.ts'
import { addLogLevelCommand } from './logLevel.ts'
import { collect, dataOption, kubeconfigOption, outputOption, portNumber, scopeName } from './options.ts'
import { listVerdicts, showVerdict } from './verdicts.ts'
import type { VerdictAccess } from './verdicts.ts'
import { replayFile } from './replay.ts'
import type { OpenScan } from './scan.ts'
import type { OpenWorkloads } from './workloadAccess.ts'
import { addWorkloadCommands } from './workloadCommands.ts'

/** What only the composition root can do. */
export interface CliActions {
  /** Runs until it is told to stop; resolves to the exit code. */
  serve(options: {
    readonly standalone: boolean
    readonly kubeconfig?: string | undefined
    readonly configFile?: string | undefined
    readonly data: string
    readonly host?: string | undefined
    readonly port?: number | undefined
    readonly alertsPort?: number | undefined
    readonly adminPort?: number | undefined
  }): Promise<number>
  /** Runs until it is told to stop; resolves to the exit code. */
  seccompSync(options: { readonly profiles: string; readonly folder: string }): Promise<number>
  openVerdicts(options: {
    readonly data: string
    readonly kubeconfig?: string | undefined
  }): Promise<VerdictAccess & { close(): Promise<void> }>
  openExceptions(options: {
    readonly data: string
    readonly kubeconfig?: string | undefined
  }): Promise<ExceptionAccess & { close(): Promise<void> }>
  readonly openScan: OpenScan
  readonly openWorkloads: OpenWorkloads
  /** Looks at a live installation; resolves to the exit code. */
  doctor(options: DoctorCommandOptions): Promise<number>
  /** Multi-document YAML of the CRDs and the webhook configurations. */
  manifests(options: {
    readonly url: string
    readonly ca: string
    readonly namespace: string
    /** Who Drawbridge is to the API server; undefined: the service account of its namespace. */
    readonly user?: string | undefined
    readonly scope: 'namespaces' | 'cluster'
    readonly podSecurityLabels: boolean
    /** New namespaces must have an `enforce` label, except these; undefined: they need none. */
    readonly requireLabelsExcept: readonly string[] | undefined
  }): Promise<string>
}

const fileAccess = (paths: readonly string[]): ExceptionAccess & { close(): Promise<void> } => ({
  list: async () => [...(await readExceptions(paths))].map(([name, reading]) => ({ name, reading })),
  close: () => Promise.resolve(),
})

/** Builds the commands. Each sets the exit code through `done`. */
function build(io: CliIo, actions: CliActions, version: string, done: (code: number) => void): Command {
  const program = new Command('drawbridge')
    .description(
      'Kubernetes admission webhook with a runtime correlator: hardens and checks pods as they are created, and denies redeploys of images that runtime sensors flagged.',
    )
    .version(version)
    .showHelpAfterError('(drawbridge <command> --help shows the options and examples)')
    .exitOverride()
    .configureOutput({ writeOut: (text) => io.out(text), writeErr: (text) => io.err(text) })

  program
    .command('serve')
    .description('run the server until SIGTERM or SIGINT')
    .option('--standalone', 'without a cluster: SQLite ledger, namespaces from files', false)
    .option('--kubeconfig <file>', 'the cluster to work with; inside a cluster neither option is needed')
    .option('--config <file>', 'configuration (default: ./drawbridge.yaml where there is one)')
    .addOption(dataOption())
    .option('--host <address>', 'address for all listeners (default: as configured, 127.0.0.1)')
    .option('--port <n>', 'webhook listener, 0 = any free port (default: 8443)', portNumber)
    .option('--alerts-port <n>', 'alert listener (default: 8444; any free port when --port is given)', portNumber)
    .option('--admin-port <n>', 'admin listener (default: 8445; any free port when --port is given)', portNumber)
    .addHelpText(
      'after',
      '\nExamples:\n  drawbridge serve --standalone\n  drawbridge serve --standalone --data /var/lib/drawbridge --port 0 --admin-port 0\n  drawbridge serve --kubeconfig ~/.kube/config --host 0.0.0.0\n',
    )
    .action(
      async (options: {
        standalone: boolean
        kubeconfig?: string
        config?: string
        data: string
        host?: string
        port?: number
        alertsPort?: number
        adminPort?: number
      }) => {
        if (options.standalone && options.kubeconfig !== undefined)
          throw new UnusableError('--standalone and --kubeconfig exclude each other')
        done(await actions.serve({ ...options, configFile: options.config }))
      },
    )

  program
    .command('seccomp-sync')
    .description('keep the seccomp profiles of a node: run by the DaemonSet of the chart, on every node')
    .requiredOption('--profiles <folder>', 'the profiles that are wanted: a mounted ConfigMap')
    .requiredOption('--folder <folder>', "where they go: seccomp/drawbridge below the kubelet's root")
    .addHelpText(
      'after',
      `
Runs until SIGTERM, in a pod only: by its token it reports, in a Lease of the node's name, which profiles the node has. A file that is no profile is
left out, and the log says why. seccompSync.enabled of the chart sets it up; drawbridge doctor says which nodes lack a profile (docs/seccomp.md).

Example, as the DaemonSet has it:
  drawbridge seccomp-sync --profiles /profiles --folder /node
`,
    )
    .action(async (options: { profiles: string; folder: string }) => done(await actions.seccompSync(options)))

  addJudgingCommands(program, io, actions, done)

  program
    .command('replay')
    .description('what verdicts a file of alerts leads to, judged at the time of the alerts; nothing is stored')
    .argument('<file>', 'alerts, one JSON object a line (also an array or one object); - for standard input')
    .option('--source <name>', `the sensor that wrote them: ${sources.map(({ name }) => name).join(', ')}`, 'falco')
    .option('--config <file>', 'thresholds and rule overrides')
    .option(
      '--explain',
      'of each image: which alerts counted how much and crossed what, and which did not and why',
      false,
    )
    .addOption(outputOption(['table', 'json']))
    .addHelpText(
      'after',
      "\nExamples:\n  drawbridge replay falco-events.jsonl\n  drawbridge replay falco-events.jsonl --explain --config drawbridge.yaml\n  drawbridge replay falco-events.jsonl --explain -o json\n  kubectl logs -n falco ds/falco | grep '^{' | drawbridge replay - -o json\n",
    )
    .action(
      async (
        file: string,
        options: { source: string; config?: string; explain: boolean; output: 'table' | 'json' },
      ) => {
        done(await replayFile(file, { ...options, configFile: options.config }, io))
      },
    )

  const verdicts = program
    .command('verdicts')
    .description('flagged images: list, show, confirm, release, what they block')
  const withAccess = async (
    options: { data: string; kubeconfig?: string },
    use: (access: VerdictAccess) => Promise<number>,
  ): Promise<void> => {
    const access = await actions.openVerdicts(options)
    try {
      done(await use(access))
    } finally {
      await access.close()
    }
  }
  verdicts
    .command('list')
    .description('all verdicts, one a line')
    .addOption(dataOption())
    .addOption(kubeconfigOption('ImageVerdict'))
    .addOption(outputOption(['table', 'json']))
    .addHelpText(
      'after',
      '\nExamples:\n  drawbridge verdicts list\n  drawbridge verdicts list --kubeconfig ~/.kube/config -o json\n',
    )
    .action(async (options: { data: string; kubeconfig?: string; output: 'table' | 'json' }) =>
      withAccess(options, (access) => listVerdicts(options, access, io)),
    )
  verdicts
    .command('show')
    .description('one verdict with its evidence')
    .argument('<name>', 'name, or the beginning of one (8 characters or more)')
    .addOption(dataOption())
    .addOption(kubeconfigOption('ImageVerdict'))
    .addOption(outputOption(['text', 'json']))
    .addHelpText('after', '\nExample:\n  drawbridge verdicts show sha256-3dc045bd\n')
    .action(async (name: string, options: { data: string; kubeconfig?: string; output: 'text' | 'json' }) =>
      withAccess(options, (access) => showVerdict(name, options, access, io)),
    )
  addDecisionCommands(verdicts, io, withAccess)
  addWorkloadCommands(verdicts, io, actions.openWorkloads, done)

  program
    .command('exceptions')
    .description('who is exempt from what')
    .command('list')
    .description('all exceptions: who, from what, until when, why, and how often they are used')
    .option('-f, --file <path>', 'of files or folders instead; can be repeated', collect)
    .addOption(dataOption())
    .addOption(kubeconfigOption('AdmissionException'))
    .addOption(outputOption(['table', 'json']))
    .addHelpText(
      'after',
      '\nExamples:\n  drawbridge exceptions list --kubeconfig ~/.kube/config\n  drawbridge exceptions list -f exceptions/ -o json\n',
    )
    .action(
      async (options: { file?: readonly string[]; data: string; kubeconfig?: string; output: 'table' | 'json' }) => {
        const access = options.file === undefined ? await actions.openExceptions(options) : fileAccess(options.file)
        try {
          done(await listExceptions(options, access, io))
        } finally {
          await access.close()
        }
      },
    )

  addDoctorCommand(program, (options) => actions.doctor(options), done)
  addLogLevelCommand(program, io, done)

  program
    .command('manifests')
    .description(
      'print the CRDs, the guards of namespace labels and verdicts, and the webhook configurations, filled in',
    )
    .requiredOption(
      '--url <url>',
      'where the API server reaches the webhook listener, for example https://10.0.0.5:8443',
    )
    .requiredOption('--ca <file>', 'PEM of the CA that signed its certificate')
    .option('--namespace <name>', 'namespace that Drawbridge itself runs in; never sent to it', 'drawbridge')
    .option(
      '--user <name>',
      'who Drawbridge is to the API server, the only writer of what verdicts say (default: the service account drawbridge of its namespace)',
    )
    .addOption(
      new Option('--quarantine-scope <scope>', 'where verdicts deny')
        .choices(['namespaces', 'cluster'])
        .argParser(scopeName)
        .default('namespaces'),
    )
    .option('--pod-security-labels', 'also what concerns namespaces with pod-security.kubernetes.io labels', false)
    .option('--require-labels', 'refuse new namespaces without an enforce label', false)
    .option('--require-labels-except <name>', 'a namespace that needs none (repeatable)', collect)
    .addHelpText(
      'after',
      `\nExamples:\n  drawbridge manifests --url https://${hostname()}:8443 --ca data/tls/ca.crt | kubectl apply -f -\n  drawbridge manifests --url https://${hostname()}:8443 --ca data/tls/ca.crt --user "$(kubectl auth whoami -o jsonpath='{.status.userInfo.username}')" | kubectl apply -f -\n`,
    )
    .action(
      async (options: {
        url: string
        ca: string
        namespace: string
        user?: string
        quarantineScope: 'namespaces' | 'cluster'
        podSecurityLabels: boolean
        requireLabels: boolean
        requireLabelsExcept?: readonly string[]
      }) => {
        const { requireLabels, requireLabelsExcept = [], quarantineScope } = options
        if (!requireLabels && requireLabelsExcept.length > 0)
          throw new UnusableError('--require-labels-except says nothing without --require-labels')
        io.out(
          await actions.manifests({
            ...options,
            scope: quarantineScope,
            requireLabelsExcept: requireLabels ? requireLabelsExcept : undefined,
          }),
        )
        done(EXIT.ok)
      },
    )
  return program
}

/** Runs one command line (without the program's own name). Resolves to the exit code; never throws. */
export async function runCli(
  argv: readonly string[],
  io: CliIo,
  actions: CliActions,
  version: string,
): Promise<number> {
  let code: number = EXIT.ok
  try {
    const program = build(io, actions, version, (result) => (code = result))
    await program.parseAsync([...argv], { from: 'user' })
    return code
  } catch (error) {
    // Commander has already printed what was wrong; help and version are not errors.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.unusable
    const { name, message } = error instanceof Error ? error : new Error(String(error))
    for (const line of message.split('\n')) io.err(`drawbridge: ${clean(line)}\n`)
    return name === 'UnusableError' || name === 'ConfigError' ? EXIT.unusable : EXIT.no
  }
}
