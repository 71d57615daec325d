{{/* The name of the release's objects, within the 63 characters of a label with room for what is put behind it. */}}
{{- define "weir.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "weir.headless" -}}
{{ include "weir.fullname" . }}-headless
{{- end -}}

{{/* The name of a role's objects. Aggregators came first, so theirs has nothing behind it. */}}
{{- define "weir.roleName" -}}
{{ include "weir.fullname" .root }}{{ if eq .role "agent" }}-agent{{ end }}
{{- end -}}

{{- define "weir.serviceAccount" -}}
{{- $account := (get .root.Values .role).serviceAccount -}}
{{- if $account.create -}}
{{- $account.name | default (include "weir.roleName" .) -}}
{{- else -}}
{{- $account.name | default "default" -}}
{{- end -}}
{{- end -}}

{{/* What selects the pods of a role. It must never change: the selector of a workload cannot. */}}
{{- define "weir.selector" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .role }}
{{- end -}}

{{- define "weir.labels" -}}
{{ include "weir.selector" . }}
{{ include "weir.sharedLabels" .root }}
{{- end -}}

{{/* Of objects that belong to no role. */}}
{{- define "weir.releaseLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{ include "weir.sharedLabels" . }}
{{- end -}}

{{- define "weir.sharedLabels" -}}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "weir.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* How long a pod of a role may take to end: computed here, once. */}}
{{- define "weir.gracePeriodSeconds" -}}
{{- $drain := (get .root.Values .role).drain -}}
{{- add $drain.delaySeconds $drain.timeoutSeconds 10 -}}
{{- end -}}

{{/* A security context without what OpenShift wants to choose itself. The agent has a SecurityContextConstraints. */}}
{{- define "weir.podSecurityContext" -}}
{{- $context := (get .root.Values .role).podSecurityContext -}}
{{- if and .root.Values.openshift.enabled (ne .role "agent") -}}
{{- $context = omit $context "runAsUser" "runAsGroup" "fsGroup" "fsGroupChangePolicy" -}}
{{- end -}}
{{- toYaml $context -}}
{{- end -}}

{{/* Whether the agents of this release send to its aggregators. */}}
{{- define "weir.ownAggregators" -}}
{{- if and .Values.aggregator.enabled (not .Values.agent.forwardTo.servers) -}}true{{- end -}}
{{- end -}}

{{- define "weir.keySecret" -}}
{{- .Values.sharedKey.existingSecret | default (printf "%s-key" (include "weir.fullname" .)) -}}
{{- end -}}

{{- define "weir.tlsSecret" -}}
{{- .Values.tls.existingSecret | default (printf "%s-tls" (include "weir.fullname" .)) -}}
{{- end -}}

{{/* Whether there is a Secret with certificates: one that was given, or the one of the aggregators of this release. */}}
{{- define "weir.hasTlsSecret" -}}
{{- if and .Values.tls.enabled (or .Values.tls.existingSecret .Values.aggregator.enabled) -}}true{{- end -}}
{{- end -}}

{{/* Names that the certificate of the aggregators must have: Services, and pods below the headless one. */}}
{{- define "weir.certificateNames" -}}
{{- $names := list -}}
{{- $headless := include "weir.headless" . -}}
{{- range $service := list (include "weir.fullname" .) $headless (printf "*.%s" $headless) -}}
{{- range $suffix := list "" (printf ".%s" $.Release.Namespace) (printf ".%s.svc" $.Release.Namespace) (printf ".%s.svc.%s" $.Release.Namespace $.Values.clusterDomain) -}}
{{- $names = append $names (printf "%s%s" $service $suffix) -}}
{{- end -}}
{{- end -}}
{{- concat $names (list "localhost") .Values.tls.extraNames | uniq | toJson -}}
{{- end -}}

{{/* Ports of aggregators as JSON: those of the inputs, then `extraPorts`. */}}
{{- define "weir.ports" -}}
{{- $inputs := .Values.aggregator.inputs -}}
{{- $ports := list (dict "name" "forward" "port" ($inputs.forward.port | int) "target" 24224 "protocol" "TCP") -}}
{{- if $inputs.http.enabled -}}
{{- $ports = append $ports (dict "name" "http" "port" ($inputs.http.port | int) "target" 9880 "protocol" "TCP") -}}
{{- end -}}
{{- if $inputs.syslog.enabled -}}
{{- $ports = append $ports (dict "name" "syslog" "port" ($inputs.syslog.port | int) "target" 5140 "protocol" (upper $inputs.syslog.protocol)) -}}
{{- end -}}
{{- range .Values.aggregator.extraPorts -}}
{{- $ports = append $ports (dict "name" .name "port" (.port | int) "target" (.port | int) "protocol" (.protocol | default "TCP")) -}}
{{- end -}}
{{- $ports | toJson -}}
{{- end -}}

{{/* What cannot work, said before anything is installed. */}}
{{- define "weir.validate" -}}
{{- if not (or .Values.agent.enabled .Values.aggregator.enabled) -}}
{{- fail "agent.enabled and aggregator.enabled are both false: nothing would run; enable one of them" -}}
{{- end -}}
{{- if and .Values.aggregator.enabled (not .Values.aggregator.config) (not .Values.elasticsearch.hosts) -}}
{{- fail "elasticsearch.hosts is empty: say where records go, as in --set 'elasticsearch.hosts={https://elasticsearch:9200}'" -}}
{{- end -}}
{{- if and .Values.agent.enabled (not .Values.aggregator.enabled) (not .Values.agent.config) (not .Values.agent.forwardTo.servers) -}}
{{- fail "aggregator.enabled is false and agent.forwardTo.servers is empty: say where the agents send, as in --set 'agent.forwardTo.servers={logs.example.com:24224}'" -}}
{{- end -}}
{{- if and .Values.sharedKey.enabled (not .Values.sharedKey.existingSecret) (not .Values.aggregator.enabled) -}}
{{- fail "the aggregators are not of this release, so their key must be given: set sharedKey.existingSecret, or sharedKey.enabled=false" -}}
{{- end -}}
{{- if and .Values.tls.existingSecret .Values.tls.certManager.enabled -}}
{{- fail "tls.existingSecret and tls.certManager.enabled exclude each other: choose one" -}}
{{- end -}}
{{- if and .Values.aggregator.inputs.http.enabled .Values.aggregator.inputs.http.tls (not .Values.tls.enabled) -}}
{{- fail "aggregator.inputs.http.tls needs a certificate: set tls.enabled" -}}
{{- end -}}
{{- if and .Values.aggregator.autoscaling.enabled .Values.aggregator.keda.enabled -}}
{{- fail "aggregator.autoscaling and aggregator.keda would both set the number of pods: enable one of them" -}}
{{- end -}}
{{- end -}}

{{/* The ports of Elasticsearch, from its addresses, as JSON. */}}
{{- define "weir.elasticsearchPorts" -}}
{{- $ports := list -}}
{{- range .Values.elasticsearch.hosts -}}
{{- $host := (urlParse .).host -}}
{{- $port := regexFind ":[0-9]+$" $host | trimPrefix ":" | default "9200" -}}
{{- $ports = append $ports ($port | int) -}}
{{- end -}}
{{- $ports | uniq | toJson -}}
{{- end -}}

{{/* Where the record of `helm test` is looked for: the index with `*` for what is filled in. */}}
{{- define "weir.testIndex" -}}
{{- if .Values.aggregator.config -}}
*
{{- else -}}
{{- regexReplaceAll `\$\{[^}]*\}|%-?[A-Za-z]` .Values.elasticsearch.index "*" | lower -}}
{{- end -}}
{{- end -}}
