/** What is to be done to a node's folder of profiles, as a pure decision. */

/** File name -> SHA-256 of its content, hexadecimal. */
export type Digests = ReadonlyMap<string, string>

export interface FolderState {
  /** Every file there is, but ours of the next line. A file that cannot be read, or is none, has an empty digest. */
  readonly files: Digests
  /** What we wrote, by our own record in the folder. */
  readonly owned: Digests
}

export interface Plan {
  readonly write: readonly string[]
  readonly remove: readonly string[]
  /** Wanted, but somebody else's file of that name says something else. It is left alone. */
  readonly foreign: readonly string[]
  /** The record as it is afterwards. Must be durable before a file is written: what is not in it is somebody else's. */
  readonly owned: Digests
}

/**
 * - A file that is wanted and ours, or not there, is written where it differs: edits by hand do not last.
 * - A file that is wanted and somebody else's is never changed; with the same content it will do.
 * - A file that is no longer wanted is removed only if we wrote it and nobody changed it since.
 */
export function planFolder(wanted: Digests, { files, owned }: FolderState): Plan {
  const names = [...wanted.keys()]
  const isForeign = (name: string): boolean =>
    files.has(name) && !owned.has(name) && files.get(name) !== wanted.get(name)
  const write = names.filter((name) => files.get(name) !== wanted.get(name) && !isForeign(name))
  const remove = [...owned].flatMap(([name, digest]) => (!wanted.has(name) && files.get(name) === digest ? [name] : []))
  const kept = names.filter((name) => owned.has(name) || write.includes(name))
  return {
    write,
    remove,
    foreign: names.filter(isForeign),
    owned: new Map(kept.map((name) => [name, wanted.get(name)!])),
  }
}
