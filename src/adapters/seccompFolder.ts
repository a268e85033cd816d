/** Folders of seccomp profiles: the one that profiles come from, and the kubelet's that they go to. */
import { createHash } from 'node:crypto'
import { lstat, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'

import type { Digests, FolderState } from '../seccomp/plan.ts'
import { MAX_PROFILE_BYTES, profileName, profileProblem } from '../seccomp/profileFile.ts'

/** Our record of what we wrote. No profile can have this name. */
const RECORD = '.drawbridge'
const MAX_FILES = 1000

const digestOf = (text: string): string => createHash('sha256').update(text).digest('hex')
const isAbsent = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT'

export interface WantedProfiles {
  /** File name -> content. */
  readonly texts: ReadonlyMap<string, string>
  readonly digests: Digests
  /** Files that have the name of a profile and are none -> why. */
  readonly unusable: ReadonlyMap<string, string>
  /** One line for each file that has no profile's name; it is as if it were not there. */
  readonly problems: readonly string[]
}

/** The profiles of a folder, a mounted ConfigMap for example. Rejects when it cannot be read: then nothing is known, which is not the same as nothing wanted. */
export async function readWantedProfiles(folder: string): Promise<WantedProfiles> {
  const texts = new Map<string, string>()
  const unusable = new Map<string, string>()
  const problems: string[] = []
  for (const name of (await readdir(folder)).toSorted().slice(0, MAX_FILES)) {
    // A mounted ConfigMap keeps its versions in such folders.
    if (name.startsWith('.')) continue
    if (profileName(name) === undefined) {
      problems.push(`${name}: the name must be a DNS label of at most 53 characters and .json`)
      continue
    }
    const text = await readFile(join(folder, name), 'utf8')
    const problem = profileProblem(text)
    if (problem === undefined) texts.set(name, text)
    else unusable.set(name, problem)
  }
  const digests = new Map([...texts].map(([name, text]) => [name, digestOf(text)]))
  return { texts, digests, unusable, problems }
}

async function digestOfFile(path: string): Promise<string | undefined> {
  try {
    const status = await lstat(path)
    return status.isFile() && status.size <= MAX_PROFILE_BYTES ? digestOf(await readFile(path, 'utf8')) : ''
  } catch (error) {
    if (isAbsent(error)) return undefined
    throw error
  }
}

/** What of these names is in the folder, and what we wrote there. A record that cannot be read is none: then everything is somebody else's. */
export async function readFolder(folder: string, names: Iterable<string>): Promise<FolderState> {
  let record: unknown
  try {
    record = JSON.parse(await readFile(join(folder, RECORD), 'utf8'))
  } catch (error) {
    if (!isAbsent(error) && !(error instanceof SyntaxError)) throw error
  }
  const owned = Object.entries(record ?? {}).filter(
    (entry): entry is [string, string] => profileName(entry[0]) !== undefined && typeof entry[1] === 'string',
  )
  const files = new Map<string, string>()
  for (const name of new Set([...names, ...owned.map(([file]) => file)])) {
    const digest = await digestOfFile(join(folder, name))
    if (digest !== undefined) files.set(name, digest)
  }
  return { files, owned: new Map(owned) }
}

/** Whole or not at all, and on the disk when it resolves: the kubelet may read at any moment, and the power may fail. */
async function writeWhole(folder: string, name: string, text: string): Promise<void> {
  const draft = join(folder, `${RECORD}-draft`)
  await rm(draft, { force: true })
  const file = await open(draft, 'wx', 0o644)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(draft, join(folder, name))
  const directory = await open(folder)
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

export const writeProfile = writeWhole

export const writeRecord = (folder: string, owned: Digests): Promise<void> =>
  writeWhole(folder, RECORD, `${JSON.stringify(Object.fromEntries(owned))}\n`)

export const removeProfile = (folder: string, name: string): Promise<void> => rm(join(folder, name), { force: true })
