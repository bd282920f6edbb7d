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
{{- if .Values.loginServer }}{{ fail "loginServer and coordinator.enabled exclude each other" }}{{ end -}}
{{- $c := .Values.coordinator -}}
{{- $port := ternary $c.service.nodePort $c.service.port (and (ne $c.host "") (gt (int $c.service.nodePort) 0)) -}}
{{- $host := include "tailpod.coordinatorHost" . -}}
https://{{ ternary (printf "[%s]" $host) $host (contains ":" $host) }}{{ if ne (int $port) 443 }}:{{ int $port }}{{ end }}
{{- else -}}{{ .Values.loginServer }}{{- end -}}
{{- end -}}
{{- define "tailpod.caSecret" -}}
{{- if .Values.caSecret -}}{{ .Values.caSecret }}
{{- else if .Values.coordinator.enabled -}}{{ default (printf "%s-ca" (include "tailpod.coordinator" .)) .Values.coordinator.tls.existingSecret }}{{- end -}}
{{- end -}}
{{- define "tailpod.cni" -}}
{{- printf "%s-cni" (include "tailpod.fullname" .) -}}
{{- end -}}
