{{/* The sidecar file of the gateway: what the chart needs, and gateway.config over it. */}}
{{- define "outrigger.gatewayFile" -}}
{{- $drain := .Values.gateway.drain -}}
{{- $drain = dict "delay" (printf "%ds" (int $drain.delaySeconds)) "timeout" (printf "%ds" (int $drain.timeoutSeconds)) -}}
{{- $file := dict "service" "gateway" "admin" "127.0.0.1:15000" "metrics" "0.0.0.0:15020" "agent" "off" "drain" $drain -}}
{{- toYaml (mergeOverwrite $file (deepCopy .Values.gateway.config)) -}}
{{- end }}

{{/* Empty, or that it finds endpoints in Kubernetes. */}}
{{- define "outrigger.gatewayDiscovers" -}}
{{- if hasKey (.Values.gateway.config.discovery | default dict) "kubernetes" }}yes{{ end -}}
{{- end }}
