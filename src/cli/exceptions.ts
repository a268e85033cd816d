/** `drawbridge exceptions list`: who is exempt from what, until when, and why. And exceptions from files. */
import { isAdmissionException, isExpired, nameOf, readAdmissionException } from '../policy/exceptions.ts'
import type { ExceptionReading } from '../policy/exceptions.ts'
import type { ListedException } from '../policy/exceptionUses.ts'
import { age, EXIT, table, time, UnusableError } from './io.ts'
import type { CliIo } from './io.ts'
import { readObjects } from './objects.ts'
import type { FoundObject } from './objects.ts'

/** Where exceptions live: files, the admin API of a server, or the Kubernetes API. Commands do not know which. */
export interface ExceptionAccess {
  list(): Promise<readonly ListedException[]>
}

/**
 * The AdmissionException objects among others, by name. A malformed one is kept as its problem, so that a denial can say so; a name that is
 * defined twice grants nothing: nobody could say which of the two is meant. Throws UnusableError for one without a name.
 */
export function exceptionsAmong(objects: readonly FoundObject[]): Map<string, ExceptionReading> {
  const found = new Map<string, ExceptionReading>()
  for (const { file, object } of objects) {
    if (!isAdmissionException(object)) continue
    const name = nameOf(object)
    if (name === undefined) throw new UnusableError(`${file}: an AdmissionException has no metadata.name`)
    found.set(name, found.has(name) ? { problem: `defined twice, again in ${file}` } : readAdmissionException(object))
  }
  return found
}

/** Reads files and folders of AdmissionException objects; other objects in them are left alone. */
export async function readExceptions(paths: readonly string[]): Promise<Map<string, ExceptionReading>> {
  return exceptionsAmong(
    await readObjects(paths, { readStdin: () => Promise.reject(new UnusableError('standard input is not a file')) }),
  )
}

type State = 'active' | 'expired' | 'suspended' | 'malformed'

function stateOf({ exception }: ExceptionReading, now: number): State {
  if (exception === undefined) return 'malformed'
  if (isExpired(exception, now)) return 'expired'
  return exception.suspended ? 'suspended' : 'active'
}

function asJson({ name, reading, use }: ListedException, now: number): object {
  const { exception, problem } = reading
  return {
    name,
    state: stateOf(reading, now),
    ...(exception === undefined
      ? { problem }
      : {
          namespaces: exception.namespaces,
          serviceAccounts: exception.serviceAccounts,
          images: exception.images.map(({ text, mutable }) => ({ image: text, mutable })),
          checks: exception.checks,
          expiresAt: time(exception.expiresAt),
          reason: exception.reason,
        }),
    uses: use?.uses ?? 0,
    ...(use === undefined ? {} : { lastUse: time(use.lastUse), lastUsedBy: use.lastUsedBy }),
  }
}

function asRow({ name, reading, use }: ListedException, now: number): readonly string[] {
  const { exception, problem } = reading
  const uses = [String(use?.uses ?? 0), use === undefined ? '' : `${age(now - use.lastUse)} ago by ${use.lastUsedBy}`]
  if (exception === undefined) return [name, 'malformed', '', '', '', '', '', ...uses, problem]
  const left = exception.expiresAt - now
  return [
    name,
    stateOf(reading, now),
    exception.namespaces.join(','),
    exception.serviceAccounts.join(','),
    exception.images.map(({ text, mutable }) => (mutable ? `${text} (mutable)` : text)).join(','),
    exception.checks.join(','),
    `${time(exception.expiresAt)} (${left > 0 ? `in ${age(left)}` : `${age(-left)} ago`})`,
    ...uses,
    exception.reason.replaceAll(/\s+/g, ' '),
  ]
}

const HEADER = [
  'NAME',
  'STATE',
  'NAMESPACES',
  'SERVICE-ACCOUNTS',
  'IMAGES',
  'CHECKS',
  'EXPIRES',
  'USES',
  'LAST-USE',
  'REASON',
]

/** `exceptions list`. */
export async function listExceptions(
  options: { readonly output: 'table' | 'json' },
  access: ExceptionAccess,
  io: CliIo,
): Promise<number> {
  const exceptions = [...(await access.list())].sort((a, b) => (a.name < b.name ? -1 : 1))
  const now = io.now()
  if (options.output === 'json') {
    io.out(`${JSON.stringify({ items: exceptions.map((one) => asJson(one, now)) }, undefined, 2)}\n`)
  } else if (exceptions.length === 0) {
    io.out('No exceptions: nothing is exempt.\n')
  } else {
    io.out(
      table(
        HEADER,
        exceptions.map((one) => asRow(one, now)),
      ),
    )
  }
  return EXIT.ok
}
