import type { MetricAliases } from '../../mesh-config/snapshot.ts'
import type { MetricName } from '../core/metrics-table.ts'
import type { Detector } from '../core/telemetry.ts'
import type { View } from './views.ts'

const DETECTORS: readonly Detector[] = [
  'consecutive_5xx',
  'consecutive_gateway_failure',
  'consecutive_local_origin_failure',
  'success_rate',
  'failure_percentage',
]

/**
 * The names under which dashboards of other meshes look (`metrics.aliases`). Sources: Envoy's cluster_stats.rst and
 * http_conn_man/stats.rst, Istio's reference/config/metrics. Only what is counted here is shown; nothing is made up.
 */
export const aliases: Readonly<Record<MetricAliases, readonly View[]>> = { envoy: envoy(), istio: istio() }

type Labels = Readonly<Record<string, string>>

/** Counters of Envoy do not end in `_total`, so they have no type here: `rate` works all the same. */
function envoy(): readonly View[] {
  const cluster = ({ service }: Labels): Labels => ({ envoy_cluster_name: service! })
  const outbound = (labels: Labels) => (labels.direction === 'outbound' && labels.service !== '-' ? labels : null)
  const ofCluster = (labels: Labels, more: Labels = {}) => {
    const own = outbound(labels)
    return own === null ? null : { ...more, ...cluster(own) }
  }
  const ended = (name: string, help: string, flag: string): View =>
    untyped(`envoy_cluster_${name}`, help, 'http_requests_total', labels =>
      labels.flags === flag ? ofCluster(labels) : null,
    )
  const ofChecks = (name: string, help: string, ...results: readonly string[]): View =>
    untyped(`envoy_cluster_health_check_${name}`, help, 'outrigger_health_checks_total', labels =>
      results.includes(labels.result!) ? cluster(labels) : null,
    )
  const prefix = ({ direction }: Labels): Labels => ({ envoy_http_conn_manager_prefix: direction! })
  return [
    untyped('envoy_cluster_upstream_rq_total', 'Attempts.', 'outrigger_upstream_requests_total', cluster, 'counter'),
    gauge('envoy_cluster_upstream_rq_active', 'Attempts that run.', 'outrigger_upstream_requests_active', cluster),
    gauge(
      'envoy_cluster_upstream_rq_pending_active',
      'Requests that wait for a connection.',
      'outrigger_upstream_requests_pending',
      cluster,
    ),
    untyped('envoy_cluster_upstream_rq_xx', 'Finished requests by class of status.', 'http_requests_total', labels =>
      ofCluster(labels, { envoy_response_code_class: labels.status!.slice(0, 1) }),
    ),
    untyped('envoy_cluster_upstream_rq', 'Finished requests by status.', 'http_requests_total', labels =>
      ofCluster(labels, { envoy_response_code: labels.status! }),
    ),
    milliseconds(
      'envoy_cluster_upstream_rq_time',
      'Time from sending a request to its response head.',
      'outrigger_upstream_response_seconds',
      cluster,
    ),
    untyped('envoy_cluster_upstream_rq_retry', 'Retries.', 'outrigger_retries_total', cluster),
    untyped(
      'envoy_cluster_upstream_rq_retry_overflow',
      'Requests not retried because the budget was spent.',
      'outrigger_retry_budget_exhausted_total',
      cluster,
    ),
    ended('upstream_rq_timeout', 'Requests that timed out.', 'UT'),
    ended('upstream_rq_pending_overflow', 'Requests refused because a limit was reached.', 'UO'),
    ended('upstream_rq_retry_limit_exceeded', 'Requests whose retries were used up.', 'URX'),
    ended('upstream_cx_none_healthy', 'Requests that found no healthy endpoint.', 'UH'),
    ...circuitBreakers(cluster),
    gauge('envoy_cluster_upstream_cx_active', 'Connections.', 'outrigger_upstream_connections', cluster),
    untyped(
      'envoy_cluster_upstream_cx_connect_fail',
      'Connections that could not be made.',
      'outrigger_upstream_connect_failures_total',
      cluster,
    ),
    // A gauge whose name ends as that of a counter.
    {
      name: 'envoy_cluster_membership_total',
      type: 'untyped',
      help: 'Endpoints.',
      from: 'outrigger_upstream_ejected',
      labels: cluster,
      value: () => 1,
    },
    gauge(
      'envoy_cluster_membership_healthy',
      'Endpoints that are not ejected.',
      'outrigger_upstream_ejected',
      cluster,
      ejected => 1 - ejected,
    ),
    gauge(
      'envoy_cluster_outlier_detection_ejections_active',
      'Endpoints that are ejected.',
      'outrigger_upstream_ejected',
      cluster,
    ),
    untyped(
      'envoy_cluster_outlier_detection_ejections_enforced_total',
      'Ejections.',
      'outrigger_upstream_ejections_total',
      cluster,
      'counter',
    ),
    untyped('envoy_cluster_health_check_attempt', 'Health checks.', 'outrigger_health_checks_total', cluster),
    ofChecks('success', 'Health checks that succeeded.', 'healthy'),
    ofChecks('failure', 'Health checks that failed.', 'unhealthy', 'failed'),
    ofChecks('network_failure', 'Health checks that had no answer, or one that says little.', 'failed'),
    untyped(
      'envoy_cluster_health_check_healthy',
      'Endpoints whose health checks succeed.',
      'outrigger_health_checked_endpoints',
      labels => (labels.state === 'healthy' ? cluster(labels) : null),
    ),
    ...ejections(cluster),
    gauge('envoy_cluster_assignment_stale', 'Sources that are in trouble.', 'outrigger_discovery_stale', cluster),
    untyped('envoy_http_downstream_rq_total', 'Finished requests.', 'http_requests_total', prefix, 'counter'),
    untyped('envoy_http_downstream_rq_xx', 'Finished requests by class of status.', 'http_requests_total', labels => ({
      ...prefix(labels),
      envoy_response_code_class: labels.status!.slice(0, 1),
    })),
    milliseconds(
      'envoy_http_downstream_rq_time',
      'Time from the head of a request to the last byte of its response.',
      'http_response_time_seconds',
      prefix,
    ),
    untyped('envoy_http_no_route', 'Requests that found no route.', 'http_requests_total', labels =>
      labels.flags === 'NR' ? prefix(labels) : null,
    ),
    untyped(
      'envoy_http_downstream_cx_total',
      'Connections accepted.',
      'outrigger_downstream_connections_total',
      prefix,
      'counter',
    ),
    gauge('envoy_http_downstream_cx_active', 'Connections open.', 'outrigger_downstream_connections_active', prefix),
    untyped(
      'envoy_http_downstream_cx_overflow',
      'Connections closed because of a limit.',
      'outrigger_downstream_connections_overflow_total',
      prefix,
    ),
  ]
}

