{{- define "tailpod.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- define "tailpod.fullname" -}}
{{- if .Values.fullnameOverride -}}{{ .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains (include "tailpod.name" .) .Release.Name -}}{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else -}}{{ printf "%s-%s" .Release.Name (include "tailpod.name" .) | trunc 50 | trimSuffix "-" }}{{- end -}}
{{- end -}}
{{- define "tailpod.selector" -}}
app.kubernetes.io/name: {{ include "tailpod.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}
{{- /* of a part beside the operator, whose own selector must not match it */ -}}
{{- define "tailpod.partSelector" -}}
app.kubernetes.io/name: {{ include "tailpod.name" (index . 0) }}-{{ index . 1 }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
{{- end -}}
{{- define "tailpod.labels" -}}
{{ include "tailpod.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}
{{- define "tailpod.image" -}}
{{- $i := index . 0 -}}{{- $c := index . 1 -}}
{{- if $i.digest -}}{{ $i.repository }}@{{ $i.digest }}{{- else -}}{{ $i.repository }}:{{ default $c.AppVersion $i.tag }}{{- end -}}
{{- end -}}
{{- define "tailpod.credentials" -}}
{{- default (printf "%s-credentials" (include "tailpod.fullname" .)) .Values.credentials.existingSecret -}}
{{- end -}}
{{- /* texts under names: numbers and booleans of a values file become texts too */ -}}
{{- define "tailpod.texts" -}}
{{- $all := dict }}{{- range $k, $v := . }}{{ $_ := set $all $k (toString $v) }}{{ end }}{{- toYaml $all -}}
{{- end -}}
{{- /* values that are each in order and do not go together */ -}}
{{- define "tailpod.check" -}}
{{- $v := .Values -}}{{- $c := $v.coordinator -}}{{- $s := $c.service -}}
{{- range $key, $part := dict "operatorConfig" $v.operatorConfig "proxyConfig" $v.proxyConfig }}
{{- if regexMatch "(^|/)(k8s-operator|k8s-nameserver|k8s-proxy)$" $part.image.repository }}{{ fail (printf "%s.image.repository: %s is the Go operator's: name an image of tailpod" $key $part.image.repository) }}{{ end -}}
{{- end -}}
{{- if and (regexMatch "(^|/)tailscale/tailscale$" $v.proxyConfig.image.repository) (not (or $v.proxyConfig.image.tag $v.proxyConfig.image.digest)) }}{{ fail "proxyConfig.image.tag: which release of tailscale/tailscale, such as v1.94.1?" }}{{ end -}}
{{- if and $v.credentials.existingSecret (or $v.credentials.apiKey $v.credentials.authKey $v.oauth.clientSecret) }}{{ fail "credentials.existingSecret excludes credentials.apiKey, credentials.authKey and oauth.clientSecret: the Secret holds them" }}{{ end -}}
{{- if and $v.cni.enabled $v.cni.existingSecret $v.cni.authKey }}{{ fail "cni.existingSecret excludes cni.authKey: the Secret holds it" }}{{ end -}}
{{- if $c.enabled }}
{{- range $name := list "loginServer" "apiServer" "oauthSecretVolume" }}{{ if index $v $name }}{{ fail (printf "%s and coordinator.enabled exclude each other" $name) }}{{ end }}{{ end -}}
{{- if or $v.oauth.clientId $v.credentials.authKey }}{{ fail "coordinator.enabled takes an API key: leave out oauth.clientId and credentials.authKey" }}{{ end -}}
{{- if and $v.caSecret (not $c.tls.existingSecret) }}{{ fail "caSecret with coordinator.enabled: the chart makes the authority, unless coordinator.tls.existingSecret names a certificate" }}{{ end -}}
{{- if and (eq $s.type "ClusterIP") $s.nodePort }}{{ fail "coordinator.service.nodePort needs coordinator.service.type=NodePort or LoadBalancer" }}{{ end -}}
{{- if eq $s.type "NodePort" }}
{{- if and $c.host (not $s.nodePort) }}{{ fail "coordinator.service.nodePort: which port of the machines, such as 30443? It is part of the URL at coordinator.host" }}{{ end -}}
{{- if eq (int $s.stunPort) 3478 }}{{ fail "coordinator.service.stunPort: with NodePort it is a port of the machines too, such as 30478" }}{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- define "tailpod.kind" -}}
{{- if .Values.coordinator.enabled -}}apiKey
{{- else if or .Values.oauth.clientId .Values.oauthSecretVolume -}}oauth{{- else -}}{{ .Values.credentials.kind }}{{- end -}}
{{- end -}}
{{- define "tailpod.coordinator" -}}
{{- printf "%s-coordinator" (include "tailpod.fullname" .) -}}
{{- end -}}
{{- define "tailpod.coordinatorHost" -}}
{{- default (printf "%s.%s.svc.%s" (include "tailpod.coordinator" .) .Release.Namespace .Values.clusterDomain) .Values.coordinator.host -}}
{{- end -}}
{{- define "tailpod.loginServer" -}}
{{- if .Values.coordinator.enabled -}}
{{- $c := .Values.coordinator -}}
{{- $port := ternary $c.service.nodePort $c.service.port (and (ne $c.host "") (eq $c.service.type "NodePort")) -}}
{{- $host := include "tailpod.coordinatorHost" . -}}
https://{{ ternary (printf "[%s]" $host) $host (contains ":" $host) }}{{ if ne (int $port) 443 }}:{{ int $port }}{{ end }}
{{- else -}}{{ default "" .Values.loginServer | trimSuffix "/" }}{{- end -}}
{{- end -}}
{{- define "tailpod.caSecret" -}}
{{- if .Values.caSecret -}}{{ .Values.caSecret }}
{{- else if .Values.coordinator.enabled -}}{{ default (printf "%s-ca" (include "tailpod.coordinator" .)) .Values.coordinator.tls.existingSecret }}{{- end -}}
{{- end -}}
{{- define "tailpod.cni" -}}
{{- printf "%s-cni" (include "tailpod.fullname" .) -}}
{{- end -}}
