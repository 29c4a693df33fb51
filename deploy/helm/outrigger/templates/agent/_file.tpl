{{/* The agent file: what the chart needs, and agent.config over it. Its socket is told by OUTRIGGER_AGENT. */}}
{{- define "outrigger.agentFile" -}}
{{- $file := dict "admin" "0.0.0.0:15005" "state" "/var/lib/outrigger" "policies" (dict "folder" "/etc/outrigger/policies") -}}
{{- if .Values.agent.otlpHostPorts -}}
{{- $_ := set $file "traces" (dict "grpc" "0.0.0.0:4317" "http" "0.0.0.0:4318") -}}
{{- end -}}
{{- toYaml (mergeOverwrite $file (deepCopy .Values.agent.config)) -}}
{{- end }}
