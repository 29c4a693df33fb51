/**
 * The agent's own metrics, for docs/metrics.md: name, type, labels, HELP. test/integration/prometheus.test.ts compares
 * them with a running agent.
 */
export const agentMetrics: readonly (readonly [
  name: string,
  type: 'counter' | 'gauge' | 'histogram',
  labels: readonly string[],
  help: string,
])[] = [
  ['outrigger_agent_source_up', 'gauge', ['source'], 'Whether a source of policies answers.'],
  ['outrigger_agent_source_age_seconds', 'gauge', ['source'], 'Since a source of policies delivered documents.'],
  ['outrigger_agent_policy_documents', 'gauge', ['source'], 'Policy documents in force.'],
  ['outrigger_agent_policy_documents_refused', 'gauge', ['source'], 'Policy documents that are refused.'],
  ['outrigger_agent_policy_refused', 'gauge', ['source', 'document'], '1 for a document that is refused, and which.'],
  ['outrigger_agent_followers', 'gauge', [], 'Proxies that follow this agent.'],
  ['outrigger_agent_followers_stale', 'gauge', [], 'Proxies that have another version of a policy than they should.'],
  ['outrigger_agent_follows_total', 'counter', [], 'Streams of proxies that began.'],
  ['outrigger_agent_follow_refusals_total', 'counter', [], 'Streams of proxies that were refused.'],
  ['outrigger_agent_updates_total', 'counter', [], 'Policies sent to proxies.'],
  ['outrigger_agent_acks_total', 'counter', [], 'Policies that proxies put in force.'],
  ['outrigger_agent_nacks_total', 'counter', [], 'Policies that proxies refused.'],
  ['outrigger_agent_follow_stalls_total', 'counter', [], 'Proxies cut off because they read nothing.'],
  ['outrigger_agent_leader', 'gauge', [], 'Whether this agent leads the mesh.'],
  ['outrigger_agent_rollout_step', 'gauge', ['service'], 'The step of a staged roll-out that runs, from 1 on.'],
  [
    'outrigger_agent_rollout_reverted',
    'gauge',
    ['service'],
    'Whether the last staged roll-out of a service was taken back: outrigger status says why.',
  ],
  ['outrigger_agent_spans_received_total', 'counter', ['from'], 'Spans received, by where they came in.'],
  ['outrigger_agent_spans_dropped_total', 'counter', ['reason'], 'Spans that were not passed on, by reason.'],
  ['outrigger_agent_spans_exported_total', 'counter', [], 'Spans the collector has taken.'],
  [
    'outrigger_agent_spans_refused_requests_total',
    'counter',
    ['reason'],
    'Requests with spans that were refused as a whole, by reason.',
  ],
  ['outrigger_agent_spans_export_requests_total', 'counter', ['outcome'], 'Requests to the collector, by outcome.'],
  ['outrigger_agent_spans_queued', 'gauge', [], 'Spans that wait for the collector.'],
  ['outrigger_agent_spans_queue_bytes', 'gauge', [], 'Bytes that wait for the collector.'],
  ['outrigger_agent_spans_queue_limit_bytes', 'gauge', [], 'Bytes that may wait for the collector.'],
  ['outrigger_agent_spans_queue_on_disk', 'gauge', [], '1: what waits is on disk. 0: it is in memory only.'],
  ['outrigger_agent_spans_export_stalled_seconds', 'gauge', [], 'Seconds since the collector has taken nothing.'],
]
