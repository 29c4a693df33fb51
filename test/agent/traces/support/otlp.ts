import { resolve } from 'node:path'
import { loadPackageDefinition, type ServiceClientConstructor } from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'

export interface OtlpSpan {
  readonly traceId: Buffer
  readonly spanId: Buffer
  readonly parentSpanId?: Buffer
  readonly name: string
  readonly kind?: number
  readonly attributes?: readonly Attribute[]
  readonly status?: { readonly code: number; readonly message?: string } | null
  readonly [field: string]: unknown
}

export interface Attribute {
  readonly key: string
  readonly value: { readonly stringValue?: string; readonly [kind: string]: unknown }
}

export interface OtlpRequest {
  readonly resourceSpans: readonly {
    readonly resource?: { readonly attributes: readonly Attribute[] } | null
    readonly scopeSpans: readonly {
      readonly scope?: { readonly name: string } | null
      readonly spans: readonly OtlpSpan[]
    }[]
    readonly schemaUrl?: string
  }[]
}

interface Package {
  readonly opentelemetry: {
    proto: { collector: { trace: { v1: { readonly TraceService: ServiceClientConstructor } } } }
  }
}

/** A service and its messages by proto-loader: what a real server or client uses. */
export const { TraceService } = (
  loadPackageDefinition(loadSync(resolve(import.meta.dirname, 'otlp.proto'), { longs: String })) as unknown as Package
).opentelemetry.proto.collector.trace.v1

const { requestSerialize, requestDeserialize, responseDeserialize } = TraceService.service.Export!

export const encode = (request: OtlpRequest): Buffer => requestSerialize(request)
export const decode = (bytes: Buffer): OtlpRequest => requestDeserialize(bytes) as unknown as OtlpRequest
export const decodeAnswer = (bytes: Buffer): { partialSuccess?: { rejectedSpans?: string; errorMessage?: string } } =>
  responseDeserialize(bytes) as object

export function text(key: string, value: string): Attribute {
  return { key, value: { stringValue: value } }
}

let count = 0

/** A span with ids of its own; its trace id begins with zeros and ends with `random`, 7 bytes. */
export function spanOf(fields: Partial<OtlpSpan> = {}, random = ++count): OtlpSpan {
  const traceId = Buffer.alloc(16, 1)
  traceId.writeUIntBE(Math.floor(random / 256) % 2 ** 48, 9, 6)
  traceId[15] = random % 256
  const spanId = Buffer.alloc(8, 2)
  spanId.writeUInt32BE(++count, 4)
  return { traceId, spanId, name: `span ${count}`, kind: 2, ...fields }
}

export function requestOf(service: string, spans: readonly OtlpSpan[], attributes: readonly Attribute[] = []): Buffer {
  return encode({
    resourceSpans: [
      {
        resource: { attributes: [text('service.name', service), ...attributes] },
        scopeSpans: [{ scope: { name: 'test' }, spans }],
      },
    ],
  })
}

/** The names of all spans in a request or in parts of one. */
export function namesIn(bytes: Buffer): string[] {
  return decode(bytes).resourceSpans.flatMap(({ scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) => spans.map(({ name }) => name)),
  )
}