/** What was found, and what was done about it. Envoy has no detector of latency. */
function ejections(cluster: View['labels']): readonly View[] {
  const from = 'outrigger_outlier_detections_total'
  const root = 'envoy_cluster_outlier_detection_ejections'
  return [
    untyped(`${root}_overflow`, 'Endpoints not ejected because too many were.', from, labels =>
      labels.outcome === 'no_room' ? cluster(labels) : null,
    ),
    ...DETECTORS.flatMap(reason => [
      untyped(`${root}_detected_${reason}`, `Endpoints found by ${reason}, ejected or not.`, from, labels =>
        labels.reason === reason ? cluster(labels) : null,
      ),
      untyped(`${root}_enforced_${reason}`, `Ejections by ${reason}.`, from, labels =>
        labels.reason === reason && labels.outcome === 'ejected' ? cluster(labels) : null,
      ),
    ]),
  ]
}

/** Ours have one priority. A limit is open, as Envoy calls it, when nothing is left of it. */
function circuitBreakers(cluster: (labels: Labels) => Labels): View[] {
  const envoys = { connections: 'cx', pending: 'rq_pending', requests: 'rq', retries: 'rq_retry' }
  const lefts = { connections: 'cx', pending: 'pending', requests: 'rq', retries: 'retries' }
  return (Object.keys(envoys) as (keyof typeof envoys)[]).flatMap(limit => {
    const own = (labels: Labels) => (labels.limit === limit ? cluster(labels) : null)
    return [
      gauge(
        `envoy_cluster_circuit_breakers_default_remaining_${lefts[limit]}`,
        `What is left of the limit of ${limit}.`,
        'outrigger_limit_remaining',
        own,
      ),
      gauge(
        `envoy_cluster_circuit_breakers_default_${envoys[limit]}_open`,
        `Whether the limit of ${limit} is reached.`,
        'outrigger_limit_remaining',
        own,
        left => (left <= 0 ? 1 : 0),
      ),
    ]
  })
}

