import * as z from 'zod'
import { duration, headerName, setting, text } from './values.ts'

/** The `traces` of a sidecar file: which requests are recorded as spans, and where those go. */

const batch = {
  spans: setting(
    z.int().min(1).max(10_000).default(512),
    'A batch is sent with this many spans.',
    'as in OpenTelemetry (`OTEL_BSP_MAX_EXPORT_BATCH_SIZE`)',
  ),
  delay: setting(
    duration('none').default('1s'),
    'A batch that is not full is sent after this time.',
    'a trace is there when you look for it; OpenTelemetry waits 5 s (`OTEL_BSP_SCHEDULE_DELAY`)',
  ),
  queue: setting(
    z.int().min(1).max(100_000).default(4096),
    'Spans that wait for whoever takes them; further ones are dropped and counted.',
    'about 3 MiB; the agent has a larger queue, on disk',
  ),
}

const tracesMap = z.strictObject({
  mode: setting(
    z.enum(['on', 'off']).default('on'),
    '`on`: spans are made where something takes them: an agent on this host, or `export`. `off`: none, and what callers send of traces passes as any other field.',
    'without an agent and `export` it costs nothing',
  ),
  sample: setting(
    z.number().min(0).max(100).default(1),
    'Percent of the requests that are recorded, where the caller has not decided. It depends on the trace id only, so all sidecars choose the same traces.',
    'enough to see what is usual at under 2 % of the CPU; what is unusual is recorded anyway',
  ),
  failed: setting(
    z.boolean().default(true),
    'Also records every request that failed: a response flag, status 500 and above, or such a status of gRPC.',
    'those are the ones somebody will look for',
  ),
  slow: setting(
    z.boolean().default(true),
    'Also records requests slower than the 99th percentile of their own route.',
    'at most one more request in a hundred, and the ones that explain a bad percentile',
  ),
  propagate: setting(
    z.array(z.enum(['w3c', 'b3'])).default(['w3c', 'b3']),
    'The formats of trace context that are understood. `w3c`: `traceparent` and `tracestate`, always sent. `b3`: Zipkin, single and multiple fields, sent where they came.',
    'both are in use; W3C counts where both came',
  ),
  export: setting(
    text(
      /^https?:\/\/[^\s/?#@]+(\/[^\s?#]*)?$/,
      'a URL',
      'http://host:port, such as http://collector:4318; a password belongs into `headers`',
    ).optional(),
    'Sends spans straight to this address (OTLP over HTTP, protobuf) and not to the agent; `/v1/traces` is added where it has no path.',
  ),
  headers: setting(
    z
      .record(headerName, text(/^[\x20-\x7e]*$/, 'a header value', 'printable ASCII').meta({ secret: true }))
      .default({}),
    'Header fields of each export, such as an API key.',
    'most collectors need none',
  ),
  compression: setting(
    z.enum(['none', 'gzip']).default('none'),
    'How an export is compressed.',
    'as in OpenTelemetry: a collector is near, and compressing costs CPU',
  ),
  timeout: setting(
    duration('refused').default('10s'),
    'How long one try to send a batch may take.',
    'as in OpenTelemetry (`OTEL_EXPORTER_OTLP_TIMEOUT`)',
  ),
  batch: setting(z.strictObject(batch).prefault({}), 'How spans are gathered.'),
  attributes: setting(
    z
      .record(
        text(/^[\x21-\x7e]{1,128}$/, 'the name of an attribute', 'a name such as deployment.environment.name'),
        text(/^[\s\S]{0,256}$/, 'a value', 'a text of at most 256 characters'),
      )
      .default({}),
    'Attributes of the resource in each span, such as `deployment.environment.name`. `service.name` is `service:` unless it is here.',
    'the agent adds host and zone',
  ),
})

export const traces = z.union([z.literal('off').transform(() => tracesMap.parse({ mode: 'off' })), tracesMap])

export type TracesDocument = z.output<typeof tracesMap>
