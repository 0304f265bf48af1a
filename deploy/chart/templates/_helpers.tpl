{{/* Labels of every object; `component` is agent or controller. */}}
{{- define "namewarden.labels" -}}
app.kubernetes.io/name: namewarden
app.kubernetes.io/version: {{ include "namewarden.label" .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ include "namewarden.label" (printf "%s-%s" .root.Chart.Name .root.Chart.Version) | quote }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- range $key, $value := .root.Values.commonLabels }}
{{ $key }}: {{ $value | quote }}
{{- end }}
{{- end }}

{{/* A version as a label takes it: what Flux and semantic versioning put behind a + is none. */}}
{{- define "namewarden.label" -}}
{{- . | replace "+" "_" | trunc 63 | trimSuffix "-" | trimSuffix "_" | trimSuffix "." -}}
{{- end }}

{{/* Labels by which pods of a component are selected: they never change. */}}
{{- define "namewarden.selector" -}}
app.kubernetes.io/name: namewarden
app.kubernetes.io/component: {{ . }}
{{- end }}

{{/* Image of a component. */}}
{{- define "namewarden.image" -}}
{{- $image := .image -}}
{{- with .root.Values.image.registry }}{{ trimSuffix "/" . }}/{{ end -}}
{{- $image.repository -}}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $image.tag | default (.root.Chart.AppVersion | replace "+" "_") }}{{ end -}}
{{- end }}

{{- define "namewarden.service" -}}
namewarden-controller.{{ .Values.controller.namespace }}.svc
{{- end }}

{{- define "namewarden.url" -}}
https://{{ include "namewarden.service" . }}:{{ .Values.controller.service.port }}
{{- end }}

{{/* Whether an API server is asked: `helm template` and what is built on it ask none, and every lookup is empty. */}}
{{- define "namewarden.isAsked" -}}
{{- if lookup "v1" "Namespace" "" "default" }}true{{ end -}}
{{- end }}

{{/* Family of a pod's first address: that of the cluster's Services. */}}
{{- define "namewarden.family" -}}
{{- if ne .Values.ipFamily "auto" -}}
{{- .Values.ipFamily -}}
{{- else -}}
{{- $families := dig "spec" "ipFamilies" list (lookup "v1" "Service" "default" "kubernetes") -}}
{{- if eq (first $families | default "IPv4") "IPv6" }}IPv6{{ else }}IPv4{{ end -}}
{{- end -}}
{{- end }}

{{/* Every address that a server listens on. That of IPv6 takes IPv4 as well; where the kernel has no IPv6, the programs take 0.0.0.0 instead. */}}
{{- define "namewarden.any" -}}
{{- if or (eq (include "namewarden.family" .) "IPv6") (hasSuffix "DualStack" .Values.controller.service.ipFamilyPolicy) }}[::]{{ else }}0.0.0.0{{ end -}}
{{- end }}

{{/* Namespaces that resolvers run in, of those that the cluster has (all, where no cluster is asked). */}}
{{- define "namewarden.resolverNamespaces" -}}
{{- $isAsked := include "namewarden.isAsked" . -}}
{{- $namespaces := list -}}
{{- range .Values.agent.resolverPods -}}
{{- $namespace := splitList "/" . | first -}}
{{- if or (not $isAsked) (lookup "v1" "Namespace" "" $namespace) -}}
{{- $namespaces = append $namespaces $namespace -}}
{{- end -}}
{{- end -}}
{{- without $namespaces "none" | uniq | toJson -}}
{{- end }}

{{/* The API group of GlobalThreatFeed. What is in the cluster already decides; a definition is ours by its category. */}}
{{- define "namewarden.group" -}}
{{- if ne .Values.crd.group "auto" -}}
{{- .Values.crd.group -}}
{{- else -}}
{{- $ours := lookup "apiextensions.k8s.io/v1" "CustomResourceDefinition" "" "globalthreatfeeds.namewarden.dev" -}}
{{- $shared := lookup "apiextensions.k8s.io/v1" "CustomResourceDefinition" "" "globalthreatfeeds.projectcalico.org" -}}
{{- $enterprise := lookup "apiextensions.k8s.io/v1" "CustomResourceDefinition" "" "globalthreatfeeds.crd.projectcalico.org" -}}
{{- $isShared := and $shared (has "threat-defense" (dig "spec" "names" "categories" (list) $shared)) -}}
{{- if $ours -}}namewarden.dev
{{- else if $isShared -}}projectcalico.org
{{- else if or $enterprise (.Capabilities.APIVersions.Has "projectcalico.org/v3") -}}namewarden.dev
{{- else -}}projectcalico.org
{{- end -}}
{{- end -}}
{{- end }}

