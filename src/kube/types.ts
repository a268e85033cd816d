/**
 * The few Kubernetes shapes that Drawbridge reads, as plain types.
 *
 * Everything that arrives is hostile: call `checkPodShape` (podShape.ts) on unknown JSON before treating it as one of these.
 * Fields that no check reads are left out on purpose; unknown fields are kept in the objects and ignored.
 */

export type Labels = Readonly<Record<string, string>>

/** `metadata` of any object. */
export interface ObjectMeta {
  readonly name?: string | undefined
  readonly generateName?: string | undefined
  readonly namespace?: string | undefined
  readonly uid?: string | undefined
  readonly labels?: Labels | undefined
  readonly annotations?: Readonly<Record<string, string>> | undefined
  readonly ownerReferences?:
    | readonly {
        readonly apiVersion?: string
        readonly kind: string
        readonly name: string
        readonly uid?: string
        readonly controller?: boolean
      }[]
    | undefined
}

export interface SeccompProfile {
  readonly type?: string | undefined
  readonly localhostProfile?: string | undefined
}

export interface AppArmorProfile {
  readonly type?: string | undefined
  readonly localhostProfile?: string | undefined
}

export interface SELinuxOptions {
  readonly user?: string | undefined
  readonly role?: string | undefined
  readonly type?: string | undefined
  readonly level?: string | undefined
}

export interface WindowsOptions {
  readonly hostProcess?: boolean | undefined
  readonly runAsUserName?: string | undefined
}

export interface ContainerSecurityContext {
  readonly privileged?: boolean | undefined
  readonly allowPrivilegeEscalation?: boolean | undefined
  readonly capabilities?:
    { readonly add?: readonly string[] | undefined; readonly drop?: readonly string[] | undefined } | undefined
  readonly procMount?: string | undefined
  readonly readOnlyRootFilesystem?: boolean | undefined
  readonly runAsNonRoot?: boolean | undefined
  readonly runAsUser?: number | undefined
  readonly runAsGroup?: number | undefined
  readonly seLinuxOptions?: SELinuxOptions | undefined
  readonly seccompProfile?: SeccompProfile | undefined
  readonly appArmorProfile?: AppArmorProfile | undefined
  readonly windowsOptions?: WindowsOptions | undefined
}

export interface PodSecurityContext {
  readonly runAsNonRoot?: boolean | undefined
  readonly runAsUser?: number | undefined
  readonly runAsGroup?: number | undefined
  readonly fsGroup?: number | undefined
  readonly supplementalGroups?: readonly number[] | undefined
  readonly seLinuxOptions?: SELinuxOptions | undefined
  readonly seccompProfile?: SeccompProfile | undefined
  readonly appArmorProfile?: AppArmorProfile | undefined
  readonly windowsOptions?: WindowsOptions | undefined
  readonly sysctls?: readonly { readonly name: string; readonly value?: string }[] | undefined
}

export interface HandlerAction {
  readonly httpGet?: { readonly host?: string | undefined } | undefined
  readonly tcpSocket?: { readonly host?: string | undefined } | undefined
}

export interface Container {
  readonly name: string
  readonly image?: string | undefined
  readonly command?: readonly string[] | undefined
  readonly args?: readonly string[] | undefined
  readonly ports?:
    readonly { readonly hostPort?: number | undefined; readonly containerPort?: number | undefined }[] | undefined
  readonly securityContext?: ContainerSecurityContext | undefined
  readonly livenessProbe?: HandlerAction | undefined
  readonly readinessProbe?: HandlerAction | undefined
  readonly startupProbe?: HandlerAction | undefined
  readonly lifecycle?:
    { readonly postStart?: HandlerAction | undefined; readonly preStop?: HandlerAction | undefined } | undefined
  readonly restartPolicy?: string | undefined
  readonly volumeMounts?:
    readonly { readonly name?: string | undefined; readonly readOnly?: boolean | undefined }[] | undefined
}

/** One source of a projected volume. An absent audience means the API server. */
export interface ProjectedSource {
  readonly serviceAccountToken?: { readonly audience?: string | undefined } | undefined
}

/** A volume; the key beside `name` says its type (`hostPath`, `emptyDir`, `image`, ...). */
export interface Volume {
  readonly name: string
  readonly hostPath?: { readonly path?: string | undefined } | undefined
  readonly image?: { readonly reference?: string | undefined } | undefined
  readonly projected?: { readonly sources?: readonly ProjectedSource[] | undefined } | undefined
  readonly [type: string]: unknown
}

export interface PodSpec {
  readonly containers: readonly Container[]
  readonly initContainers?: readonly Container[] | undefined
  readonly ephemeralContainers?: readonly Container[] | undefined
  readonly volumes?: readonly Volume[] | undefined
  readonly securityContext?: PodSecurityContext | undefined
  readonly hostNetwork?: boolean | undefined
  readonly hostPID?: boolean | undefined
  readonly hostIPC?: boolean | undefined
  readonly hostUsers?: boolean | undefined
  readonly serviceAccountName?: string | undefined
  /** Deprecated; what the API server takes where `serviceAccountName` is empty. */
  readonly serviceAccount?: string | undefined
  readonly automountServiceAccountToken?: boolean | undefined
  readonly nodeName?: string | undefined
  readonly os?: { readonly name?: string | undefined } | undefined
  readonly runtimeClassName?: string | undefined
}

export interface ContainerStatus {
  readonly name: string
  readonly image?: string | undefined
  readonly imageID?: string | undefined
  readonly containerID?: string | undefined
  readonly lastState?: { readonly terminated?: { readonly containerID?: string | undefined } | undefined } | undefined
  readonly state?: { readonly terminated?: { readonly containerID?: string | undefined } | undefined } | undefined
}

export interface PodStatus {
  readonly phase?: string | undefined
  readonly containerStatuses?: readonly ContainerStatus[] | undefined
  readonly initContainerStatuses?: readonly ContainerStatus[] | undefined
  readonly ephemeralContainerStatuses?: readonly ContainerStatus[] | undefined
}

export interface Pod {
  readonly metadata: ObjectMeta
  readonly spec: PodSpec
  readonly status?: PodStatus | undefined
}

/** What a check sees: a pod, or the template inside a workload. */
export interface PodTemplate {
  readonly metadata: ObjectMeta
  readonly spec: PodSpec
}

export interface GroupVersionKind {
  readonly group: string
  readonly version: string
  readonly kind: string
}

export interface GroupVersionResource {
  readonly group: string
  readonly version: string
  readonly resource: string
}

export type Operation = 'CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT'

/** https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#request */
export interface AdmissionRequest {
  readonly uid: string
  readonly kind: GroupVersionKind
  readonly resource: GroupVersionResource
  readonly subResource?: string | undefined
  readonly name?: string | undefined
  readonly namespace?: string | undefined
  readonly operation: Operation
  readonly userInfo?:
    { readonly username?: string | undefined; readonly groups?: readonly string[] | undefined } | undefined
  readonly object: unknown
  readonly oldObject?: unknown
  readonly dryRun?: boolean | undefined
}

export interface AdmissionResponse {
  readonly uid: string
  readonly allowed: boolean
  readonly status?: { readonly code: number; readonly reason?: string; readonly message: string } | undefined
  readonly warnings?: readonly string[] | undefined
  readonly auditAnnotations?: Readonly<Record<string, string>> | undefined
  /** Base64 of a JSON Patch; goes with `patchType: JSONPatch`. */
  readonly patch?: string | undefined
  readonly patchType?: 'JSONPatch' | undefined
}
