import { mkdirSync, writeFileSync } from 'node:fs'

/**
 * Writes the Grafana dashboards of deploy/grafana: node scripts/dashboards.ts (`npm run docs` runs it). Panels are made
 * by the same few functions, so that units, legends and places agree.
 */

interface Panel {
  readonly type: 'timeseries' | 'stat'
  readonly title: string
  readonly description?: string
  readonly unit: string
  /** PromQL, and the legend of its series. */
  readonly queries: readonly (readonly [expression: string, legend: string])[]
  /** Of 24. */
  readonly width: number
  readonly height: number
}

interface Variable {
  readonly name: string
  readonly label: string
  readonly query: string
}

export interface Dashboard {
  readonly uid: string
  readonly title: string
  readonly description: string
  readonly variables: readonly Variable[]
  readonly panels: readonly Panel[]
}

const outbound = 'direction="outbound"'
const ofService = `${outbound},destination=~"$service"`
const failed = 'status=~"5..|0"'
const peers = '{{source}} -> {{destination}}'

function graph(
  title: string,
  unit: string,
  queries: Panel['queries'],
  { description, width = 12 }: { readonly description?: string; readonly width?: number } = {},
): Panel {
  return {
    type: 'timeseries',
    title,
    unit,
    queries,
    width,
    height: 8,
    ...(description === undefined ? {} : { description }),
  }
}

function stat(title: string, unit: string, expression: string): Panel {
  return { type: 'stat', title, unit, queries: [[expression, title]], width: 6, height: 4 }
}

function rate(metric: string, labels: string): string {
  return `rate(${metric}{${labels}}[$__rate_interval])`
}

function quantile(share: number, metric: string, labels: string, by: string): string {
  return `histogram_quantile(${share}, sum by (${by}, le) (${rate(`${metric}_bucket`, labels)}))`
}

/** 0 where nothing has failed: a ratio without a line looks like missing data. */
function errorRatio(labels: string, by: string): string {
  const all = `sum by (${by}) (${rate('http_requests_total', labels)})`
  return `(sum by (${by}) (${rate('http_requests_total', `${labels},${failed}`)}) or ${all} * 0) / ${all}`
}

const requests = 'http_requests_total'
const latency = 'http_response_time_seconds'