{{/* Whether the definition is in the cluster: feeds are then objects of the release, and before that made after it. */}}
{{- define "namewarden.isDefined" -}}
{{- if or (not .Values.crd.install) (lookup "apiextensions.k8s.io/v1" "CustomResourceDefinition" "" (printf "globalthreatfeeds.%s" (include "namewarden.group" .))) -}}
true
{{- end -}}
{{- end }}

{{- define "namewarden.hasSearch" -}}
{{- if .Values.searchEngine.urls }}true{{ end -}}
{{- end }}

{{- define "namewarden.replicas" -}}
{{- if .Values.controller.replicas }}{{ .Values.controller.replicas }}{{ else if include "namewarden.hasSearch" . }}2{{ else }}1{{ end -}}
{{- end }}

{{/* Whether the controller's state is on a claim. */}}
{{- define "namewarden.isPersistent" -}}
{{- $persistence := .Values.controller.persistence -}}
{{- if or $persistence.existingClaim (eq $persistence.mode "always") -}}
true
{{- else if and (eq $persistence.mode "auto") (eq (include "namewarden.replicas" .) "1") -}}
{{- if lookup "v1" "PersistentVolumeClaim" .Values.controller.namespace "namewarden-controller" -}}
true
{{- else -}}
{{- range (lookup "storage.k8s.io/v1" "StorageClass" "" "").items -}}
{{- if eq (dig "metadata" "annotations" "storageclass.kubernetes.io/is-default-class" "false" .) "true" }}true{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Whether there is a claim of the chart's: one that is used, or one that was and may hold a store. No upgrade takes it away. */}}
{{- define "namewarden.hasClaim" -}}
{{- if or (include "namewarden.usesClaim" .) (include "namewarden.liveClaim" .) }}true{{ end -}}
{{- end }}

{{/* Whether the controller's store is in the chart's own claim. */}}
{{- define "namewarden.usesClaim" -}}
{{- if and (include "namewarden.isPersistent" .) (not .Values.controller.persistence.existingClaim) }}true{{ end -}}
{{- end }}

{{/* The annotation with the class that was asked for when the claim was made. */}}
{{- define "namewarden.classKey" -}}
namewarden.dev/storage-class
{{- end }}

{{/* Whether the claim in the cluster is this release's. */}}
{{- define "namewarden.liveClaim" -}}
{{- $live := lookup "v1" "PersistentVolumeClaim" .Values.controller.namespace "namewarden-controller" -}}
{{- if eq (dig "metadata" "annotations" "meta.helm.sh/release-name" "" $live) .Release.Name }}true{{ end -}}
{{- end }}

{{/* Whether a namespace is this release's: `name`. Where nobody creates namespaces any longer, it stays as long as what is in it. */}}
{{- define "namewarden.ownsNamespace" -}}
{{- $live := lookup "v1" "Namespace" "" .name -}}
{{- if eq (dig "metadata" "annotations" "meta.helm.sh/release-name" "" $live) .root.Release.Name }}true{{ end -}}
{{- end }}

{{/* Whether the controller's state outlives the installation: on the chart's own claim, or on another one in its namespace. */}}
{{- define "namewarden.keepsState" -}}
{{- $persistence := .Values.controller.persistence -}}
{{- if and $persistence.keep (or $persistence.existingClaim (include "namewarden.hasClaim" .)) }}true{{ end -}}
{{- end }}

{{/* Annotations of what stays when the chart is uninstalled; Argo CD has words of its own for it. */}}
{{- define "namewarden.kept" -}}
helm.sh/resource-policy: keep
argocd.argoproj.io/sync-options: Prune=false,Delete=false
{{- end }}

{{/* MiB of a quantity, rounded down. */}}
{{- define "namewarden.mib" -}}
{{- $unit := regexFind "[A-Za-z]*$" . -}}
{{- $bytes := dict "" 1.0 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0 "Pi" 1125899906842624.0 -}}
{{- divf (mulf (float64 (trimSuffix $unit .)) (get $bytes $unit)) 1048576.0 | floor | int64 -}}
{{- end }}

{{/* Whether the controller before has to be gone when the next one starts: a store or a claim belongs to one, and one that keeps
     documents itself tells others nothing, so that none of those would ever be ready beside it. */}}
{{- define "namewarden.isAlone" -}}
{{- if or (not (include "namewarden.hasSearch" .)) (include "namewarden.isPersistent" .) -}}
true
{{- else -}}
{{- $live := lookup "apps/v1" "Deployment" .Values.controller.namespace "namewarden-controller" -}}
{{- range dig "spec" "template" "spec" "containers" list $live -}}
{{- range .env -}}
{{- if and (eq .name "NAMEWARDEN_STORE") (ne (get . "value") "off") }}true{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The Secret with the controller's certificate. cert-manager's is another one than the chart's: neither takes over what the other made. */}}
{{- define "namewarden.tlsSecret" -}}
{{- $mode := .Values.controller.tls.mode -}}
{{- if eq $mode "secret" }}{{ .Values.controller.tls.existingSecret }}{{ else if eq $mode "cert-manager" }}namewarden-controller-cert-manager{{ else }}namewarden-controller-tls{{ end -}}
{{- end }}

{{/* Names that the controller's certificate is good for. */}}
{{- define "namewarden.tlsNames" -}}
{{- $service := printf "namewarden-controller.%s" .Values.controller.namespace -}}
{{- concat (list "namewarden-controller" $service (printf "%s.svc" $service) (printf "%s.svc.%s" $service .Values.clusterDomain) "localhost") .Values.controller.tls.extraNames | toJson -}}
{{- end }}

{{/* What the chart makes once: certificate and key of the controller and their authority, as a dict of base64 texts. The Secret
     that is in the cluster wins where its certificate is good for every name; what was made is kept for the other templates of this
     rendering. */}}
{{- define "namewarden.makeTls" -}}
{{- if not (hasKey .Values "made") -}}
{{- $secret := lookup "v1" "Secret" .Values.controller.namespace "namewarden-controller-tls" -}}
{{- $kept := dig "data" dict $secret -}}
{{- if and (hasKey $kept "ca.crt") (include "namewarden.isCovered" (dict "root" . "secret" $secret)) -}}
{{- $_ := set .Values "made" (dict "ca" (index $kept "ca.crt") "crt" (index $kept "tls.crt") "key" (index $kept "tls.key") "names" (dig "metadata" "annotations" (include "namewarden.namesKey" .) "" $secret)) -}}
{{- else -}}
{{- $authority := genCA "namewarden" 3650 -}}
{{- $names := include "namewarden.tlsNames" . | fromJsonArray -}}
{{- $addresses := include "namewarden.addresses" (dict "names" $names "of" true) | fromJsonArray -}}
{{- $others := include "namewarden.addresses" (dict "names" $names "of" false) | fromJsonArray -}}
{{- $pair := genSignedCert "namewarden-controller" (concat (list "127.0.0.1" "::1") $addresses) $others 3650 $authority -}}
{{- $_ := set .Values "made" (dict "ca" (b64enc $authority.Cert) "crt" (b64enc $pair.Cert) "key" (b64enc $pair.Key) "names" (join "," $names)) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The annotation with the names that the certificate in the Secret is good for: nothing here can read it off the certificate. */}}
{{- define "namewarden.namesKey" -}}
namewarden.dev/names
{{- end }}

{{/* Whether the certificate in `secret` is good for every name. One without that annotation is of a chart that took no note of it, and
     knows the names that need no value. */}}
{{- define "namewarden.isCovered" -}}
{{- $known := dig "metadata" "annotations" (include "namewarden.namesKey" .root) "" .secret | splitList "," -}}
{{- $isOld := not (first $known) -}}
{{- $missing := list -}}
{{- range ternary .root.Values.controller.tls.extraNames (include "namewarden.tlsNames" .root | fromJsonArray) $isOld -}}
{{- if not (has . $known) }}{{ $missing = append $missing . }}{{ end -}}
{{- end -}}
{{- if not $missing }}true{{ end -}}
{{- end }}

{{/* Those of a list of names, as JSON, that are addresses (`of` = true), or are none. */}}
{{- define "namewarden.addresses" -}}
{{- $found := list -}}
{{- range .names -}}
{{- if eq $.of (regexMatch "^([0-9.]+|[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*)$" .) }}{{ $found = append $found . }}{{ end -}}
{{- end -}}
{{- toJson $found -}}
{{- end }}

{{/* Authorities (PEM) that agents trust the controller by; empty: the compiled-in ones, or those of a Secret. */}}
{{- define "namewarden.ca" -}}
{{- if eq .Values.controller.tls.mode "chart" -}}
{{- include "namewarden.makeTls" . -}}
{{- b64dec .Values.made.ca -}}
{{- else -}}
{{- .Values.controller.tls.caBundle -}}
{{- end -}}
{{- end }}

{{/* The file with them in the agent's container; empty where there is none. */}}
{{- define "namewarden.caFile" -}}
{{- if or (eq .Values.controller.tls.mode "cert-manager") (include "namewarden.ca" .) }}/etc/namewarden/controller/ca.crt{{ end -}}
{{- end }}

{{/* Port of a URL. */}}
{{- define "namewarden.portOf" -}}
{{- $url := urlParse . -}}
{{- $port := regexFind ":[0-9]+$" $url.host -}}
{{- if $port }}{{ trimPrefix ":" $port }}{{ else if eq $url.scheme "http" }}80{{ else if hasPrefix "socks" $url.scheme }}1080{{ else }}443{{ end -}}
{{- end }}

{{/* Variables by which a search engine is reached; `secret` is the component's. */}}
{{- define "namewarden.searchEnv" -}}
{{- $auth := .root.Values.searchEngine.auth -}}
{{- if eq $auth "basic" }}
- name: NAMEWARDEN_SEARCH_USER
  valueFrom: {secretKeyRef: {name: {{ .secret }}, key: username}}
- {name: NAMEWARDEN_SEARCH_PASSWORD_FILE, value: /etc/namewarden/search/password}
{{- else if eq $auth "apiKey" }}
- {name: NAMEWARDEN_SEARCH_API_KEY_FILE, value: /etc/namewarden/search/apiKey}
{{- else if eq $auth "token" }}
- {name: NAMEWARDEN_SEARCH_TOKEN_FILE, value: /etc/namewarden/search/token}
{{- else if eq $auth "certificate" }}
- {name: NAMEWARDEN_SEARCH_CERTIFICATE, value: /etc/namewarden/search/tls.crt}
- {name: NAMEWARDEN_SEARCH_KEY, value: /etc/namewarden/search/tls.key}
{{- end }}
{{- if .root.Values.searchEngine.caBundle }}
- {name: NAMEWARDEN_SEARCH_CA, value: /etc/namewarden/files/search-ca.crt}
{{- end }}
{{- end }}

{{/* The container's variables: the chart's own (YAML), without those that `extra` names, and those. */}}
{{- define "namewarden.env" -}}
{{- $named := list -}}
{{- range .extra }}{{ $named = append $named .name }}{{ end -}}
{{- $kept := list -}}
{{- range fromYamlArray .own }}{{ if not (has .name $named) }}{{ $kept = append $kept . }}{{ end }}{{ end -}}
{{- toYaml (concat $kept .extra) -}}
{{- end }}

{{/* Priority class of the agents' pods. What one is worth cannot be changed, so another value takes another name. */}}
{{- define "namewarden.priorityClass" -}}
{{- $priority := int64 .Values.agent.priority -}}
{{- if .Values.agent.priorityClassName }}{{ .Values.agent.priorityClassName }}{{ else if eq $priority 1000000000 }}namewarden-agent{{ else }}{{ printf "namewarden-agent-%d" $priority }}{{ end -}}
{{- end }}

{{/* Names that never alert, as a list. */}}
{{- define "namewarden.allow" -}}
{{- range .Values.allow }}{{ . }}
{{ end -}}
{{- end }}

{{/* What no schema can say. */}}
{{- define "namewarden.check" -}}
{{- $replicas := int (include "namewarden.replicas" .) -}}
{{- if and (gt $replicas 1) (not (include "namewarden.hasSearch" .)) -}}
{{- fail "controller.replicas: with the embedded store there is exactly one controller; give searchEngine.urls, or leave it at 0" -}}
{{- end -}}
{{- if and (gt $replicas 1) (include "namewarden.isPersistent" .) -}}
{{- fail "controller.persistence: several controllers cannot share a claim, whatever its access modes; with a search engine use mode never, each keeps a copy of the other's state" -}}
{{- end -}}
{{- if not (or (include "namewarden.hasSearch" .) .Values.controller.persistence.existingClaim) -}}
{{- $room := include "namewarden.mib" .Values.controller.persistence.size | int64 -}}
{{- if gt (mul 10 (int64 .Values.controller.store.mib)) (mul 9 $room) -}}
{{- fail (printf "controller.store.mib: %d MiB of documents leave no room for lists and sets in %s; give at most nine tenths of controller.persistence.size (%d MiB), or a larger size" (int64 .Values.controller.store.mib) .Values.controller.persistence.size (div (mul 9 $room) 10)) -}}
{{- end -}}
{{- end -}}
{{- if and (include "namewarden.hasSearch" .) (ne .Values.searchEngine.auth "none") (not (and .Values.searchEngine.agentSecret .Values.searchEngine.controllerSecret)) -}}
{{- fail "searchEngine: auth takes agentSecret, in the agents' namespace, and controllerSecret, in the controller's" -}}
{{- end -}}
{{- if and (not (include "namewarden.hasSearch" .)) (or (ne .Values.searchEngine.auth "none") .Values.searchEngine.agentSecret .Values.searchEngine.controllerSecret) -}}
{{- fail "searchEngine: auth and Secrets without urls: give the search engine's urls, or leave all of them out" -}}
{{- end -}}
{{- if and (eq .Values.crd.group "auto") (not (include "namewarden.isAsked" .)) (.Capabilities.APIVersions.Has "projectcalico.org/v3") -}}
{{- fail "crd.group: the cluster serves projectcalico.org/v3, and nobody here can ask whether that is Calico or this chart's own definition: set crd.group to namewarden.dev where Calico serves it, to projectcalico.org otherwise" -}}
{{- end -}}
{{- if and (eq .Values.controller.tls.mode "secret") (not .Values.controller.tls.existingSecret) -}}
{{- fail "controller.tls: mode secret takes existingSecret" -}}
{{- end -}}
{{- if and (eq .Values.controller.tls.mode "cert-manager") (eq (not .Values.controller.tls.clusterIssuer) (not .Values.controller.tls.issuer)) -}}
{{- fail "controller.tls: mode cert-manager takes clusterIssuer, or issuer, and not both" -}}
{{- end -}}
{{- with .Values.agent.updateStrategy.rollingUpdate -}}
{{- if and (eq (toString .maxSurge) "0") (eq (toString .maxUnavailable) "0") -}}
{{- fail "agent.updateStrategy: maxSurge and maxUnavailable must not both be 0" -}}
{{- end -}}
{{- $isNone := list "0" "0%" "<nil>" -}}
{{- if not (or (has (toString .maxSurge) $isNone) (has (toString .maxUnavailable) $isNone)) -}}
{{- fail "agent.updateStrategy: one of maxSurge and maxUnavailable must be 0, as a DaemonSet takes it" -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* What agents and controllers both reach: resolvers, the API server, the search engine. */}}
{{- define "namewarden.egress" -}}
{{- $policy := .Values.networkPolicy -}}
- ports:
  {{- range $policy.dnsPorts }}
  - {port: {{ . }}, protocol: UDP}
  - {port: {{ . }}, protocol: TCP}
  {{- end }}
- ports:
  {{- range $policy.apiServerPorts }}
  - {port: {{ . }}, protocol: TCP}
  {{- end }}
{{- if include "namewarden.hasSearch" . }}
{{- $ports := list }}
{{- range $policy.searchEnginePorts }}{{ $ports = append $ports (toString .) }}{{ end }}
{{- range .Values.searchEngine.urls }}{{ $ports = append $ports (include "namewarden.portOf" .) }}{{ end }}
- ports:
  {{- range uniq $ports }}
  - {port: {{ . }}, protocol: TCP}
  {{- end }}
  {{- with $policy.searchEngine }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "namewarden.feedSpec" -}}
{{- toYaml (mergeOverwrite (dict "content" "DomainNameSet") (deepCopy .)) -}}
{{- end }}

{{/* The annotation with the digest of what was asked for, and that digest. */}}
{{- define "namewarden.specKey" -}}
namewarden.dev/spec
{{- end }}

{{- define "namewarden.specDigest" -}}
{{- include "namewarden.feedSpec" . | sha256sum | trunc 32 -}}
{{- end }}

{{/* How each feed of the values is made, as JSON: `object` of the release, or `hook` after it. Helm can make no object of a kind that
     the same release defines, and changes nothing in an object that it takes over: so a feed of this release that is there, is no object of the
     revision before and was asked for otherwise is made anew. The revision before is known by what it recorded, what was asked for
     by the digest that the feed bears. Somebody else's feed of that name is an object, which Helm refuses to take over. Where no API
     server is asked, it is not Helm that applies them: they are objects. */}}
{{- define "namewarden.feedPlan" -}}
{{- $group := include "namewarden.group" . -}}
{{- $isDefined := include "namewarden.isDefined" . -}}
{{- $recorded := list -}}
{{- if .Release.IsUpgrade -}}
{{- $files := lookup "v1" "ConfigMap" .Values.controller.namespace "namewarden-controller" -}}
{{- $recorded = dig "data" "feeds" "" $files | splitList " " -}}
{{- end -}}
{{- $plan := dict -}}
{{- range $name, $spec := .Values.feeds -}}
{{- $way := "object" -}}
{{- if not $isDefined -}}
{{- if include "namewarden.isAsked" $ }}{{ $way = "hook" }}{{ end -}}
{{- else if not (has $name $recorded) -}}
{{- $live := lookup (printf "%s/v3" $group) "GlobalThreatFeed" "" $name -}}
{{- $isOurs := eq (dig "metadata" "annotations" "meta.helm.sh/release-name" "" $live) $.Release.Name -}}
{{- if and $isOurs (ne (dig "metadata" "annotations" (include "namewarden.specKey" $) "" $live) (include "namewarden.specDigest" $spec)) -}}
{{- $way = "hook" -}}
{{- end -}}
{{- end -}}
{{- $_ := set $plan $name $way -}}
{{- end -}}
{{- toJson $plan -}}
{{- end }}

{{/* Whether the cluster is OpenShift, which takes SecurityContextConstraints. */}}
{{- define "namewarden.hasConstraints" -}}
{{- $mode := .Values.openShift.securityContextConstraints -}}
{{- if or (eq $mode "always") (and (eq $mode "auto") (.Capabilities.APIVersions.Has "security.openshift.io/v1")) }}true{{ end -}}
{{- end }}

{{/* Ports of feeds' servers: those of the values, and those of the URLs in `feeds`. */}}
{{- define "namewarden.feedPorts" -}}
{{- $ports := list -}}
{{- range .Values.networkPolicy.feedPorts }}{{ $ports = append $ports (toString .) }}{{ end -}}
{{- range .Values.feeds -}}
{{- with dig "pull" "http" "url" "" . }}{{ $ports = append $ports (include "namewarden.portOf" .) }}{{ end -}}
{{- end -}}
{{- with .Values.controller.feedProxy }}{{ if ne . "none" }}{{ $ports = append $ports (include "namewarden.portOf" .) }}{{ end }}{{ end -}}
{{- range .Values.controller.extraEnv -}}
{{- if and (has (upper .name) (list "HTTP_PROXY" "HTTPS_PROXY" "ALL_PROXY")) .value -}}
{{- /* Without a scheme it is http. */}}
{{- $ports = append $ports (include "namewarden.portOf" (ternary .value (printf "http://%s" .value) (contains "://" .value))) -}}
{{- end -}}
{{- end -}}
{{- uniq $ports | toJson -}}
{{- end }}
