{{/* What the pods of all parts have in common. Takes a list: the root, the name of the part, its values. */}}

{{/* Behind the values: the port with the metrics, and what a change of must replace the pods. */}}
{{- define "outrigger.podMetadata" -}}
{{- $root := index . 0 -}}
{{- $part := index . 2 -}}
{{- $annotations := dict -}}
{{- if not $root.Values.monitoring.podMonitor.enabled -}}
{{- $annotations = dict "prometheus.io/scrape" "true" "prometheus.io/port" (toString (index . 3)) -}}
{{- end -}}
{{- if gt (len .) 4 -}}
{{- $_ := set $annotations "checksum/config" (index . 4 | sha256sum) -}}
{{- end -}}
labels:
  {{- include "outrigger.labels" . | nindent 2 }}
  {{- with $part.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with merge (dict) $part.podAnnotations $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "outrigger.placement" -}}
{{- $root := index . 0 -}}
{{- $part := index . 2 -}}
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $part.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $part.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $part.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $part.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "outrigger.spread" -}}
topologySpreadConstraints:
{{- $selector := include "outrigger.selector" . }}
{{- with (index . 2).topologySpreadConstraints }}
  {{- toYaml . | nindent 2 }}
{{- else }}
{{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- $selector | nindent 8 }}
{{- end }}
{{- end }}
{{- end }}

{{/* As the Pod Security level restricted has it. */}}
{{- define "outrigger.securityContext" -}}
runAsNonRoot: true
runAsUser: 1337
runAsGroup: 1337
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{/* Variables that files may name, as those of sidecars may. */}}
{{- define "outrigger.podVariables" -}}
{{- range $name, $path := dict "HOST_IP" "status.hostIP" "NODE_NAME" "spec.nodeName" "POD_IP" "status.podIP" "POD_NAME" "metadata.name" "POD_NAMESPACE" "metadata.namespace" }}
- name: {{ $name }}
  valueFrom: { fieldRef: { fieldPath: {{ $path }} } }
{{- end }}
{{- end }}
