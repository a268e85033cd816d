/**
 * The content of the Secret that all replicas share, as texts by key. `ca.crt` is what clients should trust: whoever mounts it needs nothing else.
 * During a rotation the next authority and its certificate are there too, under `next-`.
 */
import type { Material } from './generation.ts'
import { certificatesIn } from './pem.ts'
import type { Shared } from './rotation.ts'

const KEYS = ['authority.crt', 'authority.key', 'tls.crt', 'tls.key'] as const
/** Every key that is Drawbridge's. */
export const SECRET_KEYS: readonly string[] = ['ca.crt', ...KEYS, ...KEYS.map((key) => `next-${key}`)]
const MAX_VALUE_CHARACTERS = 64 * 1024

type Data = Readonly<Record<string, string>>

function encodeMaterial({ authority, leaf }: Material, prefix: string): Data {
  return {
    [`${prefix}authority.crt`]: authority.certificate,
    [`${prefix}authority.key`]: authority.key ?? '',
    [`${prefix}tls.crt`]: leaf.certificate,
    [`${prefix}tls.key`]: leaf.key,
  }
}

/** The texts of the Secret. */
export function encodeSecret({ current, next, previous }: Shared<Material>): Data {
  const trusted = [current.authority.certificate, ...(next === undefined ? [] : [next.authority.certificate])]
  return {
    'ca.crt': [...new Set([...trusted.flatMap(certificatesIn), ...previous])].join(''),
    ...encodeMaterial(current, ''),
    ...(next === undefined ? {} : encodeMaterial(next, 'next-')),
  }
}

function decodeMaterial(data: ReadonlyMap<string, string>, prefix: string): Material | { readonly damage: string } {
  const texts = KEYS.map((key) => data.get(prefix + key))
  const missing = texts.findIndex((text) => text === undefined || text === '')
  if (missing >= 0) return { damage: `it has no ${prefix}${KEYS[missing]}` }
  const long = texts.findIndex((text) => text!.length > MAX_VALUE_CHARACTERS)
  if (long >= 0) return { damage: `its ${prefix}${KEYS[long]} is too long` }
  const [authority, authorityKey, leaf, leafKey] = texts as [string, string, string, string]
  return { authority: { certificate: authority, key: authorityKey }, leaf: { certificate: leaf, key: leafKey } }
}

/**
 * Reads the texts of the Secret. Whether they are certificates is not looked at here.
 *
 * @returns undefined when none of Drawbridge's keys is there; `damage` when some of them are missing
 */
export function decodeSecret(
  data: ReadonlyMap<string, string>,
): Shared<Material> | { readonly damage: string } | undefined {
  if (!SECRET_KEYS.some((key) => data.has(key))) return undefined
  const current = decodeMaterial(data, '')
  if ('damage' in current) return current
  const next = decodeMaterial(data, 'next-')
  const used = [current, ...('damage' in next ? [] : [next])].flatMap(({ authority }) =>
    certificatesIn(authority.certificate),
  )
  return {
    current,
    // Half of a next generation was never served: it is made again.
    ...('damage' in next ? {} : { next }),
    previous: certificatesIn(data.get('ca.crt') ?? '').filter((one) => !used.includes(one)),
  }
}
