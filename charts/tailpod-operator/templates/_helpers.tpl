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
{{- if .Values.oauth.clientId -}}oauth{{- else -}}{{ .Values.credentials.kind }}{{- end -}}
{{- end -}}
