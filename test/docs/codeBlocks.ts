import { readFileSync } from 'node:fs'

/** The code blocks of a page in one language, in order: what docs show is what tests run. */
export const codeBlocks = (file: string, language: string): readonly string[] =>
  [...readFileSync(file, 'utf8').matchAll(/^```(\w+)\n([\s\S]*?)^```$/gmu)].flatMap(([, found, text]) =>
    found === language && text !== undefined ? [text] : [],
  )
