/** Tokens in files: made once, kept, readable by the owner only. */
import { randomBytes } from 'node:crypto'
import { open, readFile } from 'node:fs/promises'
import { ConfigError } from './config.ts'

/** 256 bits: nobody guesses it, and it fits a URL. */
const TOKEN_BYTES = 32
const MINIMUM_LENGTH = 16

/** Reads a token from a file that somebody else keeps. Throws ConfigError with one clear line. */
export async function readToken(file: string): Promise<string> {
  let text: string
  try {
    text = (await readFile(file, 'utf8')).trim()
  } catch (error) {
    throw new ConfigError(`${file}: the token cannot be read: ${(error as Error).message}`)
  }
  if (text.length < MINIMUM_LENGTH)
    throw new ConfigError(`${file}: the token is shorter than ${MINIMUM_LENGTH} characters`)
  return text
}

/** Returns the token of a file, making it first when there is none. Two starts at once agree on one. */
export async function keepToken(file: string): Promise<string> {
  try {
    const handle = await open(file, 'wx', 0o600)
    try {
      const token = randomBytes(TOKEN_BYTES).toString('base64url')
      await handle.writeFile(`${token}\n`)
      await handle.sync()
      return token
    } finally {
      await handle.close()
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    return readToken(file)
  }
}
