{{/* The metadata of a role's pods. */}}
{{- define "weir.podMetadata" -}}
{{- $values := get .root.Values .role -}}
labels:
  {{- include "weir.labels" . | nindent 2 }}
  {{- with $values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- if or .root.Values.rollOnConfigChange $values.podAnnotations }}
annotations:
  {{- if .root.Values.rollOnConfigChange }}
  {{- if .root.Values.reload.enabled }}
  # The rest of the configuration is read while it runs.
  checksum/restart: {{ list .root.Values.failure .root.Values.logLevel .root.Values.metrics.compat | toJson | sha256sum }}
  {{- else }}
  # A changed configuration rolls the pods.
  checksum/config: {{ include "weir.configData" . | sha256sum }}
  {{- end }}
  {{- end }}
  {{- with $values.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* What stands in the ConfigMap of a role. */}}
{{- define "weir.configData" -}}
{{- $values := get .root.Values .role -}}
weir.toml: |
  {{- include "weir.config" . | nindent 2 }}
{{- range $name, $text := $values.files }}
{{ $name }}: |
  {{- tpl $text $.root | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The pods of a role: one that checks the configuration, and the one that runs. */}}
{{- define "weir.podSpec" -}}
{{- $root := .root -}}
{{- $values := get .root.Values .role -}}
serviceAccountName: {{ include "weir.serviceAccount" . }}
automountServiceAccountToken: {{ and (eq .role "agent") $root.Values.agent.metadata.enabled }}
enableServiceLinks: false
terminationGracePeriodSeconds: {{ include "weir.gracePeriodSeconds" . }}
securityContext:
  {{- include "weir.podSecurityContext" . | nindent 2 }}
{{- include "weir.pullSecrets" $root }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- if $values.hostNetwork }}
hostNetwork: true
dnsPolicy: ClusterFirstWithHostNet
{{- else }}
dnsPolicy: {{ $values.dnsPolicy }}
{{- end }}
{{- if or $root.Values.checkConfig.initContainer $values.initContainers }}
initContainers:
  {{- if $root.Values.checkConfig.initContainer }}
  # A configuration with a mistake stops here, with every mistake in the log, and the other pods run on.
  - name: check
    args: ["check", "-c", "/etc/weir/weir.toml"]
    {{- include "weir.container" . | nindent 4 }}
    {{- include "weir.env" . | nindent 4 }}
    {{- include "weir.volumeMounts" . | nindent 4 }}
  {{- end }}
  {{- with $values.initContainers }}
  {{- tpl (toYaml .) $root | nindent 2 }}
  {{- end }}
{{- end }}
containers:
  - name: weir
    args: ["run", {{ if $root.Values.reload.enabled }}"--watch", {{ end }}"-c", "/etc/weir/weir.toml"]
    {{- include "weir.container" . | nindent 4 }}
    {{- include "weir.env" . | nindent 4 }}
    {{- include "weir.volumeMounts" . | nindent 4 }}
    ports:
      {{- if eq .role "aggregator" }}
      {{- range include "weir.ports" $root | fromJsonArray }}
      - name: {{ .name }}
        containerPort: {{ .target }}
        protocol: {{ .protocol }}
      {{- end }}
      {{- end }}
      - name: admin
        containerPort: 24231
        protocol: TCP
    {{- range $probe, $path := dict "startupProbe" "/startupz" "livenessProbe" "/livez" "readinessProbe" "/readyz" }}
    {{ $probe }}:
      httpGet:
        path: {{ $path }}
        port: admin
      {{- toYaml (get $values $probe) | nindent 6 }}
    {{- end }}
  {{- with $values.extraContainers }}
  {{- tpl (toYaml .) $root | nindent 2 }}
  {{- end }}
volumes:
  {{- include "weir.volumes" . | nindent 2 }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if $values.affinity }}
