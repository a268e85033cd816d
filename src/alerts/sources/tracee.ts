/**
 * Tracee's events in the three layouts that are in use: aquasecurity/tracee types/trace/trace.go (flat up to v0.12, nested up to v0.24) and
 * api/v1beta1/event_json.go (after v0.24; docs/docs/outputs/event-structure.md shows it differently, both are read). One event per request, or what a
 * shipper makes of the forward output: `{"event": "<json>"}`.
 */
import { isLocalShell } from '../localShell.ts'
import { cleanText, MAX_RULE } from '../text.ts'
import type { EventTime } from '../time.ts'
import { epochTime, nanosecondTime, parseEventTime } from '../time.ts'
import type { Decoded, RuntimeAlert, SensorSource } from '../types.ts'
import type { Json } from './fields.ts'
import {
  arrayAt,
  containerIdOf,
  digestIn,
  isObject,
  objectAt,
  own,
  present,
  referenceOf,
  refuse,
  tagsIn,
  targetIn,
  techniquesIn,
  telemetry,
  textOf,
} from './fields.ts'

/** Tracee's own scale: api/v1beta1/threat.proto, and 0 to 3 in signatures. */
const SEVERITIES = ['INFO', 'LOW', 'MEDIUM', 'HIGH', 'CRITICAL'] as const

/** Here the file that was dropped is the matter, not the program that wrote it. Name of the event, and title in the flat layout. */
const DROPPED: ReadonlySet<string> = new Set(['dropped_executable', 'New executable dropped'])

/** Arguments that are looked through for one of interest. */
const MAX_ARGUMENTS = 64

/** A wrapped event is parsed once more; real ones have a few KiB. */
const MAX_WRAPPED = 256 * 1024

export const tracee: SensorSource = { name: 'tracee', decode: decodeTracee }

/**
 * Finding: an event of a signature (`metadata.Properties.signatureID`) or with a `threat`. Telemetry: every other event. The rule is the event's
 * name (`anti_debugging`), in the flat layout the signature's title. `hostName` is a pod's name in Kubernetes, so no
 * node is taken from it. The target is the executable; of a dropped executable, the file.
 */
function decodeTracee(item: unknown): Decoded {
  if (!isObject(item)) return refuse('not-an-object', 'an event is a JSON object')
  const event = unwrapped(item)
  if (event === undefined) return refuse('not-json', '`event` is not a JSON object in a string')
  const isProtobuf = Object.hasOwn(event, 'workload') || Object.hasOwn(event, 'threat')
  const name = textOf(event, 'eventName', MAX_RULE) ?? textOf(event, 'name', MAX_RULE)
  if (name === undefined) return refuse('rule-missing', 'an event has an `eventName` or a `name`')
  const threat = isProtobuf ? protobufThreat(event) : signatureThreat(event)
  if (threat === undefined) return telemetry('an event of no signature')
  const rawTime = own(event, 'timestamp')
  if (rawTime === undefined || rawTime === null) return refuse('time-missing', 'an event has a `timestamp`')
  const time = timeOf(rawTime)
  if (time === undefined) return refuse('time-malformed', '`timestamp` is neither nanoseconds nor an RFC 3339 time')
  const alert: RuntimeAlert = {
    detector: 'tracee',
    source: 'tracee',
    rule: name,
    priority: typeof threat.severity === 'number' ? (SEVERITIES[threat.severity] ?? '') : '',
    tags: tagsIn(threat.tags),
    ...techniquesIn([threat.technique]),
    ...time,
    target: targetOf(event, name),
    ...(isLocalShell(executableOf(event), addressOf(event)) ? { localShell: true } : {}),
    ...(isProtobuf ? protobufPlace(event) : tracePlace(event)),
  }
  return { kind: 'finding', alert }
}

/** `undefined`: there is an `event` that cannot be read. */
function unwrapped(item: Json): Json | undefined {
  const wrapped = own(item, 'event')
  if (wrapped === undefined || Object.hasOwn(item, 'eventName') || Object.hasOwn(item, 'name')) return item
  if (isObject(wrapped)) return wrapped
  if (typeof wrapped !== 'string' || wrapped.length > MAX_WRAPPED) return undefined
  try {
    const parsed: unknown = JSON.parse(wrapped)
    return isObject(parsed) ? parsed : undefined
  } catch {
    return undefined
  }
}

interface Threat {
  readonly severity: unknown
  readonly technique: unknown
  readonly tags: readonly unknown[]
}

function signatureThreat(event: Json): Threat | undefined {
  const metadata = objectAt(event, 'metadata')
  const properties = objectAt(metadata, 'Properties')
  const id = textOf(properties, 'signatureID')
  if (id === undefined) return undefined
  return {
    severity: own(properties, 'Severity'),
    technique: own(properties, 'external_id'),
    tags: [id, own(properties, 'Category'), ...arrayAt(metadata, 'Tags', 16)],
  }
}

function protobufThreat(event: Json): Threat | undefined {
  const threat = own(event, 'threat')
  if (!isObject(threat)) return undefined
  const properties = objectAt(threat, 'properties')
  return {
    severity: own(threat, 'severity'),
    technique: textOf(objectAt(objectAt(threat, 'mitre'), 'technique'), 'id') ?? own(properties, 'external_id'),
    tags: [own(properties, 'signatureID'), own(properties, 'Category')],
  }
}

type Place = Partial<
  Pick<RuntimeAlert, 'containerId' | 'containerName' | 'namespace' | 'pod' | 'podUid' | 'image' | 'imageDigest'>
