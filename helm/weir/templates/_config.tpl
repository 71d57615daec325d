{{/* The configuration of a role: the value `config`, or the one made of the other values. */}}
{{- define "weir.config" -}}
{{- $values := get .root.Values .role -}}
{{- if $values.config -}}
{{- tpl $values.config .root | trim -}}
{{- else -}}
{{- include (printf "weir.%sConfig" .role) .root | trim -}}
{{- with $values.extraConfig }}

{{ tpl . $ | trim }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "weir.serviceTable" -}}
{{- $values := get .root.Values .role -}}
[service]
data_dir = "/var/lib/weir"
role = {{ .role | toJson }}
failure = {{ .root.Values.failure | toJson }}
# The grace period of the pod is the sum of these two and ten seconds.
drain_delay = "{{ $values.drain.delaySeconds }}s"
shutdown_timeout = "{{ $values.drain.timeoutSeconds }}s"

[service.admin]
listen = "0.0.0.0:24231"
{{- with .root.Values.metrics.compat }}
compat = {{ toJson . }}
{{- end }}
{{- if eq .role "agent" }}
# No load balancer stands in front of an agent, and one that waits for aggregators is in order.
ready = { fail_on_backpressure = false }
{{- end }}

[service.log]
level = {{ .root.Values.logLevel | toJson }}
{{- end -}}

{{- define "weir.redactTable" -}}
[[filter]]
id = "privacy"
type = "redact"
tag = "**"
detect = {{ .detectors | toJson }}
{{- with .fields }}
keys = {{ toJson . }}
{{- end }}
action = {{ .action | toJson }}
{{- end -}}

{{- define "weir.agentConfig" -}}
{{- $agent := .Values.agent -}}
{{ include "weir.serviceTable" (dict "root" . "role" "agent") }}

# What the containers of this node write.
[[source]]
id = "pods"
type = "kubernetes_logs"
tag = "kubernetes.*"
tag_style = {{ $agent.podLogs.tagStyle | toJson }}
path = "{{ $agent.podLogs.path }}/*/*/*.log"
{{- with include "weir.excludedPaths" . | fromJsonArray }}
exclude_path = {{ toJson . }}
{{- end }}
{{- range $key, $names := dict "exclude_namespaces" $agent.podLogs.excludeNamespaces "exclude_pods" $agent.podLogs.excludePods "exclude_containers" $agent.podLogs.excludeContainers }}
{{- with $names }}
{{ $key }} = {{ toJson . }}
{{- end }}
{{- end }}
fields = {{ $agent.podLogs.fields | toJson }}
read_from_head = {{ $agent.podLogs.readFromHead }}
{{- with $agent.podLogs.importPositions }}
import_positions = {{ toJson . }}
{{- end }}
{{- if $agent.throttle.enabled }}

[source.rate_limit]
lines = {{ $agent.throttle.linesPerSecond }}
burst = {{ $agent.throttle.burst | toJson }}
over = {{ $agent.throttle.over | toJson }}
{{- end }}
{{- if $agent.metadata.enabled }}

# Labels and more, from the API of Kubernetes; only pods of this node are watched.
[[filter]]
id = "metadata"
type = "kubernetes_metadata"
tag = "kubernetes.**"
node_name = "${env:NODE_NAME}"
fields = {{ $agent.podLogs.fields | toJson }}
skip_labels = {{ not $agent.metadata.labels }}
skip_namespace_metadata = {{ not $agent.metadata.namespaceLabels }}
{{- with $agent.metadata.annotations }}
annotation_match = {{ toJson . }}
{{- end }}
exclude = {{ $agent.metadata.exclude }}
wait = "{{ $agent.metadata.waitSeconds }}s"
{{- end }}
{{- if $agent.redact.enabled }}

{{ include "weir.redactTable" $agent.redact }}
{{- end }}
{{- if $agent.correlation.enabled }}

[[filter]]
id = "correlation"
type = "correlation"
tag = "**"
{{- end }}
{{- with .Values.cluster }}

[[filter]]
id = "cluster"
type = "record_transformer"
tag = "**"

[filter.record]
cluster = {{ toJson . }}
{{- end }}

[[match]]
id = "aggregators"
type = "forward"
tag = "**"
require_ack_response = true
ack_response_timeout = "60s"
compress = {{ $agent.forwardTo.compress | toJson }}
{{- if .Values.sharedKey.enabled }}

