{{/* Variables of the controller. */}}
{{- define "namewarden.controllerEnv" -}}
{{- $controller := .Values.controller }}
{{- $search := include "namewarden.hasSearch" . }}
- {name: NAMEWARDEN_LOG, value: {{ .Values.log.level | quote }}}
- {name: NAMEWARDEN_LOG_FORMAT, value: {{ .Values.log.format }}}
- {name: NAMEWARDEN_CLUSTER_NAME, value: {{ .Values.clusterName | quote }}}
- {name: NAMEWARDEN_GROUP, value: {{ include "namewarden.group" . }}}
- {name: NAMEWARDEN_STATE_DIR, value: /var/lib/namewarden-controller}
- {name: NAMEWARDEN_KEY_SECRET, value: {{ $controller.keySecret | default "namewarden-hash-key" }}}
- {name: NAMEWARDEN_LISTEN, value: "{{ include "namewarden.any" . }}:8443"}
- {name: NAMEWARDEN_METRICS_LISTEN, value: "{{ include "namewarden.any" . }}:{{ $controller.metricsPort }}"}
- {name: NAMEWARDEN_TLS_CERT, value: /etc/namewarden/tls/tls.crt}
- {name: NAMEWARDEN_TLS_KEY, value: /etc/namewarden/tls/tls.key}
- {name: NAMEWARDEN_AUDIENCE, value: {{ $controller.audience | quote }}}
- {name: NAMEWARDEN_AGENT_SERVICE_ACCOUNT, value: {{ .Values.agent.namespace }}/namewarden-agent}
- {name: NAMEWARDEN_CONTROLLER_SERVICE_ACCOUNT, value: namewarden-controller}
- {name: NAMEWARDEN_RESOLVER_PODS, value: {{ join "," .Values.agent.resolverPods | default "none" | quote }}}
- {name: NAMEWARDEN_FEED_REACH, value: {{ $controller.feedLimits.reach }}}
- {name: NAMEWARDEN_FEED_MIB_MAX, value: "{{ int64 $controller.feedLimits.mib }}"}
- {name: NAMEWARDEN_FEED_ENTRIES_MAX, value: "{{ int64 $controller.feedLimits.entries }}"}
- {name: NAMEWARDEN_FEEDS_MAX, value: "{{ int64 $controller.feedLimits.feeds }}"}
- {name: NAMEWARDEN_LOOK_BACK_HOURS, value: "{{ int64 .Values.lookBackHours }}"}
{{- with $controller.feedProxy }}
- {name: NAMEWARDEN_FEED_PROXY, value: {{ . | quote }}}
{{- end }}
{{- if $controller.feedCaBundle }}
- {name: NAMEWARDEN_FEED_CA, value: /etc/namewarden/files/feed-ca.crt}
{{- end }}
{{- if .Values.allow }}
- {name: NAMEWARDEN_ALLOW, value: /etc/namewarden/files/allow.txt}
{{- end }}
{{- if $controller.htpasswdSecret }}
- {name: NAMEWARDEN_HTPASSWD_FILE, value: /etc/namewarden/htpasswd/htpasswd}
{{- end }}
{{- if $search }}
- {name: NAMEWARDEN_STORE, value: "off"}
- {name: NAMEWARDEN_ELASTICSEARCH, value: {{ join "," .Values.searchEngine.urls | quote }}}
- {name: NAMEWARDEN_ALERT_DAYS, value: "{{ int64 .Values.searchEngine.alertDays }}"}
- {name: NAMEWARDEN_DNS_LOG_DAYS, value: "{{ int64 .Values.searchEngine.dnsLogDays }}"}
{{- include "namewarden.searchEnv" (dict "root" . "secret" .Values.searchEngine.controllerSecret) | nindent 0 }}
# How controllers reach each other, and by which name they know each other.
- name: POD_IP
  valueFrom: {fieldRef: {fieldPath: status.podIP}}
- {name: NAMEWARDEN_ADVERTISE_URL, value: "https://{{ if eq (include "namewarden.family" .) "IPv6" }}[$(POD_IP)]{{ else }}$(POD_IP){{ end }}:8443"}
{{- if gt (int (include "namewarden.replicas" .)) 1 }}
- {name: NAMEWARDEN_PEER_NAME, value: {{ include "namewarden.service" . }}}
- {name: NAMEWARDEN_PEER_TOKEN_FILE, value: /var/run/secrets/namewarden/token}
{{- end }}
{{- else }}
- {name: NAMEWARDEN_STORE, value: /var/lib/namewarden-controller/store}
- {name: NAMEWARDEN_STORE_MIB, value: "{{ int64 $controller.store.mib }}"}
- {name: NAMEWARDEN_STORE_ALERT_DAYS, value: "{{ int64 $controller.store.alertDays }}"}
- {name: NAMEWARDEN_STORE_LOG_DAYS, value: "{{ int64 $controller.store.logDays }}"}
{{- end }}
{{- end }}
