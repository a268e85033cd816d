/**
 * Serving certificates in a folder: `ca.crt`, `ca.key`, `tls.crt`, `tls.key`.
 * Made by whoever starts first, kept, renewed before they expire. Keys are readable by the owner only and never leave the folder.
 */
import { randomUUID } from 'node:crypto'
import { mkdir, open, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { certificateProblem, createAuthority, issueLeaf } from './authority.ts'
import type { KeyPair } from './authority.ts'

const DAY = 24 * 60 * 60 * 1000
/** A leaf is renewed when it would not be good any more after this time: a third of its year. */
const RENEW_BEFORE = 120 * DAY

export interface ServingCertificates {
  /** PEM of the authority that clients should trust. */
  readonly authority: string
  readonly authorityFile: string
  readonly leaf: KeyPair
}

async function readPair(directory: string, name: string): Promise<KeyPair | undefined> {
  try {
    const [certificate, key] = await Promise.all([
      readFile(join(directory, `${name}.crt`), 'utf8'),
      readFile(join(directory, `${name}.key`), 'utf8'),
    ])
    return { certificate, key }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Writes beside, syncs, then renames: a crash leaves the old file or the new one, never half of one. */
export async function writeAtomically(file: string, content: string, mode: number): Promise<void> {
  // A new file with a name that nobody knows beforehand: it must not be somebody's link.
  const temporary = `${file}.${randomUUID()}.tmp`
  const handle = await open(temporary, 'wx', mode)
  try {
    await handle.writeFile(content)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(temporary, file)
}

async function writePair(directory: string, name: string, pair: KeyPair): Promise<void> {
  await writeAtomically(join(directory, `${name}.key`), pair.key, 0o600)
  await writeAtomically(join(directory, `${name}.crt`), pair.certificate, 0o644)
}

/**
 * Returns the folder's certificates, making or renewing what is missing, damaged, or near its end.
 * A CA that is still good is kept, because clients have been told to trust it.
 *
 * @param names DNS names and IP addresses that the certificate must cover
 * @param now milliseconds since the epoch
 * @param onReplaced told of what is there and is made anew, and why
 */
export async function selfMadeCertificates(
  directory: string,
  names: readonly string[],
  now: number,
  onReplaced?: (what: 'authority' | 'certificate', reason: string) => void,
): Promise<ServingCertificates> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const authorityFile = join(directory, 'ca.crt')
  const problemOf = (authority: string, pair: KeyPair, covered: readonly string[]): string | undefined => {
    const problem = certificateProblem(authority, pair, covered, now)
    if (problem !== undefined) return problem
    return certificateProblem(authority, pair, covered, now + RENEW_BEFORE) === undefined
      ? undefined
      : `less than ${RENEW_BEFORE / DAY} days are left`
  }
  let authority = await readPair(directory, 'ca')
  const authorityProblem = authority && problemOf(authority.certificate, authority, [])
  if (authority === undefined || authorityProblem !== undefined) {
    if (authorityProblem !== undefined) onReplaced?.('authority', authorityProblem)
    authority = await createAuthority(now)
    await writePair(directory, 'ca', authority)
  }
  let leaf = await readPair(directory, 'tls')
  const leafProblem = leaf && problemOf(authority.certificate, leaf, names)
  if (leaf === undefined || leafProblem !== undefined) {
    if (leafProblem !== undefined) onReplaced?.('certificate', leafProblem)
    leaf = await issueLeaf(authority, names, now)
    await writePair(directory, 'tls', leaf)
  }
  return { authority: authority.certificate, authorityFile, leaf }
}

/**
 * Reads certificates that something else keeps (cert-manager's layout: `ca.crt`, `tls.crt`, `tls.key`).
 * Throws with one clear line when a file is missing.
 */
export async function mountedCertificates(directory: string): Promise<ServingCertificates> {
  const authorityFile = join(directory, 'ca.crt')
  const leaf = await readPair(directory, 'tls')
  if (leaf === undefined) throw new Error(`${directory}: tls.crt and tls.key are needed`)
  const authority = await readFile(authorityFile, 'utf8').catch(() => {
    throw new Error(`${authorityFile}: the certificate authority of tls.crt is needed`)
  })
  return { authority, authorityFile, leaf }
}
