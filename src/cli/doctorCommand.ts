/** `drawbridge doctor` on the command line; what it does is in src/doctor. */
import type { Command } from 'commander'
import { outputOption } from './options.ts'

export interface DoctorCommandOptions {
  readonly kubeconfig?: string | undefined
  readonly data?: string | undefined
  readonly namespace: string
  readonly output: 'text' | 'json'
}

/** Adds the command. @param run resolves to the exit code */
export function addDoctorCommand(
  program: Command,
  run: (options: DoctorCommandOptions) => Promise<number>,
  done: (code: number) => void,
): void {
  program
    .command('doctor')
    .description('look at a live installation and say what is wrong with it and what to do; changes nothing')
    .option('--kubeconfig <file>', 'the cluster to look at (default: $KUBECONFIG; inside a cluster it is not needed)')
    .option(
      '--data <dir>',
      'data folder of a server on this machine: alone, only that server is looked at; with a cluster, the server is one outside of it',
    )
    .option('--namespace <name>', 'namespace that Drawbridge runs in', 'drawbridge')
    .addOption(outputOption(['text', 'json']))
    .addHelpText(
      'after',
      '\nExit code: 0 no problem (warnings are none), 1 a problem, 2 nothing could be looked at.\n\nExamples:\n  drawbridge doctor --kubeconfig ~/.kube/config\n  drawbridge doctor -o json\n  drawbridge doctor --data data\n  drawbridge doctor --kubeconfig ~/.kube/config --data /var/lib/drawbridge\n',
    )
    .action(async (options: DoctorCommandOptions) => done(await run(options)))
}
