/**
 * JSON Schemas for kubeconform, made from what a real API server says of itself (`/openapi/v2`), because kubeconform's own come from the internet.
 *
 * Objects with named fields refuse every other field, as `kubectl` does with strict validation: a misspelt field fails.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

type Json = Readonly<Record<string, unknown>>

interface Definition extends Json {
  readonly 'x-kubernetes-group-version-kind'?: readonly { group: string; version: string; kind: string }[]
}

function strict(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(strict)
  if (typeof value !== 'object' || value === null) return value
  const copy = Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, strict(inner)]))
  // Version 2 of OpenAPI cannot say "a number or a text".
  if (copy['type'] === 'string' && copy['format'] === 'int-or-string') return { type: ['string', 'integer'] }
  const isObject = copy['type'] === 'object' && typeof copy['properties'] === 'object'
  return isObject && copy['additionalProperties'] === undefined ? { ...copy, additionalProperties: false } : copy
}

/** Names of the definitions that this one needs, itself included. */
function closure(name: string, definitions: Readonly<Record<string, unknown>>, found: Set<string>): Set<string> {
  if (found.has(name)) return found
  found.add(name)
  for (const [, next] of JSON.stringify(definitions[name]).matchAll(/"\$ref":"#\/definitions\/([^"]+)"/g))
    closure(next!, definitions, found)
  return found
}

/**
 * Writes one file for each kind that is asked for, named `<kind>-<group>-<version>.json` in lower case.
 *
 * @param openApi the API server's `/openapi/v2`
 * @param kinds `apiVersion/kind`, for example `apps/v1/Deployment`, `v1/Service`
 * @returns those for which there is no definition
 */
export function writeSchemas(openApi: unknown, kinds: Iterable<string>, folder: string): readonly string[] {
  const { definitions } = openApi as { readonly definitions: Readonly<Record<string, Definition>> }
  const byKind = new Map(
    Object.entries(definitions).flatMap(([name, definition]) =>
      (definition['x-kubernetes-group-version-kind'] ?? []).map(({ group, version, kind }) => [
        [...(group === '' ? [] : [group]), version, kind].join('/'),
        name,
      ]),
    ),
  )
  mkdirSync(folder, { recursive: true })
  return [...new Set(kinds)].filter((id) => {
    const name = byKind.get(id)
    if (name === undefined) return true
    const needed = [...closure(name, definitions, new Set())]
    const schema = {
      $ref: `#/definitions/${name}`,
      definitions: Object.fromEntries(needed.map((each) => [each, strict(definitions[each])])),
    }
    const [kind, version, group] = id.split('/').toReversed() as [string, string, string | undefined]
    const file = [kind, ...(group === undefined ? [] : [group.split('.')[0]!]), version].join('-').toLowerCase()
    writeFileSync(join(folder, `${file}.json`), JSON.stringify(schema))
    return false
  })
}
