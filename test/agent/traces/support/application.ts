import { context, ROOT_CONTEXT, trace } from '@opentelemetry/api'
import { OTLPTraceExporter as GrpcExporter } from '@opentelemetry/exporter-trace-otlp-grpc'
import { OTLPTraceExporter as HttpExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { BatchSpanProcessor, NodeTracerProvider } from '@opentelemetry/sdk-trace-node'
import { onTestFinished } from 'vitest'

export interface Application {
  readonly tracer: ReturnType<NodeTracerProvider['getTracer']>
  /** `parent`: the `traceparent` of the request that it serves. Its own is for the calls that it makes. */
  startSpan(name: string, parent?: string): { readonly traceparent: string; end(): void }
  /** Sends what was not sent yet. Rejects where it is not taken. */
  flush(): Promise<void>
  stop(): Promise<void>
}

/** An application with OpenTelemetry's own SDK, which knows nothing of the product. */
export function applicationOf(name: string, way: 'grpc' | 'http', port: number): Application {
  const exporter =
    way === 'grpc'
      ? new GrpcExporter({ url: `http://127.0.0.1:${port}` })
      : new HttpExporter({ url: `http://127.0.0.1:${port}/v1/traces` })
  const provider = new NodeTracerProvider({
    resource: resourceFromAttributes({ 'service.name': name }),
    spanProcessors: [new BatchSpanProcessor(exporter, { maxQueueSize: 100_000 })],
  })
  const tracer = provider.getTracer('an application')
  return {
    tracer,
    startSpan(spanName, parent) {
      const [, traceId, spanId, flags] = parent?.split('-') ?? []
      const outer =
        traceId === undefined
          ? ROOT_CONTEXT
          : trace.setSpanContext(context.active(), {
              traceId,
              spanId: spanId!,
              traceFlags: Number.parseInt(flags!, 16),
              isRemote: true,
            })
      const span = tracer.startSpan(spanName, {}, outer)
      const { traceId: own, spanId: id, traceFlags } = span.spanContext()
      return { traceparent: `00-${own}-${id}-0${traceFlags}`, end: () => span.end() }
    },
    flush: () => provider.forceFlush(),
    stop: () => provider.shutdown(),
  }
}

/** The same, until the end of the test. */
export function application(name: string, way: 'grpc' | 'http', port: number): Application {
  const made = applicationOf(name, way, port)
  onTestFinished(() => made.stop())
  return made
}