>

/** The flat names and the nested ones; `containerId` may be empty where `container.id` is not. */
function tracePlace(event: Json): Place {
  const container = objectAt(event, 'container')
  const kubernetes = objectAt(event, 'kubernetes')
  return placeOf({
    id: textOf(container, 'id') ?? textOf(event, 'containerId'),
    name: textOf(container, 'name') ?? textOf(event, 'containerName'),
    namespace: textOf(kubernetes, 'podNamespace') ?? textOf(event, 'podNamespace'),
    pod: textOf(kubernetes, 'podName') ?? textOf(event, 'podName'),
    uid: textOf(kubernetes, 'podUID') ?? textOf(event, 'podUID'),
    image: textOf(container, 'image') ?? textOf(event, 'containerImage'),
    // Not always one: `docker.io/library/fedora:38` was seen (aquasecurity/tracee#3675).
    digests: [own(container, 'imageDigest')],
  })
}

function protobufPlace(event: Json): Place {
  const workload = objectAt(event, 'workload')
  const container = objectAt(workload, 'container')
  const image = objectAt(container, 'image')
  const k8s = objectAt(workload, 'k8s')
  const pod = Object.hasOwn(k8s, 'pod') ? objectAt(k8s, 'pod') : objectAt(workload, 'pod')
  return placeOf({
    id: textOf(container, 'id'),
    name: textOf(container, 'name'),
    namespace: textOf(objectAt(k8s, 'namespace'), 'name') ?? textOf(objectAt(pod, 'namespace'), 'name'),
    pod: textOf(pod, 'name'),
    uid: textOf(pod, 'uid'),
    image: textOf(image, 'name'),
    digests: [...arrayAt(image, 'repo_digests', 8), own(image, 'id')],
  })
}

function placeOf(claims: {
  readonly id: string | undefined
  readonly name: string | undefined
  readonly namespace: string | undefined
  readonly pod: string | undefined
  readonly uid: string | undefined
  readonly image: string | undefined
  readonly digests: readonly unknown[]
}): Place {
  const { id, name, namespace, pod, uid, image, digests } = claims
  // Tracee takes ids from the cgroup, so an event without any is of a process outside containers.
  const isHost = [id, name, pod, image].every((claim) => claim === undefined)
  return {
    ...present('containerId', isHost ? 'host' : containerIdOf(id)),
    ...present('containerName', name),
    ...present('namespace', namespace),
    ...present('pod', pod),
    ...present('podUid', uid),
    ...present('image', referenceOf(image)),
    ...present('imageDigest', digestIn(digests)),
  }
}

/** Nanoseconds; RFC 3339; `{seconds, nanos}`. Relative to the boot in some configurations: a time in 1970, for which the receipt's counts. */
function timeOf(value: unknown): EventTime | undefined {
  if (isObject(value)) {
    const seconds = own(value, 'seconds')
    const nanoseconds = own(value, 'nanos') ?? 0
    const whole = typeof seconds === 'string' && /^\d{1,12}$/.test(seconds) ? Number(seconds) : seconds
    if (typeof whole !== 'number' || typeof nanoseconds !== 'number') return undefined
    return epochTime(whole, nanoseconds)
  }
  return (typeof value === 'string' ? parseEventTime(value) : undefined) ?? nanosecondTime(value)
}

function targetOf(event: Json, rule: string): string {
  const dropped = DROPPED.has(rule) ? droppedFile(event) : undefined
  const thread = objectAt(objectAt(objectAt(event, 'workload'), 'process'), 'thread')
  const path = dropped ?? executableOf(event) ?? textOf(event, 'processName') ?? textOf(thread, 'name')
  return targetIn(path === undefined ? '' : cleanText(path))
}

function executableOf(event: Json): string | undefined {
  const process = objectAt(objectAt(event, 'workload'), 'process')
  return textOf(objectAt(event, 'executable'), 'path') ?? textOf(objectAt(process, 'executable'), 'path')
}

/** What stdio_over_socket says of the other end: aquasecurity/tracee signatures/golang/stdio_over_socket.go. */
function addressOf(event: Json): string | undefined {
  const fields = [...arrayAt(event, 'args', MAX_ARGUMENTS), ...arrayAt(event, 'data', MAX_ARGUMENTS)]
  const found = fields.find((field) => isObject(field) && own(field, 'name') === 'IP address')
  return isObject(found) ? (textOf(found, 'value') ?? textOf(found, 'str')) : undefined
}

/** `pathname` of what the signature saw: `triggeredBy` up to v0.23, `detectedFrom` in v0.24, `detected_from` after it. */
function droppedFile(event: Json): string | undefined {
  const argument = (list: readonly unknown[], ...names: readonly string[]): unknown => {
    const found = list.find((entry) => isObject(entry) && names.includes(textOf(entry, 'name') ?? ''))
    return isObject(found) ? (own(found, 'value') ?? own(found, 'str')) : undefined
  }
  const seen = argument(arrayAt(event, 'args', MAX_ARGUMENTS), 'triggeredBy', 'detectedFrom')
  const data = isObject(seen)
    ? arrayAt(seen, 'args', MAX_ARGUMENTS)
    : arrayAt(objectAt(event, 'detected_from'), 'data', MAX_ARGUMENTS)
  const path = argument(data, 'pathname') ?? argument(arrayAt(event, 'data', MAX_ARGUMENTS), 'path', 'pathname')
  return typeof path === 'string' && path !== '' ? path : undefined
}
