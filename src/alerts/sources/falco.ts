/**
 * Falco's JSON as http_output posts it: falcosecurity/falco userspace/engine/formats.cpp (`format_event`) and
 * userspace/falco/falco_outputs.cpp (`handle_msg`). One object per alert; keys beyond `rule` and `time` depend on `json_include_*` options.
 */
import { isLocalShell } from '../localShell.ts'
import { cleanText, MAX_RULE } from '../text.ts'
import { parseEventTime } from '../time.ts'
import type { Decoded, RuntimeAlert, SensorSource } from '../types.ts'
import type { Json } from './fields.ts'
import {
  arrayAt,
  containerIdOf,
  digestIn,
  isObject,
  own,
  referenceOf,
  refuse,
  tagsIn,
  targetIn,
  techniquesIn,
  telemetry,
  textOf,
} from './fields.ts'

/** Falcosidekick's `/test` endpoint sends it: falcosecurity/falcosidekick handlers.go. */
const TEST_RULE = 'Test rule'

/** Falco spells them so on the wire: falcosecurity/falco userspace/engine/falco_common.cpp. */
const PRIORITIES: ReadonlyMap<string, string> = new Map(
  ['Emergency', 'Alert', 'Critical', 'Error', 'Warning', 'Notice', 'Informational', 'Debug'].map((name) => [
    name.toLowerCase(),
    name,
  ]),
)

/** An alert whose fields are filled in one by one: putting it together from parts costs a tenth of all that happens to an alert. */
type Draft = { -readonly [Key in keyof RuntimeAlert]: RuntimeAlert[Key] }

export const falco: SensorSource = { name: 'falco', decode: (item) => decodeFalco(item, 'falco') }

/**
 * Decodes one Falco alert, whatever the road it took; `source` is the name of that road.
 *
 * Finding: every alert with a rule and a time, also without `output_fields` (`json_include_output_fields_property: false`): it then names no container.
 * Nothing is read from `output`: its prefix depends on `time_format_iso_8601`, and a command line in it can say anything. A process outside any
 * container stays one (`host`), also when a container runtime is among its ancestors.
 * Telemetry: Falco's messages about itself, and Falcosidekick's test rule. Numbers are never read: most exceed 2^53.
 */
export function decodeFalco(item: unknown, source: string): Decoded {
  if (!isObject(item)) return refuse('not-an-object', 'an alert is a JSON object')
  const rule = textOf(item, 'rule', MAX_RULE)
  if (own(item, 'source') === 'internal' || rule?.startsWith('Falco internal: ') === true) {
    return telemetry(rule ?? 'a message of Falco about itself')
  }
  if (rule === undefined) return refuse('rule-missing', 'an alert has a `rule`')
  if (rule === TEST_RULE) return telemetry(rule)
  const rawTime = own(item, 'time')
  if (rawTime === undefined || rawTime === null || rawTime === '')
    return refuse('time-missing', 'an alert has a `time`')
  const time = typeof rawTime === 'string' ? parseEventTime(rawTime) : undefined
  if (time === undefined) return refuse('time-malformed', '`time` is not an RFC 3339 time with a zone')
  const fields = own(item, 'output_fields') ?? {}
  if (!isObject(fields)) return refuse('fields-malformed', '`output_fields` is not an object')
  const tags = arrayAt(item, 'tags', 32)
  const alert: Draft = {
    detector: 'falco',
    source,
    rule,
    priority: priorityOf(item),
    tags: tagsIn(tags),
    ...techniquesIn(tags),
    time: time.time,
    timeText: time.timeText,
    target: '',
  }
  if (own(item, 'source') === 'k8s_audit') {
    readAudit(fields, alert)
  } else {
    const node = textOf(item, 'hostname')
    if (node !== undefined) alert.node = node
    readSyscall(fields, alert)
  }
  return { kind: 'finding', alert }
}

function readSyscall(fields: Json, alert: Draft): void {
  alert.target = targetIn(own(fields, 'proc.exepath'))
  const containerId = falcoContainerId(fields)
  if (containerId !== undefined) alert.containerId = containerId
  const containerName = textOf(fields, 'container.name')
  if (containerName !== undefined) alert.containerName = containerName
  const namespace = textOf(fields, 'k8s.ns.name')
  if (namespace !== undefined) alert.namespace = namespace
  const pod = textOf(fields, 'k8s.pod.name')
  if (pod !== undefined) alert.pod = pod
  const podUid = textOf(fields, 'k8s.pod.uid')
  if (podUid !== undefined) alert.podUid = podUid
  const image = imageOf(fields)
  if (image !== undefined) alert.image = image
  const imageDigest = digestOf(fields)
  if (imageDigest !== undefined) alert.imageDigest = imageDigest
  if (isLocalShell(textOf(fields, 'proc.exepath'), textOf(fields, 'fd.sip'))) alert.localShell = true
}

/**
 * The k8saudit plugin (source `k8s_audit`) knows a request, not a container: falcosecurity/plugins plugins/k8saudit/rules/k8s_audit_rules.yaml.
 * A created pod may have its name only in the answer (`generateName`). The target is who asked. `hostname` is where the plugin runs, not the pod.
 */
function readAudit(fields: Json, alert: Draft): void {
  const resource = textOf(fields, 'ka.target.resource')
  const pod = textOf(fields, 'ka.target.name') ?? textOf(fields, 'ka.resp.name')
  alert.target = targetIn(own(fields, 'ka.user.name'))
  const namespace = textOf(fields, 'ka.target.namespace')
  if (namespace !== undefined) alert.namespace = namespace
  if (pod !== undefined && (resource === undefined || resource === 'pods')) alert.pod = pod
  // The second spelling is Falcosidekick's (`bracketreplacer`).
  const containerName = textOf(fields, 'ka.uri.param[container]') ?? textOf(fields, 'ka.uri.param_container')
  if (containerName !== undefined) alert.containerName = containerName
}

/** `container.id` is 12 characters from the cgroup and reliable; the full id is better where it continues that one. */
function falcoContainerId(fields: Json): string | undefined {
  const id = textOf(fields, 'container.id')
  if (id?.toLowerCase() === 'host') return 'host'
  const short = containerIdOf(id)
  const full = containerIdOf(textOf(fields, 'container.full_id'))
  return full !== undefined && (short === undefined || full.startsWith(short)) ? full : short
}

/** `container.image` is the reference; the two halves are what Falco adds by default. A bare id is parsed by Falco as repository `sha256` (falcosecurity/falco#1187). */
function imageOf(fields: Json): string | undefined {
  const image = referenceOf(textOf(fields, 'container.image'))
  if (image !== undefined) return image
  const repository = textOf(fields, 'container.image.repository')
  if (repository === undefined || repository === 'sha256') return undefined
  const tag = textOf(fields, 'container.image.tag')
  return tag === undefined ? repository : cleanText(`${repository}:${tag}`)
}

/** A string; in some shippers' output an array, and there also `repository@sha256:...`. */
function digestOf(fields: Json): string | undefined {
  const digests = arrayAt(fields, 'container.image.digest', 8)
  return digestIn([
    ...(digests.length > 0 ? digests : [own(fields, 'container.image.digest')]),
    own(fields, 'container.image'),
    own(fields, 'container.image.id'),
  ])
}

function priorityOf(item: Json): string {
  const text = textOf(item, 'priority', 32) ?? ''
  const lower = text.toLowerCase()
  return PRIORITIES.get(lower === 'info' ? 'informational' : lower) ?? text
}
