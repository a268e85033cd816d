import {
  anyObject,
  boolean,
  filledList,
  integer,
  list,
  map,
  object,
  required,
  requiredString,
  shortList,
  string,
  strings,
} from './shape.ts'
import type { Mismatch, Shape } from './shape.ts'
import { printable } from './text.ts'

const localProfile = object(
  (profile) => string(profile['type'], '.type') ?? string(profile['localhostProfile'], '.localhostProfile'),
)
const seLinuxOptions = object(
  (options) =>
    string(options['user'], '.user') ??
    string(options['role'], '.role') ??
    string(options['type'], '.type') ??
    string(options['level'], '.level'),
)
const windowsOptions = object(
  (options) => boolean(options['hostProcess'], '.hostProcess') ?? string(options['runAsUserName'], '.runAsUserName'),
)

const host = object((action) => string(action['host'], '.host'))
const handler = object((action) => host(action['httpGet'], '.httpGet') ?? host(action['tcpSocket'], '.tcpSocket'))

const capabilities = object((sets) => strings(sets['add'], '.add') ?? strings(sets['drop'], '.drop'))

const containerSecurity = object(
  (context) =>
    boolean(context['privileged'], '.privileged') ??
    boolean(context['allowPrivilegeEscalation'], '.allowPrivilegeEscalation') ??
    capabilities(context['capabilities'], '.capabilities') ??
    string(context['procMount'], '.procMount') ??
    boolean(context['readOnlyRootFilesystem'], '.readOnlyRootFilesystem') ??
    boolean(context['runAsNonRoot'], '.runAsNonRoot') ??
    integer(context['runAsUser'], '.runAsUser') ??
    integer(context['runAsGroup'], '.runAsGroup') ??
    seLinuxOptions(context['seLinuxOptions'], '.seLinuxOptions') ??
    localProfile(context['seccompProfile'], '.seccompProfile') ??
    localProfile(context['appArmorProfile'], '.appArmorProfile') ??
    windowsOptions(context['windowsOptions'], '.windowsOptions'),
)

/** A list whose every element is an object. */
const objects = (shape: Shape): Shape => list(required('an object', shape))

const ports = objects(
  object((port) => integer(port['hostPort'], '.hostPort') ?? integer(port['containerPort'], '.containerPort')),
)
const volumeMounts = objects(
  object((mount) => string(mount['name'], '.name') ?? boolean(mount['readOnly'], '.readOnly')),
)
const lifecycle = object((hooks) => handler(hooks['postStart'], '.postStart') ?? handler(hooks['preStop'], '.preStop'))

const container = required(
  'an object',
  object(
    (fields) =>
      requiredString(fields['name'], '.name') ??
      string(fields['image'], '.image') ??
      strings(fields['command'], '.command') ??
      strings(fields['args'], '.args') ??
      ports(fields['ports'], '.ports') ??
      containerSecurity(fields['securityContext'], '.securityContext') ??
      handler(fields['livenessProbe'], '.livenessProbe') ??
      handler(fields['readinessProbe'], '.readinessProbe') ??
      handler(fields['startupProbe'], '.startupProbe') ??
      lifecycle(fields['lifecycle'], '.lifecycle') ??
      string(fields['restartPolicy'], '.restartPolicy') ??
      volumeMounts(fields['volumeMounts'], '.volumeMounts'),
  ),
)
/** What is added to each container makes an answer that is larger than its review: 3 MiB of containers without a setting took all memory. Real pods have some ten. */
const MOST_CONTAINERS = 2000
const containers = shortList(MOST_CONTAINERS, list(container))
const filledContainers = shortList(MOST_CONTAINERS, filledList(container))

const hostPath = object((source) => string(source['path'], '.path'))
const imageVolume = object((source) => string(source['reference'], '.reference'))
const tokenSource = object((token) => string(token['audience'], '.audience'))
const projectedSources = objects(object((source) => tokenSource(source['serviceAccountToken'], '.serviceAccountToken')))
const projected = object((source) => projectedSources(source['sources'], '.sources'))

