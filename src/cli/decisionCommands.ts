/** `verdicts release` and `verdicts confirm` on the command line: what people decide about a verdict. */
import { Option } from 'commander'
import type { Command } from 'commander'
import type { Release } from '../verdicts/types.ts'
import type { CliIo } from './io.ts'
import { dataOption, isoTime, kubeconfigOption } from './options.ts'
import { confirmVerdict, releaseVerdict } from './verdicts.ts'
import type { VerdictAccess } from './verdicts.ts'

interface Options {
  readonly data: string
  readonly kubeconfig?: string
  readonly reason: string
  readonly until?: number
}

/** Adds both to `verdicts`. */
export function addDecisionCommands(
  verdicts: Command,
  io: CliIo,
  withAccess: (options: Options, use: (access: VerdictAccess) => Promise<number>) => Promise<void>,
): void {
  verdicts
    .command('release')
    .description('let an image be deployed again; only later evidence brings the verdict back')
    .argument('<name>', 'name, or the beginning of one (8 characters or more)')
    .requiredOption('--reason <text>', 'why; kept with the verdict')
    .addOption(
      new Option('--as <kind>', 'what the finding was')
        .choices(['false-positive', 'accepted', 'fixed'])
        .default('fixed'),
    )
    .option(
      '--until <time>',
      'end of what false-positive and accepted silence (default: 30 days; 365 at most)',
      isoTime,
    )
    .addOption(dataOption())
    .addOption(kubeconfigOption('ImageVerdict'))
    .addHelpText(
      'after',
      '\nExample:\n  drawbridge verdicts release sha256-3dc045bd --as false-positive --reason "the build tool unpacks itself"\n',
    )
    .action(async (name: string, options: Options & { readonly as: Release['as'] }) =>
      withAccess(options, (access) => releaseVerdict(name, options, access, io)),
    )
  verdicts
    .command('confirm')
    .description('deny an image everywhere: somebody looked, and it is true')
    .argument('<name>', 'name, or the beginning of one (8 characters or more)')
    .requiredOption('--reason <text>', 'why; kept with the verdict')
    .option('--until <time>', 'end of the confirmation (default: 30 days; 365 at most)', isoTime)
    .addOption(dataOption())
    .addOption(kubeconfigOption('ImageVerdict'))
    .addHelpText('after', '\nExample:\n  drawbridge verdicts confirm sha256-3dc045bd --reason "INC-42: it mines"\n')
    .action(async (name: string, options: Options) =>
      withAccess(options, (access) => confirmVerdict(name, options, access, io)),
    )
}
