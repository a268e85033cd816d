/** Tokens and certificates in files: made once, kept, readable by the owner only; read again when somebody replaces them. */
import { randomBytes, X509Certificate } from 'node:crypto'
import { link, open, readFile, rename, rm } from 'node:fs/promises'
import { ConfigError } from './config.ts'

/** 256 bits: nobody guesses it, and it fits a URL. */
const TOKEN_BYTES = 32
const MINIMUM_LENGTH = 16
/** Two while one is being replaced; more are a mistake. */
const MAXIMUM_TOKENS = 8

async function readText(file: string, what: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    throw new ConfigError(`${file}: ${what} cannot be read: ${(error as Error).message}`)
  }
}

/**
 * Reads the tokens of a file that somebody else keeps, one a line: while a token is replaced both are in it. Throws ConfigError with one
 * clear line, which holds nothing of the file's content.
 */
export async function readTokens(file: string): Promise<readonly string[]> {
  const text = await readText(file, 'the token')
  const lines = text.split('\n').flatMap((line) => (line.trim() === '' ? [] : [line.trim()]))
  if (lines.length === 0) throw new ConfigError(`${file}: the file is empty; a token was expected`)
  if (lines.length > MAXIMUM_TOKENS)
    throw new ConfigError(`${file}: more than ${MAXIMUM_TOKENS} lines; each line is one token`)
  for (const token of lines) {
    if (token.length < MINIMUM_LENGTH)
      throw new ConfigError(`${file}: the token is shorter than ${MINIMUM_LENGTH} characters`)
    if (/\s/.test(token)) throw new ConfigError(`${file}: there is white space in the token`)
  }
  return lines
}

/** Reads CA certificates (PEM) that somebody else keeps. Throws ConfigError with one clear line. */
export async function readAuthority(file: string): Promise<string> {
  const text = await readText(file, 'the CA')
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? []
  if (blocks.length === 0) throw new ConfigError(`${file}: no certificate (PEM) in it`)
  for (const block of blocks) {
    let certificate: X509Certificate
    try {
      certificate = new X509Certificate(block)
    } catch {
      throw new ConfigError(`${file}: a certificate in it cannot be read`)
    }
    // Trusting a leaf would let its holder in, and nobody else.
    if (!certificate.ca) throw new ConfigError(`${file}: a certificate in it is not of a CA`)
  }
  return `${blocks.join('\n')}\n`
}

/**
 * Returns the tokens of a file, making one first when there is none. Two starts at once agree on one. A file that is empty, as a full disk
 * or a crash of an earlier version left it, is filled: nobody can have been given that token.
 */
export async function keepTokens(file: string): Promise<readonly string[]> {
  const isEmpty = await readFile(file, 'utf8').then(
    (text) => text.trim() === '',
    (error: NodeJS.ErrnoException) => (error.code === 'ENOENT' ? undefined : false),
  )
  if (isEmpty !== false) await makeToken(file, isEmpty === true)
  return readTokens(file)
}

async function makeToken(file: string, replace: boolean): Promise<void> {
  // Beside, then under its name: nobody ever reads half of it.
  const temporary = `${file}.${randomBytes(8).toString('hex')}.tmp`
  const handle = await open(temporary, 'wx', 0o600)
  try {
    await handle.writeFile(`${randomBytes(TOKEN_BYTES).toString('base64url')}\n`)
    await handle.sync()
  } finally {
    await handle.close()
  }
  if (replace) {
    await rename(temporary, file)
    return
  }
  try {
    await link(temporary, file)
  } catch (error) {
    // Another start was first.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    await rm(temporary, { force: true })
  }
}