affinity:
  {{- toYaml $values.affinity | nindent 2 }}
{{- else if $values.softAntiAffinity }}
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- include "weir.selector" . | nindent 14 }}
{{- end }}
{{- with $values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- range . }}
  - {{- toYaml . | nindent 4 }}
    labelSelector:
      matchLabels:
        {{- include "weir.selector" $ | nindent 8 }}
  {{- end }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "weir.pullSecrets" -}}
{{- with concat .Values.imagePullSecrets ((.Values.global | default dict).imagePullSecrets | default list) }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* What every container of a role has: the check must see what the run sees. */}}
{{- define "weir.container" -}}
{{- $values := get .root.Values .role -}}
image: {{ include "weir.image" .root | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
# The end of the log becomes the reason that `kubectl describe pod` shows.
terminationMessagePolicy: FallbackToLogsOnError
securityContext:
  {{- toYaml $values.securityContext | nindent 2 }}
resources:
  {{- toYaml $values.resources | nindent 2 }}
{{- end -}}

{{/* Variables. With `.before`, those of a pod that runs before the objects of the release are there. */}}
{{- define "weir.env" -}}
{{- $values := get .root.Values .role -}}
env:
  {{- if eq .role "agent" }}
  - name: NODE_NAME
    valueFrom: { fieldRef: { fieldPath: spec.nodeName } }
  {{- end }}
  - name: POD_NAME
    valueFrom: { fieldRef: { fieldPath: metadata.name } }
  - name: POD_NAMESPACE
    valueFrom: { fieldRef: { fieldPath: metadata.namespace } }
  - name: POD_UID
    valueFrom: { fieldRef: { fieldPath: metadata.uid } }
  {{- with .root.Values.sharedKey }}
  {{- if .enabled }}
  - name: WEIR_SHARED_KEY
    {{- if and $.before (not .existingSecret) }}
    # The key is not made yet.
    value: stands-for-the-key-that-comes-later
    {{- else }}
    valueFrom: { secretKeyRef: { name: {{ include "weir.keySecret" $.root }}, key: {{ .key }} } }
    {{- end }}
  {{- end }}
  {{- end }}
  {{- if eq .role "aggregator" }}
  {{- range $name, $secret := dict "ELASTICSEARCH_PASSWORD" .root.Values.elasticsearch.passwordSecret "ELASTICSEARCH_API_KEY" .root.Values.elasticsearch.apiKeySecret "WEIR_HTTP_TOKEN" .root.Values.aggregator.inputs.http.tokenSecret }}
  {{- if $secret.name }}
  - name: {{ $name }}
    valueFrom: { secretKeyRef: { name: {{ $secret.name }}, key: {{ $secret.key }} } }
  {{- end }}
  {{- end }}
  {{- end }}
  {{- with $values.extraEnv }}
  {{- tpl (toYaml .) $.root | nindent 2 }}
  {{- end }}
{{- with $values.extraEnvFrom }}
envFrom:
  {{- tpl (toYaml .) $.root | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "weir.volumeMounts" -}}
{{- $values := get .root.Values .role -}}
volumeMounts:
  - { name: config, mountPath: /etc/weir, readOnly: true }
  - { name: data, mountPath: /var/lib/weir }
  {{- if include "weir.hasTlsSecret" .root }}
  - { name: tls, mountPath: /etc/weir-tls, readOnly: true }
  {{- end }}
  {{- if and (eq .role "aggregator") .root.Values.elasticsearch.caSecret.name }}
  - { name: elasticsearch-ca, mountPath: /etc/weir-ca, readOnly: true }
  {{- end }}
  {{- if eq .role "agent" }}
  {{- range include "weir.hostPaths" .root | fromJsonArray }}
  - { name: {{ .name }}, mountPath: {{ .path | quote }}, readOnly: true }
  {{- end }}
  {{- end }}
  {{- with $values.extraVolumeMounts }}
  {{- tpl (toYaml .) $.root | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* What an agent reads of its node, as JSON. */}}
{{- define "weir.hostPaths" -}}
{{- $paths := list -}}
{{- if .Values.agent.podLogs.importPositions -}}
{{- $paths = append $paths (dict "name" "var-log" "path" "/var/log") -}}
{{- end -}}
{{- $paths = append $paths (dict "name" "pods" "path" .Values.agent.podLogs.path) -}}
{{- range $index, $path := .Values.agent.podLogs.linkedPaths -}}
{{- $paths = append $paths (dict "name" (printf "linked-%d" $index) "path" $path) -}}
{{- end -}}
{{- $paths | toJson -}}
{{- end -}}

{{- define "weir.volumes" -}}
{{- $root := .root -}}
{{- $values := get .root.Values .role -}}
- name: config
  configMap:
    name: {{ include "weir.roleName" . }}
    defaultMode: 0444
{{- if eq .role "agent" }}
- name: data
  hostPath:
    path: {{ $values.state.hostPath }}
    type: DirectoryOrCreate
{{- range include "weir.hostPaths" $root | fromJsonArray }}
- name: {{ .name }}
  hostPath:
    path: {{ .path | quote }}
{{- end }}
{{- else if not (include "weir.claims" $root) }}
- name: data
  emptyDir:
    sizeLimit: {{ $values.persistence.size }}
{{- end }}
{{- if include "weir.hasTlsSecret" $root }}
- name: tls
  secret:
    secretName: {{ include "weir.tlsSecret" $root }}
    # The group of the volume may read.
    defaultMode: 0440
    {{- if eq .role "agent" }}
    items:
      - { key: ca.crt, path: ca.crt }
    {{- end }}
{{- end }}
{{- if eq .role "aggregator" }}
{{- with $root.Values.elasticsearch.caSecret }}
{{- if .name }}
- name: elasticsearch-ca
  secret:
    secretName: {{ .name }}
    defaultMode: 0444
    items:
      - { key: {{ .key }}, path: {{ .key }} }
{{- end }}
{{- end }}
{{- end }}
{{- with $values.extraVolumes }}
{{ tpl (toYaml .) $root }}
{{- end }}
{{- end -}}

{{/* Whether aggregators have volumes of their own. */}}
{{- define "weir.claims" -}}
{{- if and (eq .Values.aggregator.kind "StatefulSet") .Values.aggregator.persistence.enabled -}}true{{- end -}}
{{- end -}}
