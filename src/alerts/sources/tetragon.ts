/**
 * Tetragon's export (file or standard output, sent by a shipper; it posts nothing itself): cilium/tetragon api/v1/tetragon/tetragon.proto, one
 * `GetEventsResponse` a line. Some pipelines wrap it as `{time, node_name, type, payload}`.
 */
import { MAX_RULE } from '../text.ts'
import { parseEventTime } from '../time.ts'
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

/** Events that a TracingPolicy asks for. Executions, exits and the rest are Tetragon's own. */
const POLICY_EVENTS = ['process_kprobe', 'process_tracepoint', 'process_lsm', 'process_uprobe', 'process_usdt'] as const

const OTHER_EVENT = /^(?:process_[a-z]{1,24}|rate_limit_info|test)$/

export const tetragon: SensorSource = { name: 'tetragon', decode: decodeTetragon }

/**
 * Finding: an event of a TracingPolicy, which is then the rule (`policy_name`). Telemetry: every other event. The target is the process's binary;
 * arguments are not read.
 */
function decodeTetragon(item: unknown): Decoded {
  if (!isObject(item)) return refuse('not-an-object', 'an event is a JSON object')
  const event = eventOf(item)
  if (event === undefined) {
    return Object.keys(item).some((key) => OTHER_EVENT.test(key)) || OTHER_EVENT.test(textOf(item, 'type') ?? '')
      ? telemetry('an event of no TracingPolicy')
      : refuse('rule-missing', 'an event is one of `process_kprobe`, `process_exec`, ...')
  }
  const rule = textOf(event, 'policy_name', MAX_RULE)
  if (rule === undefined) return telemetry('an event of no TracingPolicy')
  const timeText = textOf(item, 'time')
  if (timeText === undefined) return refuse('time-missing', 'an event has a `time`')
  const time = parseEventTime(timeText)
  if (time === undefined) return refuse('time-malformed', '`time` is not an RFC 3339 time with a zone')
  const tags = arrayAt(event, 'tags', 32)
  const process = objectAt(event, 'process')
  const alert: RuntimeAlert = {
    detector: 'tetragon',
    source: 'tetragon',
    rule,
    priority: '',
    tags: tagsIn(tags),
    ...techniquesIn(tags),
    ...time,
    target: targetIn(own(process, 'binary')),
    ...present('node', textOf(item, 'node_name')),
    ...placeOf(process),
  }
  return { kind: 'finding', alert }
}

/** The event that a policy could have asked for, plain or wrapped. */
function eventOf(item: Json): Json | undefined {
  for (const key of POLICY_EVENTS) {
    const event = own(item, key)
    if (isObject(event)) return event
    if (own(item, 'type') === key) {
      const payload = objectAt(item, 'payload')
      const inner = own(payload, key)
      return isObject(inner) ? inner : payload
    }
  }
  return undefined
}

function placeOf(process: Json): Partial<RuntimeAlert> {
  const pod = objectAt(process, 'pod')
  const container = objectAt(pod, 'container')
  const image = objectAt(container, 'image')
  // 31 characters from the cgroup, there before the pod is known.
  const short = textOf(process, 'docker')
  const isHost = short === undefined && !Object.hasOwn(process, 'pod')
  return {
    ...present('containerId', isHost ? 'host' : (containerIdOf(textOf(container, 'id')) ?? containerIdOf(short))),
    ...present('containerName', textOf(container, 'name')),
    ...present('namespace', textOf(pod, 'namespace')),
    ...present('pod', textOf(pod, 'name')),
    ...present('podUid', textOf(pod, 'uid')),
    ...present('image', referenceOf(textOf(image, 'name'))),
    ...present('imageDigest', digestIn([own(image, 'id')])),
  }
}
