/** `verdicts blocked` and `verdicts impact` on the command line. */
import type { Command } from 'commander'
import { listBlocked } from './blocked.ts'
import { showImpact } from './impact.ts'
import { UnusableError } from './io.ts'
import type { CliIo } from './io.ts'
import { outputOption } from './options.ts'
import type { OpenWorkloads, WorkloadAccess } from './workloadAccess.ts'

const KUBECONFIG_HELP = 'the cluster to look at (default: $KUBECONFIG; inside a cluster it is not needed)'

interface Options {
  readonly kubeconfig?: string
  readonly output: 'table' | 'json'
}

/** Adds both to `verdicts`. */
export function addWorkloadCommands(
  verdicts: Command,
  io: CliIo,
  open: OpenWorkloads,
  done: (code: number) => void,
): void {
  const withAccess = async (options: Options, use: (access: WorkloadAccess) => Promise<number>): Promise<void> => {
    const access = await open(options).catch((error: Error) => {
      throw new UnusableError(error.message)
    })
    try {
      done(await use(access))
    } finally {
      await access.close()
    }
  }
  verdicts
    .command('blocked')
    .description('workloads that are short of pods because of a verdict')
    .option('--kubeconfig <file>', KUBECONFIG_HELP)
    .addOption(outputOption(['table', 'json']))
    .addHelpText(
      'after',
      '\nExamples:\n  drawbridge verdicts blocked --kubeconfig ~/.kube/config\n  drawbridge verdicts blocked -o json\n',
    )
    .action(async (options: Options) => withAccess(options, (access) => listBlocked(options, access, io)))
  verdicts
    .command('impact')
    .description(
      'what a denial of an image would hit: the workloads that run it, and what would become of their new pods',
    )
    .argument('<image>', 'a digest, an image, or the name (or beginning of one) of a verdict')
    .option('--kubeconfig <file>', KUBECONFIG_HELP)
    .addOption(outputOption(['table', 'json']))
    .addHelpText(
      'after',
      '\nExamples:\n  drawbridge verdicts impact sha256-3dc045bd --kubeconfig ~/.kube/config\n  drawbridge verdicts impact registry.example/shop/web:1.4.2 -o json\n',
    )
    .action(async (image: string, options: Options) =>
      withAccess(options, (access) => showImpact(image, options, access, io)),
    )
}
