{{- define "crossbill.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* 52 characters: a pod's name has an ordinal and a hash behind it. */}}
{{- define "crossbill.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else if contains (include "crossbill.name" .) .Release.Name }}
{{- .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "crossbill.name" .) | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "crossbill.selector" -}}
app.kubernetes.io/name: {{ include "crossbill.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "crossbill.labels" -}}
{{ include "crossbill.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "crossbill.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "crossbill.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "crossbill.secret" -}}
{{- default (printf "%s-keys" (include "crossbill.fullname" .)) .Values.existingSecret }}
{{- end }}

{{- define "crossbill.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{- define "crossbill.scheme" -}}
{{- if .Values.tls.secretName }}https{{ else }}http{{ end }}
{{- end }}

{{/* All ports, of the service and of the container alike: an index's address has its port in it. */}}
{{- define "crossbill.lastIndexPort" -}}
{{- sub (add .Values.service.indexPortFirst .Values.service.indexPorts) 1 }}
{{- end }}

{{/* The values `settings` as TOML: values first, then tables and lists of tables. JSON's texts,
numbers and lists are TOML's too; toToml would make numbers of YAML 1000.0. */}}
{{- define "crossbill.settings" -}}
# The values `settings` of the chart.
{{- range $name, $value := .Values.settings }}
{{- if not (or (kindIs "map" $value) (and (kindIs "slice" $value) (kindIs "map" (first $value)))) }}
{{ $name }} = {{ toJson $value }}
{{- end }}
{{- end }}
{{- range $name, $value := .Values.settings }}
{{- if kindIs "map" $value }}
[{{ $name }}]
{{- range $key, $entry := $value }}
{{ $key }} = {{ toJson $entry }}
{{- end }}
{{- else if and (kindIs "slice" $value) (kindIs "map" (first $value)) }}
{{- range $value }}
[[{{ $name }}]]
{{- range $key, $entry := . }}
{{ $key }} = {{ toJson $entry }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
