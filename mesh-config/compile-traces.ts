import { durationMs } from './duration.ts'
import type { TraceExportSpec, TracesSpec } from './snapshot.ts'
import type { TracesDocument } from './traces.ts'

/** What data threads have to know. */
export function compileTraces({
  mode,
  sample,
  failed,
  slow,
  propagate,
  batch,
  export: url,
}: TracesDocument): TracesSpec {
  return {
    isOn: mode === 'on',
    isExported: url !== undefined,
    samplePercent: sample,
    failed,
    slow,
    propagate,
    batchSpans: batch.spans,
  }
}

/** What sends them. `service`: of the sidecar. */
export function compileTraceExport(traces: TracesDocument, service: string): TraceExportSpec {
  const { headers, compression, timeout, batch, attributes } = traces
  return {
    url: traces.export === undefined ? null : endpointOf(traces.export),
    secretHeaders: Object.entries(headers).flat(),
    gzip: compression === 'gzip',
    timeoutMs: durationMs(timeout),
    batchSpans: batch.spans,
    batchMs: durationMs(batch.delay),
    queueSpans: batch.queue,
    attributes: Object.entries({ 'service.name': service, ...attributes }).flat(),
  }
}

/** OTLP over HTTP takes traces at this path. */
function endpointOf(url: string): string {
  const { pathname } = new URL(url)
  return pathname === '/' ? new URL('/v1/traces', url).href : url
}
