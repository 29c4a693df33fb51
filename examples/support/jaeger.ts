import { get } from './get.ts'

/** The loopback ports of a Jaeger: its query API and page, OTLP over gRPC and HTTP, and one that nobody uses. */
export interface JaegerPorts {
  readonly query: number
  readonly grpc: number
  readonly http: number
  readonly unused: number
}

/** For `jaeger --config`: everything in one process, traces in its memory. JSON is YAML too. */
export function jaegerConfig({ query, grpc, http, unused }: JaegerPorts, maxTraces = 100_000): string {
  const at = (port: number) => ({ endpoint: `127.0.0.1:${port}` })
  return JSON.stringify({
    service: {
      extensions: ['jaeger_storage', 'jaeger_query'],
      pipelines: { traces: { receivers: ['otlp'], exporters: ['jaeger_storage_exporter'] } },
      telemetry: { metrics: { level: 'none' }, logs: { level: 'warn' } },
    },
    extensions: {
      jaeger_storage: { backends: { memory: { memory: { max_traces: maxTraces } } } },
      jaeger_query: { storage: { traces: 'memory' }, enable_tracing: false, http: at(query), grpc: at(unused) },
    },
    receivers: { otlp: { protocols: { grpc: at(grpc), http: at(http) } } },
    exporters: { jaeger_storage_exporter: { trace_storage: 'memory' } },
  })
}

/** A trace as Jaeger's query API has it. Times are microseconds. */
export interface JaegerTrace {
  readonly traceID: string
  readonly spans: readonly JaegerSpan[]
  readonly processes: Readonly<Record<string, { readonly serviceName: string; readonly tags: readonly JaegerTag[] }>>
}

export interface JaegerSpan {
  readonly spanID: string
  readonly operationName: string
  readonly references: readonly { readonly refType: string; readonly spanID: string }[]
  readonly startTime: number
  readonly duration: number
  readonly tags: readonly JaegerTag[]
  readonly logs: readonly { readonly timestamp: number; readonly fields: readonly JaegerTag[] }[]
  readonly processID: string
}

export interface JaegerTag {
  readonly key: string
  readonly value: string | number | boolean
}

export function tagOf(tags: readonly JaegerTag[], key: string): JaegerTag['value'] | null {
  return tags.find(tag => tag.key === key)?.value ?? null
}

/** What `/api/<path>` answers; null: it does not. */
export async function askJaeger<Data>(port: number, path: string): Promise<Data | null> {
  try {
    const { status, body } = await get(port, `/api/${path}`, { timeoutMs: 10_000 })
    return status === 200 ? ((JSON.parse(body) as { data: Data | null }).data ?? ([] as Data)) : null
  } catch {
    return null
  }
}

export async function tracesOf(port: number, service: string, limit = 100): Promise<readonly JaegerTrace[]> {
  const query = new URLSearchParams({ service, limit: String(limit), lookback: '1h' })
  return (await askJaeger<JaegerTrace[]>(port, `traces?${query}`)) ?? []
}

/** Traces in which one span of the service has these attributes. */
export async function tracesWith(
  port: number,
  service: string,
  tags: Readonly<Record<string, string>>,
  limit = 20,
): Promise<readonly JaegerTrace[]> {
  const query = new URLSearchParams({ service, limit: String(limit), lookback: '1h', tags: JSON.stringify(tags) })
  return (await askJaeger<JaegerTrace[]>(port, `traces?${query}`)) ?? []
}
