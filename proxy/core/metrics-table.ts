/**
 * Every metric of the proxy: the one source of its HELP line and of docs/metrics.md. A test compares a running proxy
 * with it. `when`: what must have come about for a series to be there; absent: it is always there.
 */
export interface Metric {
  readonly group: MetricGroup
  readonly type: 'counter' | 'gauge' | 'histogram'
  /** Of the value; absent: a number of things. */
  readonly unit?: 'seconds' | 'bytes' | 'ratio'
  /** In the order in which they are exposed. One with `?` is left out where it has no value. */
  readonly labels: readonly string[]
  readonly help: string
  readonly when?: string
}

export type MetricGroup = 'requests' | 'endpoints' | 'tcp' | 'discovery' | 'agent' | 'spans' | 'listeners' | 'proxy'

const ofRequest = ['direction', 'source', 'destination', 'subset?', 'service', 'path'] as const
const ofEndpoint = ['service', 'endpoint'] as const
const ofListener = ['listener', 'direction'] as const
const aRequest = 'once such a request has ended'
const agent = 'where an agent is, or has been'
const policy = 'for each service that has a policy of the agent'
const discovered = 'for each service with a source'

export const metrics = {
  http_requests_total: {
    group: 'requests',
    type: 'counter',
    labels: [...ofRequest, 'protocol', 'method', 'status', 'grpc_status?', 'flags'],
    help: 'Finished requests, local replies included.',
    when: aRequest,
  },
  http_response_time_seconds: {
    group: 'requests',
    type: 'histogram',
    unit: 'seconds',
    labels: ofRequest,
    help: 'Time from the head of a request to the last byte of its response; of a tunnel (WebSocket) to the answer that opened it.',
    when: aRequest,
  },
  grpc_requests_total: {
    group: 'requests',
    type: 'counter',
    labels: ['direction', 'service', 'path', 'grpc_status', 'flags'],
    help: 'Finished gRPC calls, local replies included; a view of http_requests_total.',
    when: aRequest,
  },
  outrigger_retries_total: {
    group: 'requests',
    type: 'counter',
    labels: ['service', 'path'],
    help: 'Attempts after the first one of a request.',
    when: 'once a request was tried again',
  },
  outrigger_retry_budget_exhausted_total: {
    group: 'requests',
    type: 'counter',
    labels: ['service', 'path'],
    help: 'Requests that were not tried again because the retry budget of the service was spent.',
    when: 'once a budget was spent',
  },
  outrigger_upstream_requests_total: {
    group: 'endpoints',
    type: 'counter',
    labels: ofEndpoint,
    help: 'Attempts sent to an endpoint: more than the requests when there are retries.',
  },
  outrigger_upstream_failures_total: {
    group: 'endpoints',
    type: 'counter',
    labels: ofEndpoint,
    help: 'Attempts that failed by the fault of the endpoint, 502 to 504 included.',
  },
  outrigger_upstream_response_seconds: {
    group: 'endpoints',
    type: 'histogram',
    unit: 'seconds',
    labels: ofEndpoint,
    help: 'Time from sending a request to an endpoint to its response head.',
  },
  outrigger_upstream_requests_active: {
    group: 'endpoints',
    type: 'gauge',
    labels: ofEndpoint,
    help: 'Attempts at an endpoint that run now.',
  },
  outrigger_upstream_requests_pending: {
    group: 'endpoints',
    type: 'gauge',
    labels: ofEndpoint,
    help: 'Requests that wait for a connection to an endpoint.',
  },
  outrigger_upstream_ejected: {
    group: 'endpoints',
    type: 'gauge',
    labels: ofEndpoint,
    help: 'Whether outlier detection leaves an endpoint alone now.',
  },
  outrigger_upstream_ejections_total: {
    group: 'endpoints',
    type: 'counter',
    labels: ofEndpoint,
    help: 'Times outlier detection ejected an endpoint.',
  },
  outrigger_upstream_connections: {
    group: 'endpoints',
    type: 'gauge',
    labels: ofEndpoint,
    help: 'Connections to an endpoint, those being made included.',
  },
  outrigger_upstream_connect_failures_total: {
    group: 'endpoints',
    type: 'counter',
    labels: ofEndpoint,
    help: 'Connections to an endpoint that could not be made.',
  },
  outrigger_tcp_connections_opened_total: {
    group: 'tcp',
    type: 'counter',
    labels: ['direction', 'service'],
    help: 'TCP tunnels begun.',
    when: 'where a listener takes TCP',
  },
  outrigger_tcp_connections_active: {
    group: 'tcp',
    type: 'gauge',
    labels: ['direction', 'service'],
    help: 'TCP tunnels open.',
    when: 'where a listener takes TCP',
  },
  outrigger_tcp_connections_closed_total: {
    group: 'tcp',
    type: 'counter',
    labels: ['direction', 'service', 'flags'],
    help: 'TCP tunnels ended, and connections refused; flags is - when both sides ended in peace.',
    when: 'once such a tunnel has ended',
  },
  outrigger_upstream_tcp_sent_bytes_total: {
    group: 'tcp',
    type: 'counter',
    unit: 'bytes',
    labels: ofEndpoint,
    help: 'Bytes sent to an endpoint through TCP tunnels, as they go.',
    when: 'once a tunnel led to the endpoint',
  },
  outrigger_upstream_tcp_received_bytes_total: {
    group: 'tcp',
    type: 'counter',
    unit: 'bytes',
    labels: ofEndpoint,
    help: 'Bytes received from an endpoint through TCP tunnels, as they come.',
    when: 'once a tunnel led to the endpoint',
  },
  outrigger_discovery_age_seconds: {
    group: 'discovery',
    type: 'gauge',
    unit: 'seconds',
    labels: ['service', 'source'],
    help: 'Time since a source of endpoints last answered; an unchanged answer counts. Infinite: never.',
    when: discovered,
  },
  outrigger_discovery_stale: {
    group: 'discovery',
    type: 'gauge',
    labels: ['service', 'source'],
    help: 'Whether a source is in trouble, or has not answered since the start: what it said last is in force.',
    when: discovered,
  },
  outrigger_discovery_endpoints: {
    group: 'discovery',
    type: 'gauge',
    labels: ['service', 'source'],
    help: 'Endpoints a source has for a service.',
    when: discovered,
  },
  outrigger_discovery_suspects: {
    group: 'discovery',
    type: 'gauge',
    labels: ['service', 'source'],
    help: 'Endpoints the source no longer lists, kept because the update looked wrong and they still take connections.',
    when: discovered,
  },
  outrigger_agent_connected: {
    group: 'agent',
    type: 'gauge',
    labels: [],
    help: 'Whether the agent of this host is connected.',
    when: agent,
  },
  outrigger_agent_losses_total: {
    group: 'agent',
    type: 'counter',
    labels: [],
    help: 'Connections to the agent that were lost.',
    when: agent,
  },
  outrigger_policy_stale_seconds: {
    group: 'agent',
    type: 'gauge',
    unit: 'seconds',
    labels: ['service'],
    help: 'How long a service has had another policy than the agent wants, or than it may want while it is away; 0: it has what the agent wants.',
    when: policy,
  },
  outrigger_policy_refused: {
    group: 'agent',
    type: 'gauge',
    labels: ['service'],
    help: 'Whether the version that the agent wants for a service is refused (NACK).',
    when: policy,
  },
  outrigger_policy_updates_total: {
    group: 'agent',
    type: 'counter',
    labels: ['service', 'result'],
    help: 'Updates of the agent for a service, by result: applied, refused or unchanged.',
    when: policy,
  },
  outrigger_spans_recorded_total: {
    group: 'spans',
    type: 'counter',
    labels: ['thread'],
    help: 'Spans made on a data thread.',
  },
  outrigger_spans_overflow_total: {
    group: 'spans',
    type: 'counter',
    labels: ['thread'],
    help: 'Spans that a data thread dropped because the control thread was behind.',
  },
  outrigger_spans_sent_total: {
    group: 'spans',
    type: 'counter',
    labels: [],
    help: 'Spans that were taken by an agent or collector.',
  },
  outrigger_spans_waiting: { group: 'spans', type: 'gauge', labels: [], help: 'Spans that wait to be sent.' },
  outrigger_spans_dropped_total: {
    group: 'spans',
    type: 'counter',
    labels: ['reason'],
    help: 'Spans that were dropped: `full`, no room to wait; `rejected`, not wanted or not taken for 5 minutes.',
  },
  outrigger_downstream_connections_total: {
    group: 'listeners',
    type: 'counter',
    labels: ofListener,
    help: 'Connections accepted.',
  },
  outrigger_downstream_connections_active: {
    group: 'listeners',
    type: 'gauge',
    labels: ofListener,
    help: 'Connections open.',
  },
  outrigger_tunnels_active: {
    group: 'listeners',
    type: 'gauge',
    labels: [...ofListener, 'upgrade'],
    help: 'Tunnels open: WebSockets, other upgrades and CONNECT.',
    when: 'from the first tunnel on',
  },
  outrigger_downstream_connections_overflow_total: {
    group: 'listeners',
    type: 'counter',
    labels: ofListener,
    help: 'Connections closed at once because `limits.connections` was reached.',
  },
  outrigger_http2_guard_trips_total: {
    group: 'listeners',
    type: 'counter',
    labels: ['side', 'guard'],
    help: 'Connections cut, or streams reset, because the peer went beyond a limit of HTTP/2.',
  },
  outrigger_detected_connections_total: {
    group: 'listeners',
    type: 'counter',
    labels: [...ofListener, 'protocol'],
    help: 'Connections by the protocol that was detected: http1, http2, tls or tcp.',
    when: 'with `protocol: detect`',
  },
  outrigger_detection_timeouts_total: {
    group: 'listeners',
    type: 'counter',
    labels: ofListener,
    help: 'Connections that were silent for `timeouts.detect`.',
    when: 'with `protocol: detect`',
  },
  outrigger_build_info: {
    group: 'proxy',
    type: 'gauge',
    labels: ['version', 'node'],
    help: 'The version of Outrigger and of Node.js; always 1.',
  },
  outrigger_ready: { group: 'proxy', type: 'gauge', labels: [], help: 'Whether /ready answers 200.' },
  outrigger_config_version_info: {
    group: 'proxy',
    type: 'gauge',
    labels: ['version'],
    help: 'The version of the configuration in force, as a label; always 1.',
  },
  outrigger_config_last_reload_successful: {
    group: 'proxy',
    type: 'gauge',
    labels: [],
    help: 'Whether the files as they are now are in force; 0 after a file was refused.',
  },
  outrigger_config_last_reload_success_timestamp_seconds: {
    group: 'proxy',
    type: 'gauge',
    unit: 'seconds',
    labels: [],
    help: 'When a configuration was last loaded from the files without error.',
  },
  outrigger_data_threads: { group: 'proxy', type: 'gauge', labels: [], help: 'Data threads that serve.' },
  outrigger_data_thread_restarts_total: {
    group: 'proxy',
    type: 'counter',
    labels: [],
    help: 'Data threads that ended and were replaced.',
  },
  outrigger_data_thread_buffered_bytes: {
    group: 'proxy',
    type: 'gauge',
    unit: 'bytes',
    labels: ['thread'],
    help: 'Bytes of bodies that the data thread holds, once a second; `buffers` is the most it may.',
  },
  outrigger_data_thread_buffer_cuts_total: {
    group: 'proxy',
    type: 'counter',
    labels: ['thread'],
    help: 'Exchanges and connections cut because the data thread held more than `buffers`.',
  },
  outrigger_data_thread_lag_seconds: {
    group: 'proxy',
    type: 'gauge',
    unit: 'seconds',
    labels: ['thread'],
    help: 'How late the last timer of the data thread was: time in which nothing else could run.',
  },
  outrigger_data_thread_heap_bytes: {
    group: 'proxy',
    type: 'gauge',
    unit: 'bytes',
    labels: ['thread'],
    help: 'JavaScript heap in use on a data thread, as of the scrape before.',
  },
  outrigger_control_thread_lag_seconds: {
    group: 'proxy',
    type: 'gauge',
    unit: 'seconds',
    labels: [],
    help: 'The latest that a timer of the control thread was since the last scrape.',
  },
  outrigger_event_loop_utilization_ratio: {
    group: 'proxy',
    type: 'gauge',
    unit: 'ratio',
    labels: ['thread'],
    help: 'Share of the time since the last scrape in which the event loop of a data thread was busy.',
  },
  outrigger_access_log_dropped_lines_total: {
    group: 'proxy',
    type: 'counter',
    labels: [],
    help: 'Lines of the access log that could not be written fast enough, or at all.',
  },
  outrigger_metrics_series: {
    group: 'proxy',
    type: 'gauge',
    labels: [],
    help: 'Series that this proxy keeps.',
  },
  process_resident_memory_bytes: {
    group: 'proxy',
    type: 'gauge',
    unit: 'bytes',
    labels: [],
    help: 'Resident memory of the process, all threads.',
  },
  process_cpu_seconds_total: {
    group: 'proxy',
    type: 'counter',
    unit: 'seconds',
    labels: [],
    help: 'CPU time of the process, all threads.',
  },
  process_start_time_seconds: {
    group: 'proxy',
    type: 'gauge',
    unit: 'seconds',
    labels: [],
    help: 'When the process started, since the epoch.',
  },
  nodejs_heap_size_used_bytes: {
    group: 'proxy',
    type: 'gauge',
    unit: 'bytes',
    labels: [],
    help: 'JavaScript heap in use on the control thread.',
  },
  nodejs_heap_size_total_bytes: {
    group: 'proxy',
    type: 'gauge',
    unit: 'bytes',
    labels: [],
    help: 'JavaScript heap held by the control thread.',
  },
  nodejs_external_memory_bytes: {
    group: 'proxy',
    type: 'gauge',
    unit: 'bytes',
    labels: [],
    help: 'Memory outside the JavaScript heap that objects of the control thread hold.',
  },
} as const satisfies Record<string, Metric>

export type MetricName = keyof typeof metrics

/** The HELP line. */
export function helpOf(name: MetricName): string {
  return metrics[name].help
}