/** Every volume type is an object: a type that is a text would otherwise pass as `emptyDir`. */
const volumeTypes = map(anyObject, new Set(['name']))
const volumes = objects(
  object(
    (volume) =>
      requiredString(volume['name'], '.name') ??
      hostPath(volume['hostPath'], '.hostPath') ??
      imageVolume(volume['image'], '.image') ??
      projected(volume['projected'], '.projected') ??
      volumeTypes(volume, ''),
  ),
)

const sysctls = objects(
  object((sysctl) => requiredString(sysctl['name'], '.name') ?? string(sysctl['value'], '.value')),
)
const integers = list(required('an integer', integer))

const podSecurity = object(
  (context) =>
    boolean(context['runAsNonRoot'], '.runAsNonRoot') ??
    integer(context['runAsUser'], '.runAsUser') ??
    integer(context['runAsGroup'], '.runAsGroup') ??
    integer(context['fsGroup'], '.fsGroup') ??
    integers(context['supplementalGroups'], '.supplementalGroups') ??
    seLinuxOptions(context['seLinuxOptions'], '.seLinuxOptions') ??
    localProfile(context['seccompProfile'], '.seccompProfile') ??
    localProfile(context['appArmorProfile'], '.appArmorProfile') ??
    windowsOptions(context['windowsOptions'], '.windowsOptions') ??
    sysctls(context['sysctls'], '.sysctls'),
)
const operatingSystem = object((os) => string(os['name'], '.name'))

const spec = required(
  'an object',
  object(
    (fields) =>
      filledContainers(fields['containers'], '.containers') ??
      containers(fields['initContainers'], '.initContainers') ??
      containers(fields['ephemeralContainers'], '.ephemeralContainers') ??
      volumes(fields['volumes'], '.volumes') ??
      podSecurity(fields['securityContext'], '.securityContext') ??
      boolean(fields['hostNetwork'], '.hostNetwork') ??
      boolean(fields['hostPID'], '.hostPID') ??
      boolean(fields['hostIPC'], '.hostIPC') ??
      boolean(fields['hostUsers'], '.hostUsers') ??
      string(fields['serviceAccountName'], '.serviceAccountName') ??
      string(fields['serviceAccount'], '.serviceAccount') ??
      boolean(fields['automountServiceAccountToken'], '.automountServiceAccountToken') ??
      string(fields['nodeName'], '.nodeName') ??
      operatingSystem(fields['os'], '.os') ??
      string(fields['runtimeClassName'], '.runtimeClassName'),
  ),
)

const texts = map(string)
const ownerReferences = objects(
  object(
    (owner) =>
      string(owner['apiVersion'], '.apiVersion') ??
      requiredString(owner['kind'], '.kind') ??
      requiredString(owner['name'], '.name') ??
      string(owner['uid'], '.uid') ??
      boolean(owner['controller'], '.controller'),
  ),
)

const metadata = required(
  'an object',
  object(
    (fields) =>
      string(fields['name'], '.name') ??
      string(fields['generateName'], '.generateName') ??
      string(fields['namespace'], '.namespace') ??
      string(fields['uid'], '.uid') ??
      texts(fields['labels'], '.labels') ??
      texts(fields['annotations'], '.annotations') ??
      ownerReferences(fields['ownerReferences'], '.ownerReferences'),
  ),
)

/**
 * Whether `metadata` and `spec` of a pod (or of a template) may be treated as `ObjectMeta` and `PodSpec` (types.ts).
 *
 * `rootPath` is where they stand in the object: empty for a pod, `spec.template` in a Deployment.
 * Returns one line that names the first wrong field, for example
 * `spec.containers[0].image: wanted a string, found a number`, or undefined when every declared field has its type.
 * Null counts as absent, so whoever reads a field afterwards must expect null. Linear in the object; never throws.
 */
export const checkPodShape = (podMetadata: unknown, podSpec: unknown, rootPath: string): string | undefined => {
  const mismatch = metadata(podMetadata, '.metadata') ?? spec(podSpec, '.spec')
  return mismatch && describeMismatch(mismatch, rootPath)
}

/** One line for a mismatch: `path: wanted this, found that`, with hostile keys escaped and shortened. */
export const describeMismatch = ({ path, wanted, found }: Mismatch, rootPath: string): string => {
  const full = `${rootPath}${path}`.replace(/^\./u, '')
  return `${full === '' ? 'the document' : printable(full, 160)}: wanted ${wanted}, found ${found}`
}
