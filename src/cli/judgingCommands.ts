/** The commands that judge objects by the engine of the webhook: `check` (files) and `scan` (a cluster). */
import type { Command } from 'commander'
import { readFile } from 'node:fs/promises'
import { parseConfig } from '../config/config.ts'
import type { Config } from '../config/config.ts'
import { createExemptions } from '../policy/exemptions.ts'
import { check } from './check.ts'
import { UnusableError } from './io.ts'
import type { CliIo } from './io.ts'
import { readObjects } from './objects.ts'
import { collect, outputOption } from './options.ts'
import { profilesAmong } from './profiles.ts'
import { scan } from './scan.ts'
import type { OpenScan } from './scan.ts'

/** Reads a drawbridge.yaml. Throws UnusableError or ConfigError, both with one line for each problem. */
async function readConfig(file: string): Promise<Config> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    throw new UnusableError(`${file}: cannot be read: ${code === 'ENOENT' ? 'no such file' : message}`)
  }
  return parseConfig(text, file)
}

/** Adds both. Each sets the exit code through `done`. */
export function addJudgingCommands(
  program: Command,
  io: CliIo,
  actions: { readonly openScan: OpenScan },
  done: (code: number) => void,
): void {
  program
    .command('check')
    .description('what would be mutated and denied in files, offline; exit code 0 allowed, 1 denied, 2 unusable input')
    .requiredOption('-f, --file <path>', 'file, folder or - for standard input; can be repeated', collect)
    .option('-n, --namespace <name>', 'for objects that name no namespace', 'default')
    .option(
      '--namespace-label <key=value>',
      'label for namespaces; what the input says of them wins; can be repeated',
      collect,
    )
    .option('--profile <name>', 'short for --namespace-label drawbridge.dev/enforce=NAME (default: standard)')
    .option('--exceptions <path>', 'file or folder of AdmissionException objects; can be repeated', collect)
    .option(
      '--profiles <path>',
      'file or folder of AdmissionProfile objects, beside those in the input; can be repeated',
      collect,
    )
    .option('--pod-security-labels', 'pod-security.kubernetes.io labels count too', false)
    .addOption(outputOption(['text', 'json']))
    .addHelpText(
      'after',
      '\nExamples:\n  drawbridge check -f pod.yaml\n  drawbridge check -f manifests/ --profile restricted\n  drawbridge check -f pod.yaml --profiles profiles/ --profile web-tier\n  helm template my-chart | drawbridge check -f - -o json\n  kustomize build overlays/production | drawbridge check -f -\n',
    )
    .action(
      async (options: {
        file: readonly string[]
        namespace: string
        namespaceLabel?: readonly string[]
        profile?: string
        exceptions?: readonly string[]
        profiles?: readonly string[]
        podSecurityLabels: boolean
        output: 'text' | 'json'
      }) => {
        const { file, namespaceLabel, ...rest } = options
        done(await check({ ...rest, files: file, namespaceLabels: namespaceLabel ?? [] }, io))
      },
    )

  program
    .command('scan')
    .description(
      'what the webhook would say of the pods that run now; exit code 0 nothing denied, 1 something denied, 2 not known',
    )
    .option('-n, --namespace <name>', 'only this namespace; can be repeated (default: all that opted in)', collect)
    .option('-A, --all-namespaces', 'every namespace; goes with --profile', false)
    .option('--profile <name>', 'what if this profile were enforced, whatever the labels say')
    .option('--pod-security-labels', 'pod-security.kubernetes.io labels count too', false)
    .option(
      '--profiles <path>',
      'file or folder of AdmissionProfile objects, before those of the cluster; can be repeated',
      collect,
    )
    .option('--config <file>', 'the drawbridge.yaml of the server: its exemptions and podSecurityLabels')
    .option('--kubeconfig <file>', 'the cluster to scan (default: $KUBECONFIG; inside a cluster it is not needed)')
    .addOption(outputOption(['table', 'details', 'json']))
    .addHelpText(
      'after',
      '\nExamples:\n  drawbridge scan --kubeconfig ~/.kube/config\n  drawbridge scan --kubeconfig ~/.kube/config -n shop -n billing -o details\n  drawbridge scan --kubeconfig ~/.kube/config --all-namespaces --profile restricted -o json\n  drawbridge scan --kubeconfig ~/.kube/config --config drawbridge.yaml\n  drawbridge scan --kubeconfig ~/.kube/config --profiles profiles/ --profile web-tier -n shop\n',
    )
    .action(
      async (options: {
        namespace?: readonly string[]
        allNamespaces: boolean
        profile?: string
        podSecurityLabels: boolean
        profiles?: readonly string[]
        config?: string
        kubeconfig?: string
        output: 'table' | 'details' | 'json'
      }) => {
        const { namespace, allNamespaces, profile, output, kubeconfig } = options
        const config = options.config === undefined ? undefined : await readConfig(options.config)
        const settings = {
          kubeconfig,
          podSecurityLabels: options.podSecurityLabels || config?.podSecurityLabels === true,
          profiles: profilesAmong(await readObjects(options.profiles ?? [], io)),
          exemptions: config && createExemptions(config.exemptions),
        }
        // Exit code 1 means findings here: whatever keeps us from looking is 2.
        const access = await actions.openScan(settings).catch((error: Error) => {
          throw new UnusableError(error.message)
        })
        try {
          done(await scan({ namespaces: namespace ?? [], allNamespaces, profile, output }, access, io))
        } finally {
          await access.close()
        }
      },
    )
}