export const dashboards: Readonly<Record<string, Dashboard>> = {
  mesh: {
    uid: 'outrigger-mesh',
    title: 'Outrigger / Mesh',
    description: 'All services: who calls whom, what fails, how long it takes.',
    variables: [],
    panels: [
      stat('Requests', 'reqps', `sum(${rate(requests, outbound)})`),
      stat(
        'Failed',
        'percentunit',
        `(sum(${rate(requests, `${outbound},${failed}`)}) or vector(0)) / sum(${rate(requests, outbound)})`,
      ),
      stat('Sidecars that are ready', 'none', 'sum(outrigger_ready)'),
      stat('Endpoints ejected', 'none', 'sum(outrigger_upstream_ejected)'),
      graph('Requests by caller and destination', 'reqps', [
        [`sum by (source, destination) (${rate(requests, outbound)})`, peers],
      ]),
      graph('Failed requests by caller and destination', 'percentunit', [
        [errorRatio(outbound, 'source, destination'), peers],
      ]),
      graph('99th percentile by caller and destination', 's', [
        [quantile(0.99, latency, outbound, 'source, destination'), peers],
      ]),
      graph(
        'Why requests fail',
        'reqps',
        [[`sum by (destination, flags) (${rate(requests, `${outbound},flags!="-"`)})`, '{{destination}} {{flags}}']],
        {
          description: 'By response flag: docs/failures.md says what each means.',
        },
      ),
      graph('Requests from callers without a sidecar', 'reqps', [
        [`sum by (destination) (${rate(requests, 'direction="inbound",source="unknown"')})`, '{{destination}}'],
      ]),
      graph('Retries, and requests beyond the retry budget', 'reqps', [
        [`sum by (service) (${rate('outrigger_retries_total', '')})`, '{{service}} retries'],
        [`sum by (service) (${rate('outrigger_retry_budget_exhausted_total', '')})`, '{{service}} budget spent'],
      ]),
    ],
  },
  service: {
    uid: 'outrigger-service',
    title: 'Outrigger / Service',
    description: 'One service: its callers, routes, statuses and subsets.',
    variables: [
      { name: 'service', label: 'Service', query: `label_values(http_requests_total{${outbound}}, destination)` },
    ],
    panels: [
      stat('Requests', 'reqps', `sum(${rate(requests, ofService)})`),
      stat(
        'Failed',
        'percentunit',
        `(sum(${rate(requests, `${ofService},${failed}`)}) or vector(0)) / sum(${rate(requests, ofService)})`,
      ),
      stat('99th percentile', 's', `histogram_quantile(0.99, sum by (le) (${rate(`${latency}_bucket`, ofService)}))`),
      stat('Requests that run', 'none', 'sum(outrigger_upstream_requests_active{service=~"$service"})'),
      graph('Requests by caller', 'reqps', [[`sum by (source) (${rate(requests, ofService)})`, '{{source}}']]),
      graph('Requests by status and flag', 'reqps', [
        [`sum by (status, flags) (${rate(requests, ofService)})`, '{{status}} {{flags}}'],
      ]),
      graph('Requests by route', 'reqps', [[`sum by (path) (${rate(requests, ofService)})`, '{{path}}']]),
      graph('Requests by subset', 'reqps', [[`sum by (subset) (${rate(requests, ofService)})`, '{{subset}}']], {
        description: 'Of a canary: failed requests by subset are below.',
      }),
      graph('Latency', 's', [
        [`histogram_quantile(0.5, sum by (le) (${rate(`${latency}_bucket`, ofService)}))`, 'p50'],
        [`histogram_quantile(0.95, sum by (le) (${rate(`${latency}_bucket`, ofService)}))`, 'p95'],
        [`histogram_quantile(0.99, sum by (le) (${rate(`${latency}_bucket`, ofService)}))`, 'p99'],
      ]),
      graph('99th percentile by route', 's', [[quantile(0.99, latency, ofService, 'path'), '{{path}}']]),
      graph('Failed requests by caller', 'percentunit', [[errorRatio(ofService, 'source'), '{{source}}']]),
      graph('Failed requests by subset', 'percentunit', [[errorRatio(ofService, 'subset'), '{{subset}}']]),
      graph('Retries, and requests beyond the retry budget', 'reqps', [
        [`sum(${rate('outrigger_retries_total', 'service=~"$service"')})`, 'retries'],
        [`sum(${rate('outrigger_retry_budget_exhausted_total', 'service=~"$service"')})`, 'budget spent'],
      ]),
      graph('Endpoints known, by source', 'none', [
        ['max by (source) (outrigger_discovery_endpoints{service=~"$service"})', '{{source}}'],
      ]),
    ],
  },
  endpoint: {
    uid: 'outrigger-endpoint',
    title: 'Outrigger / Endpoints',
    description: 'The instances of a service, as the sidecars of its callers see them.',
    variables: [
      { name: 'service', label: 'Service', query: 'label_values(outrigger_upstream_requests_total, service)' },
      {
        name: 'endpoint',
        label: 'Endpoint',
        query: 'label_values(outrigger_upstream_requests_total{service=~"$service"}, endpoint)',
      },
    ],
    panels: ((of: string) => [
      graph('Attempts', 'reqps', [
        [`sum by (endpoint) (${rate('outrigger_upstream_requests_total', of)})`, '{{endpoint}}'],
      ]),
      graph('Failed attempts', 'percentunit', [
        [
          `sum by (endpoint) (${rate('outrigger_upstream_failures_total', of)}) / sum by (endpoint) (${rate('outrigger_upstream_requests_total', of)})`,
          '{{endpoint}}',
        ],
      ]),
      graph('99th percentile of the response head', 's', [
        [quantile(0.99, 'outrigger_upstream_response_seconds', of, 'endpoint'), '{{endpoint}}'],
      ]),
      graph('Attempts that run, and requests that wait for a connection', 'none', [
        [`sum by (endpoint) (outrigger_upstream_requests_active{${of}})`, '{{endpoint}} run'],
        [`sum by (endpoint) (outrigger_upstream_requests_pending{${of}})`, '{{endpoint}} wait'],
      ]),
      graph('Ejected, by how many sidecars', 'none', [
        [`sum by (endpoint) (outrigger_upstream_ejected{${of}})`, '{{endpoint}}'],
      ]),
      graph('Ejections in 10 minutes', 'none', [
        [`sum by (endpoint) (increase(outrigger_upstream_ejections_total{${of}}[10m]))`, '{{endpoint}}'],
      ]),
      graph('Connections', 'none', [[`sum by (endpoint) (outrigger_upstream_connections{${of}})`, '{{endpoint}}']]),
      graph('Connections that could not be made', 'ops', [
        [`sum by (endpoint) (${rate('outrigger_upstream_connect_failures_total', of)})`, '{{endpoint}}'],
      ]),
      graph('Discovery: age of the last answer', 's', [
        ['max by (service, source) (outrigger_discovery_age_seconds{service=~"$service"})', '{{service}} {{source}}'],
      ]),
      graph('Discovery: sources in trouble', 'none', [
        ['max by (service, source) (outrigger_discovery_stale{service=~"$service"})', '{{service}} {{source}}'],
      ]),
    ])('service=~"$service",endpoint=~"$endpoint"'),
  },
  agent: {
    uid: 'outrigger-agent',
    title: 'Outrigger / Agent and sidecars',
    description: 'Policy sync, spans, and what the processes themselves take.',
    variables: [],
    panels: [
      stat('Proxies that follow', 'none', 'sum(outrigger_agent_followers)'),
      stat('Proxies with a stale policy', 'none', 'sum(outrigger_agent_followers_stale)'),
      stat('Documents refused', 'none', 'sum(outrigger_agent_policy_documents_refused)'),
      stat('Spans that wait', 'none', 'sum(outrigger_agent_spans_queued)'),
      graph('Policies sent, put in force and refused', 'ops', [
        [`sum(${rate('outrigger_agent_updates_total', '')})`, 'sent'],
        [`sum(${rate('outrigger_agent_acks_total', '')})`, 'in force (ACK)'],
        [`sum(${rate('outrigger_agent_nacks_total', '')})`, 'refused (NACK)'],
      ]),
      graph('Sources of policies: age', 's', [
        ['max by (instance, source) (outrigger_agent_source_age_seconds)', '{{instance}} {{source}}'],
      ]),
      graph('Spans received and exported', 'ops', [
        [`sum by (from) (${rate('outrigger_agent_spans_received_total', '')})`, 'from {{from}}'],
        [`sum(${rate('outrigger_agent_spans_exported_total', '')})`, 'exported'],
      ]),
      graph('Spans dropped', 'ops', [
        [`sum by (reason) (${rate('outrigger_agent_spans_dropped_total', '')})`, '{{reason}}'],
      ]),
      graph('Sidecars: how old their policies are', 's', [
        ['max by (instance) (outrigger_policy_stale_seconds)', '{{instance}}'],
      ]),
      graph('Sidecars: connected to their agent', 'none', [
        ['min by (instance) (outrigger_agent_connected)', '{{instance}}'],
      ]),
      graph(
        'Sidecars: CPU',
        'none',
        [[`sum by (instance) (${rate('process_cpu_seconds_total', 'job="outrigger"')})`, '{{instance}}']],
        {
          description: 'Cores.',
        },
      ),
      graph('Sidecars: memory', 'bytes', [
        ['max by (instance) (process_resident_memory_bytes{job="outrigger"})', '{{instance}}'],
      ]),
      graph('Sidecars: busy data threads', 'percentunit', [
        ['max by (instance, thread) (outrigger_event_loop_utilization_ratio)', '{{instance}} {{thread}}'],
      ]),
      graph('Sidecars: connections of callers', 'none', [
        ['sum by (instance, direction) (outrigger_downstream_connections_active)', '{{instance}} {{direction}}'],
      ]),
      graph('Sidecars: spans waiting, access-log lines lost', 'none', [
        ['sum by (instance) (outrigger_spans_waiting)', '{{instance}} spans'],
        ['sum by (instance) (increase(outrigger_access_log_dropped_lines_total[10m]))', '{{instance}} lines'],
      ]),
      graph('Sidecars: series kept', 'none', [['max by (instance) (outrigger_metrics_series)', '{{instance}}']]),
    ],
  },
}

