{{/* Variables of the agent. */}}
{{- define "namewarden.agentEnv" -}}
{{- $agent := .Values.agent }}
{{- $search := include "namewarden.hasSearch" . }}
{{- $caFile := include "namewarden.caFile" . }}
{{- $documents := include "namewarden.url" . }}
{{- if $search }}{{ $documents = join "," .Values.searchEngine.urls }}{{ end }}
- {name: NAMEWARDEN_LOG, value: {{ .Values.log.level | quote }}}
- {name: NAMEWARDEN_LOG_FORMAT, value: {{ .Values.log.format }}}
- {name: NAMEWARDEN_CLUSTER_NAME, value: {{ .Values.clusterName | quote }}}
- name: NAMEWARDEN_NODE_NAME
  valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
- {name: NAMEWARDEN_STATE_DIR, value: /var/lib/namewarden}
# The next agent starts before this one ends.
- {name: NAMEWARDEN_STATE_TURNS, value: "on"}
- {name: NAMEWARDEN_LISTEN, value: "{{ include "namewarden.any" . }}:{{ $agent.port }}"}
- {name: NAMEWARDEN_CONTROLLER, value: {{ include "namewarden.url" . | quote }}}
- {name: NAMEWARDEN_TOKEN_FILE, value: /var/run/secrets/namewarden/token}
{{- with $caFile }}
- {name: NAMEWARDEN_CA, value: {{ . }}}
{{- end }}
- {name: NAMEWARDEN_POD_LABELS, value: {{ join "," $agent.podLabels | quote }}}
- {name: NAMEWARDEN_RESOLVER_PODS, value: {{ join "," $agent.resolverPods | default "none" | quote }}}
{{- with $agent.excludePods }}
- {name: NAMEWARDEN_EXCLUDE_PODS, value: {{ join "," . | quote }}}
{{- end }}
- {name: NAMEWARDEN_ALERTS, value: {{ $documents | quote }}}
{{- if .Values.dnsLogs.enabled }}
- {name: NAMEWARDEN_DNS_LOGS, value: {{ $documents | quote }}}
- {name: NAMEWARDEN_DNS_LOG_AGGREGATION, value: {{ .Values.dnsLogs.aggregation | quote }}}
- {name: NAMEWARDEN_DNS_LOG_INTERVAL, value: "{{ int64 .Values.dnsLogs.intervalSeconds }}"}
- {name: NAMEWARDEN_DNS_LOG_LIMIT, value: "{{ int64 .Values.dnsLogs.limit }}"}
- {name: NAMEWARDEN_DNS_LOG_LABELS, value: {{ ternary "on" "off" .Values.dnsLogs.labels | quote }}}
- {name: NAMEWARDEN_DNS_LOG_RESOLVERS, value: {{ ternary "on" "off" .Values.dnsLogs.resolvers | quote }}}
- {name: NAMEWARDEN_DNS_LOG_FOLD_SEARCH, value: {{ join "," (.Values.dnsLogs.foldSearch | default (list .Values.clusterDomain)) | quote }}}
{{- with .Values.dnsLogs.exclude }}
- {name: NAMEWARDEN_DNS_LOG_EXCLUDE, value: {{ join "," . | quote }}}
{{- end }}
- {name: NAMEWARDEN_DNS_LOG_SAMPLE, value: "{{ int64 .Values.dnsLogs.sample }}"}
{{- end }}
{{- if $search }}
{{- include "namewarden.searchEnv" (dict "root" . "secret" .Values.searchEngine.agentSecret) | nindent 0 }}
{{- else }}
# The controller keeps documents, and knows the agent by the same token.
- {name: NAMEWARDEN_SEARCH_TOKEN_FILE, value: /var/run/secrets/namewarden/token}
{{- with $caFile }}
- {name: NAMEWARDEN_SEARCH_CA, value: {{ . }}}
{{- end }}
{{- end }}
- {name: NAMEWARDEN_SPOOL_MIB, value: "{{ int64 $agent.spoolMib }}"}
- {name: NAMEWARDEN_SPOOL_HOURS, value: "{{ int64 $agent.spoolHours }}"}
- {name: NAMEWARDEN_DNS_PORTS, value: {{ join " " $agent.dnsPorts | quote }}}
- {name: NAMEWARDEN_RING_KIB, value: "{{ int64 $agent.ringKib }}"}
{{- if $agent.serverSide }}
- {name: NAMEWARDEN_SERVER_SIDE, value: "true"}
{{- end }}
{{- with $agent.cgroupRoot }}
- {name: NAMEWARDEN_CGROUP_ROOT, value: {{ . | quote }}}
{{- end }}
- {name: NAMEWARDEN_PROC_ROOT, value: {{ ternary "/host/proc" "off" $agent.hostProc | quote }}}
{{- if .Values.allow }}
- {name: NAMEWARDEN_ALLOW, value: /etc/namewarden/files/allow.txt}
{{- end }}
{{- end }}
