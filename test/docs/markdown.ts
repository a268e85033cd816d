/** Reads the parts of our Markdown pages that tests hold to the code. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The repository. */
export const root = normalize(join(dirname(fileURLToPath(import.meta.url)), '../../..'))

/** README, the pages at the top, all of docs/ and those of examples/, relative to the repository. */
export const pages: readonly string[] = [
  ...readdirSync(root).filter((name) => name.endsWith('.md')),
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name)),
  'examples/zipapp/README.md',
]

export const readPage = (page: string): string => readFileSync(join(root, page), 'utf8')

/** A fenced block. `firstLine` counts from 0: the line after the opening fence. */
export interface Block {
  readonly language: string
  /** Of `file=NAME` after the language: what the page calls this text. */
  readonly file: string | undefined
  /** Of `exit=N` after the language: the exit code of its commands; 0 where it is not said. */
  readonly exit: number
  /** Of a comment on the line before: what the page says to its tests. */
  readonly marker: string | undefined
  readonly lines: readonly string[]
  readonly firstLine: number
  /** The line before says that it needs a cluster: it is read, not run. */
  readonly needsCluster: boolean
}

export function blocksOf(text: string): readonly Block[] {
  const lines = text.split('\n')
  const blocks: Block[] = []
  let open: Pick<Block, 'language' | 'file' | 'exit' | 'firstLine'> | undefined
  for (const [index, line] of lines.entries()) {
    if (!line.startsWith('```')) continue
    if (open === undefined) {
      const [language = '', ...attributes] = line.slice(3).trim().split(' ')
      const { file, exit = '0' } = Object.fromEntries(attributes.map((one) => one.split('='))) as {
        readonly file?: string
        readonly exit?: string
      }
      open = { language, file, exit: Number(exit), firstLine: index + 1 }
    } else {
      const marker = /^<!-- (.*) -->$/.exec(lines[open.firstLine - 2] ?? '')?.[1]
      const needsCluster = marker === 'needs a cluster'
      blocks.push({ ...open, lines: lines.slice(open.firstLine, index), marker, needsCluster })
      open = undefined
    }
  }
  return blocks
}

/** The text that a page calls `file`. */
export function fileOf(page: string, file: string): string {
  const found = blocksOf(readPage(page)).filter((block) => block.file === file)
  assert.equal(found.length, 1, `${page} has ${found.length} blocks called ${file}`)
  return found[0]!.lines.join('\n')
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