const source = { type: 'prometheus', uid: '$' + '{datasource}' }

/** As Grafana 10 and later import it. */
export function grafanaJson({ uid, title, description, variables, panels }: Dashboard): string {
  const templates = [
    { name: 'datasource', label: 'Data source', type: 'datasource', query: 'prometheus', current: {}, hide: 0 },
    ...variables.map(({ name, label, query }) => ({
      name,
      label,
      type: 'query',
      datasource: source,
      definition: query,
      query: { query, refId: name },
      refresh: 2,
      sort: 1,
      multi: true,
      includeAll: true,
      allValue: '.+',
      current: { text: 'All', value: '$__all' },
      hide: 0,
    })),
  ]
  const dashboard = {
    uid,
    title,
    description,
    tags: ['outrigger'],
    schemaVersion: 39,
    version: 1,
    editable: true,
    refresh: '15s',
    time: { from: 'now-30m', to: 'now' },
    timezone: 'browser',
    graphTooltip: 1,
    links: [
      {
        type: 'dashboards',
        tags: ['outrigger'],
        title: 'Outrigger',
        asDropdown: true,
        keepTime: true,
        includeVars: true,
      },
    ],
    templating: { list: templates },
    annotations: { list: [] },
    panels: placed(panels),
  }
  return `${JSON.stringify(dashboard, null, 2)}\n`
}