function istio(): readonly View[] {
  return [
    {
      name: 'istio_requests_total',
      type: 'counter',
      help: 'Finished requests.',
      from: 'http_requests_total',
      labels: labels => ({
        ...istioPeers(labels),
        request_protocol: labels.protocol === 'grpc' ? 'grpc' : 'http',
        response_code: labels.status!,
        grpc_response_status: labels.grpc_status ?? '',
        response_flags: labels.flags!,
        connection_security_policy: 'unknown',
      }),
    },
    milliseconds(
      'istio_request_duration_milliseconds',
      'Time from the head of a request to the last byte of its response.',
      'http_response_time_seconds',
      istioPeers,
    ),
    {
      name: 'istio_tcp_connections_opened_total',
      type: 'counter',
      help: 'TCP tunnels begun.',
      from: 'outrigger_tcp_connections_opened_total',
      labels: istioTcp,
    },
    {
      name: 'istio_tcp_connections_closed_total',
      type: 'counter',
      help: 'TCP tunnels ended.',
      from: 'outrigger_tcp_connections_closed_total',
      labels: labels => ({ ...istioTcp(labels), response_flags: labels.flags! }),
    },
    {
      name: 'istio_tcp_sent_bytes_total',
      type: 'counter',
      help: 'Bytes received from a destination through TCP tunnels.',
      from: 'outrigger_upstream_tcp_received_bytes_total',
      labels: istioTcp,
    },
    {
      name: 'istio_tcp_received_bytes_total',
      type: 'counter',
      help: 'Bytes sent to a destination through TCP tunnels.',
      from: 'outrigger_upstream_tcp_sent_bytes_total',
      labels: istioTcp,
    },
  ]
}

/** `reporter`: whose sidecar counted it. Istio's workloads and canonical services are services here. */
function istioPeers({ direction, source = 'unknown', destination = 'unknown', subset = '' }: Labels): Labels {
  return {
    reporter: direction === 'inbound' ? 'destination' : 'source',
    source_workload: source,
    source_app: source,
    source_canonical_service: source,
    destination_workload: destination,
    destination_app: destination,
    destination_canonical_service: destination,
    destination_service: destination,
    destination_service_name: destination,
    destination_version: subset === '' ? 'unknown' : subset,
  }
}

/** Which caller a tunnel has is not counted. */
function istioTcp({ direction, service }: Labels): Labels {
  return { ...istioPeers({ direction: direction ?? 'outbound', destination: service! }), request_protocol: 'tcp' }
}

function untyped(
  name: string,
  help: string,
  from: MetricName,
  labels: View['labels'],
  type: 'counter' | 'untyped' = 'untyped',
): View {
  return { name, type, help, from, labels }
}

function gauge(name: string, help: string, from: MetricName, labels: View['labels'], value?: View['value']): View {
  return { name, type: 'gauge', help, from, labels, ...(value === undefined ? {} : { value }) }
}

function milliseconds(name: string, help: string, from: MetricName, labels: View['labels']): View {
  return { name, type: 'histogram', help, from, labels, unit: 'milliseconds' }
}
