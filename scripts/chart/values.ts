import * as z from 'zod'
import type { DocumentKind } from '../../mesh-config/schema.ts'

/**
 * The values of the Helm chart: their types. What each is for, and its default, is in deploy/helm/outrigger/values.yaml;
 * scripts/chart.ts makes values.schema.json of this.
 */

/** A document of Outrigger, of which `scripts/chart.ts` puts the schema in its place. */
const document = (kind: DocumentKind) => z.record(z.string(), z.unknown()).meta({ document: kind })

const object = z.record(z.string(), z.unknown())
const texts = z.record(z.string(), z.string())
const count = z.int().min(0)
const port = z.int().min(1).max(65_535)
const seconds = z.int().min(0).max(86_400)
const quantity = z.union([z.string().regex(/^\d+(\.\d+)?([EPTGMk]i?|m)?$/), z.number().min(0)])
const countOrShare = z.union([count, z.string().regex(/^\d+%$/)])
const name = (max = 63) =>
  z
    .string()
    .regex(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/)
    .max(max)
const nameOrNone = (max: number) =>
  z
    .string()
    .regex(/^([a-z0-9]([a-z0-9-]*[a-z0-9])?)?$/)
    .max(max)
const portName = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/)
  .max(15)
const logLevel = z.enum(['debug', 'info', 'warn', 'error'])

const resources = z.strictObject({
  requests: z.record(z.string(), quantity),
  limits: z.record(z.string(), quantity),
  claims: z.array(object),
})

const tolerations = z.array(
  z.strictObject({
    key: z.string().optional(),
    operator: z.enum(['Exists', 'Equal']).optional(),
    value: z.string().optional(),
    effect: z.enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute']).optional(),
    tolerationSeconds: z.int().optional(),
  }),
)

const env = z.array(
  z.strictObject({ name: z.string().min(1), value: z.string().optional(), valueFrom: object.optional() }),
)

const pods = {
  resources,
  priorityClassName: z.string(),
  podAnnotations: texts,
  podLabels: texts,
  nodeSelector: texts,
  tolerations,
  affinity: object,
}
const more = { env, volumes: z.array(object), volumeMounts: z.array(object), logLevel }
const spread = { topologySpreadConstraints: z.array(object) }

const injector = z.strictObject({
  enabled: z.boolean(),
  replicas: count,
  sidecar: z.enum(['native', 'classic']),
  followAgent: z.boolean(),
  base: document('sidecar'),
  excludeNamespaces: z.array(name()),
  failurePolicy: z.enum(['Fail', 'Ignore']),
  timeoutSeconds: z.int().min(1).max(30),
  hostNetwork: z.boolean(),
  ports: z.strictObject({ webhook: port.min(1024), probes: port.min(1024) }),
  podDisruptionBudget: z.strictObject({ enabled: z.boolean(), minAvailable: countOrShare }),
  ...pods,
  ...spread,
})

const agent = z.strictObject({
  enabled: z.boolean(),
  config: document('agent'),
  policies: z.record(z.string(), document('policy')),
  otlpHostPorts: z.boolean(),
  stateHostPath: z.string().regex(/^(\/.+)?$/),
  updateStrategy: z.strictObject({
    type: z.enum(['RollingUpdate', 'OnDelete']),
    rollingUpdate: z.strictObject({ maxUnavailable: countOrShare }),
  }),
  ...more,
  ...pods,
})

const service = z.strictObject({
  type: z.enum(['ClusterIP', 'NodePort', 'LoadBalancer']),
  annotations: texts,
  ports: z.array(z.strictObject({ name: portName, port, targetPort: port, nodePort: port.optional() })).min(1),
  externalTrafficPolicy: z.enum(['', 'Cluster', 'Local']),
  loadBalancerClass: z.string(),
  loadBalancerSourceRanges: z.array(z.string()),
})

const ingress = z.strictObject({
  enabled: z.boolean(),
  className: z.string(),
  annotations: texts,
  hosts: z.array(z.strictObject({ host: z.string().min(1), paths: z.array(z.string().regex(/^\//)).optional() })),
  tls: z.array(z.strictObject({ secretName: z.string().optional(), hosts: z.array(z.string()).optional() })),
})

const gateway = z.strictObject({
  enabled: z.boolean(),
  config: document('sidecar'),
  replicas: count,
  autoscaling: z.strictObject({
    enabled: z.boolean(),
    minReplicas: z.int().min(1),
    maxReplicas: z.int().min(1),
    targetCPU: z.int().min(1),
    behavior: object,
  }),
  service,
  ingress,
  drain: z.strictObject({ delaySeconds: seconds, timeoutSeconds: seconds }),
  podDisruptionBudget: z.strictObject({ enabled: z.boolean(), maxUnavailable: countOrShare }),
  ...more,
  ...pods,
  ...spread,
})

const monitoring = z.strictObject({
  podMonitor: z.strictObject({
    enabled: z.boolean(),
    interval: z.string().regex(/^(\d+(ms|s|m|h))+$/),
    labels: texts,
  }),
  prometheusRule: z.strictObject({ enabled: z.boolean(), labels: texts }),
  dashboards: z.strictObject({ enabled: z.boolean(), labels: texts, annotations: texts }),
})

export const chartValues = z.strictObject({
  nameOverride: nameOrNone(40),
  fullnameOverride: nameOrNone(40),
  image: z.strictObject({
    repository: z.string().regex(/^[a-z0-9][a-z0-9._:/-]*$/),
    tag: z.string().regex(/^([A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?$/),
    digest: z.string().regex(/^(sha256:[a-f0-9]{64})?$/),
    pullPolicy: z.enum(['Always', 'IfNotPresent', 'Never']),
  }),
  imagePullSecrets: z.array(z.strictObject({ name: z.string().min(1) })),
  rbac: z.strictObject({ create: z.boolean() }),
  injector,
  agent,
  gateway,
  discovery: z.strictObject({
    clusterRole: z.boolean(),
    namespaces: z.array(name()),
    crossNamespace: z.boolean(),
  }),
  networkPolicy: z.strictObject({
    enabled: z.boolean(),
    metricsFrom: z.array(object),
    gatewayFrom: z.array(object),
  }),
  monitoring,
})