function placed(panels: readonly Panel[]): unknown[] {
  let [x, y, rowHeight] = [0, 0, 0]
  return panels.map(({ type, title, description = '', unit, queries, width, height }, index) => {
    if (x + width > 24) {
      x = 0
      y += rowHeight
      rowHeight = 0
    }
    const gridPos = { x, y, w: width, h: height }
    x += width
    rowHeight = Math.max(rowHeight, height)
    return {
      id: index + 1,
      type,
      title,
      description,
      datasource: source,
      gridPos,
      fieldConfig: {
        defaults: { unit, min: 0, custom: type === 'timeseries' ? { lineWidth: 1, fillOpacity: 10 } : {} },
        overrides: [],
      },
      options:
        type === 'timeseries'
          ? {
              legend: { displayMode: 'list', placement: 'bottom', showLegend: true },
              tooltip: { mode: 'multi', sort: 'desc' },
            }
          : {
              reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false },
              colorMode: 'value',
              graphMode: 'area',
            },
      targets: queries.map(([expr, legendFormat], at) => ({
        refId: String.fromCharCode(65 + at),
        datasource: source,
        expr,
        legendFormat,
        exemplar: expr.includes(latency),
      })),
    }
  })
}

if (import.meta.main) {
  const folder = new URL('../deploy/grafana/', import.meta.url)
  mkdirSync(folder, { recursive: true })
  for (const [name, dashboard] of Object.entries(dashboards))
    writeFileSync(new URL(`${name}.json`, folder), grafanaJson(dashboard))
}
