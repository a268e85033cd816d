/** Pods as people write them, with one to a few settings that a check may have an opinion about: for properties over the whole engine. */
import * as fc from 'fast-check'
import type { PodTemplate } from '../../src/kube/types.ts'

/** Most pods leave most things alone. */
const sometimes = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.oneof({ weight: 6, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary })

/** What the documentation of Pod Security tells people to write. */
const HARDENED = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ['ALL'] },
  runAsNonRoot: true,
  seccompProfile: { type: 'RuntimeDefault' },
}

const seccomp = fc.constantFrom(
  { type: 'RuntimeDefault' },
  { type: 'Unconfined' },
  { type: 'Localhost', localhostProfile: 'profiles/web.json' },
  { type: 'Localhost', localhostProfile: '' },
)
const appArmor = fc.constantFrom({ type: 'RuntimeDefault' }, { type: 'Unconfined' })
const seLinux = fc.constantFrom({ type: 'container_t' }, { type: 'spc_t' }, { user: 'root' }, { level: 's0' })
const user = fc.constantFrom(0, 1000, 65534)
const windows = fc.constantFrom({ hostProcess: true }, { hostProcess: false }, { runAsUserName: 'ContainerUser' })

const capability = fc.constantFrom('ALL', 'NET_BIND_SERVICE', 'CHOWN', 'SYS_ADMIN', 'NET_RAW', 'SYS_PTRACE')
const containerContext = fc.record({
  privileged: sometimes(fc.boolean()),
  allowPrivilegeEscalation: sometimes(fc.boolean()),
  capabilities: sometimes(
    fc.record({
      add: sometimes(fc.array(capability, { maxLength: 2 })),
      drop: sometimes(fc.constantFrom(['ALL'], ['NET_RAW'], [])),
    }),
  ),
  procMount: sometimes(fc.constantFrom('Default', 'Unmasked')),
  readOnlyRootFilesystem: sometimes(fc.boolean()),
  runAsNonRoot: sometimes(fc.boolean()),
  runAsUser: sometimes(user),
  seccompProfile: sometimes(seccomp),
  appArmorProfile: sometimes(appArmor),
  seLinuxOptions: sometimes(seLinux),
  windowsOptions: sometimes(windows),
})

/** Hardened or not, and then changed in few places. */
const containerSettings = fc
  .tuple(fc.constantFrom(HARDENED, HARDENED, {}), containerContext)
  .map(([base, changes]) => ({
    ...base,
    ...Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined)),
  }))

const handler = fc.record({
  httpGet: sometimes(fc.record({ host: sometimes(fc.constantFrom('', '127.0.0.1', 'metadata.internal')) })),
})
const image = fc.constantFrom(
  'nginx:1.29',
  'registry.example/shop/web:1',
  `registry.example/a@sha256:${'a'.repeat(64)}`,
)
const container = fc.record({
  image,
  securityContext: containerSettings,
  ports: sometimes(
    fc.array(fc.record({ containerPort: fc.constant(8080), hostPort: sometimes(fc.constantFrom(0, 8080)) }), {
      maxLength: 2,
    }),
  ),
  livenessProbe: sometimes(handler),
  lifecycle: sometimes(fc.record({ preStop: sometimes(handler) })),
})

const volume = fc.constantFrom(
  { emptyDir: {} },
  { configMap: { name: 'settings' } },
  { secret: { secretName: 'tls' } },
  { projected: { sources: [] } },
  { persistentVolumeClaim: { claimName: 'data' } },
  { hostPath: { path: '/var/run' } },
  { nfs: { server: 'files', path: '/' } },
  { image: { reference: 'registry.example/data:1' } },
)

/** Containers of one list, each with a name of its own as the API server wants it. */
const containers = <T extends object>(
  prefix: string,
  one: fc.Arbitrary<T>,
  minLength: number,
): fc.Arbitrary<(T & { readonly name: string })[]> =>
  fc
    .array(one, { minLength, maxLength: 3 })
    .map((list) => list.map((each, index) => ({ name: `${prefix}${index}`, ...each })))

/** What JSON keeps: nothing that is undefined. */
const asJson = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T

/** Pods that pass `checkPodShape`: each profile is passed by some of them and broken by others. */
export const realisticPod: fc.Arbitrary<PodTemplate> = fc
  .record({
    annotations: sometimes(
      fc.constantFrom(
        { 'container.apparmor.security.beta.kubernetes.io/web0': 'runtime/default' },
        { 'container.apparmor.security.beta.kubernetes.io/web0': 'unconfined' },
        { 'seccomp.security.alpha.kubernetes.io/pod': 'unconfined' },
      ),
    ),
    containers: containers('web', container, 1),
    initContainers: sometimes(
      containers(
        'init',
        fc
          .tuple(container, sometimes(fc.constant('Always')))
          .map(([one, restartPolicy]) => ({ ...one, restartPolicy })),
        0,
      ),
    ),
    ephemeralContainers: sometimes(containers('debug', container, 0)),
    volumes: sometimes(
      fc
        .array(volume, { maxLength: 3 })
        .map((list) => list.map((each, index) => ({ name: `volume${index}`, ...each }))),
    ),
    securityContext: sometimes(
      fc.record({
        runAsNonRoot: sometimes(fc.boolean()),
        runAsUser: sometimes(user),
        seccompProfile: sometimes(seccomp),
        appArmorProfile: sometimes(appArmor),
        seLinuxOptions: sometimes(seLinux),
        windowsOptions: sometimes(windows),
        sysctls: sometimes(
          fc.constantFrom(
            [{ name: 'net.ipv4.ip_local_port_range', value: '1024 65535' }],
            [{ name: 'kernel.msgmax', value: '1' }],
          ),
        ),
      }),
    ),
    hostPID: sometimes(fc.boolean()),
    hostNetwork: sometimes(fc.boolean()),
    hostUsers: sometimes(fc.boolean()),
    os: sometimes(fc.constantFrom({ name: 'linux' }, { name: 'windows' })),
  })
  .map(({ annotations, ...spec }) => asJson({ metadata: { name: 'web', annotations }, spec }) as PodTemplate)
