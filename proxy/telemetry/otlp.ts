import { ProtoReader, ProtoWriter } from '../core/protobuf.ts'

/** OTLP's messages around spans (opentelemetry/proto/collector/trace/v1/trace_service.proto). */

const MOST_BYTES = 64 * 1024
const SCOPE = 'outrigger'

/** What comes before the spans of every batch. */
export interface SpanSource {
  readonly resource: Uint8Array
  readonly scope: Uint8Array
}

/** `attributes`: name, value, name, value ... */
export function spanSource(attributes: readonly string[], version: string): SpanSource {
  const writer = new ProtoWriter(1024, MOST_BYTES)
  const own = ['telemetry.sdk.name', SCOPE, 'telemetry.sdk.language', 'nodejs', 'telemetry.sdk.version', version]
  const all = [...attributes, ...own]
  for (let i = 0; i < all.length; i += 2) {
    const attribute = writer.open(1)
    writer.string(1, all[i]!)
    const value = writer.open(2)
    writer.string(1, all[i + 1]!)
    writer.close(value)
    writer.close(attribute)
  }
  const resource = writer.copy()
  writer.clear()
  writer.string(1, SCOPE)
  writer.string(2, version)
  return { resource, scope: writer.copy() }
}

/**
 * An `ExportTraceServiceRequest` of spans that are fields of `ScopeSpans` already. It lies in `memory` where that is
 * large enough.
 */
export function exportRequest(
  { resource, scope }: SpanSource,
  spans: readonly Uint8Array[],
  memory: Buffer = Buffer.alloc(0),
): Buffer {
  const size = spans.reduce((sum, { length }) => sum + length, 0)
  const inScope = fieldSize(scope.length) + size
  const inResource = fieldSize(resource.length) + fieldSize(inScope)
  const whole = fieldSize(inResource)
  const bytes = whole <= memory.length ? memory.subarray(0, whole) : Buffer.allocUnsafeSlow(whole)
  let at = 0
  const begin = (field: number, length: number) => {
    bytes[at++] = field * 8 + 2
    for (; length > 127; length >>>= 7) bytes[at++] = (length & 127) | 128
    bytes[at++] = length
  }
  const put = (part: Uint8Array) => {
    bytes.set(part, at)
    at += part.length
  }
  begin(1, inResource)
  begin(1, resource.length)
  put(resource)
  begin(2, inScope)
  begin(1, scope.length)
  put(scope)
  for (const part of spans) put(part)
  return bytes
}

/** With its tag, for a field number below 16, and its length. */
function fieldSize(length: number): number {
  let size = 2
  for (let rest = length; rest > 127; rest >>>= 7) size++
  return size + length
}

/** How many spans of a batch that was taken were rejected all the same, and why (`partial_success`). */
export function readPartialSuccess(answer: Uint8Array): { readonly rejected: number; readonly why: string } {
  const reader = new ProtoReader(answer)
  let rejected = 0
  let why = ''
  while (reader.next()) {
    if (reader.field !== 1) reader.skip()
    else
      reader.message(inner => {
        while (inner.next()) {
          if (inner.field === 1) rejected = inner.uint()
          else if (inner.field === 2) why = inner.string(MOST_BYTES).slice(0, 256)
          else inner.skip()
        }
      })
  }
  return reader.problem === '' ? { rejected, why } : { rejected: 0, why: '' }
}
