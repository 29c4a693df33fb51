{{/* What the schema of the values cannot say. */}}
{{- define "outrigger.checks" -}}
{{- with .Values.injector -}}
{{- if and .enabled (eq .sidecar "native") (semverCompare "<1.29.0-0" $.Capabilities.KubeVersion.Version) -}}
{{- fail "injector.sidecar: native needs Kubernetes 1.29: set injector.sidecar=classic" -}}
{{- end -}}
{{- end -}}
{{- with .Values.agent -}}
{{- if and .enabled .otlpHostPorts (not (.config.traces).export) -}}
{{- fail "agent.otlpHostPorts: spans go nowhere without a collector: set agent.config.traces.export, such as grpc://collector.observability:4317" -}}
{{- end -}}
{{- end -}}
{{- with .Values.gateway -}}
{{- if .enabled -}}
{{- if and (not .config.outbound) (not .config.inbound) -}}
{{- fail "gateway.config: there is no listener: write outbound: [{ listen: 0.0.0.0:8080 }]" -}}
{{- end -}}
{{- range .service.ports -}}
{{- $port := printf ":%d" (int .targetPort) -}}
{{- $found := false -}}
{{- range concat ($.Values.gateway.config.outbound | default list) ($.Values.gateway.config.inbound | default list) -}}
{{- if hasSuffix $port .listen -}}{{- $found = true -}}{{- end -}}
{{- end -}}
{{- if not $found -}}
{{- fail (printf "gateway.service.ports: %s leads to port %d, where gateway.config has no listener" .name (int .targetPort)) -}}
{{- end -}}
{{- end -}}
{{- if and .ingress.enabled (not .ingress.hosts) -}}
{{- fail "gateway.ingress.hosts: an Ingress needs a host: [{ host: shop.example.com, paths: [/] }]" -}}
{{- end -}}
{{- if and .autoscaling.enabled (gt (int .autoscaling.minReplicas) (int .autoscaling.maxReplicas)) -}}
{{- fail "gateway.autoscaling: minReplicas is larger than maxReplicas" -}}
{{- end -}}
{{- if and .autoscaling.enabled (not (.resources.requests).cpu) -}}
{{- fail "gateway.autoscaling: targetCPU is a percentage of gateway.resources.requests.cpu, which is missing" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}
