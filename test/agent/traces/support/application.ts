import { OTLPTraceExporter as GrpcExporter } from '@opentelemetry/exporter-trace-otlp-grpc'
import { OTLPTraceExporter as HttpExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { BatchSpanProcessor, NodeTracerProvider } from '@opentelemetry/sdk-trace-node'
import { onTestFinished } from 'vitest'

export interface Application {
  readonly tracer: ReturnType<NodeTracerProvider['getTracer']>
  /** Sends what was not sent yet. Rejects where it is not taken. */
  flush(): Promise<void>
}

/** An application with OpenTelemetry's own SDK, which knows nothing of the product. */
export function application(name: string, way: 'grpc' | 'http', port: number): Application {
  const exporter =
    way === 'grpc'
      ? new GrpcExporter({ url: `http://127.0.0.1:${port}` })
      : new HttpExporter({ url: `http://127.0.0.1:${port}/v1/traces` })
  const provider = new NodeTracerProvider({
    resource: resourceFromAttributes({ 'service.name': name }),
    spanProcessors: [new BatchSpanProcessor(exporter, { maxQueueSize: 100_000 })],
  })
  onTestFinished(() => provider.shutdown())
  return { tracer: provider.getTracer('an application'), flush: () => provider.forceFlush() }
}
