import { join } from 'node:path'
import { loadSync } from '@grpc/proto-loader'
import type { ToControl } from '../../proxy/core/channel.ts'
import { exportRequest, spanSource } from '../../proxy/telemetry/otlp.ts'

/** Spans as a receiver reads them, by a library and the definitions of OTLP. */

const definition = loadSync(join(import.meta.dirname, 'otlp.proto'), { longs: String, oneofs: true, arrays: true })
const { Export } = definition['opentelemetry.TraceService'] as unknown as {
  Export: {
    requestDeserialize(bytes: Buffer): WireRequest
    responseSerialize(value: object): Buffer
  }
}

type Attributes = Readonly<Record<string, string | number | boolean | readonly string[]>>

export interface ReadSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentId: string
  readonly state: string
  readonly flags: number
  readonly name: string
  readonly kind: 'internal' | 'server' | 'client' | 'unspecified'
  /** Milliseconds since the epoch. */
  readonly start: number
  readonly end: number
  readonly attributes: Attributes
  readonly droppedAttributes: number
  readonly events: readonly { readonly name: string; readonly time: number; readonly attributes: Attributes }[]
  readonly isError: boolean
  readonly message: string
}

export interface ReadRequest {
  readonly resource: Attributes
  readonly scope: { readonly name: string; readonly version: string }
  readonly spans: readonly ReadSpan[]
}

export function readRequest(bytes: Uint8Array): ReadRequest {
  const { resourceSpans } = Export.requestDeserialize(Buffer.from(bytes))
  if (resourceSpans.length !== 1 || resourceSpans[0]!.scopeSpans.length !== 1) throw new Error('not one resource')
  const { resource, scopeSpans } = resourceSpans[0]!
  return {
    resource: attributesOf(resource.attributes),
    scope: scopeSpans[0]!.scope,
    spans: scopeSpans[0]!.spans.map(readSpan),
  }
}

/** What data threads have sent: spans of a scope. */
export function readSpans(parts: readonly Uint8Array[]): readonly ReadSpan[] {
  return parts.length === 0 ? [] : readRequest(exportRequest(spanSource(['service.name', 'x'], '1'), parts)).spans
}

export function spansOf(messages: readonly ToControl[]): readonly ReadSpan[] {
  return readSpans(messages.flatMap(message => (message.kind === 'spans' ? [message.bytes] : [])))
}

export function partialSuccess(rejectedSpans: number, errorMessage: string): Buffer {
  return Export.responseSerialize({ partialSuccess: { rejectedSpans, errorMessage } })
}

// ── as the library gives it ──

interface WireValue {
  readonly value?: 'stringValue' | 'boolValue' | 'intValue' | 'doubleValue' | 'arrayValue'
  readonly stringValue: string
  readonly boolValue: boolean
  readonly intValue: string
  readonly doubleValue: number
  readonly arrayValue: { readonly values: readonly WireValue[] }
}
type WireAttributes = readonly { readonly key: string; readonly value: WireValue }[]
interface WireSpan {
  readonly traceId: Buffer
  readonly spanId: Buffer
  readonly parentSpanId?: Buffer
  readonly traceState?: string
  readonly flags: number
  readonly name: string
  readonly kind: number
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly attributes: WireAttributes
  readonly droppedAttributesCount?: number
  readonly events?: readonly { timeUnixNano: string; name: string; attributes?: WireAttributes }[]
  readonly status?: { readonly message?: string; readonly code?: number }
}
interface WireRequest {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: WireAttributes }
    readonly scopeSpans: readonly {
      readonly scope: { readonly name: string; readonly version: string }
      readonly spans: readonly WireSpan[]
    }[]
  }[]
}

const kinds = ['unspecified', 'internal', 'server', 'client'] as const

function readSpan(span: WireSpan): ReadSpan {
  return {
    traceId: span.traceId.toString('hex'),
    spanId: span.spanId.toString('hex'),
    parentId: span.parentSpanId?.toString('hex') ?? '',
    state: span.traceState ?? '',
    flags: span.flags,
    name: span.name,
    kind: kinds[span.kind]!,
    start: Number(span.startTimeUnixNano) / 1e6,
    end: Number(span.endTimeUnixNano) / 1e6,
    attributes: attributesOf(span.attributes),
    droppedAttributes: span.droppedAttributesCount ?? 0,
    events: (span.events ?? []).map(({ name, timeUnixNano, attributes = [] }) => ({
      name,
      time: Number(timeUnixNano) / 1e6,
      attributes: attributesOf(attributes),
    })),
    isError: span.status?.code === 2,
    message: span.status?.message ?? '',
  }
}

function attributesOf(attributes: WireAttributes): Attributes {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, plainOf(value)]))
}

function plainOf(value: WireValue): string | number | boolean | readonly string[] {
  if (value.value === 'intValue') return Number(value.intValue)
  if (value.value === 'arrayValue') return value.arrayValue.values.map(item => String(plainOf(item)))
  return value[value.value as 'stringValue' | 'boolValue' | 'doubleValue']
}
