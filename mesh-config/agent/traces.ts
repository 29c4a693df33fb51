import * as z from 'zod'
import { anyText, duration, headerName, listenAddress, setting, size, text } from '../values.ts'

/** Where spans go, as a user writes it: without a port that of the protocol. */
export const exportPattern =
  /^(off|(?:grpcs?|https?):\/\/(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::\d{1,5})?(?:\/[^\s?#]*)?)$/

/** The `traces` of an agent file: which spans are taken, and where they go. */
export const traces = z.strictObject({
  export: setting(
    text(
      exportPattern,
      'an address of a collector',
      'grpc://host:4317, http://host:4318, grpcs://, https:// or off',
    ).optional(),
    'Where spans are sent by OTLP: `grpc://` and `http://` in the clear, `grpcs://` and `https://` by TLS. Behind the host of HTTP comes the path before `/v1/traces`, if any. Without it: $OTEL_EXPORTER_OTLP_TRACES_ENDPOINT or $OTEL_EXPORTER_OTLP_ENDPOINT; without those spans go nowhere.',
  ),
  headers: setting(
    z
      .record(headerName, text(/^[\t\x20-\x7e]*$/, 'a header value', 'visible characters').meta({ secret: true }))
      .default({}),
    'Sent with every request to the collector, such as `authorization`. $OTEL_EXPORTER_OTLP_HEADERS counts where this is empty.',
    'a collector in the own network asks for none',
  ),
  tls: setting(
    z
      .strictObject({
        ca: setting(
          anyText('a file').optional(),
          'CA certificates (PEM) of the collector. Without it: $OTEL_EXPORTER_OTLP_CERTIFICATE, else those of the system.',
        ),
        cert: setting(anyText('a file').optional(), 'The client certificate (PEM), where the collector asks for one.'),
        key: setting(anyText('a file').optional(), 'Its key (PEM).'),
      })
      .prefault({}),
    'For `grpcs://` and `https://`. The files are read again when they change.',
  ),
  compression: setting(
    z.enum(['none', 'gzip']).optional(),
    'Of what is sent. Without it: $OTEL_EXPORTER_OTLP_COMPRESSION, else `none`.',
  ),
  timeout: setting(
    duration('refused').optional(),
    'How long the collector may take for an answer. Without it: $OTEL_EXPORTER_OTLP_TIMEOUT, else 10s.',
  ),
  grpc: setting(
    listenAddress(true).optional(),
    'Where applications of this host send their spans by OTLP over gRPC. Without it: 127.0.0.1:4317, where spans are exported and that port is free. Proxies use the socket of the agent.',
  ),
  http: setting(
    listenAddress(true).optional(),
    'Where applications of this host send their spans by OTLP over HTTP, as protobuf or JSON. Without it: 127.0.0.1:4318, where spans are exported and that port is free.',
  ),
  sample: setting(
    z.number().min(0).max(100).default(100),
    'The percentage of traces that are passed on. Which ones follows from the trace id, so that all agents and all collectors keep the same; failed spans are passed on whatever it says.',
    'proxies and applications sample already; a second time is for a collector that is short of room',
  ),
  spansPerSecond: setting(
    z.int().min(0).max(1_000_000).default(2_000),
    'How many spans a second one service may send (by `service.name`), with twice as many at once. A service beyond it loses whole traces, by trace id. 0: as many as come.',
    'one service that records too much must not push the spans of the others out of the queue',
  ),
  queue: setting(
    size(8 * 1024 ** 2, 64 * 1024 ** 3, 'from 8MiB to 64GiB').default('256MiB'),
    'How much is kept on disk, in the folder `traces` of `state`, while the collector takes nothing. When it is full the oldest spans go.',
    'about 400,000 spans: an hour at 100 spans a second',
  ),
  resource: setting(
    z
      .record(
        text(/^[\x21-\x7e]{1,255}$/, 'an attribute name', 'a name such as deployment.environment'),
        anyText('a value'),
      )
      .default({}),
    'Attributes that are added to every span that lacks them, beside `host.name`, what $OTEL_RESOURCE_ATTRIBUTES says and, where Consul answers, `consul.node`, `consul.datacenter` and `cloud.availability_zone`.',
    'what the agent knows by itself is added anyway',
  ),
})
