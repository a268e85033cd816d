/**
 * Audit events as kube-apiserver's audit webhook posts them: kubernetes/kubernetes staging/src/k8s.io/apiserver/pkg/apis/audit/v1/types.go and
 * plugin/pkg/audit/webhook/webhook.go. A body is an EventList (`splitBody` gives its events); single events and arrays of them are read too.
 */
import { parseEventTime } from '../time.ts'
import type { Decoded, RuntimeAlert, SensorSource } from '../types.ts'
import type { Json } from './fields.ts'
import { isObject, objectAt, own, present, refuse, targetIn, telemetry, textOf } from './fields.ts'

/** Subresource of pods -> rule. All of them are a person's doing. */
const RULES: ReadonlyMap<string, { readonly rule: string; readonly verbs: ReadonlySet<string> }> = new Map([
  // `get` over WebSockets (kubectl since 1.31), `create` over SPDY.
  ['exec', { rule: 'exec', verbs: new Set(['get', 'create']) }],
  ['attach', { rule: 'attach', verbs: new Set(['get', 'create']) }],
  ['portforward', { rule: 'port-forward', verbs: new Set(['get', 'create']) }],
  ['ephemeralcontainers', { rule: 'ephemeral-container', verbs: new Set(['patch', 'update']) }],
])

/** The API server's default batch is 400 events of up to 100 KiB, and no more than 10 MiB where truncation is on. */
const MAX_BYTES = 16 * 1024 * 1024

/** Request bodies are quoted in events and may nest 10,000 deep (sigs.k8s.io/json): one deep custom resource must not hide the exec beside it. */
const MAX_DEPTH = 10_100

export const k8sAudit: SensorSource = {
  name: 'k8s-audit',
  decode: decodeAuditEvent,
  bodyLimits: { maxBytes: MAX_BYTES, maxDepth: MAX_DEPTH },
  repeatsBatches: true,
}

/**
 * Finding: exec, attach, port-forward and ephemeral containers that the API server let happen, once per request: at ResponseStarted 101 (an upgraded
 * connection) or at ResponseComplete 2xx. Telemetry: everything else, dry runs among it. The target is the user who asked, an impersonated one by the
 * name taken on. Command lines, bodies and annotations are not read.
 */
function decodeAuditEvent(item: unknown): Decoded {
  if (!isObject(item)) return refuse('not-an-object', 'an audit event is a JSON object')
  const stage = textOf(item, 'stage', 32)
  const verb = textOf(item, 'verb', 32)
  if (stage === undefined || verb === undefined) {
    return refuse('fields-malformed', 'an audit event has a `stage` and a `verb`')
  }
  const object = objectAt(item, 'objectRef')
  const subresource = textOf(object, 'subresource', 64)
  const known = isPod(object) && subresource !== undefined ? RULES.get(subresource) : undefined
  if (known === undefined || !known.verbs.has(verb)) return telemetry('a request that is no finding')
  if (!hasHappened(stage, own(objectAt(item, 'responseStatus'), 'code'))) return telemetry('another stage, or refused')
  const query = queryOf(item)
  // Of an exec nothing is dry, whatever its query says: that would be a way to hide it.
  if (subresource === 'ephemeralcontainers' && query.has('dryRun')) return telemetry('a dry run')
  const namespace = textOf(object, 'namespace')
  const pod = textOf(object, 'name')
  if (namespace === undefined || pod === undefined) {
    return refuse('fields-malformed', 'an audit event about a pod has `objectRef.namespace` and `objectRef.name`')
  }
  const timeText = textOf(item, 'stageTimestamp') ?? textOf(item, 'requestReceivedTimestamp')
  if (timeText === undefined) return refuse('time-missing', 'an audit event has a `stageTimestamp`')
  const time = parseEventTime(timeText)
  if (time === undefined) return refuse('time-malformed', '`stageTimestamp` is not an RFC 3339 time with a zone')
  const alert: RuntimeAlert = {
    detector: 'k8s-audit',
    source: 'k8s-audit',
    rule: known.rule,
    // As Falco's rules for the same requests have it: falcosecurity/plugins plugins/k8saudit/rules/k8s_audit_rules.yaml.
    priority: 'Notice',
    tags: [],
    ...time,
    target: userOf(item),
    namespace,
    pod,
    ...present('podUid', textOf(object, 'uid')),
    ...present('containerName', textOf({ container: query.get('container') ?? undefined }, 'container')),
  }
  return { kind: 'finding', alert }
}

/** Pods of the core group: a custom resource may be called `pods` too. */
function isPod(object: Json): boolean {
  return own(object, 'resource') === 'pods' && textOf(object, 'apiGroup') === undefined
}

function hasHappened(stage: string, code: unknown): boolean {
  if (typeof code !== 'number') return false
  return stage === 'ResponseStarted' ? code === 101 : stage === 'ResponseComplete' && code >= 200 && code < 300
}

/** Of a parameter that is there twice the API server takes the first, and so does `URLSearchParams.get`. */
function queryOf(item: Json): URLSearchParams {
  const uri = own(item, 'requestURI')
  const start = typeof uri === 'string' ? uri.indexOf('?') : -1
  return new URLSearchParams(typeof uri === 'string' && start >= 0 ? uri.slice(start) : '')
}

function userOf(item: Json): string {
  const impersonated = own(objectAt(item, 'impersonatedUser'), 'username')
  return targetIn(typeof impersonated === 'string' ? impersonated : own(objectAt(item, 'user'), 'username'))
}
