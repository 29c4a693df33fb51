import { writeFileSync } from 'node:fs'
import { injectorMetrics } from '../inject/webhook/counts.ts'
import type { MetricAliases } from '../mesh-config/snapshot.ts'
import type { Metric, MetricGroup } from '../proxy/core/metric.ts'
import { metrics } from '../proxy/core/metrics-table.ts'
import { aliases } from '../proxy/telemetry/aliases.ts'
import { agentMetrics } from './agent-metrics.ts'

/** Writes docs/metrics.md from the table of metrics. `npm run docs` runs it; a test compares the page with the table. */

const rows = Object.entries<Metric>(metrics)

export function metricsPage(): string {
  return `# Metrics

<!-- Written by scripts/metrics.ts from proxy/core/metrics-table.ts: edit those, then npm run docs. -->

\`/metrics\` on the admin port answers in the text format of Prometheus, or in OpenMetrics where the scraper prefers it, as Prometheus does. \`metrics: 0.0.0.0:15020\` opens a port for scrapes from other machines. A test compares every name below with a scrape of a running proxy. [Operations](operations.md#what-to-alert-on) says what to alert on; [deploy/](../deploy/README.md) has dashboards, rules and a scrape configuration.

The values live in memory that the data threads write and the control thread reads, so a scrape never stops a request. Counters stay when a data thread is replaced. With several data threads each series is their sum.

## Requests

One series of \`http_requests_total\` for each combination that has occurred. All labels are bounded: no raw path, no raw method, and of callers at most 100 names for each data thread.

${table('requests')}

| label | values |
|---|---|
| \`direction\` | \`inbound\`: to the application. \`outbound\`: from it. Both sidecars of a call count it, so add up one direction only. |
| \`source\` | The service that calls: outbound, our own; inbound, what the calling sidecar says ([below](#who-calls)). |
| \`destination\` | The service that is called: inbound, our own; outbound, the one the request was routed to, after a split. \`-\` when no route was found. |
| \`subset\` | The subset of it, where the route names one; else there is no such label. |
| \`service\` | The service of the route. \`local_app:3000\` for the application on port 3000. \`-\` when no route was found, also where the service was. |
| \`path\` | The route: its \`name\`, else its path as written, such as \`/api/*\`. \`/*\` for a service without routes. \`-\` when no route was found. |
| \`protocol\` | \`http1\`, \`http2\` or \`grpc\`: what the caller spoke. |
| \`method\` | GET, POST, PUT, DELETE, HEAD, PATCH, OPTIONS, CONNECT or TRACE; \`other\` for any other, and for a head that was refused. |
| \`status\` | The status sent. 499 when the caller went away before there was one. The class of a status is \`status=~"5.."\`. |
| \`grpc_status\` | Of [gRPC](grpc.md): the number of the status, 0 (OK) to 16, as the caller got it or made of an answer without one; \`other\` for a number without a name. Other requests do not have the label. |
| \`flags\` | The [response flag](failures.md), \`-\` for none. A 503 with \`-\` came from the application. |

Rate, errors and duration of each pair of services:

\`\`\`promql
sum by (source, destination) (rate(http_requests_total{direction="outbound"}[5m]))
sum by (source, destination) (rate(http_requests_total{direction="outbound",status=~"5.."}[5m]))
histogram_quantile(0.99, sum by (source, destination, le) (rate(http_response_time_seconds_bucket{direction="outbound"}[5m])))
\`\`\`

### Who calls

A sidecar tells its service (\`service:\` of its file) to other sidecars, in the field \`outrigger-source\` over HTTP/2 and on connections that [two sidecars share](sidecar-to-sidecar.md). No other endpoint gets that field, and the application does not either. \`source\` of an inbound request is \`unknown\` where no sidecar has said so: callers without one, and the first requests of a new pair of sidecars, which still go over HTTP/1.1. It is what the caller says and no proof: until calls have a verified identity, decide nothing by it. Names beyond 100 at a time, and what is no name of a service, are \`other\`. A name is free again when its series have expired.

### Idle series

A series of the table above goes when it has not changed for \`metrics.expire\` (10 minutes), and begins at 0 when it comes back, as if the proxy had started anew: \`rate\` and \`increase\` expect that. Callers, statuses and routes of long ago do not fill every scrape. Gauges, and what belongs to an endpoint, a listener or the proxy itself, never expire.

### Exemplars

In OpenMetrics the buckets of \`http_response_time_seconds\` carry the trace id of a recent request whose spans were [recorded](tracing.md), so Grafana links a slow bucket to its trace. Prometheus keeps them with \`--enable-feature=exemplar-storage\`. A bucket gets another exemplar every 5 seconds at most; a request that is not recorded costs nothing.

## Endpoints

${table('endpoints')}

The series of an endpoint go when the endpoint leaves the configuration.

## TCP tunnels

Each tunnel counts as one attempt in the table of endpoints as well. See [TCP](tcp.md).

${table('tcp')}

## Discovery

One series for each source of each service, such as \`consul\`. Services with nothing but fixed endpoints have none. A query may wait at Consul for five minutes, so an age up to that is normal.

${table('discovery')}

## The name server

[The name server](dns.md) has these where the file says \`dns:\`.

${table('dns')}

## The agent and its policies

What the proxy knows of the agent of its host; metrics of the agent itself are [below](#the-agent-itself).

${table('agent')}

## Spans

${table('spans')}

## Listeners

\`listener\` is its direction and address: \`outbound 127.0.0.1:15001\`. \`side\` of a guard is \`downstream\` or \`upstream\`; [the guards](http2.md#guards), and a line of the log names the peer. More than a few detection timeouts: a server that speaks first is behind this port, and needs [a port of its own](tcp.md#what-detection-cannot-do).

${table('listeners')}

## The proxy itself

${table('proxy')}

## The agent itself

\`/metrics\` on the admin port of the agent (127.0.0.1:15005).

${tableOf(agentMetrics)}

## The injector

\`GET /metrics\` on the probes port of [the webhook](kubernetes.md#by-the-webhook) (15020).

${tableOf(injectorMetrics)}

## Names of other meshes

Dashboards made for Envoy or Istio work with \`metrics: { aliases: [envoy, istio] }\`: what is counted is shown under their names as well. The aliases are computed at each scrape; they take no memory in the proxy, but space in Prometheus. Only what this proxy counts is there, and nothing is made up.

\`\`\`yaml
metrics:
  listen: 0.0.0.0:15020
  aliases: [envoy]
\`\`\`

Counters of Envoy do not end in \`_total\`: they have no type, and \`rate\` works all the same. Istio counts in milliseconds, which \`promtool check metrics\` dislikes.

### Envoy

${aliasTable('envoy')}

### Istio

\`source_workload\`, \`source_app\` and \`source_canonical_service\` are all the \`source\` above, and so with the destination; \`destination_version\` is the subset. There are no namespaces, principals and sizes.

${aliasTable('istio')}

## Histograms

A latency is kept in 8 buckets for each power of two, from 64 microseconds to 134 seconds, so it is accurate to 12.5 %. The page exposes the powers of two from 128 microseconds to 134 seconds: 21 buckets, then \`+Inf\`. A quantile from \`/endpoints\` comes from the fine buckets, one from Prometheus from the exposed ones.

## How many series

For each route and each pair of services on it: 24 for the histogram, and one for each protocol, method, status and flag that occurred. For each endpoint: 32. \`outrigger_metrics_series\` says how many the proxy keeps; a histogram counts as one there. A scrape is made piece by piece while it is read, so the page of a large mesh is never held in memory whole.
`
}

