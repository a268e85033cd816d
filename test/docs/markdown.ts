/** Reads the parts of our Markdown pages that tests hold to the code. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The repository. */
export const root = normalize(join(dirname(fileURLToPath(import.meta.url)), '../../..'))

/** README, the pages at the top and all of docs/, relative to the repository. */
export const pages: readonly string[] = [
  ...readdirSync(root).filter((name) => name.endsWith('.md')),
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name)),
]

export const readPage = (page: string): string => readFileSync(join(root, page), 'utf8')

/** A fenced block. `firstLine` counts from 0: the line after the opening fence. */
export interface Block {
  readonly language: string
  readonly lines: readonly string[]
  readonly firstLine: number
  /** The line before says that it needs a cluster: it is read, not run. */
  readonly needsCluster: boolean
}

export function blocksOf(text: string): readonly Block[] {
  const lines = text.split('\n')
  const blocks: Block[] = []
  let open: { language: string; firstLine: number } | undefined
  for (const [index, line] of lines.entries()) {
    if (!line.startsWith('```')) continue
    if (open === undefined) open = { language: line.slice(3).trim(), firstLine: index + 1 }
    else {
      const needsCluster = lines[open.firstLine - 2] === '<!-- needs a cluster -->'
      blocks.push({ ...open, lines: lines.slice(open.firstLine, index), needsCluster })
      open = undefined
    }
  }
  return blocks
}

/** A command of a console block and the output that the page shows for it. */
export interface ConsoleCommand {
  readonly command: string
  readonly output: readonly string[]
}

export function commandsOf(block: Block): readonly ConsoleCommand[] {
  const commands: { command: string; output: string[] }[] = []
  for (const line of block.lines) {
    if (line.startsWith('$ ')) commands.push({ command: line.slice(2), output: [] })
    else commands.at(-1)?.output.push(line)
  }
  return commands
}

/** The rows of every table of a page, cells trimmed and without code marks, header and rule left out. */
export function tableRows(text: string): readonly (readonly string[])[] {
  const lines = text.split('\n')
  return lines
    .filter((line, index) => line.startsWith('|') && !line.startsWith('|-') && !lines[index + 1]?.startsWith('|-'))
    .map((line) =>
      line
        .slice(1, line.trimEnd().lastIndexOf('|'))
        .split(/(?<!\\)\|/)
        .map((cell) => cell.trim().replaceAll('`', '').replaceAll('\\|', '|')),
    )
}
