/**
 * Falco's JSON as http_output posts it: falcosecurity/falco userspace/engine/formats.cpp (`format_event`) and
 * userspace/falco/falco_outputs.cpp (`handle_msg`). One object per alert; keys beyond `rule` and `time` depend on `json_include_*` options.
 */
import { isLocalShell } from '../localShell.ts'
import { cleanText, cutBytes, MAX_RULE } from '../text.ts'
import { parseEventTime } from '../time.ts'
import type { Decoded, RuntimeAlert, SensorSource } from '../types.ts'

type Json = Readonly<Record<string, unknown>>

/** Falcosidekick's `/test` endpoint sends it: falcosecurity/falcosidekick handlers.go. */
const TEST_RULE = 'Test rule'

/** Falco spells them so on the wire: falcosecurity/falco userspace/engine/falco_common.cpp. */
const PRIORITIES = ['Emergency', 'Alert', 'Critical', 'Error', 'Warning', 'Notice', 'Informational', 'Debug'] as const

const MAX_TAGS = 32

/**
 * Falcosidekick cuts strings beyond 512 bytes to 507 bytes and `[...]` when the whole alert exceeds 4,096 bytes. What is cut below that length is
 * the same by both roads.
 */
const MAX_TARGET_BYTES = 480

export const falco: SensorSource = { name: 'falco', decode: (item) => decodeFalco(item, 'falco') }

/**
 * Decodes one Falco alert, whatever the road it took; `source` is the name of that road.
 *
 * Finding: every alert with a rule and a time, also without `output_fields` (`json_include_output_fields_property: false`): it then names no container.
 * Telemetry: Falco's messages about itself, and Falcosidekick's test rule. Numbers are never read: most exceed 2^53.
 */
export function decodeFalco(item: unknown, source: string): Decoded {
  if (!isObject(item)) return refuse('not-an-object', 'an alert is a JSON object')
  const rule = textOf(item, 'rule', MAX_RULE)
  if (own(item, 'source') === 'internal' || rule?.startsWith('Falco internal: ') === true) {
    return { kind: 'telemetry', reason: rule ?? 'a message of Falco about itself' }
  }
  if (rule === undefined) return refuse('rule-missing', 'an alert has a `rule`')
  if (rule === TEST_RULE) return { kind: 'telemetry', reason: rule }
  const rawTime = own(item, 'time')
  if (rawTime === undefined || rawTime === null || rawTime === '')
    return refuse('time-missing', 'an alert has a `time`')
  const time = typeof rawTime === 'string' ? parseEventTime(rawTime) : undefined
  if (time === undefined) return refuse('time-malformed', '`time` is not an RFC 3339 time with a zone')
  const fields = own(item, 'output_fields') ?? {}
  if (!isObject(fields)) return refuse('fields-malformed', '`output_fields` is not an object')
  const digest = digestOf(fields)
  const alert: RuntimeAlert = {
    detector: 'falco',
    source,
    rule,
    priority: priorityOf(item),
    tags: tagsOf(item),
    ...time,
    target: targetOf(fields),
    ...present('node', textOf(item, 'hostname')),
    ...present('containerId', containerIdOf(fields)),
    ...present('containerName', textOf(fields, 'container.name')),
    ...present('namespace', textOf(fields, 'k8s.ns.name')),
    ...present('pod', textOf(fields, 'k8s.pod.name')),
    ...present('podUid', textOf(fields, 'k8s.pod.uid')),
    ...present('image', imageOf(fields)),
    ...present('imageDigest', digest),
    ...(isLocalShell(textOf(fields, 'proc.exepath'), textOf(fields, 'fd.sip')) ? { localShell: true } : {}),
  }
  return { kind: 'finding', alert }
}

/** `container.id` is 12 characters from the cgroup and reliable; the full id is better where it continues that one. */
function containerIdOf(fields: Json): string | undefined {
  const short = textOf(fields, 'container.id')?.toLowerCase()
  if (short === 'host') return 'host'
  const full = textOf(fields, 'container.full_id')?.toLowerCase()
  if (isContainerId(full) && (!isContainerId(short) || full.startsWith(short))) return full
  return isContainerId(short) ? short : undefined
}

function isContainerId(id: string | undefined): id is string {
  return id !== undefined && /^[0-9a-f]{12,64}$/.test(id)
}

/** `container.image` is the reference; the two halves are what Falco adds by default. A bare id is parsed by Falco as repository `sha256` (falcosecurity/falco#1187). */
function imageOf(fields: Json): string | undefined {
  const image = textOf(fields, 'container.image')
  if (image !== undefined && !/^(sha256:)?[0-9a-f]{64}$/.test(image)) return image
  const repository = textOf(fields, 'container.image.repository')
  if (repository === undefined || repository === 'sha256') return undefined
  const tag = textOf(fields, 'container.image.tag')
  return tag === undefined ? repository : cleanText(`${repository}:${tag}`)
}

/** A string; in some shippers' output an array, and there also `repository@sha256:...`. */
function digestOf(fields: Json): string | undefined {
  const value = own(fields, 'container.image.digest')
  const candidates: readonly unknown[] = Array.isArray(value) ? value.slice(0, 8) : [value]
  for (const candidate of [...candidates, own(fields, 'container.image'), own(fields, 'container.image.id')]) {
    const match =
      typeof candidate === 'string' && candidate.length <= 1024
        ? /(?:^|@)(sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128})$/.exec(candidate)
        : null
    if (match?.[1] !== undefined) return match[1]
  }
  return undefined
}

function targetOf(fields: Json): string {
  const path = own(fields, 'proc.exepath')
  return typeof path === 'string' && path !== '<NA>' ? cleanText(cutBytes(path, MAX_TARGET_BYTES)) : ''
}

function priorityOf(item: Json): string {
  const text = textOf(item, 'priority', 32) ?? ''
  const lower = text.toLowerCase()
  return PRIORITIES.find((priority) => priority.toLowerCase() === (lower === 'info' ? 'informational' : lower)) ?? text
}

function tagsOf(item: Json): readonly string[] {
  const tags = own(item, 'tags')
  if (!Array.isArray(tags)) return []
  const texts = tags.slice(0, MAX_TAGS).filter((tag): tag is string => typeof tag === 'string' && tag !== '')
  return texts.map((tag) => cleanText(tag, 64)).sort()
}

/** A text field; `undefined` when it is no string, empty, or Falco's `<NA>`. */
function textOf(item: Json, key: string, max?: number): string | undefined {
  const value = own(item, key)
  if (typeof value !== 'string') return undefined
  const text = cleanText(value, max).trim()
  return text === '' || text === '<NA>' ? undefined : text
}

/** Only own properties: `__proto__` and `constructor` are ordinary keys in JSON. */
function own(item: Json, key: string): unknown {
  return Object.hasOwn(item, key) ? item[key] : undefined
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function present<Key extends string>(key: Key, value: string | undefined): Partial<Record<Key, string>> {
  return value === undefined ? {} : ({ [key]: value } as Record<Key, string>)
}

function refuse(code: Extract<Decoded, { kind: 'refused' }>['code'], message: string): Decoded {
  return { kind: 'refused', code, message }
}