[match.security]
self_hostname = "${env:POD_NAME}"
shared_key = "${env:WEIR_SHARED_KEY}"
{{- end }}
{{- if .Values.tls.enabled }}

[match.tls]
{{- if include "weir.hasTlsSecret" . }}
ca_cert_path = "/etc/weir-tls/ca.crt"
{{- end }}
{{- end }}
{{- range $agent.forwardTo.servers }}

[[match.server]]
{{- $parts := splitList ":" . }}
host = {{ first $parts | toJson }}
{{- if gt (len $parts) 1 }}
port = {{ last $parts | int }}
{{- end }}
{{- else }}

# Every aggregator by itself: chunks take turns, and go to another one when one is away.
[[match.service_discovery]]
type = "srv"
service = "forward"
hostname = "{{ include "weir.headless" . }}.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}"
interval = "10s"
{{- end }}

[match.buffer]
type = {{ $agent.buffer.type | toJson }}
{{- if eq $agent.buffer.type "file" }}
total_limit_size = {{ $agent.buffer.totalLimitSize | toJson }}
{{- end }}
retry_max_interval = "30s"
{{- end -}}

{{/* Paths that an agent leaves out, as JSON. */}}
{{- define "weir.excludedPaths" -}}
{{- $logs := .Values.agent.podLogs -}}
{{- $own := printf "%s/%s_%s-*/*/*.log" $logs.path .Release.Namespace (include "weir.fullname" .) -}}
{{- concat ($logs.excludeOwn | ternary (list $own) list) $logs.exclude | toJson -}}
{{- end -}}

{{- define "weir.aggregatorConfig" -}}
{{- $aggregator := .Values.aggregator -}}
{{ include "weir.serviceTable" (dict "root" . "role" "aggregator") }}

# A sender that sends a message again, perhaps to another aggregator, adds nothing: ids of documents come from its chunk.
[[source]]
id = "forward"
type = "forward"
listen = "0.0.0.0:24224"
identity = "origin"
{{- if .Values.tls.enabled }}

[source.tls]
cert_path = "/etc/weir-tls/tls.crt"
private_key_path = "/etc/weir-tls/tls.key"
{{- end }}
{{- if .Values.sharedKey.enabled }}

[source.security]
shared_key = "${env:WEIR_SHARED_KEY}"
{{- end }}
{{- if $aggregator.inputs.http.enabled }}

[[source]]
id = "http"
type = "http"
listen = "0.0.0.0:9880"
{{- if $aggregator.inputs.http.tls }}

[source.tls]
cert_path = "/etc/weir-tls/tls.crt"
private_key_path = "/etc/weir-tls/tls.key"
{{- end }}
{{- if $aggregator.inputs.http.tokenSecret.name }}

[source.auth]
token = "${env:WEIR_HTTP_TOKEN}"
{{- end }}
{{- end }}
{{- if $aggregator.inputs.syslog.enabled }}

[[source]]
id = "syslog"
type = "syslog"
listen = "0.0.0.0:5140"
tag = "syslog"
protocol_type = {{ $aggregator.inputs.syslog.protocol | toJson }}
severity_key = "severity"
facility_key = "facility"
source_address_key = "source_address"
{{- end }}
{{- if $aggregator.redact.enabled }}

{{ include "weir.redactTable" $aggregator.redact }}
{{- end }}

[[match]]
id = "elasticsearch"
type = "elasticsearch"
tag = "**"
hosts = {{ .Values.elasticsearch.hosts | toJson }}
index = {{ .Values.elasticsearch.index | toJson }}
compression = {{ .Values.elasticsearch.compression | toJson }}
{{- with .Values.elasticsearch.user }}
user = {{ . | toJson }}
password = "${env:ELASTICSEARCH_PASSWORD}"
{{- end }}
{{- if .Values.elasticsearch.apiKeySecret.name }}
api_key = "${env:ELASTICSEARCH_API_KEY}"
{{- end }}
{{- if .Values.elasticsearch.caSecret.name }}
ca_file = "/etc/weir-ca/{{ .Values.elasticsearch.caSecret.key }}"
{{- end }}

[match.buffer]
type = "file"
total_limit_size = {{ $aggregator.buffer.totalLimitSize | toJson }}
durability = {{ $aggregator.buffer.durability | toJson }}
flush_thread_count = {{ $aggregator.buffer.flushThreadCount }}
retry_max_interval = "30s"

[match.dead_letter]
type = "file"
max_bytes = {{ $aggregator.deadLetter.maxBytes | toJson }}
{{- end -}}
