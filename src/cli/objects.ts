/** Kubernetes objects from files, folders and standard input: YAML of any number of documents, JSON, and lists. */
import { CORE_SCHEMA, loadAll, mergeTag, YAMLException } from 'js-yaml'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { readAdmissionReview } from '../kube/review.ts'
import { UnusableError } from './io.ts'
import type { CliIo } from './io.ts'

/** One object and where it came from. */
export interface FoundObject {
  readonly file: string
  readonly object: Readonly<Record<string, unknown>> & { readonly kind: string; readonly apiVersion: string }
}

const EXTENSIONS = ['.yaml', '.yml', '.json']

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** YAML aliases make lists of lists of one small object: a file of 1 KB could name billions. */
const MAX_OBJECTS = 100_000

/**
 * Collects the objects of `kind: List` and of the typed lists of `kubectl get -o yaml`; documents without content are skipped.
 * A list in a list is refused: kubectl writes none, and an alias can make one that contains itself.
 */
function expand(document: unknown, file: string, position: number, found: FoundObject[], isItem = false): void {
  if (document === null || document === undefined) return
  const where = `${file}: document ${position}`
  if (!isObject(document)) throw new UnusableError(`${where}: not a Kubernetes object`)
  const { kind, apiVersion, items } = document
  if (typeof kind !== 'string' || typeof apiVersion !== 'string')
    throw new UnusableError(`${where}: kind or apiVersion is missing`)
  if (kind.endsWith('List') && Array.isArray(items)) {
    if (isItem) throw new UnusableError(`${where}: a list inside a list`)
    for (const item of items) expand(item, file, position, found, true)
    return
  }
  if (found.length === MAX_OBJECTS) throw new UnusableError(`${file}: more than ${MAX_OBJECTS} objects`)
  found.push({ file, object: document as FoundObject['object'] })
}

/**
 * kubectl applies merge keys (`<<: *defaults`), so a pod must not look different here. What they may copy is bounded by js-yaml: 10,000 keys a file,
 * then an error.
 */
const SCHEMA = CORE_SCHEMA.withTags(mergeTag)

/** Reads the objects of one text. Throws UnusableError with one clear line. */
export function parseObjects(text: string, file: string): FoundObject[] {
  let documents: unknown[]
  try {
    documents = loadAll(text, { schema: SCHEMA })
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error
    const line = error.mark === undefined ? '' : `:${error.mark.line + 1}`
    throw new UnusableError(`${file}${line}: not YAML: ${error.reason}`)
  }
  const found: FoundObject[] = []
  documents.forEach((document, index) => expand(document, file, index + 1, found))
  return found
}

async function filesOf(path: string): Promise<string[]> {
  let isFolder: boolean
  try {
    isFolder = (await stat(path)).isDirectory()
  } catch (error) {
    throw new UnusableError(
      `${path}: cannot be read: ${(error as NodeJS.ErrnoException).code === 'ENOENT' ? 'no such file or folder' : (error as Error).message}`,
    )
  }
  if (!isFolder) return [path]
  const names = await readdir(path, { recursive: true })
  const files = names.filter((name) => EXTENSIONS.some((extension) => name.endsWith(extension))).sort()
  if (files.length === 0) throw new UnusableError(`${path}: no ${EXTENSIONS.join(', ')} files in this folder`)
  return files.map((name) => join(path, name))
}

/** Reads files, folders (recursively) and `-` for standard input. Throws UnusableError with one clear line. */
export async function readObjects(paths: readonly string[], io: Pick<CliIo, 'readStdin'>): Promise<FoundObject[]> {
  const found: FoundObject[] = []
  for (const path of paths) {
    if (path === '-') {
      found.push(...parseObjects((await io.readStdin()).toString('utf8'), 'standard input'))
      continue
    }
    for (const file of await filesOf(path)) found.push(...parseObjects(await readFile(file, 'utf8'), file))
  }
  return found
}

/**
 * What an AdmissionReview (as the log of an API server or a test of a webhook has it) reviews, in its namespace; other objects are themselves.
 * Throws UnusableError for a review that cannot be read or makes nothing.
 */
export function reviewedObject(found: FoundObject): FoundObject {
  const { file, object } = found
  if (object.kind !== 'AdmissionReview') return found
  const { request, error } = readAdmissionReview(object)
  if (error !== undefined) throw new UnusableError(`${file}: AdmissionReview: ${error}`)
  const { kind, namespace, operation, object: reviewed } = request
  if (!isObject(reviewed))
    throw new UnusableError(`${file}: AdmissionReview: request.object is missing (${operation}): nothing to check`)
  const metadata = reviewed['metadata'] ?? {}
  return {
    file,
    object: {
      ...reviewed,
      kind: kind.kind,
      apiVersion: kind.group === '' ? kind.version : `${kind.group}/${kind.version}`,
      metadata: isObject(metadata) && namespace !== undefined ? { ...metadata, namespace } : metadata,
    },
  }
}