function table(group: MetricGroup): string {
  const lines = rows
    .filter(([, metric]) => metric.group === group)
    .map(([name, { type, unit = '', labels, help, when = '' }]) => {
      const written = labels.map(label => `\`${label.replace('?', '')}\``).join(' ')
      return `| \`${name}\` | ${type} | ${written} | ${unit} | ${help} | ${when} |`
    })
  return ['| metric | type | labels | unit | meaning | there |', '|---|---|---|---|---|---|', ...lines].join('\n')
}

function tableOf(rows: typeof agentMetrics | typeof injectorMetrics): string {
  const lines = rows.map(
    ([name, type, labels, help]) =>
      `| \`${name}\` | ${type} | ${labels.map(label => `\`${label}\``).join(' ')} | ${help} |`,
  )
  return ['| metric | type | labels | meaning |', '|---|---|---|---|', ...lines].join('\n')
}

function aliasTable(name: MetricAliases): string {
  const lines = aliases[name].map(view => `| \`${view.name}\` | ${view.type} | ${view.help} | \`${view.from}\` |`)
  return ['| alias | type | meaning | made of |', '|---|---|---|---|', ...lines].join('\n')
}

if (import.meta.main) writeFileSync(new URL('../docs/metrics.md', import.meta.url), metricsPage())
