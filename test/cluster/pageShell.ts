/** Runs the commands of a page in a shell of their own, and compares what they print with what the page shows. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { symlinkSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'

import { blocksOf, commandsOf, readPage, root } from '../docs/markdown.ts'

/** `...` stands for anything, on its own line for any lines, or none; columns may be wider. */
export function matches(output: readonly string[], found: string): boolean {
  const pattern = output
    .map((line) =>
      line === '...'
        ? '[^]*'
        : line
            .trim()
            .replaceAll(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`)
            .replaceAll(String.raw`\.\.\.`, '.*')
            .replaceAll(/[ \t]+/g, String.raw`[ \t]+`)
            .replaceAll(String.raw`[ \t]+.*[ \t]+`, String.raw`[ \t]+(.*[ \t]+)?`),
    )
    .join('\n')
    .replaceAll('[^]*\n', '(?:[^]*\n)?')
  const text = found.replaceAll(/[ \t]+$/gm, '').trim()
  return new RegExp(`^${pattern.trim()}$`).test(text)
}

export interface PageShellOptions {
  readonly page: string
  /** Where commands run; the page's files are written here, and the repository's folders are linked. */
  readonly folder: string
  readonly kubeconfig: string
  /** Folders of kubectl and the like. */
  readonly path: readonly string[]
  /** For what cannot be as the page says: another port, for example. */
  readonly rewrite?: (command: string) => string
}

export interface PageStep {
  readonly command: string
  /** Runs it; throws unless exit code and output are those of the page. */
  run(): void
}

/**
 * The steps of a page in its order. Blocks with a `needs ...` comment on the line before are left out. A command `NAME=$(...)` is
 * remembered for those after it. stderr is part of the output, where it falls.
 */
export function pageSteps({
  page,
  folder,
  kubeconfig,
  path,
  rewrite = (text) => text,
}: PageShellOptions): readonly PageStep[] {
  const blocks = blocksOf(readPage(page))
  for (const { file, lines } of blocks) if (file !== undefined) writeFileSync(join(folder, file), lines.join('\n'))
  for (const name of ['manifests', 'examples']) symlinkSync(join(root, name), join(folder, name))
  const variables: Record<string, string> = {}
  const shell = (script: string): { readonly code: number | null; readonly out: string } => {
    const { status, stdout } = spawnSync('bash', ['-c', `exec 2>&1\n${script}`], {
      cwd: folder,
      encoding: 'utf8',
      timeout: 60_000,
      env: {
        ...process.env,
        ...variables,
        KUBECONFIG: kubeconfig,
        PATH: [...path, process.env['PATH']].join(delimiter),
      },
    })
    return { code: status, out: stdout }
  }
  return blocks
    .filter(({ language, marker }) => language === 'console' && marker?.startsWith('needs ') !== true)
    .flatMap((block) =>
      commandsOf(block).map(({ command, output }) => ({
        command,
        run: () => {
          const name = /^([A-Z]+)=/.exec(command)?.[1]
          const { code, out } = shell(rewrite(command) + (name === undefined ? '' : ` && printf %s "$${name}"`))
          assert.equal(code, block.exit, `${command}\n${out}`)
          if (name === undefined)
            assert.ok(matches(output, out), `${command}\nprinted:\n${out}\nand the page says:\n${output.join('\n')}`)
          else variables[name] = out
        },
      })),
    )
}
