{{/* Names are fixed, not made from the release: the program, its RBAC and its guards know them, and there is one Drawbridge in a cluster. */}}

{{- define "drawbridge.selector" -}}
app.kubernetes.io/name: drawbridge
{{- end }}

{{- define "drawbridge.labels" -}}
app.kubernetes.io/name: drawbridge
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end }}

{{/* Where the CA is that clients trust: made by Drawbridge itself, or kept by something else. */}}
{{- define "drawbridge.certificateSecret" -}}
{{ .Values.tls.mountedSecret | default "drawbridge-tls" }}
{{- end }}

{{- define "drawbridge.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* Names of namespaces as elements of a CEL list: (list . (list "default" ...)). */}}
{{- define "drawbridge.unlabelled" -}}
{{- $root := index . 0 -}}
'{{ concat (index . 1) (list $root.Release.Namespace) $root.Values.requireLabels.except | uniq | sortAlpha | join "', '" }}'
{{- end }}

{{/* What the chart says in drawbridge.yaml; .Values.config says the rest. */}}
{{- define "drawbridge.config" -}}
{{- $namespace := .Release.Namespace -}}
{{- $config := deepCopy .Values.config -}}
{{- $tls := $config.tls | default dict -}}
{{- $alerts := $config.alerts | default dict -}}
{{- range $key := list "webhook" "namespace" "podSecurityLabels" "standalone" -}}
{{- if hasKey $config $key }}{{ fail (printf "config.%s is set by the chart; see values.yaml" $key) }}{{ end -}}
{{- end -}}
{{- if hasKey $tls "secret" }}{{ fail "config.tls.secret: in a cluster it is drawbridge-tls, which the access rights name" }}{{ end -}}
{{- if hasKey $tls "directory" }}{{ fail "config.tls.directory is set by the chart: use tls.mountedSecret" }}{{ end -}}
{{- range $key := list "address" "port" -}}
{{- if or (hasKey $alerts $key) (hasKey ($config.admin | default dict) $key) }}{{ fail (printf "the chart sets %s of every listener; see host in values.yaml" $key) }}{{ end -}}
{{- end -}}
{{- range $alerts.credentials -}}
{{- if hasKey . "token" }}{{ fail (printf "config.alerts.credentials: the token of %v would be readable in a ConfigMap: put it under a key of the Secret %s, and give tokenFile: /etc/drawbridge/tokens/KEY" .name $.Values.tokens.secretName) }}{{ end -}}
{{- end -}}
{{- if hasKey ($config.admin | default dict) "token" }}{{ fail (printf "config.admin.token would be readable in a ConfigMap: put it under admin-token of the Secret %s" .Values.tokens.secretName) }}{{ end -}}
{{- $own := dict
  "namespace" $namespace
  "podSecurityLabels" .Values.podSecurityLabels
  "admin" (dict "tokenFile" "/etc/drawbridge/tokens/admin-token")
  "alerts" (dict "credentials" (prepend ($alerts.credentials | default list) (dict "name" "sensors" "tokenFile" "/etc/drawbridge/tokens/alert-token")))
-}}
{{- if .Values.tls.mountedSecret -}}
{{- $_ := set $own "tls" (dict "directory" "/etc/drawbridge/tls") -}}
{{- end -}}
{{- if .Values.seccompSync.enabled -}}
{{- $_ := set $own "seccomp" (dict "reports" "drawbridge-seccomp") -}}
{{- end -}}
{{- $quarantine := $config.quarantine | default dict -}}
{{- $protected := $quarantine.protected | default dict -}}
{{- if not (hasKey $protected "namespaces") -}}
{{- $_ := set $protected "namespaces" (list "kube-system" "kube-public" "kube-node-lease" $namespace) -}}
{{- $_ := set $quarantine "protected" $protected -}}
{{- $_ := set $config "quarantine" $quarantine -}}
{{- end -}}
{{- toYaml (mergeOverwrite $config $own) -}}
{{- end }}

{{/* The pod, the same under a Deployment and a StatefulSet. */}}
{{- define "drawbridge.pod" -}}
metadata:
  labels:
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- include "drawbridge.labels" . | nindent 4 }}
  annotations:
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    # Settings are read at the start: other settings are other pods.
    checksum/config: {{ include "drawbridge.config" . | sha256sum }}
spec:
  serviceAccountName: drawbridge
  automountServiceAccountToken: true
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .Values.image.pullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    fsGroup: 65532
    seccompProfile:
      type: RuntimeDefault
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  # Spread where it can be: on a cluster of one node both replicas run there.
  topologySpreadConstraints:
    {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
    - maxSkew: 1
      topologyKey: {{ . }}
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "drawbridge.selector" $ | nindent 10 }}
      {{- if eq $.Values.data.kind "emptyDir" }}
      matchLabelKeys: [pod-template-hash]
      {{- end }}
    {{- end }}
  containers:
    - name: drawbridge
      image: {{ include "drawbridge.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: [serve, --data, /data, --host, {{ .Values.host | quote }}, --config, /etc/drawbridge/config/drawbridge.yaml]
      ports:
        - { name: webhook, containerPort: 8443 }
        - { name: alerts, containerPort: 8444 }
        - { name: admin, containerPort: 8445 }
      startupProbe:
        httpGet: { path: /livez, port: admin, scheme: HTTPS }
        periodSeconds: 2
        failureThreshold: 60
      livenessProbe:
        httpGet: { path: /livez, port: admin, scheme: HTTPS }
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet: { path: /readyz, port: admin, scheme: HTTPS }
        periodSeconds: 3
        timeoutSeconds: 3
      lifecycle:
        preStop:
          sleep:
            seconds: {{ .Values.preStopSeconds }}
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
      volumeMounts:
        - { name: data, mountPath: /data }
        - { name: config, mountPath: /etc/drawbridge/config, readOnly: true }
        - { name: tokens, mountPath: /etc/drawbridge/tokens, readOnly: true }
        {{- if .Values.tls.mountedSecret }}
        - { name: tls, mountPath: /etc/drawbridge/tls, readOnly: true }
        {{- end }}
  volumes:
    {{- if eq .Values.data.kind "emptyDir" }}
    - name: data
      emptyDir:
        sizeLimit: {{ .Values.data.sizeLimit }}
    {{- end }}
    - name: config
      configMap:
        name: drawbridge-config
    - name: tokens
      secret:
        secretName: {{ .Values.tokens.secretName }}
        defaultMode: 0440
    {{- with .Values.tls.mountedSecret }}
    - name: tls
      secret:
        secretName: {{ . }}
        defaultMode: 0440
    {{- end }}
{{- end }}
